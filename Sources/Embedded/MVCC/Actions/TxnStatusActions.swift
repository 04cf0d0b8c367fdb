// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What has become of a transaction, as its primary key tells (tikv `src/storage/types.rs`).
enum TxnStatus: Hashable, Sendable {
    case rolledBack
    /// The lock had expired and was rolled back.
    case ttlExpired
    /// There was neither lock nor record, and a rollback has been written.
    case lockNotExist
    case committed(UInt64)
    case uncommitted(LockRecord, minCommitTSPushed: Bool)
    /// The pessimistic lock had expired and was removed; nothing is said about the transaction.
    case pessimisticRolledBack
    /// There was neither lock nor record, and nothing has been written.
    case lockNotExistDoNothing
}

/// What to do where a transaction has neither lock nor record.
enum MissingLockAction: Sendable {
    case rollback
    case protectedRollback
    case returnError
}

/// The question for a transaction's fate (tikv `src/storage/txn/actions/check_txn_status.rs`).
struct TxnStatusCheck: Sendable {
    var primary: TxnKey
    var lockTS: UInt64
    /// Of the one who asks; `UInt64.max` is a read of the newest version.
    var callerStartTS: UInt64 = 0
    var currentTS: UInt64 = 0
    var rollsBackIfMissing = false
    /// The transaction is known not to commit asynchronously after all.
    var forcesSyncCommit = false
    /// The lock that the caller has met is a pessimistic one, so that the transaction may still be running.
    var isResolvingPessimistic = false
    /// Whether to refuse keys that are not the primary.
    var verifiesPrimary = false

    var missingLockAction: MissingLockAction { self.rollsBackIfMissing ? .protectedRollback : .returnError }
}

extension MVCCTxn {
    /// Says what became of this transaction where it has no lock, and settles it where that is not known.
    ///
    /// - Parameter other: another transaction's lock on the key.
    mutating func statusWithoutLock(
        _ key: TxnKey, _ reader: MVCCReader, other: LockRecord?, action: MissingLockAction,
        isResolvingPessimistic: Bool
    ) throws(MVCCError) -> TxnStatus {
        let overlapped: (write: WriteRecord, gcFence: UInt64)?
        switch reader.commitRecord(key) {
        case .single(let found):
            return found.write.kind == .rollback ? .rolledBack : .committed(found.commitTS)
        case .overlappedRollback: return .rolledBack
        case .none(let found): overlapped = found
        }
        if action == .returnError { throw .txnNotFound(startTS: self.startTS, key: key.raw) }
        if isResolvingPessimistic { return .lockNotExistDoNothing }
        if action == .rollback { self.collapsePreviousRollback(key, reader) }
        let isProtected = action == .protectedRollback
        if let other, overlapped == nil { self.markRollback(key, on: other, isProtected: isProtected) }
        self.putRollback(key, isProtected: isProtected, overlapped: overlapped)
        return .lockNotExist
    }

    /// Says what became of this transaction where it has its lock, rolls it back if it has expired, and pushes its least
    /// commit timestamp above the reader's otherwise.
    mutating func status(
        with lock: LockRecord, _ check: TxnStatusCheck, _ reader: MVCCReader
    ) throws(MVCCError) -> TxnStatus {
        let key = check.primary
        var lock = lock
        if check.verifiesPrimary && key.raw != lock.primary {
            // A transaction that has prewritten does not change its primary, so this lock is a left-over.
            guard !check.isResolvingPessimistic && lock.isPessimistic else {
                throw .primaryMismatch(LockDescription(key, lock))
            }
            let status = try self.statusWithoutLock(
                key, reader, other: nil, action: check.missingLockAction, isResolvingPessimistic: false)
            self.unlock(key, commitTS: 0)
            return status
        }
        // Whether it is committed depends on the secondaries as well.
        if lock.usesAsyncCommit && !check.forcesSyncCommit {
            return .uncommitted(lock, minCommitTSPushed: false)
        }
        if lock.isPessimistic {
            // A late request may have locked again what was committed or rolled back.
            if lock.isLockedWithConflict, let status = self.settledStatus(key, reader) {
                self.unlock(key, commitTS: 0)
                return status
            }
            if lock.isExpired(at: check.currentTS) {
                if check.isResolvingPessimistic {
                    self.unlock(key, commitTS: 0)
                    return .pessimisticRolledBack
                }
                try self.rollback(key, lock, reader, collapses: true)
                return .ttlExpired
            }
        } else if lock.isExpired(at: check.currentTS) {
            try self.rollback(key, lock, reader, collapses: true)
            return .ttlExpired
        }
        let caller = check.callerStartTS
        if lock.minCommitTS != 0 && caller != .max && caller >= lock.minCommitTS {
            lock.minCommitTS = max(caller + 1, check.currentTS)
            self.putLock(key, lock, isNew: false)
        }
        // One who reads the newest version passes the lock by as long as it is not committed.
        let isPushed = caller == .max || (caller != 0 && lock.minCommitTS > caller)
        return .uncommitted(lock, minCommitTSPushed: isPushed)
    }

    private func settledStatus(_ key: TxnKey, _ reader: MVCCReader) -> TxnStatus? {
        switch reader.commitRecord(key) {
        case .single(let found): found.write.kind == .rollback ? .rolledBack : .committed(found.commitTS)
        case .overlappedRollback: .rolledBack
        case .none: nil
        }
    }
}
