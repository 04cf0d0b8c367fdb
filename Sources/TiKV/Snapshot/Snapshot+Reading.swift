// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVFailpoints
import TiKVOrderedMap
import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Snapshot {
    private var isCached: Bool {
        self.options.isCached && self.timestamp != .latest && self.options.isolation == .snapshot
    }

    // MARK: - Moments

    /// The moment of a read.
    ///
    /// - Parameter isPoint: whether it is of a single key, so that it can do without a moment.
    func moment(isPoint: Bool, deadline: Deadline) async throws(TiKVError) -> UInt64 {
        guard self.timestamp == .latest else { return self.timestamp.rawValue }
        // Locks do not matter to it, and what is committed is read page by page anyway.
        if isPoint || self.options.isolation == .readCommitted, !self.options.isStaleRead { return .max }
        guard !self.options.isStaleRead else {
            throw TiKVError(.invalidArgument, "a stale read needs a timestamp: it can't be one of the latest state")
        }
        return try await self.context.timestamp(deadline: deadline)
    }

    func begin(at timestamp: UInt64, deadline: Deadline) async throws(TiKVError) -> SnapshotReading {
        try await self.context.core.validate(
            timestamp, isStaleRead: self.options.isStaleRead, deadline: deadline)
        // What was found out at this moment holds for all reads of it.
        let passed =
            timestamp == self.timestamp.rawValue && timestamp != .max
            ? self.state.withLock { $0.passed } : PassedLocks()
        return SnapshotReading(at: timestamp, passing: passed, deadline: deadline)
    }

    private func options(_ reading: SnapshotReading, keyCount: Int) -> RequestOptions {
        self.options.request(keyCount: keyCount, passing: reading.passed, hasMetLock: reading.hasMetLock)
    }

    /// Throws where what was read may have been incomplete: versions that old may have been collected.
    private func checkVisibility(_ reading: SnapshotReading) async throws(TiKVError) {
        guard !reading.isOfLatest else { return }
        try await self.context.safePoints.check(reading.timestamp, deadline: reading.deadline)
    }

    // MARK: - Keys

    func get(_ key: [UInt8], deadline: Deadline) async throws(TiKVError) -> [UInt8]? {
        try await self.find(key, needsCommit: false, deadline: deadline)?.value
    }

    /// - Parameter keys: distinct and in order.
    func batchGet(
        _ keys: [[UInt8]], deadline: Deadline
    ) async throws(TiKVError) -> [(key: [UInt8], value: [UInt8])] {
        try await self.find(keys, needsCommit: false, deadline: deadline).map { ($0.key, $0.found.value) }
    }

    func find(
        _ key: [UInt8], needsCommit: Bool, deadline: Deadline
    ) async throws(TiKVError) -> SnapshotCache.Found? {
        if self.isCached,
            let known = self.state.withLock({ $0.cache.found(key, needsCommit: needsCommit) })
        {
            return known
        }
        if Failpoint.snapshotGetCacheFail.value()?.isTrue == true {
            throw TiKVError(.internalError, "failpoint snapshotGetCacheFail")
        }
        var reading = try await self.begin(
            at: self.moment(isPoint: true, deadline: deadline), deadline: deadline)
        while true {
            var request = Kvrpcpb_GetRequest()
            request.key = Data(key)
            request.version = reading.timestamp
            request.needCommitTs = needsCommit
            let response = try await self.context.sender.send(
                TikvpbTikvRPC.kvGet, request, key: key,
                timeout: deadline.remaining(at: self.context.clock.now), isWrite: false,
                options: self.options(reading, keyCount: 1))
            if response.hasError {
                try await self.goOn(after: [response.error], &reading)
                continue
            }
            try await self.checkVisibility(reading)
            let found =
                response.notFound
                ? nil : SnapshotCache.Found(value: [UInt8](response.value), commit: response.commitTs)
            if self.isCached { self.state.withLock { $0.cache.insert(found, for: key) } }
            return found
        }
    }

    /// - Parameter keys: distinct and in order.
    func find(
        _ keys: [[UInt8]], needsCommit: Bool, deadline: Deadline
    ) async throws(TiKVError) -> [(key: [UInt8], found: SnapshotCache.Found)] {
        var found: [(key: [UInt8], found: SnapshotCache.Found)] = []
        var rest = keys
        if self.isCached {
            self.state.withLock { state in
                rest = keys.filter { key in
                    guard let known = state.cache.found(key, needsCommit: needsCommit) else { return true }
                    if let known { found.append((key, known)) }
                    return false
                }
            }
        }
        guard !rest.isEmpty else { return found }
        var reading = try await self.begin(
            at: self.moment(isPoint: keys.count == 1, deadline: deadline), deadline: deadline)
        var read: [(key: [UInt8], value: SnapshotCache.Found?)] = []
        while !rest.isEmpty {
            var batch = BatchGetAnswers()
            for page in try await self.request(rest, needsCommit: needsCommit, reading) {
                batch.received(page.response, for: page.keys)
            }
            read += batch.found
            rest = batch.locked.sorted { KeyOrder.isLess($0, $1) }
            if !batch.errors.isEmpty { try await self.goOn(after: batch.errors, &reading) }
        }
        try await self.checkVisibility(reading)
        if self.isCached {
            let all = read
            self.state.withLock { state in
                for (key, value) in all { state.cache.insert(value, for: key) }
            }
        }
        for (key, value) in read {
            if let value { found.append((key, value)) }
        }
        return found
    }

    private func request(
        _ keys: [[UInt8]], needsCommit: Bool, _ reading: SnapshotReading
    ) async throws(TiKVError) -> [(keys: [[UInt8]], response: Kvrpcpb_BatchGetResponse)] {
        let sender = self.context.sender
        let limit = self.context.configuration.batchGetLimit
        let version = reading.timestamp
        var pages: [(keys: [[UInt8]], response: Kvrpcpb_BatchGetResponse)] = []
        try await sender.scatter(
            keys, timeout: reading.deadline.remaining(at: self.context.clock.now), isWrite: false,
            concurrency: self.context.configuration.maximumConcurrency,
            options: self.options(reading, keyCount: keys.count),
            split: { keys, call async throws(TiKVError) in
                try await sender.group(keys, by: { $0 }, chunks: { RawBatch.chunks($0, count: limit) }, &call)
            },
            deliver: {
                keys, region, call async throws(TiKVError) -> (keys: [[UInt8]], response: Kvrpcpb_BatchGetResponse)? in
                var request = Kvrpcpb_BatchGetRequest()
                request.keys = keys.map { Data($0) }
                request.version = version
                request.needCommitTs = needsCommit
                guard let response = try await sender.deliver(TikvpbTikvRPC.kvBatchGet, &request, to: region, &call)
                else { return nil }
                return (keys, response)
            },
            collect: { pages.append($0) })
        return pages
    }

    // MARK: - Ranges

    /// Reads the next pairs of a range, which may be none where a region is.
    func page(
        _ pager: inout RawScanPager, at timestamp: UInt64, isKeysOnly: Bool, sampleStep: Int, deadline: Deadline
    ) async throws(TiKVError) -> [(key: [UInt8], value: [UInt8])] {
        var reading = try await self.begin(at: timestamp, deadline: deadline)
        while true {
            var next = pager
            let response = try await self.scan(&next, isKeysOnly: isKeysOnly, sampleStep: sampleStep, reading)
            var errors = response.pairs.filter(\.hasError).map(\.error)
            if response.hasError { errors.append(response.error) }
            guard !errors.isEmpty else {
                try await self.checkVisibility(reading)
                pager = next
                return response.pairs.map { ([UInt8]($0.key), [UInt8]($0.value)) }
            }
            // The page is read again, without the locks or around them.
            try await self.goOn(after: errors, &reading)
        }
    }

    private func scan(
        _ pager: inout RawScanPager, isKeysOnly: Bool, sampleStep: Int, _ reading: SnapshotReading
    ) async throws(TiKVError) -> Kvrpcpb_ScanResponse {
        let sender = self.context.sender
        var call = try await sender.begin(
            timeout: reading.deadline.remaining(at: self.context.clock.now), isWrite: false,
            options: self.options(reading, keyCount: 1))
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
            request.version = reading.timestamp
            request.reverse = pager.isReversed
            request.keyOnly = isKeysOnly
            request.sampleStep = sampleStep > 1 ? UInt32(clamping: sampleStep) : 0
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

    /// Does about locks what can be done, and waits where they must be waited for; throws other errors.
    private func goOn(
        after errors: [Kvrpcpb_KeyError], _ reading: inout SnapshotReading
    ) async throws(TiKVError) {
        var met: [Lock] = []
        for error in errors {
            switch KeyErrorReaction(error, start: reading.timestamp) {
            case .resolve(let found): met += found
            case .fail(let error): throw error
            case .commitLater, .transactionNotFound, .primaryMismatch, .lockNotFound:
                throw TiKVError(
                    .serverError, "the store answered a read with an error that reads don't have", detail: "\(error)")
            }
        }
        let before = reading.passed
        let locks = reading.meet(met)
        let recorder = self.options.recorder ?? RequestRecorder.scoped
        let began = self.context.clock.now
        let resolution = try await self.context.resolver.resolve(
            locks, for: .read(at: reading.timestamp), deadline: reading.deadline)
        recorder?.recordLocks(began.duration(to: self.context.clock.now))
        reading.passed.add(ignored: resolution.ignored, readable: resolution.readable)
        if reading.timestamp == self.timestamp.rawValue, !reading.isOfLatest {
            let passed = reading.passed
            self.state.withLock { _ = $0.passed.add(passed) }
        }
        // A store that goes on about a lock that should be out of the way is not asked again at once.
        if resolution.wait == nil, reading.passed != before { return }
        let deadline = reading.deadline
        let failure = TiKVError(
            .keyIsLocked, "another transaction's lock was in the way until the deadline",
            transaction: TransactionFailure(startTimestamp: reading.timestamp, key: locks.first.map { Key($0.key) }))
        try await self.context.wait(
            .txnLockFast(base: self.context.configuration.readLockWait),
            atMost: resolution.wait == .zero ? nil : resolution.wait, &reading.backoff,
            deadline: deadline, recorder: recorder, failure: failure)
    }
}
