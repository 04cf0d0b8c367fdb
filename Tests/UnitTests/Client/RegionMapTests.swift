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
                .sample(id, start, end, epoch: RegionEpoch(confVer: confVer, version: version)), now: .now,
                timeToLive: .seconds(600)))
    }

    private func map(_ regions: CachedRegion...) -> RegionMap {
        var map = RegionMap()
        for region in regions { #expect(insert(region, into: &map) == .inserted) }
        return map
    }

    private func insert(_ region: CachedRegion, into map: inout RegionMap) -> RegionMap.Insertion { map.insert(region) }

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

    @Test func replacingNeedsTheOneThatIsThere() throws {
        let old = try self.region(1, "a", "b")
        let other = try self.region(1, "a", "b")
        var map = self.map(old)
        var isReplaced = map.replace(other, with: other)
        #expect(!isReplaced)
        isReplaced = map.replace(old, with: other)
        #expect(isReplaced)
        #expect(map.snapshot.region(containing: Array("a".utf8)) === other)
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
            let region = try #require(CachedRegion(description, now: .now, timeToLive: .seconds(1)))
            if map.insert(region) == .inserted {
                #expect(version >= newest[id] ?? 0 || map.region(id: id) === region)
                newest[id] = version
                #expect(map.snapshot.region(containing: [bounds[0]]) === region)
            }
            var previous: CachedRegion?
            for (start, known) in map.snapshot.regions.ascending() {
                #expect(start == known.startKey)
                #expect(map.region(id: known.id) === known)
                if let previous { #expect(!KeyOrder.isLess(start, previous.endKey)) }
                previous = known
            }
            #expect(map.snapshot.regions.count == map.count)
        }
    }
}
