// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD
import TiKVProto

@testable import TiKV

@Suite struct CachedRegionTests {
    private let now = ContinuousClock.now

    private func region(_ description: RegionDescription) -> CachedRegion? {
        CachedRegion(description, now: self.now, timeToLive: .seconds(10))
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
        #expect(region.context.regionID == 4)
        #expect(region.context.regionEpoch.confVer == 5)
        #expect(region.context.regionEpoch.version == 6)
        #expect(region.context.peer.id == 42)
        #expect(region.context.peer.storeID == 2)
    }

    @Test func withoutAKnownLeaderAPeerThatMayLeadIsGuessed() throws {
        var description = RegionDescription.sample(1, leader: nil)
        description.peers[0].role = .learner
        #expect(self.region(description)?.leader.storeID == 2)
        description.downPeers = [description.peers[1]]
        #expect(self.region(description)?.leader.storeID == 3)
        description.peers[2].isWitness = true
        #expect(self.region(description)?.leader.storeID == 2)
        description.peers = [description.peers[0]]
        #expect(self.region(description) == nil)
    }

    @Test func theNextPeerIsOneNotTriedThatMayLead() throws {
        var description = RegionDescription.sample(1)
        let region = try #require(self.region(description))
        #expect(region.nextPeer(excluding: [11])?.storeID == 2)
        #expect(region.nextPeer(excluding: [11, 12])?.storeID == 3)
        #expect(region.nextPeer(excluding: [11, 12, 13]) == nil)
        description.downPeers = [description.peers[1]]
        #expect(self.region(description)?.nextPeer(excluding: [11])?.storeID == 3)
        #expect(self.region(description)?.nextPeer(excluding: [11, 13])?.storeID == 2)
    }
}
