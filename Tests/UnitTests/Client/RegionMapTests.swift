// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap
import TiKVPD

@testable import TiKV

@Suite struct RegionMapTests {
    private func region(
        _ id: UInt64, _ start: String, _ end: String, version: UInt64 = 1, confVer: UInt64 = 1
    ) throws -> CachedRegion {
        try #require(
            CachedRegion(
                .sample(id, start, end, epoch: RegionEpoch(confVer: confVer, version: version)),
                stores: { StoreRecord(id: $0) }, now: .now, timeToLive: .seconds(600)))
    }

    private func map(_ regions: CachedRegion...) -> RegionMap {
        var map = RegionMap()
        for region in regions { #expect(insert(region, into: &map) == .inserted) }
        return map
    }

    private func insert(_ region: CachedRegion, into map: inout RegionMap) -> RegionMap.Insertion {
        map.insert(region, now: .now)
    }

    private func id(_ map: RegionMap, _ key: String) -> UInt64? {
        map.snapshot.region(containing: Array(key.utf8))?.id
    }

    private func id(_ map: RegionMap, before key: String) -> UInt64? {
        map.snapshot.region(before: Array(key.utf8))?.id
    }

    @Test func findsByKey() throws {
        let map = try self.map(self.region(1, "", "b"), self.region(2, "b", "d"), self.region(3, "f", ""))
        #expect(self.id(map, "") == 1)
        #expect(self.id(map, "a") == 1)
        #expect(self.id(map, "b") == 2)
        #expect(self.id(map, "c") == 2)
        #expect(self.id(map, "d") == nil)
        #expect(self.id(map, "e") == nil)
        #expect(self.id(map, "f") == 3)
        #expect(self.id(map, "z") == 3)
    }

    @Test func findsWhatLiesBeforeAKey() throws {
        let map = try self.map(self.region(1, "", "b"), self.region(2, "b", "d"), self.region(3, "f", ""))
        #expect(self.id(map, before: "a") == 1)
        #expect(self.id(map, before: "b") == 1)
        #expect(self.id(map, before: "b\u{0}") == 2)
        #expect(self.id(map, before: "d") == 2)
        #expect(self.id(map, before: "e") == nil)
        #expect(self.id(map, before: "f") == nil)
        #expect(self.id(map, before: "g") == 3)
        #expect(self.id(map, before: "") == 3)
        let partial = try self.map(self.region(1, "", "b"))
        #expect(self.id(partial, before: "") == nil)
    }

    @Test func aSplitPushesOutWhatItOverlaps() throws {
        var map = try self.map(self.region(1, "", ""))
        #expect(self.insert(try self.region(2, "", "m", version: 2), into: &map) == .inserted)
        // The old one is gone as a whole: it had keys of both.
        #expect(self.id(map, "z") == nil)
        #expect(self.insert(try self.region(1, "m", "", version: 2), into: &map) == .inserted)
        #expect(self.id(map, "a") == 2)
        #expect(self.id(map, "z") == 1)
        #expect(map.count == 2)
    }

    @Test func aMergePushesOutBoth() throws {
        var map = try self.map(self.region(1, "", "m", version: 2), self.region(2, "m", "", version: 3))
        #expect(self.insert(try self.region(2, "", "", version: 4), into: &map) == .inserted)
        #expect(map.count == 1)
        #expect(self.id(map, "a") == 2)
    }

    @Test func theOlderNeverReplacesTheNewer() throws {
        var map = try self.map(self.region(2, "", "m", version: 5), self.region(1, "m", "", version: 5, confVer: 3))
        #expect(self.insert(try self.region(1, "", "", version: 4), into: &map) == .stale)
        #expect(self.insert(try self.region(1, "m", "", version: 5, confVer: 2), into: &map) == .stale)
        #expect(self.insert(try self.region(9, "k", "p", version: 4), into: &map) == .stale)
        #expect(map.count == 2)
        #expect(self.id(map, "a") == 2)
        #expect(self.id(map, "z") == 1)
        // Another range of the same region, before its last split, without a key in common with what is known of it.
        #expect(self.insert(try self.region(1, "q", "r", version: 1), into: &map) == .stale)
    }

    @Test func sameEpochReplacesSinceTheLeaderMayHaveChanged() throws {
        let first = try self.region(1, "", "")
        var map = self.map(first)
        let second = try self.region(1, "", "")
        #expect(self.insert(second, into: &map) == .inserted)
        #expect(map.region(id: 1) === second)
        #expect(self.remove(first, from: &map) == false)
        #expect(self.remove(second, from: &map) == true)
        #expect(self.id(map, "a") == nil)
        #expect(map.count == 0)
    }

    private func remove(_ region: CachedRegion, from map: inout RegionMap) -> Bool { map.remove(region) }

    @Test func aRegionThatMovedLeavesNothingBehind() throws {
        var map = try self.map(self.region(1, "a", "b", version: 1))
        #expect(self.insert(try self.region(1, "x", "z", version: 9), into: &map) == .inserted)
        #expect(self.id(map, "a") == nil)
        #expect(self.id(map, "y") == 1)
        #expect(map.count == 1)
    }

    // MARK: - What goes over to the next one

    @Test func bucketsGoOverUnlessNewerOnesCome() throws {
        let old = try self.region(1, "", "")
        old.update(RegionBuckets(version: 3, keys: [[], [1], []]))
        var map = self.map(old)
        let none = try self.region(1, "", "")
        #expect(self.insert(none, into: &map) == .inserted)
        #expect(none.buckets?.version == 3)
        let older = try self.region(1, "", "")
        older.update(RegionBuckets(version: 2, keys: [[], [2], []]))
        #expect(self.insert(older, into: &map) == .inserted)
        #expect(older.buckets == old.buckets)
        let newer = try self.region(1, "", "")
        newer.update(RegionBuckets(version: 5, keys: [[], [5], []]))
        #expect(self.insert(newer, into: &map) == .inserted)
        #expect(newer.buckets?.version == 5)
    }

    @Test func whereNobodyLedEachNextOneStartsWithAnotherPeer() throws {
        var map = try self.map(self.region(1, "", ""))
        var leaders: [UInt64] = []
        for _ in 0..<4 {
            let current = try #require(map.region(id: 1))
            leaders.append(current.leader.storeID)
            current.invalidate(.noLeader)
            #expect(self.insert(try self.region(1, "", ""), into: &map) == .inserted)
        }
        #expect(leaders == [1, 2, 3, 1])
        // Of any other reason PD's word counts.
        map.region(id: 1)?.invalidate(.exhausted)
        #expect(self.insert(try self.region(1, "", ""), into: &map) == .inserted)
        #expect(map.region(id: 1)?.leader.storeID == 1)
    }

    @Test func oneThatNobodyUsesDoesNotStandInTheWay() throws {
        var map = try self.map(self.region(1, "", "", version: 9))
        let late = try self.region(1, "", "", version: 2)
        #expect(self.insert(late, into: &map) == .stale)
        #expect(self.insertLater(late, into: &map) == .inserted)
    }

    private func insertLater(_ region: CachedRegion, into map: inout RegionMap) -> RegionMap.Insertion {
        map.insert(region, now: .now.advanced(by: .seconds(601)))
    }

    // MARK: - Keeping it small

    private func keys(_ count: Int) -> [String] { (0...count).map { $0 == 0 ? "" : "k\(100_000 + $0)" } }

    private func many(_ count: Int) throws -> RegionMap {
        let keys = self.keys(count)
        var map = RegionMap()
        for number in 0..<count {
            let end = number == count - 1 ? "" : keys[number + 1]
            #expect(self.insert(try self.region(UInt64(number + 1), keys[number], end), into: &map) == .inserted)
        }
        return map
    }

    private func collect(_ count: Int, _ now: ContinuousClock.Instant, _ map: inout RegionMap) -> Int {
        map.collect(count, now: now)
    }

    @Test func deadRegionsAreCollectedAFewAtATimeAndAllInTurn() throws {
        var map = try self.many(120)
        let later = ContinuousClock.now.advanced(by: .seconds(700))
        // In use.
        for id in stride(from: UInt64(1), through: 120, by: 2) {
            #expect(map.region(id: id)?.use(at: ContinuousClock.now.advanced(by: .seconds(300))) == true)
        }
        #expect(self.collect(50, later, &map) == 25)
        #expect(map.count == 95)
        #expect(self.collect(50, later, &map) == 25)
        #expect(self.collect(50, later, &map) == 10)
        #expect(map.count == 60)
        #expect(self.collect(50, later, &map) == 0)
        map.region(id: 1)?.invalidate(.refused)
        #expect(self.collect(1000, later, &map) + self.collect(1000, later, &map) == 1)
        #expect(Array(map.snapshot.regions.ascending()).count == map.count)
    }

    @Test func whatIsTooMuchIsDroppedTheUnusedFirst() throws {
        var map = try self.many(100)
        for id in stride(from: UInt64(1), through: 100, by: 2) {
            _ = map.region(id: id)?.use(at: ContinuousClock.now.advanced(by: .seconds(300)))
        }
        self.shrink(&map, to: 60)
        #expect(map.count == 60)
        #expect((1...100).filter { $0 % 2 == 1 }.allSatisfy { map.region(id: $0) != nil })
        #expect(Array(map.snapshot.regions.ascending()).count == 60)
    }

    private func shrink(_ map: inout RegionMap, to limit: Int) { map.shrink(to: limit, now: .now) }

    // MARK: - Runs

    @Test func aRunEndsAtAGap() throws {
        let map = try self.map(
            self.region(1, "", "b"), self.region(2, "b", "d"), self.region(3, "f", "h"), self.region(4, "h", ""))
        func run(_ start: String, _ end: String, _ limit: Int = .max) -> [UInt64] {
            map.snapshot.run(from: Array(start.utf8), to: Array(end.utf8), limit: limit, now: .now).map(\.id)
        }
        #expect(run("", "") == [1, 2])
        #expect(run("a", "b") == [1])
        #expect(run("a", "c") == [1, 2])
        #expect(run("f", "") == [3, 4])
        #expect(run("g", "", 1) == [3])
        // It does not pass over a hole at its start.
        #expect(run("e", "").isEmpty)
        map.region(id: 2)?.invalidate(.refused)
        #expect(run("", "") == [1])
    }

    /// Random changes of a model cluster, told to the map in random order: what the map says is never a mixture.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func randomChangesKeepTheMapInOrder(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var map = RegionMap()
        var newest: [UInt64: UInt64] = [:]
        for step in 0..<300 {
            let bounds = [UInt8.random(in: 0...50, using: &random), UInt8.random(in: 0...50, using: &random)].sorted()
            guard bounds[0] < bounds[1] else { continue }
            let id = UInt64.random(in: 1...12, using: &random)
            let version = UInt64.random(in: 0...UInt64(step / 20 + 1), using: &random)
            let description = RegionDescription(
                id: id, startKey: [bounds[0]], endKey: [bounds[1]], epoch: RegionEpoch(confVer: 1, version: version),
                peers: [PeerDescription(id: id, storeID: 1)])
            let region = try #require(
                CachedRegion(
                    description, stores: { StoreRecord(id: $0) }, now: .now, timeToLive: .seconds(600)))
            if map.insert(region, now: .now) == .inserted {
                #expect(version >= newest[id] ?? 0 || map.region(id: id) === region)
                newest[id] = version
                #expect(map.snapshot.region(containing: [bounds[0]]) === region)
            }
            var previous: CachedRegion?
            for known in map.snapshot.regions.ascending() {
                #expect(map.region(id: known.id) === known)
                if let previous { #expect(!KeyOrder.isLess(known.startKey, previous.endKey)) }
                previous = known
            }
            #expect(Array(map.snapshot.regions.ascending()).count == map.count)
        }
    }
}
