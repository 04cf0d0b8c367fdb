// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVProto

@testable import TiKVEmbedded

@Suite struct RequestCheckTests {
    private let cluster = ClusterState(storeCount: 3, replicaCount: 3, splitKeys: [Array("m".utf8)])

    private func target(of region: RegionState, on storeID: UInt64) -> RequestTarget {
        RequestTarget(
            regionID: region.id, peerID: region.peer(on: storeID)?.id ?? 0, storeID: storeID, epoch: region.epoch)
    }

    /// The error of a request, as the client gets it.
    private func error(_ target: RequestTarget, on storeID: UInt64, in cluster: ClusterState) -> Errorpb_Error? {
        do throws(RegionError) {
            _ = try cluster.check(target, on: storeID)
            return nil
        } catch {
            return error.proto
        }
    }

    @Test func rightRequestPasses() throws {
        let region = self.cluster.regions[0]
        #expect(try self.cluster.check(self.target(of: region, on: 1), on: 1).id == region.id)
    }

    /// A request with everything wrong gets the errors in TiKV's order as one after the other is put right.
    @Test func checksAreMadeInOrder() throws {
        var cluster = self.cluster
        let region = cluster.regions[0]
        var target = RequestTarget(regionID: 99, peerID: 0, storeID: 7, epoch: nil)
        let store = try #require(self.error(target, on: 2, in: cluster))
        #expect(store.hasStoreNotMatch)
        #expect(store.storeNotMatch.requestStoreID == 7 && store.storeNotMatch.actualStoreID == 2)
        #expect(store.message == "to store id 7, mine 2")

        target.storeID = 2
        let missing = try #require(self.error(target, on: 2, in: cluster))
        #expect(missing.hasRegionNotFound && missing.regionNotFound.regionID == 99)

        target.regionID = region.id
        let peer = try #require(self.error(target, on: 2, in: cluster))
        #expect(peer.hasMismatchPeerID && peer.mismatchPeerID.storePeerID == region.peer(on: 2)?.id)

        target.peerID = try #require(region.peer(on: 2)?.id)
        let leader = try #require(self.error(target, on: 2, in: cluster))
        #expect(leader.hasNotLeader && leader.notLeader.regionID == region.id)
        #expect(leader.notLeader.leader.storeID == 1 && leader.notLeader.leader.id == region.leader?.id)

        try cluster.transferLeader(of: region.id, to: 2)
        let epoch = try #require(self.error(target, on: 2, in: cluster))
        #expect(epoch.message == "missing epoch!" && !epoch.hasEpochNotMatch)

        target.epoch = RegionEpoch(confVer: 0, version: region.epoch.version)
        #expect(self.error(target, on: 2, in: cluster) == nil, "the configuration's version does not count")
    }

    @Test func regionWithoutPeerOnTheStoreIsNotFound() throws {
        var cluster = self.cluster
        let region = cluster.regions[0]
        let target = self.target(of: region, on: 3)
        try cluster.removePeer(of: region.id, on: 3)
        #expect(self.error(target, on: 3, in: cluster)?.hasRegionNotFound == true)
    }

    @Test func withoutLeaderThereIsNoHint() throws {
        var cluster = self.cluster
        try cluster.stopStore(1, electing: true)
        try cluster.stopStore(2, electing: true)
        let error = try #require(self.error(self.target(of: cluster.regions[0], on: 3), on: 3, in: cluster))
        #expect(error.hasNotLeader && !error.notLeader.hasLeader)
    }

    @Test func epochErrorNamesTheSiblings() throws {
        var cluster = self.cluster
        let old = cluster.regions[1]
        let target = self.target(of: old, on: try #require(old.leaderStoreID))
        try cluster.split(old.id, at: ["p", "s", "v"].map { Array($0.utf8) })
        let error = try #require(self.error(target, on: target.storeID, in: cluster))
        #expect(error.hasEpochNotMatch)
        #expect(
            error.epochNotMatch.currentRegions.map { String(decoding: $0.startKey, as: UTF8.self) } == [
                "v", "s", "p", "m",
            ])
        #expect(error.epochNotMatch.currentRegions[0].id == old.id)
        #expect(error.epochNotMatch.currentRegions[0].regionEpoch.version == old.epoch.version + 3)
        #expect(
            error.message
                == "EpochNotMatch current epoch of region \(old.id) is conf_ver: 3 version: 5, but you sent conf_ver: 3 version: 2"
        )
    }

    @Test func epochErrorNamesTenSiblingsAtMost() throws {
        var cluster = self.cluster
        let old = cluster.regions[1]
        let target = self.target(of: old, on: try #require(old.leaderStoreID))
        try cluster.split(old.id, at: (0..<30).map { Array("n".utf8) + [$0] })
        let error = try #require(self.error(target, on: target.storeID, in: cluster))
        #expect(error.epochNotMatch.currentRegions.count == 11)
    }

    @Test func epochFromTheFutureGetsTheRegionAlone() throws {
        var target = self.target(of: self.cluster.regions[0], on: 1)
        target.epoch?.version += 1
        let error = try #require(self.error(target, on: 1, in: self.cluster))
        #expect(error.epochNotMatch.currentRegions.map(\.id) == [self.cluster.regions[0].id])
    }
}
