// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct RawGetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Print the value of a key, or the keys and values of several.",
        discussion: """
            One key: its value alone. Several: a line for each that is there, key, tab, value. Exit code 1 when one is not \
            there. With --raw a single value is written without an end of line.
            """
    )

    @Argument(help: "The keys.") var keys: [String]
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let keys = try self.keys.map { try self.notation.key($0, "the key") }
        if keys.count == 1 {
            try await self.printValue(of: keys[0])
        } else {
            try await self.printPairs(keys)
        }
    }

    private func printValue(of key: Key) async throws {
        let value = try await self.connection.withRawClient { client in
            try await client.get(key)
        }
        guard let value else {
            throw CommandFailure.absent("no such key: \(self.notation.notation.describe(key.bytes))")
        }
        var line: [UInt8] = []
        self.notation.notation.write(value.bytes, to: &line)
        if self.notation.notation != .raw {
            line.append(UInt8(ascii: "\n"))
        }
        try StandardStream.output.write(line)
    }

    private func printPairs(_ keys: [Key]) async throws {
        let values = try await self.connection.withRawClient { client in
            try await client.batchGet(keys)
        }
        var output = BufferedOutput()
        var absent: [String] = []
        for key in keys {
            if let value = values[key] {
                try output.append(self.notation.notation.line(key: key.bytes, value: value.bytes))
            } else {
                absent.append(self.notation.notation.describe(key.bytes))
            }
        }
        try output.flush()
        guard absent.isEmpty else {
            throw CommandFailure.absent("no such key: \(absent.joined(separator: ", "))")
        }
    }
}
