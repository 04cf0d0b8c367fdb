// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What the secondary keys of a transaction tell that commits asynchronously.
enum SecondaryLocksStatus: Hashable, Sendable {
    /// All of them are locked.
    case locked([LockDescription])
    case committed(UInt64)
    case rolledBack
}

extension MVCCTxn {
    /// Looks for the secondary locks of this transaction. Where one is missing, the transaction cannot be committed any
    /// more, and a record is left so that it stays at that (tikv `src/storage/txn/commands/check_secondary_locks.rs`).
    mutating func checkSecondaryLocks(_ keys: [TxnKey], _ reader: MVCCReader) -> SecondaryLocksStatus {
        var locks: [LockDescription] = []
        for key in keys {
            var other: LockRecord?
            switch reader.lock(key) {
            case .exclusive(let lock) where lock.startTS == self.startTS:
                if !lock.isPessimistic {
                    locks.append(LockDescription(key, lock))
                    continue
                }
                self.unlock(key, commitTS: 0)
            case .exclusive(let lock): other = lock
            case .shared, nil: break
            }
            switch reader.commitRecord(key) {
            case .single(let found):
                return found.write.kind == .rollback ? .rolledBack : .committed(found.commitTS)
            case .overlappedRollback: return .rolledBack
            case .none(let overlapped):
                if let other { self.markRollback(key, on: other, isProtected: true) }
                self.putRollback(key, isProtected: true, overlapped: overlapped)
                self.collapsePreviousRollback(key, reader)
                return .rolledBack
            }
        }
        return .locked(locks)
    }
}
