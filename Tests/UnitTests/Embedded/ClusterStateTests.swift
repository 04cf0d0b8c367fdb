// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKVEmbedded

@Suite struct ClusterStateTests {
    private func cluster(
        stores: Int = 3, replicas: Int = 3, splitKeys: [String] = []
    ) -> ClusterState {
        ClusterState(storeCount: stores, replicaCount: replicas, splitKeys: splitKeys.map { Array($0.utf8) })
    }

    private func key(_ text: String) -> [UInt8] { Array(text.utf8) }

    // MARK: - Start

    @Test func startsWithOneRegionOverEverything() throws {
        let cluster = self.cluster()
        #expect(cluster.storeIDs == [1, 2, 3])
        let region = try #require(cluster.regions.first)
        #expect(cluster.regionCount == 1 && region.startKey.isEmpty && region.endKey.isEmpty)
        #expect(region.peers.map(\.storeID) == [1, 2, 3])
        #expect(Set(region.peers.map(\.id)).count == 3)
        #expect(region.epoch == RegionEpoch(confVer: 3, version: 1))
        #expect(region.leader?.storeID == 1)
    }

    @Test func splitKeysOfTheConfigurationMakeRegionsWithLeadersInTurn() {
        let cluster = self.cluster(splitKeys: ["m", "c", "m", ""])
        #expect(cluster.regions.map(\.startKey) == [[], self.key("c"), self.key("m")])
        #expect(cluster.regions.map(\.leaderStoreID) == [1, 2, 3])
    }

    @Test func takesNoMorePeersThanStoresAndNoFewerThanOne() {
        #expect(self.cluster(stores: 2).regions[0].peers.count == 2)
        #expect(self.cluster(stores: 5).regions[0].peers.count == 3)
        #expect(self.cluster(stores: 0, replicas: 0).regions[0].peers.count == 1)
    }

    // MARK: - Looking up

    @Test func findsRegionsByKeyAndTheOneBefore() {
        let cluster = self.cluster(splitKeys: ["c", "m"])
        #expect(cluster.region(containing: [])?.endKey == self.key("c"))
        #expect(cluster.region(containing: self.key("bzz"))?.startKey == [])
        #expect(cluster.region(containing: self.key("c"))?.startKey == self.key("c"))
        #expect(cluster.region(containing: [0xFF])?.startKey == self.key("m"))
        #expect(cluster.region(before: self.key("b")) == nil)
        #expect(cluster.region(before: self.key("c"))?.startKey == [])
        #expect(cluster.region(before: self.key("z"))?.startKey == self.key("c"))
    }

    @Test func listsRegionsOfARange() {
        let cluster = self.cluster(splitKeys: ["b", "c", "d"])
        func starts(_ start: String, _ end: String?, _ limit: Int = .max) -> [String] {
            cluster.regions(from: self.key(start), to: end.map { self.key($0) }, limit: limit)
                .map { String(decoding: $0.startKey, as: UTF8.self) }
        }
        #expect(starts("", nil) == ["", "b", "c", "d"])
        #expect(starts("bb", "c") == ["b"])
        #expect(starts("bb", "c0") == ["b", "c"])
        #expect(starts("b", "") == ["b", "c", "d"])
        #expect(starts("", nil, 2) == ["", "b"])
        #expect(starts("c", "c") == ["c"])
    }

    // MARK: - Splitting

    @Test func splitKeepsTheIDForTheRightPart() throws {
        var cluster = self.cluster()
        let old = cluster.regions[0]
        let parts = try cluster.split(old.id, at: [self.key("m"), self.key("c"), self.key("c")])
        #expect(parts.map(\.startKey) == [[], self.key("c"), self.key("m")])
        #expect(parts.map(\.endKey) == [self.key("c"), self.key("m"), []])
        #expect(parts[2].id == old.id && parts[2].peers == old.peers)
        #expect(
            parts.allSatisfy { $0.epoch == RegionEpoch(confVer: old.epoch.confVer, version: old.epoch.version + 2) })
        #expect(parts.allSatisfy { $0.leaderStoreID == old.leaderStoreID })
        let ids = parts.map(\.id) + parts.flatMap { $0.peers.map(\.id) }
        #expect(Set(ids).count == ids.count)
        #expect(cluster.regions.map(\.id) == parts.map(\.id))
        #expect(cluster.region(containing: self.key("d"))?.id == parts[1].id)
    }

    @Test func splitRefusesWhatCannotBeSplit() throws {
        var cluster = self.cluster(splitKeys: ["m"])
        let right = cluster.regions[1]
        #expect(throws: ClusterStateError.unknownRegion(99)) { try cluster.split(99, at: [[1]]) }
        #expect(throws: ClusterStateError.keyOutsideRegion(region: right.id)) {
            try cluster.split(right.id, at: [self.key("a")])
        }
        #expect(throws: ClusterStateError.noSplitKey(region: right.id)) {
            try cluster.split(right.id, at: [self.key("m")])
        }
        #expect(throws: ClusterStateError.noSplitKey(region: right.id)) { try cluster.split(right.id, at: []) }
        #expect(cluster.regions.map(\.epoch) == [right.epoch, right.epoch])
    }

    // MARK: - Merging

    @Test(arguments: [true, false]) func mergeGoesBothWays(leftIntoRight: Bool) throws {
        var cluster = self.cluster(splitKeys: ["c", "m"])
        let regions = cluster.regions
        let (source, target) = leftIntoRight ? (regions[0], regions[1]) : (regions[1], regions[0])
        let merged = try cluster.merge(source.id, into: target.id)
        #expect(merged.id == target.id && merged.startKey == [] && merged.endKey == self.key("m"))
        #expect(merged.epoch.version == target.epoch.version + 2)
        #expect(merged.epoch.confVer == target.epoch.confVer && merged.leaderStoreID == target.leaderStoreID)
        #expect(cluster.region(source.id) == nil && cluster.regionCount == 2)
        #expect(cluster.region(containing: [])?.id == target.id)
        #expect(cluster.region(containing: self.key("d"))?.id == target.id)
    }

    @Test func mergeRaisesTheVersionAboveBoth() throws {
        var cluster = self.cluster(splitKeys: ["c"])
        let (left, right) = (cluster.regions[0], cluster.regions[1])
        try cluster.split(left.id, at: [self.key("a"), self.key("b")])
        let newLeft = try #require(cluster.region(before: self.key("c")))
        let merged = try cluster.merge(newLeft.id, into: right.id)
        #expect(merged.epoch.version == newLeft.epoch.version + 2)
    }

    @Test func mergeRefusesStrangers() throws {
        var cluster = self.cluster(stores: 4, splitKeys: ["c", "m"])
        let ids = cluster.regions.map(\.id)
        #expect(throws: ClusterStateError.notNeighbours(ids[0], ids[2])) { try cluster.merge(ids[0], into: ids[2]) }
        #expect(throws: ClusterStateError.notNeighbours(ids[0], ids[0])) { try cluster.merge(ids[0], into: ids[0]) }
        #expect(throws: ClusterStateError.unknownRegion(77)) { try cluster.merge(77, into: ids[0]) }
        try cluster.addPeer(of: ids[0], on: 4)
        #expect(throws: ClusterStateError.peersDiffer(ids[0], ids[1])) { try cluster.merge(ids[0], into: ids[1]) }
        #expect(cluster.regions.map(\.id) == ids)
    }

    // MARK: - Leaders and stores

    @Test func leaderMovesWithoutTouchingTheEpoch() throws {
        var cluster = self.cluster(stores: 4)
        let region = cluster.regions[0]
        try cluster.transferLeader(of: region.id, to: 3)
        #expect(cluster.regions[0].leader == region.peer(on: 3) && cluster.regions[0].epoch == region.epoch)
        #expect(throws: ClusterStateError.noPeer(region: region.id, store: 4)) {
            try cluster.transferLeader(of: region.id, to: 4)
        }
        #expect(throws: ClusterStateError.unknownStore(9)) { try cluster.transferLeader(of: region.id, to: 9) }
        try cluster.stopStore(2, electing: true)
        #expect(throws: ClusterStateError.storeStopped(2)) { try cluster.transferLeader(of: region.id, to: 2) }
    }

    @Test func stoppedStoresLoseTheirLeadersToTheOthers() throws {
        var cluster = self.cluster(splitKeys: ["c", "m"])
        try cluster.stopStore(1, electing: true)
        #expect(cluster.regions.allSatisfy { [2, 3].contains($0.leaderStoreID) })
        #expect(cluster.regions[1].leaderStoreID == 2 && cluster.regions[2].leaderStoreID == 3)
        // One of three peers is no majority.
        try cluster.stopStore(2, electing: true)
        #expect(cluster.regions.allSatisfy { $0.leaderStoreID == nil })
        try cluster.startStore(1)
        #expect(cluster.regions.allSatisfy { [1, 3].contains($0.leaderStoreID) })
        #expect(throws: ClusterStateError.storeRunning(1)) { try cluster.startStore(1) }
        #expect(throws: ClusterStateError.storeStopped(2)) { try cluster.stopStore(2, electing: true) }
    }

    @Test func withoutElectionTheLeaderStaysAway() throws {
        var cluster = self.cluster()
        try cluster.stopStore(1, electing: false)
        #expect(cluster.regions[0].leaderStoreID == 1)
        try cluster.startStore(1)
        #expect(cluster.regions[0].leaderStoreID == 1)
    }

    @Test func peersComeAndGo() throws {
        var cluster = self.cluster(stores: 3, replicas: 1)
        let region = cluster.regions[0]
        #expect(throws: ClusterStateError.lastPeer(region: region.id)) {
            try cluster.removePeer(of: region.id, on: 1)
        }
        try cluster.addPeer(of: region.id, on: 2)
        #expect(cluster.regions[0].epoch == RegionEpoch(confVer: 2, version: 1))
        #expect(throws: ClusterStateError.peerExists(region: region.id, store: 2)) {
            try cluster.addPeer(of: region.id, on: 2)
        }
        #expect(throws: ClusterStateError.leaderOfRegion(region: region.id, store: 1)) {
            try cluster.removePeer(of: region.id, on: 1)
        }
        try cluster.transferLeader(of: region.id, to: 2)
        try cluster.removePeer(of: region.id, on: 1)
        #expect(cluster.regions[0].peers.map(\.storeID) == [2] && cluster.regions[0].epoch.confVer == 3)
    }

    // MARK: - Any changes

    @Test(arguments: 0..<8) func regionsCoverAllKeysWhateverHappens(seed: UInt64) {
        var random = SplitMix(seed: seed)
        var cluster = self.cluster()
        var versions: [UInt64: UInt64] = [:]
        for _ in 0..<400 {
            let regions = cluster.regions
            let region = regions[Int.random(in: 0..<regions.count, using: &random)]
            let key = (0..<2).map { _ in UInt8.random(in: 0...255, using: &random) }
            switch Int.random(in: 0..<5, using: &random) {
            case 0...2:
                _ = try? cluster.split(cluster.region(containing: key)?.id ?? 0, at: [key])
            case 3:
                let next = cluster.region(containing: region.endKey)
                _ = try? cluster.merge(region.id, into: next?.id ?? 0)
            default:
                try? cluster.transferLeader(of: region.id, to: .random(in: 1...3, using: &random))
            }
            let now = cluster.regions
            #expect(now.first?.startKey == [] && now.last?.endKey == [])
            #expect(zip(now, now.dropFirst()).allSatisfy { $0.endKey == $1.startKey && !$0.endKey.isEmpty })
            #expect(now.allSatisfy { $0.epoch.version >= versions[$0.id] ?? 0 })
            for region in now { versions[region.id] = region.epoch.version }
            #expect(cluster.region(containing: key)?.contains(key) == true)
        }
        #expect(versions.count > 20)
    }
}
