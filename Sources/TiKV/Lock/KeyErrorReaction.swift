// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

/// What a store's answer about a key means. Pure.
enum KeyErrorReaction: Sendable {
    /// Locks are in the way: resolve them, or wait, and ask again.
    case resolve([Lock])
    /// The commit must come later than tried: not before this.
    case commitLater(UInt64)
    /// The transaction that was asked about has no trace at its primary.
    case transactionNotFound
    /// What was asked about as a primary is not; the lock there is this one.
    case primaryMismatch(Lock)
    /// The lock is gone.
    case lockNotFound
    case fail(TiKVError)

    /// - Parameter start: of the transaction or read that was answered.
    init(_ error: Kvrpcpb_KeyError, start: UInt64 = 0) {
        if error.hasLocked {
            self = .resolve(Lock.all(error.locked))
        } else if error.hasConflict {
            self = .fail(Self.conflict(error, start: start))
        } else if error.hasAlreadyExist {
            self = .fail(
                TiKVError(
                    .keyAlreadyExists, "a key that was to be inserted exists already", detail: Self.debugInfo(error),
                    transaction: TransactionFailure(startTimestamp: start, key: Key(error.alreadyExist.key))))
        } else if error.hasDeadlock {
            self = .fail(Self.deadlock(error.deadlock, start: start))
        } else if error.hasCommitTsExpired {
            self = .commitLater(error.commitTsExpired.minCommitTs)
        } else if error.hasTxnNotFound {
            self = .transactionNotFound
        } else if error.hasPrimaryMismatch {
            self = .primaryMismatch(Lock(error.primaryMismatch.lockInfo))
        } else if error.hasTxnLockNotFound {
            self = .lockNotFound
        } else if error.hasAssertionFailed {
            self = .fail(Self.assertion(error, start: start))
        } else if error.hasCommitTsTooLarge {
            self = .fail(
                TiKVError(
                    .serverError, "the commit timestamp is too large",
                    transaction: TransactionFailure(startTimestamp: start)))
        } else if !error.retryable.isEmpty {
            // What TiKV calls retryable is the whole transaction, from its start.
            self = .fail(
                TiKVError(
                    .writeConflict, "the store asks for the transaction to be run again", detail: error.retryable,
                    transaction: TransactionFailure(
                        startTimestamp: start, conflict: TransactionFailure.Conflict(reason: .unknown))))
        } else if !error.abort.isEmpty {
            self = .fail(
                TiKVError(
                    .transactionRolledBack, "the store refuses to go on with the transaction", detail: error.abort,
                    transaction: TransactionFailure(startTimestamp: start)))
        } else {
            self = .fail(
                TiKVError(
                    .serverError, "the store answered with an error that has no name",
                    detail: error.textFormatString(), transaction: TransactionFailure(startTimestamp: start)))
        }
    }

    /// What the store tells of the key's versions and locks, to find out what has gone wrong: user data is in it.
    private static func debugInfo(_ error: Kvrpcpb_KeyError) -> String {
        error.hasDebugInfo ? error.debugInfo.textFormatString() : ""
    }

    private static func conflict(_ error: Kvrpcpb_KeyError, start: UInt64) -> TiKVError {
        let conflict = error.conflict
        let reason: TransactionFailure.Conflict.Reason =
            switch conflict.reason {
            case .optimistic: .optimistic
            case .pessimisticRetry: .pessimisticRetry
            case .selfRolledBack: .selfRolledBack
            case .rcCheckTs: .readCommittedCheck
            case .lazyUniquenessCheck: .lazyUniquenessCheck
            case .notLockedKeyConflict: .notLockedKey
            case .unknown, .UNRECOGNIZED: .unknown
            }
        return TiKVError(
            .writeConflict, "another transaction has written the same key (\(reason))", detail: Self.debugInfo(error),
            transaction: TransactionFailure(
                startTimestamp: conflict.startTs == 0 ? start : conflict.startTs,
                conflict: TransactionFailure.Conflict(
                    reason: reason, key: Key(conflict.key), startTimestamp: conflict.conflictTs,
                    commitTimestamp: conflict.conflictCommitTs)))
    }

    private static func deadlock(_ deadlock: Kvrpcpb_Deadlock, start: UInt64) -> TiKVError {
        let waits = deadlock.waitChain.map {
            TransactionFailure.Deadlock.Wait(
                transaction: $0.txn, holder: $0.waitForTxn, key: Key($0.key),
                resourceGroupTag: [UInt8]($0.resourceGroupTag))
        }
        return TiKVError(
            .deadlock, "transactions wait for each other's locks in a circle",
            transaction: TransactionFailure(
                startTimestamp: start,
                deadlock: TransactionFailure.Deadlock(
                    key: Key(deadlock.lockKey), holder: deadlock.lockTs, waits: waits)))
    }

    private static func assertion(_ error: Kvrpcpb_KeyError, start: UInt64) -> TiKVError {
        let failed = error.assertionFailed
        return TiKVError(
            .assertionFailed, "whether a key exists is not as was asserted", detail: Self.debugInfo(error),
            transaction: TransactionFailure(
                startTimestamp: failed.startTs == 0 ? start : failed.startTs,
                assertion: TransactionFailure.Assertion(
                    key: Key(failed.key), exists: failed.assertion == .exist,
                    existingStartTimestamp: failed.existingStartTs, existingCommitTimestamp: failed.existingCommitTs)))
    }
}
