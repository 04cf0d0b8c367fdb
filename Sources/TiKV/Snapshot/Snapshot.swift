// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVOrderedMap
import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The state of all keys at one moment. Reading it takes no locks and waits for no writer that began later.
///
/// ```swift
/// let snapshot = client.snapshot(at: try await client.currentTimestamp())
/// let value = try await snapshot.get("a")
/// for try await (key, value) in snapshot.scan(.prefix("user/")) { … }
/// ```
///
/// Locks of transactions that may have committed before are looked into, and resolved where their transactions have ended;
/// a read waits for others at most until its own deadline. Cancelling the task ends a read at once.
///
/// A snapshot of ``Timestamp/latest`` asks PD for no timestamp, which makes reading one key faster; two reads of it may
/// see different states.
public final class Snapshot: Sendable {
    private struct State {
        var cache = SnapshotCache()
        /// Transactions whose locks are not in the way: not committed before this snapshot.
        var ignored: Set<UInt64> = []
        /// Transactions that are committed before it, whose locks are still there.
        var readable: Set<UInt64> = []
    }

    let context: TransactionContext
    /// The moment that is read.
    public let timestamp: Timestamp
    let options: SnapshotOptions
    private let state = Mutex(State())

    init(_ context: TransactionContext, at timestamp: Timestamp, _ options: SnapshotOptions) {
        self.context = context
        self.timestamp = timestamp
        self.options = options
    }

    private var isCached: Bool { self.options.isCached && self.timestamp != .latest }

    /// How many reads of single keys were answered from what was read before.
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

    /// The pairs of a range, in order.
    ///
    /// - Parameters:
    ///   - range: the keys. An empty range gives nothing; one whose end lies before its start is an error.
    ///   - limit: how many pairs at most; nil for all of them, 0 for none; less is an error.
    ///   - reversed: from the end of the range to its start.
    ///   - keysOnly: leaves the values empty and unread.
    ///   - timeout: the time for each page; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: a sequence that throws ``TiKVError``; an error of the arguments comes with the first pair asked for.
    public func scan(
        _ range: KeyRange, limit: Int? = nil, reversed: Bool = false, keysOnly: Bool = false, timeout: Duration? = nil
    ) -> TransactionScan {
        TransactionScan(
            snapshot: self, transaction: nil, range: range, limit: limit, isReversed: reversed, isKeysOnly: keysOnly,
            timeout: timeout)
    }

    // MARK: - Internal

    func get(_ key: [UInt8], deadline: Deadline) async throws(TiKVError) -> [UInt8]? {
        if self.isCached, let known = self.state.withLock({ $0.cache.value(of: key) }) { return known }
        var backoff = Backoff()
        while true {
            var request = Kvrpcpb_GetRequest()
            request.key = Data(key)
            request.version = self.timestamp.rawValue
            let response = try await self.context.sender.send(
                TikvpbTikvRPC.kvGet, request, key: key,
                timeout: deadline.remaining(at: self.context.clock.now), isWrite: false, options: self.requestOptions)
            if response.hasError {
                try await self.goOn(after: [response.error], &backoff, deadline: deadline)
                continue
            }
            try await self.context.safePoints.check(self.timestamp.rawValue, deadline: deadline)
            let value = response.notFound ? nil : [UInt8](response.value)
            if self.isCached { self.state.withLock { $0.cache.insert(value, for: key) } }
            return value
        }
    }

    /// - Parameter keys: distinct and in order.
    func batchGet(
        _ keys: [[UInt8]], deadline: Deadline
    ) async throws(TiKVError) -> [(key: [UInt8], value: [UInt8])] {
        var found: [(key: [UInt8], value: [UInt8])] = []
        var rest = keys
        if self.isCached {
            self.state.withLock { state in
                rest = keys.filter { key in
                    guard let known = state.cache.value(of: key) else { return true }
                    if let known { found.append((key, known)) }
                    return false
                }
            }
        }
        var backoff = Backoff()
        while !rest.isEmpty {
            var locked: [[UInt8]] = []
            var errors: [Kvrpcpb_KeyError] = []
            let pages = try await self.request(rest, deadline: deadline)
            try await self.context.safePoints.check(self.timestamp.rawValue, deadline: deadline)
            for page in pages {
                var values: [[UInt8]: [UInt8]] = [:]
                var lockedHere: Set<[UInt8]> = []
                if page.response.hasError {
                    errors.append(page.response.error)
                    lockedHere.formUnion(page.keys)
                }
                for pair in page.response.pairs {
                    let key = [UInt8](pair.key)
                    if pair.hasError {
                        errors.append(pair.error)
                        // A lock names its key; the pair may not.
                        lockedHere.insert(key.isEmpty ? [UInt8](pair.error.locked.key) : key)
                    } else {
                        values[key] = [UInt8](pair.value)
                    }
                }
                for key in page.keys {
                    if lockedHere.contains(key) {
                        locked.append(key)
                        continue
                    }
                    let value = values[key]
                    if let value { found.append((key, value)) }
                    if self.isCached { self.state.withLock { $0.cache.insert(value, for: key) } }
                }
            }
            rest = locked.sorted { KeyOrder.isLess($0, $1) }
            if !errors.isEmpty { try await self.goOn(after: errors, &backoff, deadline: deadline) }
        }
        return found
    }

    private func request(
        _ keys: [[UInt8]], deadline: Deadline
    ) async throws(TiKVError) -> [(keys: [[UInt8]], response: Kvrpcpb_BatchGetResponse)] {
        let sender = self.context.sender
        let limit = self.context.configuration.batchGetLimit
        let version = self.timestamp.rawValue
        var pages: [(keys: [[UInt8]], response: Kvrpcpb_BatchGetResponse)] = []
        try await sender.scatter(
            keys, timeout: deadline.remaining(at: self.context.clock.now), isWrite: false,
            concurrency: self.context.configuration.maximumConcurrency, options: self.requestOptions,
            split: { keys, call async throws(TiKVError) in
                try await sender.group(keys, by: { $0 }, chunks: { RawBatch.chunks($0, count: limit) }, &call)
            },
            deliver: {
                keys, region, call async throws(TiKVError) -> (keys: [[UInt8]], response: Kvrpcpb_BatchGetResponse)? in
                var request = Kvrpcpb_BatchGetRequest()
                request.keys = keys.map { Data($0) }
                request.version = version
                guard let response = try await sender.deliver(TikvpbTikvRPC.kvBatchGet, &request, to: region, &call)
                else { return nil }
                return (keys, response)
            },
            collect: { pages.append($0) })
        return pages
    }

    /// Reads the next pairs of a range, which may be none where a region is.
    func page(
        _ pager: inout RawScanPager, isKeysOnly: Bool, deadline: Deadline
    ) async throws(TiKVError) -> [(key: [UInt8], value: [UInt8])] {
        var backoff = Backoff()
        while true {
            var next = pager
            let response = try await self.scan(&next, isKeysOnly: isKeysOnly, deadline: deadline)
            var errors = response.pairs.filter(\.hasError).map(\.error)
            if response.hasError { errors.append(response.error) }
            guard !errors.isEmpty else {
                try await self.context.safePoints.check(self.timestamp.rawValue, deadline: deadline)
                pager = next
                return response.pairs.map { ([UInt8]($0.key), [UInt8]($0.value)) }
            }
            // The page is read again, without the locks or around them.
            try await self.goOn(after: errors, &backoff, deadline: deadline)
        }
    }

    private func scan(
        _ pager: inout RawScanPager, isKeysOnly: Bool, deadline: Deadline
    ) async throws(TiKVError) -> Kvrpcpb_ScanResponse {
        let sender = self.context.sender
        var call = try await sender.begin(
            timeout: deadline.remaining(at: self.context.clock.now), isWrite: false, options: self.requestOptions)
        defer { sender.lifecycle.end() }
        while true {
            let region =
                pager.isReversed
                ? try await sender.locate(before: pager.end, &call)
                : try await sender.locate(startOf: KeySpan(start: pager.start, end: pager.end), &call)
            let page = pager.page(from: region)
            var request = Kvrpcpb_ScanRequest()
            request.startKey = Data(page.startKey)
            request.endKey = Data(page.endKey)
            request.limit = UInt32(page.limit)
            request.version = self.timestamp.rawValue
            request.reverse = pager.isReversed
            request.keyOnly = isKeysOnly
            guard let response = try await sender.deliver(TikvpbTikvRPC.kvScan, &request, to: region, &call) else {
                continue
            }
            pager.received(
                count: response.pairs.count, lastKey: response.pairs.last.map { [UInt8]($0.key) }, page: page,
                region: region)
            return response
        }
    }

    // MARK: - Locks

    private var requestOptions: RequestOptions {
        var options = RequestOptions()
        options.replica.isRead = true
        options.apply(self.options.priority)
        options.keepsOutOfCache = self.options.bypassesStoreCache
        options.resourceGroupTag = self.options.resourceGroupTag
        self.state.withLock { state in
            options.resolvedLocks = Array(state.ignored)
            options.committedLocks = Array(state.readable)
        }
        return options
    }

    /// Does about locks what can be done, and waits where they must be waited for; throws other errors.
    private func goOn(
        after errors: [Kvrpcpb_KeyError], _ backoff: inout Backoff, deadline: Deadline
    ) async throws(TiKVError) {
        var locks: [Lock] = []
        for error in errors {
            switch KeyErrorReaction(error, start: self.timestamp.rawValue) {
            case .resolve(let found): locks += found
            case .fail(let error): throw error
            case .commitLater, .transactionNotFound, .primaryMismatch, .lockNotFound:
                throw TiKVError(
                    .serverError, "the store answered a read with an error that reads don't have", detail: "\(error)")
            }
        }
        let resolution = try await self.context.resolver.resolve(
            locks, for: .read(at: self.timestamp.rawValue), deadline: deadline)
        let isHelped = self.state.withLock { state in
            let before = state.ignored.count + state.readable.count
            state.ignored.formUnion(resolution.ignored)
            state.readable.formUnion(resolution.readable)
            return state.ignored.count + state.readable.count > before
        }
        // A store that goes on about a lock that should be out of the way is not asked again at once.
        if resolution.wait == nil, isHelped { return }
        try await self.context.wait(
            .txnLockFast, atMost: resolution.wait == .zero ? nil : resolution.wait, &backoff, deadline: deadline,
            failure: TiKVError(
                .keyIsLocked, "another transaction's lock was in the way until the deadline",
                transaction: TransactionFailure(
                    startTimestamp: self.timestamp.rawValue, key: locks.first.map { Key($0.key) })))
    }
}

extension RequestOptions {
    mutating func apply(_ priority: TransactionOptions.Priority) {
        switch priority.level {
        case .low: self.priority = .low
        case .normal: self.priority = .normal
        case .high: self.priority = .high
        }
    }
}
