// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct TxnGetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Print the value of a key, or the keys and values of several.",
        discussion: """
            One key: its value alone. Several, all as of one moment: a line for each that is there, key, tab, value. Exit \
            code 1 when one is not there. With --raw a single value is written without an end of line.
            """
    )

    @Argument(help: "The keys.") var keys: [String]
    @OptionGroup var moment: MomentOptions
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let keys = try self.keys.map { try self.notation.key($0, "the key") }
        let values = try await self.connection.withTransactionClient { client in
            try await self.moment.snapshot(of: client).batchGet(keys)
        }
        let notation = self.notation.notation
        var output = BufferedOutput()
        if keys.count == 1, let value = values[keys[0]] {
            var line: [UInt8] = []
            notation.write(value.bytes, to: &line)
            if notation != .raw { line.append(UInt8(ascii: "\n")) }
            try output.append(line)
        } else {
            for key in keys {
                if let value = values[key] { try output.append(notation.line(key: key.bytes, value: value.bytes)) }
            }
        }
        try output.flush()
        let absent = keys.filter { values[$0] == nil }.map { notation.describe($0.bytes) }
        guard absent.isEmpty else {
            throw CommandFailure.absent("no such key: \(absent.joined(separator: ", "))")
        }
    }
}
