// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A lock that is gone, and why; those who wait for it are told.
struct ReleasedLock: Hashable, Sendable {
    var key: TxnKey
    var startTS: UInt64
    /// 0 where the transaction was rolled back there.
    var commitTS: UInt64
}

/// The changes that a command makes: collected while it reads from a snapshot, and made all at once or not at all
/// (tikv `src/storage/mvcc/txn.rs`).
struct MVCCTxn: Sendable {
    var startTS: UInt64
    private(set) var changes: [MVCCStore.Change] = []
    /// By encoded key, where among the changes the last one of its lock is.
    private var lockChanges: [[UInt8]: Int] = [:]
    private(set) var released: [ReleasedLock] = []
    /// Locks on keys that had none.
    private(set) var acquired: [LockDescription] = []
    /// What one-phase commit will turn into records: lock, and whether it replaces a pessimistic one.
    private(set) var onePhaseLocks: [(key: TxnKey, lock: LockRecord, replacesPessimistic: Bool)] = []

    init(startTS: UInt64) {
        self.startTS = startTS
    }

    mutating func putLock(_ key: TxnKey, _ lock: LockRecord, isNew: Bool) {
        self.putLock(key, .exclusive(lock), isNew: isNew)
    }

    mutating func putLock(_ key: TxnKey, _ lock: KeyLock, isNew: Bool) {
        if isNew { self.acquired.append(LockDescription(key, lock)) }
        self.change(key, lock)
    }

    private mutating func change(_ key: TxnKey, _ lock: KeyLock?) {
        self.lockChanges[key.encoded] = self.changes.count
        self.changes.append(.lock(key, lock))
    }

    /// - Parameter commitTS: 0 where the lock goes by a rollback.
    mutating func unlock(_ key: TxnKey, commitTS: UInt64) {
        self.released.append(ReleasedLock(key: key, startTS: self.startTS, commitTS: commitTS))
        self.change(key, nil)
    }

    /// Takes this transaction's share out of a shared lock, of which the rest stays.
    mutating func putRemainder(_ key: TxnKey, _ shared: SharedLocks, commitTS: UInt64) {
        if shared.isEmpty {
            self.unlock(key, commitTS: commitTS)
        } else {
            self.putLock(key, .shared(shared), isNew: false)
        }
    }

    mutating func putOnePhaseLock(_ key: TxnKey, _ lock: LockRecord, replacesPessimistic: Bool) {
        self.onePhaseLocks.append((key, lock, replacesPessimistic))
    }

    mutating func putWrite(_ key: TxnKey, commitTS: UInt64, _ write: WriteRecord) {
        self.changes.append(.write(key, commitTS: commitTS, write))
    }

    mutating func deleteWrite(_ key: TxnKey, commitTS: UInt64) {
        self.changes.append(.write(key, commitTS: commitTS, nil))
    }

    mutating func putValue(_ key: TxnKey, startTS: UInt64, _ value: Data) {
        self.changes.append(.value(key, startTS: startTS, value))
    }

    mutating func deleteValue(_ key: TxnKey, startTS: UInt64) {
        self.changes.append(.value(key, startTS: startTS, nil))
    }

    mutating func clear() {
        self = MVCCTxn(startTS: self.startTS)
    }

    /// What this command has done to the lock of a key so far: nil where nothing, and then the lock, if any, that it
    /// leaves there. Commands that treat several shares of one shared lock need it.
    func pendingLock(_ key: TxnKey) -> KeyLock?? {
        guard let place = self.lockChanges[key.encoded], case .lock(_, let lock) = self.changes[place] else {
            return nil
        }
        return .some(lock)
    }

    // MARK: - One-phase commit

    /// Turns the locks into records.
    mutating func commitOnePhase(at commitTS: UInt64) {
        let locks = self.onePhaseLocks
        self.onePhaseLocks = []
        for (key, lock, replacesPessimistic) in locks {
            self.putWrite(key, commitTS: commitTS, WriteRecord(committing: lock))
            if replacesPessimistic { self.unlock(key, commitTS: commitTS) }
        }
    }

    /// Makes ordinary locks of them, as the transaction has to be committed in two phases after all.
    mutating func fallBackFromOnePhase() {
        let locks = self.onePhaseLocks
        self.onePhaseLocks = []
        for (key, lock, replacesPessimistic) in locks { self.putLock(key, lock, isNew: !replacesPessimistic) }
    }
}

extension WriteRecord {
    /// The record that a prewritten lock becomes.
    init(committing lock: LockRecord) {
        let kind: Kind =
            switch lock.kind {
            case .put: .put
            case .delete: .delete
            case .lock, .pessimistic: .lock
            }
        self.init(kind: kind, startTS: lock.startTS, shortValue: lock.shortValue, txnSource: lock.txnSource)
    }
}
