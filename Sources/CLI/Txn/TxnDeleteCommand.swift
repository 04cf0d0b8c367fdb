// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct TxnDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Remove keys, all in one transaction; one that is not there is no error."
    )

    @Argument(help: "The keys.") var keys: [String]
    @OptionGroup var write: TransactionWriteOptions
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let keys = try self.keys.map { try self.notation.key($0, "the key") }
        try await self.write.run(self.connection) { transaction in
            for key in keys { try await transaction.delete(key) }
        }
    }
}
