// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Rollbacks and their records (tikv `src/storage/txn/actions/check_txn_status.rs` and `cleanup.rs`).
extension MVCCTxn {
    /// The record of a rollback. Where another transaction committed at this transaction's start, its record is marked
    /// instead, and only if the rollback is to be protected.
    mutating func putRollback(
        _ key: TxnKey, isProtected: Bool, overlapped: (write: WriteRecord, gcFence: UInt64)?
    ) {
        guard let overlapped else {
            self.putWrite(
                key, commitTS: self.startTS,
                WriteRecord(kind: .rollback, startTS: self.startTS, isProtected: isProtected))
            return
        }
        guard isProtected else { return }
        var write = overlapped.write
        write.hasOverlappedRollback = true
        write.gcFence = overlapped.gcFence
        self.putWrite(key, commitTS: self.startTS, write)
    }

    /// Removes the rollback record before this one, which is of no use any more unless it is protected.
    mutating func collapsePreviousRollback(_ key: TxnKey, _ reader: MVCCReader) {
        guard let found = reader.seekWrite(key, reader.startTS) else { return }
        if found.write.kind == .rollback && !found.write.isProtected {
            self.deleteWrite(key, commitTS: found.commitTS)
        }
    }

    /// Notes a protected rollback in another transaction's lock, whose commit could overwrite the record.
    mutating func markRollback(_ key: TxnKey, on lock: LockRecord, isProtected: Bool) {
        // Only timestamps that stores made up can meet another transaction's start.
        guard isProtected, self.startTS >= lock.minCommitTS, lock.usesAsyncCommit else { return }
        var lock = lock
        lock.rollbackTS.append(self.startTS)
        self.putLock(key, lock, isNew: false)
    }

    /// Removes a lock of this transaction and leaves a rollback record.
    mutating func rollback(
        _ key: TxnKey, _ lock: LockRecord, _ reader: MVCCReader, collapses: Bool
    ) throws(MVCCError) {
        let overlapped: (write: WriteRecord, gcFence: UInt64)?
        switch reader.commitRecord(key) {
        case .none(let found): overlapped = found
        case .single(let found) where found.write.kind != .rollback:
            // A stale lock beside the commit of its own transaction; TiKV stops here.
            throw .committed(startTS: self.startTS, commitTS: found.commitTS, key: key.raw)
        case .single, .overlappedRollback:
            return self.unlock(key, commitTS: 0)
        }
        if lock.shortValue == nil && lock.kind == .put { self.deleteValue(key, startTS: lock.startTS) }
        // Somebody may come to this key for the fate of the whole transaction.
        let isProtected = key.raw == lock.primary || lock.generation > 0
        self.putRollback(key, isProtected: isProtected, overlapped: overlapped)
        if collapses { self.collapsePreviousRollback(key, reader) }
        self.unlock(key, commitTS: 0)
    }

    /// The same for this transaction's share of a shared lock, which is never the primary.
    mutating func rollback(
        _ key: TxnKey, in shared: SharedLocks, _ reader: MVCCReader, collapses: Bool
    ) throws(MVCCError) {
        var shared = shared
        guard shared.remove(startTS: self.startTS) != nil else { return }
        switch reader.commitRecord(key) {
        case .none(let overlapped):
            self.putRollback(key, isProtected: false, overlapped: overlapped)
            if collapses { self.collapsePreviousRollback(key, reader) }
        case .single(let found) where found.write.kind != .rollback:
            throw .committed(startTS: self.startTS, commitTS: found.commitTS, key: key.raw)
        case .single, .overlappedRollback: break
        }
        self.putRemainder(key, shared, commitTS: 0)
    }

    /// Rolls this transaction back at a key, whether it has a lock there or not.
    ///
    /// - Parameters:
    ///   - currentTS: not 0 where a lock that has not expired is to stay, and is reported instead.
    ///   - isProtected: whether the rollback record must not be collapsed later.
    mutating func cleanUp(
        _ key: TxnKey, _ reader: MVCCReader, currentTS: UInt64, isProtected: Bool
    ) throws(MVCCError) {
        let lock = self.pendingLock(key) ?? reader.lock(key)
        var other: LockRecord?
        switch lock {
        case .exclusive(let lock) where lock.startTS == self.startTS:
            if currentTS != 0 && !lock.isExpired(at: currentTS) {
                throw .keyIsLocked(LockDescription(key, lock))
            }
            return try self.rollback(key, lock, reader, collapses: !isProtected)
        case .shared(let shared):
            if let own = shared.lock(startTS: self.startTS) {
                if currentTS != 0 && !own.isExpired(at: currentTS) {
                    throw .keyIsLocked(LockDescription(key, .shared(shared)))
                }
                return try self.rollback(key, in: shared, reader, collapses: !isProtected)
            }
        case .exclusive(let lock): other = lock
        case nil: break
        }
        let status = try self.statusWithoutLock(
            key, reader, other: other, action: isProtected ? .protectedRollback : .rollback,
            isResolvingPessimistic: false)
        if case .committed(let commitTS) = status {
            throw .committed(startTS: self.startTS, commitTS: commitTS, key: key.raw)
        }
    }
}
