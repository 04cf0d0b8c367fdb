// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct TxnScanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan",
        abstract: "Print the keys and values of a range as of one moment, in order.",
        discussion: "A line each: key, tab, value."
    )

    @OptionGroup var range: RangeOptions
    @Option(name: .long, help: "At most this many.") var limit: Int?
    @Flag(name: .long, help: "From the end of the range to its start.") var reverse = false
    @Flag(name: .long, help: "Keys without values.") var keysOnly = false
    @OptionGroup var moment: MomentOptions
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard self.limit ?? 0 >= 0 else {
            throw ValidationError("--limit must not be negative")
        }
    }

    func run() async throws {
        let range = try self.range.keyRange(self.notation)
        let notation = self.notation.notation
        try await self.connection.withTransactionClient { client in
            var output = BufferedOutput()
            let pairs = try await self.moment.snapshot(of: client)
                .scan(range, limit: self.limit, reversed: self.reverse, keysOnly: self.keysOnly)
            for try await pair in pairs {
                try output.append(notation.line(key: pair.key.bytes, value: self.keysOnly ? nil : pair.value.bytes))
            }
            try output.flush()
        }
    }
}
