// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVFailpoints
import TiKVPD

/// The state of all keys at one moment. Reading it takes no locks and waits for no writer that began later.
///
/// ```swift
/// let snapshot = client.snapshot(at: try await client.currentTimestamp())
/// let value = try await snapshot.get("a")
/// for try await (key, value) in snapshot.scan(.prefix("user/")) { … }
/// ```
///
/// Locks of transactions that may have committed before are looked into, and resolved where their transactions have ended;
/// a read waits for others at most until its own deadline. Cancelling the task ends a read at once. A timestamp that PD has
/// yet to hand out is refused with ``TiKVError/Code/invalidArgument``, and one from before the point up to which old
/// versions were collected with ``TiKVError/Code/gcTooEarly``.
///
/// A snapshot of ``Timestamp/latest`` asks PD for no timestamp to read one key, which makes that faster. A read of several
/// keys, or of a range, does ask, so that it sees one moment; two reads may see different ones.
public final class Snapshot: Sendable {
    /// A value, and when it was written.
    public struct Version: Sendable, Hashable {
        /// The value.
        public var value: Value
        /// When the transaction that wrote it was committed.
        public var commitTimestamp: Timestamp
    }

    struct State {
        var cache = SnapshotCache()
        var passed = PassedLocks()
    }

    let context: TransactionContext
    /// The moment that is read.
    public let timestamp: Timestamp
    let options: SnapshotOptions
    let state = Mutex(State())

    init(_ context: TransactionContext, at timestamp: Timestamp, _ options: SnapshotOptions) {
        self.context = context
        self.timestamp = timestamp
        self.options = options
    }

    /// How many reads of keys were answered from what was read before.
    public var cacheHits: Int { self.state.withLock { $0.cache.hits } }

    /// How many keys are remembered.
    public var cacheCount: Int { self.state.withLock { $0.cache.count } }

    /// Forgets what was read.
    public func clearCache() {
        self.state.withLock { $0.cache.removeAll() }
    }

    // MARK: - Keys

    /// The value of a key.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: nil where the key has no value at that moment.
    /// - Throws: ``TiKVError``; ``TiKVError/Code/keyIsLocked`` where another transaction's lock was in the way until the
    ///   deadline.
    public func get(_ key: Key, timeout: Duration? = nil) async throws(TiKVError) -> Value? {
        try TransactionArguments.check(key)
        return try await self.get(key.bytes, deadline: self.context.deadline(timeout)).map { Value($0) }
    }

    /// The value of a key, and when it was written.
    ///
    /// Where the lock of a transaction that is committed already is still there, it is waited for until it has been removed:
    /// the lock does not say when that was.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: nil where the key has no value at that moment.
    /// - Throws: ``TiKVError``, as ``get(_:timeout:)`` does; ``TiKVError/Code/unsupported`` where the store does not say when
    ///   values were written, as old ones don't.
    public func version(of key: Key, timeout: Duration? = nil) async throws(TiKVError) -> Version? {
        try TransactionArguments.check(key)
        let found = try await self.find(key.bytes, needsCommit: true, deadline: self.context.deadline(timeout))
        return try found.map { found throws(TiKVError) in try Self.version(found) }
    }

    /// The values of keys.
    ///
    /// - Parameters:
    ///   - keys: none of them empty; one named twice is read once.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: the keys that have a value at that moment, with their values.
    /// - Throws: ``TiKVError``; ``TiKVError/Code/keyIsLocked`` where another transaction's lock was in the way until the
    ///   deadline.
    public func batchGet(
        _ keys: some Sequence<Key> & Sendable, timeout: Duration? = nil
    ) async throws(TiKVError) -> [Key: Value] {
        let sorted = RawBatch.sorted(keys)
        for key in sorted { try TransactionArguments.check(Key(key)) }
        let found = try await self.batchGet(sorted, deadline: self.context.deadline(timeout))
        return Dictionary(uniqueKeysWithValues: found.map { (Key($0.key), Value($0.value)) })
    }

    /// The values of keys, and when they were written. See ``version(of:timeout:)``.
    ///
    /// - Parameters:
    ///   - keys: none of them empty; one named twice is read once.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: the keys that have a value at that moment, with their values.
    /// - Throws: ``TiKVError``, as ``batchGet(_:timeout:)`` does; ``TiKVError/Code/unsupported`` where a store does not say
    ///   when values were written, as old ones don't.
    public func versions(
        of keys: some Sequence<Key> & Sendable, timeout: Duration? = nil
    ) async throws(TiKVError) -> [Key: Version] {
        let sorted = RawBatch.sorted(keys)
        for key in sorted { try TransactionArguments.check(Key(key)) }
        let found = try await self.find(sorted, needsCommit: true, deadline: self.context.deadline(timeout))
        var versions: [Key: Version] = [:]
        for (key, found) in found { versions[Key(key)] = try Self.version(found) }
        return versions
    }

    private static func version(_ found: SnapshotCache.Found) throws(TiKVError) -> Version {
        guard found.commit != 0, Failpoint.snapshotZeroCommitTS.value() == nil else {
            throw TiKVError(.unsupported, "the store did not say when a value was committed")
        }
        return Version(value: Value(found.value), commitTimestamp: Timestamp(rawValue: found.commit))
    }

    // MARK: - Ranges

    /// The pairs of a range, in order.
    ///
    /// - Parameters:
    ///   - range: the keys. An empty range gives nothing; one whose end lies before its start is an error.
    ///   - limit: how many pairs at most; nil for all of them, 0 for none; less is an error.
    ///   - reversed: from the end of the range to its start.
    ///   - keysOnly: leaves the values empty and unread.
    ///   - sampleStep: above 1, one pair in so many, beginning anew with each request to a store: a sample to estimate by.
    ///   - timeout: the time for each page; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: a sequence that throws ``TiKVError``; an error of the arguments comes with the first pair asked for.
    public func scan(
        _ range: KeyRange, limit: Int? = nil, reversed: Bool = false, keysOnly: Bool = false, sampleStep: Int = 1,
        timeout: Duration? = nil
    ) -> TransactionScan {
        TransactionScan(
            snapshot: self, transaction: nil, range: range, limit: limit, isReversed: reversed, isKeysOnly: keysOnly,
            timeout: timeout, sampleStep: sampleStep)
    }
}
