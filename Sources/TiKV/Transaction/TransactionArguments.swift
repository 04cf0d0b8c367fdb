// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVWriteBuffer

/// What arguments of transactions and snapshots may be.
enum TransactionArguments {
    static func check(_ key: Key) throws(TiKVError) {
        if key.isEmpty { throw TiKVError(.invalidArgument, "a key must not be empty") }
        if key.count > WriteBuffer.Limits.longestKey {
            throw TiKVError(WriteBufferError.keyTooLarge(size: key.count, limit: WriteBuffer.Limits.longestKey))
        }
    }
}

extension TiKVError {
    /// Why a write was not taken.
    init(_ error: WriteBufferError) {
        switch error {
        case .keyTooLarge(let size, let limit):
            self.init(.keyTooLarge, "a key of \(size) bytes is over the limit of \(limit) bytes")
        case .entryTooLarge(let size, let limit):
            self.init(.entryTooLarge, "a key and its value of \(size) bytes are over the limit of \(limit) bytes")
        case .transactionTooLarge(let size, let limit):
            self.init(.transactionTooLarge, "a transaction of \(size) bytes is over the limit of \(limit) bytes")
        case .tooManyKeys(let count, let limit):
            self.init(.transactionTooLarge, "a transaction of \(count) keys is over the limit of \(limit)")
        case .notTheNewestStage:
            self.init(.invalidArgument, "only the savepoint that was set last can end")
        case .checkpointIsGone:
            self.init(.invalidArgument, "the savepoint has been rolled back past")
        }
    }
}
