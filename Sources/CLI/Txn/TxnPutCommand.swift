// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TiKV

struct TxnPutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Set the values of keys, all in one transaction.",
        discussion:
            "With --if-absent, nothing is written and the exit code is 1 when one of the keys has a value already."
    )

    @Argument(help: "Keys, each followed by its value; a value may be empty.") var pairs: [String]
    @Flag(name: .long, help: "Only if none of the keys has a value.") var ifAbsent = false
    @OptionGroup var write: TransactionWriteOptions
    @OptionGroup var notation: NotationOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard self.pairs.count.isMultiple(of: 2) else {
            throw ValidationError("each key needs a value")
        }
    }

    func run() async throws {
        var pairs: [(key: Key, value: Value)] = []
        for index in stride(from: 0, to: self.pairs.count, by: 2) {
            pairs.append(
                (
                    try self.notation.key(self.pairs[index], "the key"),
                    Value(try self.notation.bytes(self.pairs[index + 1], "the value"))
                ))
        }
        let all = pairs
        do {
            try await self.write.run(self.connection) { transaction in
                for (key, value) in all {
                    if self.ifAbsent {
                        try await transaction.insert(key, value: value)
                    } else {
                        try await transaction.put(key, value: value)
                    }
                }
            }
        } catch let error as TiKVError where error.code == .keyAlreadyExists && self.ifAbsent {
            let key = error.transaction?.key.map { self.notation.notation.describe($0.bytes) }
            throw CommandFailure.absent("\(key ?? "one of the keys") has a value already")
        }
    }
}

/// How a command writes.
struct TransactionWriteOptions: ParsableArguments {
    @Flag(name: .long, help: "Lock the keys as they are written, and wait for others who have locked them.")
    var pessimistic = false

    @Flag(name: .long, help: "Print the timestamp from which on the writes are seen.")
    var timestamp = false

    /// Runs a transaction, again where others are in the way.
    func run(
        _ connection: ConnectionOptions, _ body: @Sendable (Transaction) async throws -> Void
    ) async throws {
        let commit = try await connection.withTransactionClient { client in
            var attempts = 0
            while true {
                attempts += 1
                let transaction = try await client.begin(self.pessimistic ? .pessimistic : .optimistic)
                do {
                    try await body(transaction)
                    return try await transaction.commit() ?? transaction.startTimestamp
                } catch let error as TiKVError where error.isConflict && attempts < 20 {
                    await transaction.rollback()
                } catch {
                    await transaction.rollback()
                    throw error
                }
            }
        }
        if self.timestamp { try StandardStream.output.write("\(commit)\n") }
    }
}

extension TiKVError {
    /// Whether the transaction ran into another one, and can be run again at once.
    fileprivate var isConflict: Bool {
        self.isRetryable
            && (self.code == .writeConflict || self.code == .deadlock || self.code == .transactionRolledBack)
    }
}
