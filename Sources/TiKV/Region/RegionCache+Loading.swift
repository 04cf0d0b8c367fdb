// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVOrderedMap
import TiKVPD

extension RegionCache {
    /// What callers ask for at the same time is asked of PD once.
    enum Load: Hashable, Sendable {
        case key([UInt8])
        case before([UInt8])
        case id(UInt64)
    }

    /// What came of asking PD.
    enum LoadResult: Sendable, Equatable {
        case installed
        /// PD knows no such region.
        case unknown
        /// The region has no leader, or PD doesn't know it: nothing that could be used for long.
        case leaderless(UInt64)
        /// PD's answer is older than what turned out wrong, or all its peers are down or gone.
        case unusable(UInt64)

        /// What to tell where the time is over.
        var words: String {
            switch self {
            case .installed, .unknown: "PD knows no region for the key"
            case .leaderless(let id): "PD knows no leader of region \(id)"
            case .unusable(let id): "what PD says of region \(id) is out of date, or none of its peers is available"
            }
        }
    }

    /// A region, or why there is none now.
    enum Found: Sendable {
        case region(CachedRegion)
        case nothing(LoadResult)
    }

    /// Ranges in one question to PD.
    static let spansPerBatch = 16 * 128

    // MARK: - One region

    /// How long PD may take to say something better of a region that will do.
    static let patience = Duration.seconds(2)

    /// The region that holds a key, asked of PD. Where PD has nothing to offer that is newer than what turned out wrong, ask
    /// again later.
    nonisolated func load(containing key: [UInt8], deadline: Deadline) async throws(TiKVError) -> Found {
        try await self.load(
            deadline, known: { self.known(containing: key, now: $0) },
            usable: { self.usable(containing: key, now: $0) }
        ) { deadline async throws(TiKVError) in
            try await self.share(.key(key), deadline: deadline) { fromLeader async throws(PDError) in
                try await self.source.region(for: key, fromLeader: fromLeader, deadline: deadline)
            }
        }
    }

    /// The region that holds the keys just before `key`, asked of PD. See ``load(containing:deadline:)``.
    nonisolated func load(before key: [UInt8], deadline: Deadline) async throws(TiKVError) -> Found {
        let probe = key.isEmpty ? self.lastProbe : key
        return try await self.load(
            deadline, known: { self.known(before: key, now: $0) }, usable: { self.usable(before: key, now: $0) }
        ) { deadline async throws(TiKVError) in
            try await self.share(.before(key), deadline: deadline) { fromLeader async throws(PDError) in
                let region = try await self.source.region(for: probe, fromLeader: fromLeader, deadline: deadline)
                guard let region, region.startKey == probe else { return region }
                if region.leader != nil { await self.install([region], clusterID: await self.clusterID) }
                return try await self.source.previousRegion(for: probe, fromLeader: fromLeader, deadline: deadline)
            }
        }
    }

    /// The region with an id, asked of PD. See ``load(containing:deadline:)``.
    nonisolated func load(id: UInt64, deadline: Deadline) async throws(TiKVError) -> Found {
        try await self.load(
            deadline, known: { await self.known(id: id, now: $0) }, usable: { await self.usable(id: id, now: $0) }
        ) { deadline async throws(TiKVError) in
            try await self.share(.id(id), deadline: deadline) { _ async throws(PDError) in
                try await self.source.region(id: id, deadline: deadline)
            }
        }
    }

    /// The region that holds a span's start, asked of PD together with those after it. See ``load(containing:deadline:)``.
    nonisolated func load(startOf span: KeySpan, deadline: Deadline) async throws(TiKVError) -> Found {
        try await self.load(
            deadline, known: { self.known(containing: span.start, now: $0) },
            usable: { self.usable(containing: span.start, now: $0) }
        ) { deadline async throws(TiKVError) in
            try await self.load(span: span, deadline: deadline)
            return .unknown
        }
    }

    /// Asks PD; what should be loaded anew, and will do, is used where PD has nothing better or takes too long, and for a
    /// while after that without asking.
    private nonisolated func load(
        _ deadline: Deadline, known: (ContinuousClock.Instant) async -> CachedRegion?,
        usable: (ContinuousClock.Instant) async -> CachedRegion?,
        ask: (Deadline) async throws(TiKVError) -> LoadResult
    ) async throws(TiKVError) -> Found {
        let start = self.clock.now
        var limit = deadline
        if await usable(start) != nil {
            let patience = Deadline(after: Self.patience, from: start)
            if patience.instant < deadline.instant { limit = patience }
        }
        let result: LoadResult
        do throws(TiKVError) {
            result = try await ask(limit)
        } catch {
            let now = self.clock.now
            guard error.code != .cancelled, error.code != .clientClosed, let region = await usable(now) else {
                throw error
            }
            region.postponeReload(at: now)
            return .region(region)
        }
        let now = self.clock.now
        if let region = await known(now) { return .region(region) }
        guard let region = await usable(now) else { return .nothing(result) }
        region.postponeReload(at: now)
        return .region(region)
    }

    private nonisolated var clusterID: UInt64 {
        get async { await self.source.currentClusterID() ?? 0 }
    }

    private nonisolated func share(
        _ load: Load, deadline: Deadline, _ ask: (_ fromLeader: Bool) async throws(PDError) -> RegionDescription?
    ) async throws(TiKVError) -> LoadResult {
        let landed = try await self.loads.run(load, deadline: deadline) { () async throws(TiKVError) in
            var result = LoadResult.unknown
            // A second question where the first brought nothing new: it may have been answered by a follower of PD, who is
            // late. Once; then it is for the caller to wait.
            for fromLeader in [false, true] {
                let found: RegionDescription?
                do throws(PDError) {
                    found = try await ask(fromLeader)
                } catch {
                    throw TiKVError(error)
                }
                guard let found else { return .unknown }
                if found.leader == nil {
                    result = .leaderless(found.id)
                } else if await self.install([found], clusterID: await self.clusterID) > 0 {
                    return .installed
                } else {
                    result = .unusable(found.id)
                }
                if !self.source.hasFollowers { break }
            }
            return result
        }
        if let landed { return landed }
        if Task.isCancelled { throw TiKVError(.cancelled, "cancelled while waiting for a region from PD") }
        throw TiKVError(.deadlineExceeded, "PD did not say in time where a region is")
    }

    // MARK: - Many regions

    /// Asks PD for the regions of a span from its start on, one batch of them. Regions without a leader are left out: they
    /// show as gaps, which are asked for again.
    ///
    /// - Returns: where the next batch begins; nil where the span is covered, or PD knows nothing of what comes next.
    @discardableResult
    nonisolated func load(span: KeySpan, deadline: Deadline) async throws(TiKVError) -> [UInt8]? {
        let found: [RegionDescription]
        do throws(PDError) {
            found = try await self.source.scanRegions(
                span, limit: max(1, self.configuration.loadBatchSize), deadline: deadline)
        } catch {
            throw TiKVError(error)
        }
        await self.install(found.filter { $0.leader != nil }, clusterID: await self.clusterID)
        guard let end = found.last?.endKey, !end.isEmpty,
            span.end.isEmpty || KeyOrder.isLess(end, span.end)
        else { return nil }
        return end
    }

    /// Asks PD for the regions of many spans, which are sorted and apart from each other.
    nonisolated func load(spans: [KeySpan], deadline: Deadline) async throws(TiKVError) {
        var start = spans.startIndex
        while start < spans.endIndex {
            let end = min(start + Self.spansPerBatch, spans.endIndex)
            var rest = Array(spans[start..<end])
            // Each answer has a limit of its own, so that there may be more of them for the same spans.
            while !rest.isEmpty {
                let found: [RegionDescription]
                do throws(PDError) {
                    found = try await self.source.batchScanRegions(
                        rest, limit: max(1, self.configuration.loadBatchSize), deadline: deadline)
                } catch {
                    throw TiKVError(error)
                }
                await self.install(found.filter { $0.leader != nil }, clusterID: await self.clusterID)
                guard found.count >= max(1, self.configuration.loadBatchSize), let last = found.last else { break }
                rest = KeySpan.rest(of: rest, after: last.endKey)
            }
            start = end
        }
    }

    /// How long loading all regions may take.
    static let loadEverythingTimeout = Duration.seconds(20)

    /// Asks PD for all regions; what it does not tell in time is asked for when it is needed.
    nonisolated func loadEverything() async {
        do throws(TiKVError) {
            let deadline = Deadline(after: Self.loadEverythingTimeout, from: self.clock.now)
            let count = try await self.preload(KeySpan(start: [], end: []), deadline: deadline)
            self.logger.log(.debug, "all regions were loaded", [.completed: count])
        } catch {
            self.logger.log(.debug, "not all regions could be loaded", [.error: error.code])
        }
    }

    /// Loads all regions of a span, batch by batch.
    ///
    /// - Returns: how many regions of it are known then, one after the other from its start on.
    @discardableResult
    nonisolated func preload(_ span: KeySpan, deadline: Deadline) async throws(TiKVError) -> Int {
        var rest = span
        while let next = try await self.load(span: rest, deadline: deadline) { rest.start = next }
        return self.known(from: span.start, to: span.end, now: self.clock.now).count
    }
}

extension KeySpan {
    /// What is left of sorted spans when all up to a key is done; an empty key is the end of all keys.
    static func rest(of spans: [KeySpan], after key: [UInt8]) -> [KeySpan] {
        guard !key.isEmpty else { return [] }
        return spans.compactMap { span in
            if !span.end.isEmpty, KeyOrder.compare(span.end, key) <= 0 { return nil }
            return KeySpan(start: KeyOrder.isLess(span.start, key) ? key : span.start, end: span.end)
        }
    }

    /// Whether regions, in the order of their keys, leave out something of sorted spans.
    ///
    /// - Parameter limit: where so many regions came, that there are no more is no gap.
    static func hasGaps(_ spans: [KeySpan], in regions: [KeySpan], limit: Int) -> Bool {
        var rest = spans
        for region in regions {
            guard let next = rest.first else { return false }
            if KeyOrder.isLess(next.start, region.start) { return true }
            rest = Self.rest(of: rest, after: region.end)
        }
        return !rest.isEmpty && regions.count < limit
    }
}
