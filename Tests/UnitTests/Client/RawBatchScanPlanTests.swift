// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap
import TiKVPD

@testable import TiKV

/// Scans of several ranges of a model cluster, driven through the plan alone.
@Suite struct RawBatchScanPlanTests {
    private let probe: [UInt8] = [0xff, 0xff, 0xff]

    private func regions(_ bounds: [[UInt8]]) throws -> [CachedRegion] {
        try zip([[]] + bounds, bounds + [[]]).enumerated().map { index, bounds in
            try #require(
                CachedRegion(
                    RegionDescription(
                        id: UInt64(index) + 1, startKey: bounds.0, endKey: bounds.1,
                        epoch: RegionEpoch(confVer: 1, version: 1), peers: [PeerDescription(id: 1, storeID: 1)]),
                    stores: { StoreRecord(id: $0) }, now: .now, timeToLive: .seconds(1)))
        }
    }

    /// What TiKV answers: the pairs of each page in turn, each page to its end, or to where the next one begins.
    private func answer(_ request: [RawBatchScanPlan.Part], _ keys: [[UInt8]], isReversed: Bool) -> [[UInt8]] {
        let limit = request.map(\.page.limit).max() ?? 0
        return request.enumerated().flatMap { index, part -> ArraySlice<[UInt8]> in
            let start = part.page.startKey
            var end = part.page.endKey
            if end.isEmpty, index + 1 < request.count { end = request[index + 1].page.startKey }
            let (lower, upper) = isReversed ? (end, start) : (start, end)
            let found = keys.filter {
                !KeyOrder.isLess($0, lower) && (!isReversed && upper.isEmpty || KeyOrder.isLess($0, upper))
            }
            return (isReversed ? found.reversed() : found).prefix(limit)
        }
    }

    @Test(arguments: 1...30 as ClosedRange<UInt64>, [false, true])
    func everyRangeGetsItsOwn(seed: UInt64, isReversed: Bool) throws {
        var random = SeededRandom(seed: seed)
        func key() -> [UInt8] {
            (0..<Int.random(in: 1...2, using: &random)).map { _ in UInt8.random(in: 0...9, using: &random) }
        }
        let keys = Set((0..<60).map { _ in key() }).sorted { KeyOrder.isLess($0, $1) }
        let bounds = Set((0..<Int.random(in: 0...6, using: &random)).map { _ in key() })
        let regions = try self.regions(bounds.sorted { KeyOrder.isLess($0, $1) })
        let ranges: [KeyRange] = (0..<8).map { _ in
            let (first, second) = (Key(key()), Int.random(in: 0..<4, using: &random) == 0 ? Key() : Key(key()))
            if Int.random(in: 0..<5, using: &random) == 0 { return KeyRange(end: second) }
            return second.isEmpty || first <= second ? first..<second : second..<first
        }
        let limit = Int.random(in: 1...20, using: &random)
        var plan = RawBatchScanPlan(
            ranges: ranges, limit: limit, isReversed: isReversed, pageSize: Int.random(in: 1...5, using: &random),
            lastProbe: self.probe)
        var found = [[[UInt8]]](repeating: [], count: ranges.count)
        var rounds = 0
        while !plan.unfinished.isEmpty {
            rounds += 1
            try #require(rounds < 1000)
            for region in regions {
                let parts = plan.unfinished.filter { index in
                    let pager = plan.pagers[index]
                    return isReversed ? region.containsBefore(pager.end) : region.contains(pager.start)
                }.map { RawBatchScanPlan.Part(index: $0, page: plan.pagers[$0].page(from: region)) }
                for request in plan.requests(parts) {
                    let pairs = self.answer(request, keys, isReversed: isReversed)
                    for (part, dealt) in zip(request, plan.deal(pairs, to: request) { $0 }) {
                        found[part.index] += dealt
                        plan.received(part, count: dealt.count, lastKey: dealt.last, region: region)
                    }
                }
            }
        }
        for (range, found) in zip(ranges, found) {
            let expected = keys.filter { range.contains(Key($0)) }
            #expect(found == Array((isReversed ? expected.reversed() : expected).prefix(limit)), "\(range)")
        }
    }

    @Test func pagesThatOverlapDoNotShareARequest() {
        let plan = RawBatchScanPlan(ranges: [], limit: 1, isReversed: false, pageSize: 9, lastProbe: self.probe)
        func part(_ index: Int, _ start: UInt8, _ end: UInt8?) -> RawBatchScanPlan.Part {
            .init(index: index, page: .init(startKey: [start], endKey: end.map { [$0] } ?? [], limit: 9))
        }
        let parts = [part(0, 5, nil), part(1, 1, 3), part(2, 3, 5), part(3, 2, 4), part(4, 7, 9)]
        #expect(plan.requests(parts).map { $0.map(\.index) } == [[1, 2, 0], [3, 4]])
    }
}
