// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension RawClient {
    /// The first pairs of each of several ranges.
    ///
    /// Ranges whose next keys are in one region share a request, and regions are asked side by side. It is no snapshot.
    /// Where all pairs of a range are wanted, ``scan(_:limit:reversed:keysOnly:columnFamily:timeout:)`` holds no more than
    /// a page at a time.
    ///
    /// - Parameters:
    ///   - ranges: may be empty and may overlap; one whose end lies before its start is an error.
    ///   - limit: how many pairs at most of each range; not negative.
    ///   - reversed: the last pairs of each range, from its end to its start.
    ///   - keysOnly: leaves the values empty and unread.
    ///   - columnFamily: where to look; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Returns: the pairs of each range, in the order of the ranges.
    /// - Throws: ``TiKVError``, where any of the ranges could not be read.
    public func batchScan(
        _ ranges: [KeyRange], limit: Int, reversed: Bool = false, keysOnly: Bool = false,
        columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) -> [[KeyValue]] {
        for range in ranges { try Self.validate(range) }
        guard limit >= 0 else { throw TiKVError(.invalidArgument, "a limit must not be negative") }
        let family = try self.wireName(columnFamily)
        let sender = self.core.sender
        let deadline = Deadline(after: self.timeout(timeout), from: sender.clock.now)
        var plan = RawBatchScanPlan(
            ranges: ranges, limit: limit, isReversed: reversed, pageSize: self.configuration.scanPageSize,
            lastProbe: sender.cache.lastProbe)
        var results = [[KeyValue]](repeating: [], count: ranges.count)
        while true {
            let unfinished = plan.unfinished
            guard !unfinished.isEmpty else { return results }
            let round = plan
            var pages: [Page] = []
            try await sender.scatter(
                Request.locating(unfinished), timeout: deadline.remaining(at: sender.clock.now), isWrite: false,
                concurrency: self.configuration.maximumConcurrency,
                split: { request, call async throws(TiKVError) in
                    try await Self.requests(request.indices, round, sender, &call)
                },
                deliver: { request, region, call async throws(TiKVError) -> [Page]? in
                    var message = Kvrpcpb_RawBatchScanRequest()
                    message.ranges = request.parts.map { part in
                        var range = Kvrpcpb_KeyRange()
                        range.startKey = Data(part.page.startKey)
                        range.endKey = Data(part.page.endKey)
                        return range
                    }
                    message.eachLimit = UInt32(request.parts.map(\.page.limit).max() ?? 0)
                    message.keyOnly = keysOnly
                    message.reverse = reversed
                    message.cf = family
                    guard
                        let response = try await sender.deliver(
                            TikvpbTikvRPC.rawBatchScan, &message, to: region, &call)
                    else { return nil }
                    try Self.check(response.kvs)
                    let dealt = round.deal(response.kvs, to: request.parts) { [UInt8]($0.key) }
                    return zip(request.parts, dealt).map { Page(part: $0, pairs: $1, region: region) }
                },
                collect: { pages += $0 })
            for page in pages {
                plan.received(
                    page.part, count: page.pairs.count, lastKey: page.pairs.last.map { [UInt8]($0.key) },
                    region: page.region)
                results[page.part.index] += page.pairs.map { (Key($0.key), Value($0.value)) }
            }
        }
    }

    /// What one region is asked for at once.
    private struct Request: Sendable {
        /// The ranges, of which the pages are not known before their regions are.
        var indices: [Int]
        var parts: [RawBatchScanPlan.Part] = []

        static func locating(_ indices: [Int]) -> Request { Request(indices: indices) }
    }

    private struct Page: Sendable {
        var part: RawBatchScanPlan.Part
        var pairs: [Kvrpcpb_KvPair]
        var region: CachedRegion
    }

    private static func requests(
        _ indices: [Int], _ plan: RawBatchScanPlan, _ sender: RegionRequestSender, _ call: inout RegionCall
    ) async throws(TiKVError) -> [(region: CachedRegion, work: Request)] {
        var regions: [CachedRegion] = []
        var parts: [UInt64: [RawBatchScanPlan.Part]] = [:]
        for index in indices {
            let pager = plan.pagers[index]
            let region =
                plan.isReversed
                ? try await sender.locate(before: pager.end, &call)
                : try await sender.locate(startOf: KeySpan(start: pager.start, end: pager.end), &call)
            // Another state of a region that others of the ranges are in already: theirs will be found out of date.
            if let known = regions.firstIndex(where: { $0.id == region.id }) {
                regions[known] = region
            } else {
                regions.append(region)
            }
            parts[region.id, default: []].append(.init(index: index, page: pager.page(from: region)))
        }
        return regions.flatMap { region in
            plan.requests(parts[region.id] ?? []).map { request in
                (region: region, work: Request(indices: request.map(\.index), parts: request))
            }
        }
    }
}
