// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Why a transactional command did not do what it was asked for. The cases are those of tikv
/// `src/storage/mvcc/mod.rs` and `src/storage/txn/mod.rs`; how they look on the wire is in `MVCCError+Wire.swift`.
indirect enum MVCCError: Error, Hashable, Sendable {
    enum ConflictReason: String, Hashable, Sendable {
        case optimistic = "Optimistic"
        case pessimisticRetry = "PessimisticRetry"
        case selfRolledBack = "SelfRolledBack"
        case rcCheckTS = "RcCheckTs"
        case lazyUniquenessCheck = "LazyUniquenessCheck"
    }

    enum LockNotFoundReason: String, Hashable, Sendable {
        case lockTSMismatch = "LockTsMismatch"
        case lockMissingAmendFail = "LockMissingAmendFail"
        case lockForUpdateTSMismatch = "LockForUpdateTsMismatch"
        case nonLockKeyConflict = "NonLockKeyConflict"
    }

    case keyIsLocked(LockDescription)
    case writeConflict(
        startTS: UInt64, conflictStartTS: UInt64, conflictCommitTS: UInt64, key: [UInt8], primary: [UInt8],
        reason: ConflictReason)
    case alreadyExist(key: [UInt8], existingStartTS: UInt64)
    case committed(startTS: UInt64, commitTS: UInt64, key: [UInt8])
    case pessimisticLockRolledBack(startTS: UInt64, key: [UInt8])
    case pessimisticLockNotFound(startTS: UInt64, key: [UInt8], reason: LockNotFoundReason)
    case txnLockNotFound(startTS: UInt64, commitTS: UInt64, key: [UInt8])
    case txnNotFound(startTS: UInt64, key: [UInt8])
    case lockTypeNotMatch(startTS: UInt64, key: [UInt8], pessimistic: Bool)
    case commitTSExpired(startTS: UInt64, commitTS: UInt64, key: [UInt8], minCommitTS: UInt64)
    case commitTSTooLarge(startTS: UInt64, minCommitTS: UInt64, maxCommitTS: UInt64)
    case assertionFailed(
        startTS: UInt64, key: [UInt8], assertion: Mutation.Assertion, existingStartTS: UInt64,
        existingCommitTS: UInt64)
    case lockIfExistsFailed(startTS: UInt64, key: [UInt8])
    case primaryMismatch(LockDescription)
    case generationOutOfOrder(generation: UInt64, key: [UInt8])
    case deadlock(startTS: UInt64, lockTS: UInt64, key: [UInt8], keyHash: UInt64, chain: [WaitForEntry])
    case invalidTxnTSO(startTS: UInt64, commitTS: UInt64)
    /// An exclusive lock was asked for where others share the key and may still become more.
    case notInShrinkMode(SharedLocks)
    /// A request that makes no sense; the text is TiKV's.
    case other(String)
    /// A scan that leaves its region. The bounds are encoded; nil is none.
    case invalidRequestRange(start: [UInt8]?, end: [UInt8]?, lowerBound: [UInt8], upperBound: [UInt8])
    /// A request of an API version that the store does not have.
    case apiVersionNotMatched(command: String, storage: String, request: String)
    /// A key that does not belong to the transactional part of API V2.
    case invalidKeyMode(command: String, storage: String, key: [UInt8])
}

/// Who waits for whom, and at which key.
struct WaitForEntry: Hashable, Sendable {
    var txn: UInt64
    var waitForTxn: UInt64
    var keyHash: UInt64
    var key: [UInt8]
    var resourceGroupTag: [UInt8] = []
    /// Milliseconds; 0 where nobody measured.
    var waitTime: UInt64 = 0
}
