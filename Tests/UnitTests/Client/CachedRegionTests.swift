// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD
import TiKVProto

@testable import TiKV

@Suite struct CachedRegionTests {
    private let now = ContinuousClock.now

    private func region(_ description: RegionDescription) -> CachedRegion? {
        CachedRegion(description, stores: { StoreRecord(id: $0) }, now: self.now, timeToLive: .seconds(10))
    }

    @Test func everyUseExtendsItsLife() throws {
        let region = try #require(self.region(.sample(1)))
        #expect(region.use(at: self.now.advanced(by: .seconds(9))))
        #expect(region.use(at: self.now.advanced(by: .seconds(18))))
        #expect(!region.use(at: self.now.advanced(by: .seconds(29))))
    }

    @Test func unusedItExpires() throws {
        let region = try #require(self.region(.sample(1)))
        #expect(!region.use(at: self.now.advanced(by: .seconds(11))))
    }

    @Test func theContextNamesRegionEpochAndPeer() throws {
        let region = try #require(
            self.region(.sample(4, epoch: RegionEpoch(confVer: 5, version: 6), leader: 2)))
        let context = region.context(for: region.leaderIndex)
        #expect(context.regionID == 4)
        #expect(context.regionEpoch.confVer == 5)
        #expect(context.regionEpoch.version == 6)
        #expect(context.peer.id == 42)
        #expect(context.peer.storeID == 2)
        #expect(region.context(for: 2).peer.storeID == 3)
    }

    @Test func withoutAKnownLeaderAPeerThatMayLeadIsGuessedAndSaidToBe() throws {
        var description = RegionDescription.sample(1, leader: nil)
        description.peers[0].role = .learner
        #expect(self.region(description)?.leader.storeID == 2)
        #expect(self.region(description)?.isLeaderGuessed == true)
        #expect(self.region(.sample(1))?.isLeaderGuessed == false)
        description.downPeers = [description.peers[1]]
        #expect(self.region(description)?.leader.storeID == 3)
        // Who answered is likelier than anybody.
        let likely = CachedRegion(
            .sample(1, leader: nil), leaderOn: 3, stores: { StoreRecord(id: $0) }, now: self.now,
            timeToLive: .seconds(10))
        #expect(likely?.leader.storeID == 3)
        #expect(likely?.isLeaderGuessed == false)
    }

    @Test func whoCannotBeAskedIsLeftOut() throws {
        var description = RegionDescription.sample(1)
        description.downPeers = [description.peers[1]]
        #expect(self.region(description)?.replicas.map(\.peer.storeID) == [1, 3])
        description.peers[2].isWitness = true
        #expect(self.region(description)?.replicas.map(\.peer.storeID) == [1])
        // A witness that leads is asked, for what it has to say.
        description.leader = description.peers[2]
        #expect(self.region(description)?.replicas.map(\.peer.storeID) == [1, 3])
        let stores = [1, 2, 3].map { StoreRecord(id: $0) }
        stores[0].gone(isTombstone: true)
        stores[2].gone(isTombstone: false)
        let region = CachedRegion(
            .sample(1), stores: { stores[Int($0) - 1] }, now: self.now, timeToLive: .seconds(10))
        // What PD did not know it may know by now.
        #expect(region?.replicas.map(\.peer.storeID) == [2, 3])
        for store in stores { store.gone(isTombstone: true) }
        #expect(
            CachedRegion(.sample(1), stores: { stores[Int($0) - 1] }, now: self.now, timeToLive: .seconds(10)) == nil)
    }

    @Test func oneWithADownPeerExpiresHoweverOftenItIsUsed() throws {
        var description = RegionDescription.sample(1)
        description.downPeers = [description.peers[1]]
        let region = try #require(self.region(description))
        #expect(region.use(at: self.now.advanced(by: .seconds(9))))
        #expect(!region.use(at: self.now.advanced(by: .seconds(11))))
    }

    @Test func oneWithAFailedOrDeadStoreExpiresHoweverOftenItIsUsed() throws {
        for kill in [false, true] {
            let region = try #require(self.region(.sample(1)))
            #expect(region.use(at: self.now.advanced(by: .seconds(9))))
            region.review(at: self.now)
            #expect(region.use(at: self.now.advanced(by: .seconds(10))))
            let store = region.replicas[1].store
            if kill { store.liveness = .unreachable } else { store.fail(at: 0) }
            region.review(at: self.now)
            #expect(region.use(at: self.now.advanced(by: .seconds(19))))
            #expect(!region.use(at: self.now.advanced(by: .seconds(20))))
        }
    }

    @Test func aReloadThatCanWaitWaitsForTheNextReview() throws {
        let region = try #require(self.region(.sample(1)))
        region.reloadLater()
        #expect(!region.needsReload)
        region.review(at: self.now)
        #expect(region.needsReload)
        #expect(region.use(at: self.now))
    }

    @Test func aReloadInVainIsNotTriedAgainForAWhile() throws {
        let region = try #require(self.region(.sample(1)))
        region.reloadOnAccess()
        region.postponeReload(at: self.now.advanced(by: .seconds(5)))
        #expect(!region.needsReload && region.isToBeReloaded)
        region.review(at: self.now.advanced(by: .seconds(14)))
        #expect(!region.needsReload)
        region.review(at: self.now.advanced(by: .seconds(15)))
        #expect(region.needsReload)
    }

    @Test func theFirstReasonNotToBelieveItStays() throws {
        let region = try #require(self.region(.sample(1)))
        #expect(region.invalidation == nil)
        #expect(region.invalidate(.noLeader))
        #expect(!region.invalidate(.exhausted))
        #expect(region.invalidation == .noLeader)
        #expect(!region.use(at: self.now))
    }

    @Test func theLeaderChangesInPlace() throws {
        let region = try #require(self.region(.sample(1)))
        #expect(region.context(for: region.leaderIndex).peer.storeID == 1)
        region.switchLeader(to: 2)
        #expect(region.leader.storeID == 3)
        #expect(region.context(for: region.leaderIndex).peer.storeID == 3)
        // What is out of bounds is not followed.
        region.switchLeader(to: 9)
        #expect(region.leader.storeID == 3)
    }

    @Test func aStoreThatFailsTakesAllItsRegionsWithIt() throws {
        let stores = [1, 2, 3].map { StoreRecord(id: $0) }
        let regions = [UInt64(1), 2].compactMap {
            CachedRegion(.sample($0), stores: { stores[Int($0) - 1] }, now: self.now, timeToLive: .seconds(10))
        }
        #expect(stores[0].fail(at: regions[0].replicas[0].epoch))
        #expect(regions.allSatisfy { $0.replicas[0].isEpochStale && !$0.replicas[1].isEpochStale })
        // The same failure, seen through the other region, is no news.
        #expect(!stores[0].fail(at: regions[1].replicas[0].epoch))
        #expect(stores[0].handle(at: 0) == nil)
    }
}
