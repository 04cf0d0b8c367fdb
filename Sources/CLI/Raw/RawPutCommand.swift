// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct RawPutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "put", abstract: "Set the value of a key.")

    @Argument(help: "The key.") var key: String
    @Argument(help: "The value; it may be empty.") var value: String
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let key = try self.notation.key(self.key, "the key")
        let value = Value(try self.notation.bytes(self.value, "the value"))
        try await self.connection.withRawClient { client in
            try await client.put(key, value: value)
        }
    }
}
