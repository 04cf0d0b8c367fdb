// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct RawDeleteRangeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete-range",
        abstract: "Remove all keys of a range."
    )

    @OptionGroup var range: RangeOptions
    @Flag(name: .long, help: "Every key there is, in place of a range.") var all = false
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard self.range.isUnbounded == self.all else {
            throw ValidationError("give a range (--from, --to or --prefix), or --all for every key there is")
        }
    }

    func run() async throws {
        let range = try self.range.keyRange(self.notation)
        try await self.connection.withRawClient { client in
            try await client.deleteRange(range)
        }
    }
}
