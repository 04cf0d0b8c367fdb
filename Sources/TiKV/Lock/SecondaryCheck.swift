// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// Finds the outcome of a transaction that commits asynchronously from what its secondary locks say. Pure.
///
/// Where all of its locks are there, it is committed, at the latest of their least commit timestamps. Where one is missing,
/// the store has found it committed or has made sure that it never will be.
struct SecondaryCheck: Sendable {
    enum Failure: Error, Hashable {
        /// A lock is not one of an asynchronous commit: the transaction fell back to two phases, and the primary decides.
        case isNotAsync
        /// What stores say does not fit together.
        case contradiction
    }

    private let start: UInt64
    private var commit: UInt64
    private var isLockMissing = false
    /// The keys whose locks are still there.
    private(set) var locked: [[UInt8]] = []

    init(primary: Lock) {
        self.start = primary.start
        self.commit = primary.minimumCommit
    }

    /// Takes a store's answer about some of the secondaries.
    ///
    /// - Parameters:
    ///   - expected: how many keys were asked about.
    ///   - commit: when the transaction was committed, as far as the store knows; 0 for not.
    mutating func received(_ locks: [Lock], expected: Int, commit: UInt64) throws(Failure) {
        if locks.count < expected {
            if self.isLockMissing, self.commit != commit { throw .contradiction }
            if !self.isLockMissing, commit != 0, commit < self.commit { throw .contradiction }
            self.isLockMissing = true
            self.commit = commit
            return
        }
        for lock in locks {
            guard lock.start == self.start else { throw .contradiction }
            guard lock.isAsyncCommit else { throw .isNotAsync }
            if !self.isLockMissing { self.commit = max(self.commit, lock.minimumCommit) }
            self.locked.append(lock.key)
        }
    }

    /// The outcome, once all secondaries have been asked about.
    var status: TransactionStatus {
        self.commit == 0 ? .rolledBack : .committed(self.commit)
    }
}
