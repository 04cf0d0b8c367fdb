// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What is known of a transaction at a key from its records (tikv `src/storage/mvcc/reader/mod.rs`).
enum TxnCommitRecord: Sendable {
    /// A record of its own: a commit, or a rollback.
    case single(VersionedWrite)
    /// It is rolled back, which is noted in another transaction's record.
    case overlappedRollback
    /// Nothing. Another transaction's record may stand where a rollback would have to go; `gcFence` is the next data
    /// version after that.
    case none(overlapped: (write: WriteRecord, gcFence: UInt64)?)
}

/// Looks things up in a snapshot on behalf of one transaction (tikv `src/storage/mvcc/reader/reader.rs`).
struct MVCCReader: Sendable {
    let store: MVCCStore
    var startTS: UInt64

    func lock(_ key: TxnKey) -> KeyLock? {
        self.store.locks[key.encoded]
    }

    /// The newest record at or before a timestamp, of whatever kind.
    func seekWrite(_ key: TxnKey, _ timestamp: UInt64) -> VersionedWrite? {
        guard let entry = self.store.writes.ceiling(VersionKey.encode(key.encoded, timestamp)),
            VersionKey.isVersion(entry.key, of: key.encoded)
        else { return nil }
        return VersionedWrite(commitTS: VersionKey.timestamp(entry.key), write: entry.value)
    }

    /// The newest version that has a value, at or before a timestamp; nil where the key does not exist then.
    ///
    /// - Parameter fenceLimit: the timestamp by which records with a GC fence are judged; nil means not to.
    func latestPut(_ key: TxnKey, at timestamp: UInt64, fenceLimit: UInt64?) -> VersionedWrite? {
        var next: UInt64? = timestamp
        while let current = next, let found = self.seekWrite(key, current) {
            if let fenceLimit, !found.write.isValid(asLatestAt: fenceLimit) { return nil }
            switch found.write.kind {
            case .put: return found
            case .delete: return nil
            case .lock, .rollback: next = found.commitTS == 0 ? nil : found.commitTS - 1
            }
        }
        return nil
    }

    /// The same as the transaction of this reader sees it.
    func latestPut(_ key: TxnKey, at timestamp: UInt64) -> VersionedWrite? {
        self.latestPut(key, at: timestamp, fenceLimit: self.startTS)
    }

    func value(_ key: TxnKey, at timestamp: UInt64) -> Data? {
        self.latestPut(key, at: timestamp).map { self.value(of: $0.write, key) }
    }

    /// The value that a record stands for.
    func value(of write: WriteRecord, _ key: TxnKey) -> Data {
        write.shortValue ?? self.longValue(key, startTS: write.startTS)
    }

    /// The value that a prewritten lock stands for.
    func value(of lock: LockRecord, _ key: TxnKey) -> Data {
        lock.shortValue ?? self.longValue(key, startTS: lock.startTS)
    }

    private func longValue(_ key: TxnKey, startTS: UInt64) -> Data {
        // Value and record are always written together; without the value there is nothing to say but an empty one.
        self.store.values[VersionKey.encode(key.encoded, startTS)] ?? Data()
    }

    /// What became of the reader's transaction at a key. Its commit may lie anywhere after its start, and newer
    /// transactions may have committed before it, so that all versions from the newest down are looked at.
    func commitRecord(_ key: TxnKey) -> TxnCommitRecord {
        var next: UInt64? = .max
        var fence: UInt64 = 0
        while let current = next, let found = self.seekWrite(key, current) {
            if found.write.startTS == self.startTS { return .single(found) }
            if found.commitTS == self.startTS {
                return found.write.hasOverlappedRollback
                    ? .overlappedRollback : .none(overlapped: (found.write, fence))
            }
            if found.write.isDataVersion { fence = found.commitTS }
            if found.commitTS < self.startTS { break }
            next = found.commitTS == 0 ? nil : found.commitTS - 1
        }
        return .none(overlapped: nil)
    }
}
