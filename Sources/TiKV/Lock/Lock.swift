// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// Another transaction's lock that was in the way.
struct Lock: Sendable, Hashable {
    let key: [UInt8]
    let primary: [UInt8]
    /// The transaction, by its start timestamp.
    let start: UInt64
    /// How long it lives without a sign of life, in milliseconds from the start timestamp. 0 asks for immediate resolution.
    let timeToLive: UInt64
    /// How many keys the transaction has in this region, as far as it knew.
    let transactionSize: UInt64
    let isPessimistic: Bool
    let forUpdate: UInt64
    let isAsyncCommit: Bool
    let minimumCommit: UInt64
    let secondaries: [[UInt8]]
    /// How long ago the store had heard of the transaction, in milliseconds; 0 where it does not say.
    let sinceLastUpdate: UInt64

    init(_ info: Kvrpcpb_LockInfo) {
        self.key = [UInt8](info.key)
        self.primary = [UInt8](info.primaryLock)
        self.start = info.lockVersion
        self.timeToLive = info.lockTtl
        self.transactionSize = info.txnSize
        self.isPessimistic = info.lockType == .pessimisticLock
        self.forUpdate = info.lockForUpdateTs
        self.isAsyncCommit = info.useAsyncCommit
        self.minimumCommit = info.minCommitTs
        self.secondaries = info.secondaries.map { [UInt8]($0) }
        self.sinceLastUpdate = info.durationToLastUpdateMs
    }

    private init(expiring lock: Lock) {
        self.key = lock.key
        self.primary = lock.primary
        self.start = lock.start
        self.timeToLive = 0
        self.transactionSize = lock.transactionSize
        self.isPessimistic = lock.isPessimistic
        self.forUpdate = lock.forUpdate
        self.isAsyncCommit = lock.isAsyncCommit
        self.minimumCommit = lock.minimumCommit
        self.secondaries = lock.secondaries
        self.sinceLastUpdate = lock.sinceLastUpdate
    }

    /// Whether the store has heard of its holder so lately that this one must be alive: nobody need be asked about it.
    var isFresh: Bool { (1..<Self.freshness).contains(self.sinceLastUpdate) }

    /// In milliseconds.
    private static let freshness: UInt64 = 300

    /// The lock as one whose time is over.
    var expired: Lock { Lock(expiring: self) }

    /// The locks that an answer speaks of: of a shared lock each of those that share it.
    static func all(_ info: Kvrpcpb_LockInfo) -> [Lock] {
        info.sharedLockInfos.isEmpty
            ? [Lock(info)]
            : info.sharedLockInfos.map { inner in
                var inner = inner
                if inner.key.isEmpty { inner.key = info.key }
                return Lock(inner)
            }
    }
}
