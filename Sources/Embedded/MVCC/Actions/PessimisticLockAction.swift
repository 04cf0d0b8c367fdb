// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What the locks of one request for pessimistic locks have in common.
struct PessimisticLockParameters: Sendable {
    var primary: [UInt8]
    var startTS: UInt64
    var lockTTL: UInt64
    var forUpdateTS: UInt64
    var minCommitTS: UInt64 = 0
    var returnsValues = false
    var checksExistence = false
    var locksOnlyIfExists = false
    /// The lock is given in spite of a newer version, of which the client is told (the wake-up mode "force lock").
    var allowsConflict = false
    /// The transaction holds no locks yet, so that its waiting cannot close a circle.
    var isFirstLock = false
    var resourceGroupTag: [UInt8] = []
}

/// What a client learns with a pessimistic lock (tikv `src/storage/types.rs`).
enum PessimisticLockKeyResult: Hashable, Sendable {
    case empty
    case value(Data?)
    case existence(Bool)
    case lockedWithConflict(value: Data?, conflictTS: UInt64)
    case failed
}

/// Takes the pessimistic lock of one key (tikv `src/storage/txn/actions/acquire_pessimistic_lock.rs`).
struct PessimisticLockAction {
    let parameters: PessimisticLockParameters
    let key: TxnKey
    let mustNotExist: Bool
    let isShared: Bool

    private struct Conflict {
        var startTS: UInt64
        var commitTS: UInt64
    }

    func run(
        _ txn: inout MVCCTxn, _ reader: MVCCReader, maxTS: inout UInt64
    ) throws(MVCCError) -> PessimisticLockKeyResult {
        let parameters = self.parameters
        if parameters.locksOnlyIfExists && !parameters.returnsValues {
            throw .lockIfExistsFailed(startTS: parameters.startTS, key: self.key.raw)
        }
        // Each of these tells the client what is there, which is a read.
        if self.mustNotExist || parameters.returnsValues || parameters.checksExistence {
            maxTS = max(maxTS, parameters.forUpdateTS)
        }
        var shared: SharedLocks?
        switch reader.lock(self.key) {
        case nil: break
        case .exclusive(let lock):
            if self.isShared { throw .keyIsLocked(LockDescription(self.key, lock)) }
            return try self.renew(lock, &txn, reader)
        case .shared(let locks):
            guard self.isShared else {
                if !locks.isShrinkOnly { throw .notInShrinkMode(locks) }
                throw .keyIsLocked(LockDescription(self.key, .shared(locks)))
            }
            if let own = locks.lock(startTS: parameters.startTS) { return self.renew(own, in: locks, &txn) }
            if locks.isShrinkOnly { throw .keyIsLocked(LockDescription(self.key, .shared(locks))) }
            shared = locks
        }
        return try self.lock(shared, &txn, reader)
    }

    // MARK: - A key that is free

    private func lock(
        _ shared: SharedLocks?, _ txn: inout MVCCTxn, _ reader: MVCCReader
    ) throws(MVCCError) -> PessimisticLockKeyResult {
        let parameters = self.parameters
        var forUpdateTS = parameters.forUpdateTS
        var conflict: Conflict?
        var value: Data?
        if let found = reader.seekWrite(self.key, .max) {
            if found.commitTS > forUpdateTS {
                let newer = Conflict(startTS: found.write.startTS, commitTS: found.commitTS)
                guard parameters.allowsConflict else { throw self.error(for: newer) }
                conflict = newer
                forUpdateTS = found.commitTS
            }
            try self.checkRollback(found, reader)
            if self.mustNotExist {
                do throws(MVCCError) {
                    try reader.checkNotExisting(self.key, found)
                } catch {
                    // With the timestamp that the client has, the key need not exist: it should look again.
                    if let conflict, case .alreadyExist = error { throw self.error(for: conflict) }
                    throw error
                }
            }
            let needsValue = parameters.returnsValues || conflict != nil
            if needsValue || parameters.checksExistence {
                value = self.currentValue(found, reader, isNeeded: needsValue)
            }
        }
        let lock = LockRecord(
            kind: .pessimistic, primary: parameters.primary, startTS: parameters.startTS, ttl: parameters.lockTTL,
            forUpdateTS: forUpdateTS, minCommitTS: parameters.minCommitTS, isLockedWithConflict: conflict != nil)
        if self.isShared {
            var locks = shared ?? SharedLocks()
            locks.set(lock)
            txn.putLock(self.key, .shared(locks), isNew: shared == nil)
        } else if !parameters.locksOnlyIfExists || value != nil {
            txn.putLock(self.key, lock, isNew: true)
        } else if let conflict {
            throw self.error(for: conflict)
        }
        return self.result(value, conflictTS: conflict?.commitTS)
    }

    /// A request that comes after its transaction was rolled back must not leave a lock.
    private func checkRollback(_ found: VersionedWrite, _ reader: MVCCReader) throws(MVCCError) {
        let startTS = self.parameters.startTS
        var own: VersionedWrite? = found
        if found.commitTS > startTS { own = reader.seekWrite(self.key, startTS) }
        if let own, own.commitTS == startTS, own.write.marksRollback {
            throw .pessimisticLockRolledBack(startTS: startTS, key: self.key.raw)
        }
    }

    /// - Parameter isNeeded: whether anyone looks at the value; else only whether there is one.
    private func currentValue(_ found: VersionedWrite, _ reader: MVCCReader, isNeeded: Bool) -> Data? {
        switch found.write.kind {
        case .put:
            guard found.write.isValid(asLatestAt: self.parameters.startTS) else { return nil }
            return isNeeded ? reader.value(of: found.write, self.key) : Data()
        case .delete:
            return nil
        case .lock, .rollback:
            guard found.commitTS > 0, let put = reader.latestPut(self.key, at: found.commitTS - 1) else { return nil }
            return isNeeded ? reader.value(of: put.write, self.key) : Data()
        }
    }

    private func error(for conflict: Conflict) -> MVCCError {
        .writeConflict(
            startTS: self.parameters.startTS, conflictStartTS: conflict.startTS,
            conflictCommitTS: conflict.commitTS, key: self.key.raw, primary: self.parameters.primary,
            reason: .pessimisticRetry)
    }

    private func result(_ value: Data?, conflictTS: UInt64?) -> PessimisticLockKeyResult {
        if let conflictTS { return .lockedWithConflict(value: value, conflictTS: conflictTS) }
        if self.parameters.returnsValues { return .value(value) }
        return self.parameters.checksExistence ? .existence(value != nil) : .empty
    }

    // MARK: - A key that is locked

    private func renew(
        _ lock: LockRecord, _ txn: inout MVCCTxn, _ reader: MVCCReader
    ) throws(MVCCError) -> PessimisticLockKeyResult {
        let parameters = self.parameters
        guard lock.startTS == parameters.startTS else { throw .keyIsLocked(LockDescription(self.key, lock)) }
        guard lock.isPessimistic else {
            throw .lockTypeNotMatch(startTS: lock.startTS, key: self.key.raw, pessimistic: false)
        }
        var forUpdateTS = parameters.forUpdateTS
        var conflictTS: UInt64?
        if parameters.allowsConflict && forUpdateTS < lock.forUpdateTS {
            forUpdateTS = lock.forUpdateTS
            conflictTS = forUpdateTS
        }
        let needsValue = parameters.returnsValues || conflictTS != nil
        var value: Data?
        if needsValue || parameters.checksExistence || self.mustNotExist,
            let found = reader.latestPut(self.key, at: forUpdateTS)
        {
            if self.mustNotExist {
                do throws(MVCCError) {
                    try reader.checkNotExisting(self.key, found)
                } catch {
                    if case .alreadyExist = error, found.commitTS > parameters.forUpdateTS {
                        throw self.error(for: Conflict(startTS: found.write.startTS, commitTS: found.commitTS))
                    }
                    throw error
                }
            }
            value = needsValue ? reader.value(of: found.write, self.key) : Data()
        }
        if forUpdateTS > lock.forUpdateTS { txn.putLock(self.key, self.renewed(lock, forUpdateTS), isNew: false) }
        return self.result(value, conflictTS: conflictTS)
    }

    private func renew(
        _ own: LockRecord, in locks: SharedLocks, _ txn: inout MVCCTxn
    ) -> PessimisticLockKeyResult {
        if self.parameters.forUpdateTS > own.forUpdateTS {
            var locks = locks
            locks.set(self.renewed(own, self.parameters.forUpdateTS))
            txn.putLock(self.key, .shared(locks), isNew: false)
        }
        // TiKV reads no value for somebody who has a share already.
        return self.result(nil, conflictTS: nil)
    }

    private func renewed(_ lock: LockRecord, _ forUpdateTS: UInt64) -> LockRecord {
        LockRecord(
            kind: .pessimistic, primary: self.parameters.primary, startTS: lock.startTS, ttl: self.parameters.lockTTL,
            forUpdateTS: forUpdateTS, minCommitTS: self.parameters.minCommitTS,
            isLockedWithConflict: lock.isLockedWithConflict)
    }
}
