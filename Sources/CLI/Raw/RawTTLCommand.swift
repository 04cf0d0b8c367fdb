// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct RawTTLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ttl",
        abstract: "Print how many seconds the value of a key still lives.",
        discussion: "Prints `forever` for a value that does not expire. Exit code 1 when the key is not there."
    )

    @Argument(help: "The key.") var key: String
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let key = try self.notation.key(self.key, "the key")
        let timeToLive = try await self.connection.withRawClient { client in
            try await client.timeToLive(of: key)
        }
        guard let timeToLive else {
            throw CommandFailure.absent("no such key: \(self.notation.notation.describe(key.bytes))")
        }
        let text = timeToLive.remaining.map { "\($0.components.seconds)" } ?? "forever"
        try StandardStream.output.write("\(text)\n")
    }
}
