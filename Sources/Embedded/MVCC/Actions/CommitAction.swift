// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension MVCCTxn {
    /// Turns the lock of this transaction on a key into a record (tikv `src/storage/txn/actions/commit.rs`).
    mutating func commit(_ key: TxnKey, _ reader: MVCCReader, commitTS: UInt64) throws(MVCCError) {
        var shared: SharedLocks?
        let found: LockRecord?
        switch self.pendingLock(key) ?? reader.lock(key) {
        case .exclusive(let lock): found = lock.startTS == self.startTS ? lock : nil
        case .shared(var locks):
            found = locks.remove(startTS: self.startTS)
            shared = locks
        case nil: found = nil
        }
        guard let lock = found else {
            // Committed already, by a request before this one or by somebody who met the lock.
            if case .single(let record) = reader.commitRecord(key), record.write.kind != .rollback { return }
            throw .txnLockNotFound(startTS: self.startTS, commitTS: commitTS, key: key.raw)
        }
        if commitTS < lock.minCommitTS {
            throw .commitTSExpired(
                startTS: self.startTS, commitTS: commitTS, key: key.raw, minCommitTS: lock.minCommitTS)
        }
        var unlockTS = commitTS
        if lock.isPessimistic {
            // Left over from a statement that was tried again; it has nothing to commit.
            unlockTS = 0
        } else {
            var write = WriteRecord(committing: lock)
            if lock.rollbackTS.contains(commitTS) { write.hasOverlappedRollback = true }
            self.putWrite(key, commitTS: commitTS, write)
        }
        if let shared {
            self.putRemainder(key, shared, commitTS: unlockTS)
        } else {
            self.unlock(key, commitTS: unlockTS)
        }
    }
}
