// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap
import TiKVPD

@testable import TiKV

/// Scans of a model cluster, driven through the pager alone.
@Suite struct RawScanPagerTests {
    private let probe: [UInt8] = [0xff, 0xff, 0xff, 0xff]

    private func region(_ start: [UInt8], _ end: [UInt8]) throws -> CachedRegion {
        try #require(
            CachedRegion(
                RegionDescription(
                    id: 1, startKey: start, endKey: end, epoch: RegionEpoch(confVer: 1, version: 1),
                    peers: [PeerDescription(id: 1, storeID: 1)]), stores: { StoreRecord(id: $0) }, now: .now,
                timeToLive: .seconds(1)))
    }

    /// What a store would answer.
    private func answer(_ page: RawScanPager.Page, isReversed: Bool, keys: [[UInt8]]) -> [[UInt8]] {
        let lower = isReversed ? page.endKey : page.startKey
        let upper = isReversed ? page.startKey : page.endKey
        let found = keys.filter {
            !KeyOrder.isLess($0, lower) && (upper.isEmpty && !isReversed || KeyOrder.isLess($0, upper))
        }
        return Array((isReversed ? found.reversed() : found).prefix(page.limit))
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func everyScanEqualsTheModel(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        func key() -> [UInt8] {
            (0..<Int.random(in: 1...3, using: &random)).map { _ in
                [0, 1, 127, 254, 255].randomElement(using: &random) ?? 0
            }
        }
        let keys = Set((0..<40).map { _ in key() }).sorted { KeyOrder.isLess($0, $1) }
        let splits = Set((0..<Int.random(in: 0...6, using: &random)).map { _ in key() }).sorted {
            KeyOrder.isLess($0, $1)
        }
        let bounds = [[]] + splits + [[]]
        var range = KeyRange(
            start: Bool.random(using: &random) ? Key() : Key(key()),
            end: Bool.random(using: &random) ? Key() : Key(key()))
        if range.isReversed { swap(&range.start, &range.end) }
        let limit = Bool.random(using: &random) ? nil : Int.random(in: 0...15, using: &random)
        let isReversed = Bool.random(using: &random)

        var pager = RawScanPager(
            range: range, limit: limit, isReversed: isReversed, pageSize: Int.random(in: 1...7, using: &random),
            lastProbe: self.probe)
        var found: [[UInt8]] = []
        var pages = 0
        while !pager.isFinished, pages < 1000 {
            pages += 1
            let index = try #require(
                (0...splits.count).first { index in
                    let (start, end) = (bounds[index], bounds[index + 1])
                    if !isReversed {
                        return !KeyOrder.isLess(pager.start, start)
                            && (end.isEmpty || KeyOrder.isLess(pager.start, end))
                    }
                    if pager.end.isEmpty { return end.isEmpty }
                    return KeyOrder.isLess(start, pager.end) && (end.isEmpty || !KeyOrder.isLess(end, pager.end))
                })
            let region = try self.region(bounds[index], bounds[index + 1])
            let page = pager.page(from: region)
            let answer = self.answer(page, isReversed: isReversed, keys: keys)
            found += answer
            pager.received(count: answer.count, lastKey: answer.last, page: page, region: region)
        }
        let inRange = keys.filter { range.contains(Key($0)) }
        let expected = (isReversed ? inRange.reversed() : inRange).prefix(limit ?? .max)
        #expect(found == Array(expected))
        #expect(pages < 1000)
    }

    @Test func nothingToDoIsFinishedAtOnce() {
        func isFinished(_ range: KeyRange, _ limit: Int?) -> Bool {
            RawScanPager(range: range, limit: limit, isReversed: false, pageSize: 10, lastProbe: self.probe).isFinished
        }
        #expect(isFinished("a"..<"a", nil))
        #expect(isFinished(.everything, 0))
        #expect(!isFinished(.everything, 1))
    }

    @Test func aReversedScanFromTheEndNamesAKey() throws {
        let pager = RawScanPager(range: .everything, limit: nil, isReversed: true, pageSize: 10, lastProbe: self.probe)
        let page = pager.page(from: try self.region([5], []))
        #expect(page.startKey == self.probe)
        #expect(page.endKey == [5])
    }

    @Test func pagesAreNeverLargerThanAllowed() throws {
        let pager = RawScanPager(
            range: .everything, limit: nil, isReversed: false, pageSize: 1_000_000, lastProbe: self.probe)
        #expect(pager.page(from: try self.region([], [])).limit == 10_240)
    }
}
