// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Reads at a timestamp (tikv `src/storage/mvcc/reader/point_getter.rs` and `scanner/`).
struct SnapshotRead: Sendable {
    enum Isolation: Sendable {
        case snapshot
        /// Locks do not matter.
        case readCommitted
        /// Anything newer, be it only a lock, is a conflict.
        case readCommittedCheckingTS
    }

    struct Entry: Hashable, Sendable {
        var key: [UInt8]
        var value: Data
        /// 0 where the value is read from a lock.
        var commitTS: UInt64
    }

    let store: MVCCStore
    /// `UInt64.max` reads the newest version.
    var timestamp: UInt64
    var isolation = Isolation.snapshot
    /// Transactions that the client knows to be of no concern, by start timestamp.
    var bypassedLocks: [UInt64] = []
    /// Transactions that the client knows to be committed before the timestamp.
    var accessedLocks: [UInt64] = []
    /// A replica cannot tell whether the newest version is the newest.
    var isReplicaRead = false

    private var reader: MVCCReader { MVCCReader(store: self.store, startTS: self.timestamp) }

    // MARK: - Points

    /// - Parameter needsCommitTS: whether a value may not be taken from a lock, which has no commit timestamp yet.
    func get(_ key: TxnKey, needsCommitTS: Bool = false) throws(MVCCError) -> Entry? {
        if self.isolation != .readCommitted, let lock = self.store.locks[key.encoded] {
            do throws(MVCCError) {
                try self.check(lock, key)
            } catch {
                guard !needsCommitTS, case .exclusive(let lock) = lock, self.accessedLocks.contains(lock.startTS)
                else { throw error }
                return self.entry(key, from: lock)
            }
        }
        if self.isolation == .readCommittedCheckingTS { try self.checkNewest(key) }
        return self.committedEntry(key)
    }

    private func committedEntry(_ key: TxnKey) -> Entry? {
        let reader = self.reader
        guard let found = reader.latestPut(key, at: self.timestamp, fenceLimit: self.timestamp) else { return nil }
        return Entry(key: key.raw, value: reader.value(of: found.write, key), commitTS: found.commitTS)
    }

    private func entry(_ key: TxnKey, from lock: LockRecord) -> Entry? {
        guard lock.kind == .put else { return nil }
        return Entry(key: key.raw, value: self.reader.value(of: lock, key), commitTS: 0)
    }

    private func checkNewest(_ key: TxnKey) throws(MVCCError) {
        guard let newest = self.reader.seekWrite(key, .max), newest.commitTS > self.timestamp else { return }
        throw .writeConflict(
            startTS: self.timestamp, conflictStartTS: 0, conflictCommitTS: newest.commitTS,
            // TiKV names the version here, as it is stored.
            key: VersionKey.encode(key.encoded, newest.commitTS), primary: [], reason: .rcCheckTS)
    }

    /// Throws where a lock stands in the way of the read (tikv `components/txn_types/src/lock.rs`).
    private func check(_ lock: KeyLock, _ key: TxnKey) throws(MVCCError) {
        // Shared locks change nothing.
        guard case .exclusive(let lock) = lock, lock.kind == .put || lock.kind == .delete else { return }
        switch self.isolation {
        case .readCommitted: return
        case .readCommittedCheckingTS:
            if self.bypassedLocks.contains(lock.startTS) { return }
            throw .writeConflict(
                startTS: self.timestamp, conflictStartTS: lock.startTS, conflictCommitTS: 0, key: key.raw,
                primary: lock.primary, reason: .rcCheckTS)
        case .snapshot:
            if lock.startTS > self.timestamp || lock.minCommitTS > self.timestamp { return }
            if self.bypassedLocks.contains(lock.startTS) { return }
            // The newest committed version is the one before the primary's lock, unless it may be committed already.
            let isNewest = self.timestamp == .max && key.raw == lock.primary && !lock.usesAsyncCommit
            if isNewest && !self.isReplicaRead { return }
            throw .keyIsLocked(LockDescription(key, lock))
        }
    }

    // MARK: - Ranges

    /// One found entry, or the lock that hides it.
    typealias ScanResult = Result<Entry, MVCCError>

    /// - Parameters:
    ///   - limit: of entries and locks together.
    ///   - sampleStep: above 0, only every so-manieth entry is taken, the first included.
    func scan(
        _ range: EncodedRange, limit: Int, isReversed: Bool = false, isKeyOnly: Bool = false, sampleStep: Int = 0
    ) throws(MVCCError) -> [ScanResult] {
        var results: [ScanResult] = []
        guard limit > 0 else { return results }
        var seen = 0
        var keys = KeyCursor(self.store, range, isReversed: isReversed, hasLocks: self.isolation != .readCommitted)
        while results.count < limit, let key = keys.next() {
            do throws(MVCCError) {
                guard var entry = try self.get(key) else { continue }
                seen += 1
                if sampleStep > 0 && (seen - 1) % sampleStep != 0 { continue }
                if isKeyOnly { entry.value = Data() }
                results.append(.success(entry))
            } catch {
                guard case .keyIsLocked = error else { throw error }
                results.append(.failure(error))
            }
        }
        return results
    }
}

/// The keys of a range that have a record or a lock, each once.
private struct KeyCursor {
    private let store: MVCCStore
    private let range: EncodedRange
    private let isReversed: Bool
    /// The next key that has a lock, and the next that has a record.
    private var lock: [UInt8]?
    private var write: [UInt8]?

    init(_ store: MVCCStore, _ range: EncodedRange, isReversed: Bool, hasLocks: Bool) {
        self.store = store
        self.range = range
        self.isReversed = isReversed
        if isReversed {
            if hasLocks { self.lock = self.inRange((range.end.map { store.locks.lower($0) } ?? store.locks.last)?.key) }
            self.write = self.writtenKey(range.end.map { store.writes.lower($0) } ?? store.writes.last)
        } else {
            if hasLocks { self.lock = self.inRange(store.locks.ceiling(range.start)?.key) }
            self.write = self.writtenKey(store.writes.ceiling(range.start))
        }
    }

    mutating func next() -> TxnKey? {
        guard let lock = self.lock, let write = self.write else {
            return self.take(self.lock ?? self.write)
        }
        let order = KeyOrder.compare(lock, write)
        return self.take(order == 0 || (order < 0) != self.isReversed ? lock : write)
    }

    /// Goes on behind a key.
    private mutating func take(_ key: [UInt8]?) -> TxnKey? {
        guard let key else { return nil }
        if key == self.lock {
            let next = self.isReversed ? self.store.locks.lower(key) : self.store.locks.higher(key)
            self.lock = self.inRange(next?.key)
        }
        if key == self.write {
            // Behind the oldest version that the key can have.
            let next =
                self.isReversed ? self.store.writes.lower(key) : self.store.writes.higher(VersionKey.encode(key, 0))
            self.write = self.writtenKey(next)
        }
        // What is not the encoding of a key was not written here.
        return TxnKey(encoded: key)
    }

    private func writtenKey(_ entry: (key: [UInt8], value: WriteRecord)?) -> [UInt8]? {
        self.inRange(entry.map { VersionKey.key($0.key) })
    }

    private func inRange(_ key: [UInt8]?) -> [UInt8]? {
        key.flatMap { self.range.contains($0) ? $0 : nil }
    }
}
