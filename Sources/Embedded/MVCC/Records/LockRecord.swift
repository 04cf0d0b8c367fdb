// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A lock that one transaction holds on a key (tikv `components/txn_types/src/lock.rs`).
struct LockRecord: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case put
        case delete
        case lock
        case pessimistic
    }

    var kind: Kind
    var primary: [UInt8]
    var startTS: UInt64
    /// Milliseconds from the physical part of `startTS` on.
    var ttl: UInt64
    /// The value to be written, where it is short; long ones are stored beside the locks.
    var shortValue: Data?
    /// Not 0 where the transaction is a pessimistic one.
    var forUpdateTS: UInt64 = 0
    var txnSize: UInt64 = 0
    /// No commit timestamp may be below it; 0 where readers may not push it.
    var minCommitTS: UInt64 = 0
    var usesAsyncCommit = false
    /// The other keys of the transaction; at the primary of an async commit only.
    var secondaries: [[UInt8]] = []
    /// Start timestamps of protected rollbacks that committing this lock could overwrite.
    var rollbackTS: [UInt64] = []
    /// Whether the pessimistic lock was taken in spite of a newer version.
    var isLockedWithConflict = false
    /// Which flush of a pipelined transaction wrote it; 0 for the others.
    var generation: UInt64 = 0
    var txnSource: UInt64 = 0

    var isPessimistic: Bool { self.kind == .pessimistic }

    var isOfPessimisticTxn: Bool { self.forUpdateTS != 0 }

    /// Whether the time to live has passed at a timestamp.
    func isExpired(at currentTS: UInt64) -> Bool {
        let (end, overflow) = self.startTS.physicalPart.addingReportingOverflow(self.ttl)
        return !overflow && end < currentTS.physicalPart
    }
}

/// What is in a key's place for locks.
enum KeyLock: Hashable, Sendable {
    case exclusive(LockRecord)
    case shared(SharedLocks)
}

/// The locks of several transactions that share a key.
struct SharedLocks: Hashable, Sendable {
    /// Set once somebody wants the key alone: no further transaction may join.
    var isShrinkOnly = false
    /// In the order of their start timestamps.
    private(set) var locks: [LockRecord] = []

    var isEmpty: Bool { self.locks.isEmpty }

    func lock(startTS: UInt64) -> LockRecord? {
        self.locks.first { $0.startTS == startTS }
    }

    /// Adds the lock of a transaction, or replaces the one that it has.
    mutating func set(_ lock: LockRecord) {
        if let index = self.locks.firstIndex(where: { $0.startTS >= lock.startTS }) {
            if self.locks[index].startTS == lock.startTS {
                self.locks[index] = lock
            } else {
                self.locks.insert(lock, at: index)
            }
        } else {
            self.locks.append(lock)
        }
    }

    mutating func remove(startTS: UInt64) -> LockRecord? {
        guard let index = self.locks.firstIndex(where: { $0.startTS == startTS }) else { return nil }
        return self.locks.remove(at: index)
    }
}

/// A lock with its key, as errors and answers name it.
struct LockDescription: Hashable, Sendable {
    var key: [UInt8]
    var lock: KeyLock
    /// Since when the holder is the current one, in milliseconds; 0 where nobody measured.
    var durationToLastUpdate: UInt64 = 0

    init(_ key: TxnKey, _ lock: KeyLock) {
        self.key = key.raw
        self.lock = lock
    }

    init(_ key: TxnKey, _ lock: LockRecord) {
        self.init(key, .exclusive(lock))
    }

    /// The transactions that hold it.
    var holders: [UInt64] {
        switch self.lock {
        case .exclusive(let lock): [lock.startTS]
        case .shared(let shared): shared.locks.map(\.startTS)
        }
    }
}

extension UInt64 {
    /// The milliseconds of a timestamp.
    var physicalPart: UInt64 { self >> 18 }

    /// The timestamp after this one; there is none after the last.
    var next: UInt64 { self == .max ? .max : self + 1 }
}
