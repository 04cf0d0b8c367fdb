// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD
import TiKVProto

@testable import TiKV

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The reaction to each error of `errorpb.Error`, one by one.
@Suite struct RegionErrorReactionTests {
    private let region: CachedRegion

    init() throws {
        self.region = try #require(
            CachedRegion(
                .sample(1, "a", "m", epoch: RegionEpoch(confVer: 2, version: 5)), stores: { StoreRecord(id: $0) },
                now: .now, timeToLive: .seconds(600)))
    }

    private func reaction(_ make: (inout Errorpb_Error) -> Void) -> RegionErrorReaction {
        RegionErrorReaction(self.error(make), region: self.region)
    }

    private func error(_ make: (inout Errorpb_Error) -> Void) -> Errorpb_Error {
        var error = Errorpb_Error()
        make(&error)
        return error
    }

    private func meta(_ id: UInt64, _ start: String, _ end: String, confVer: UInt64, version: UInt64) -> Metapb_Region {
        var region = Metapb_Region()
        region.id = id
        region.startKey.append(contentsOf: start.utf8)
        region.endKey.append(contentsOf: end.utf8)
        region.regionEpoch.confVer = confVer
        region.regionEpoch.version = version
        return region
    }

    @Test func notLeaderWithAKnownLeaderSwitchesAtOnce() {
        let reaction = self.reaction {
            $0.notLeader.leader.id = 12
            $0.notLeader.leader.storeID = 2
        }
        #expect(reaction == .switchLeader(PeerDescription(id: 12, storeID: 2)))
    }

    @Test func notLeaderWithAnUnknownLeaderReloads() {
        let reaction = self.reaction {
            $0.notLeader.leader.id = 99
            $0.notLeader.leader.storeID = 9
        }
        #expect(reaction == .reloadPeers)
        // The same store, another peer: it left and came back.
        let replaced = self.reaction {
            $0.notLeader.leader.id = 99
            $0.notLeader.leader.storeID = 2
        }
        #expect(replaced == .reloadPeers)
    }

    @Test func notLeaderWithoutALeaderLooksForOne() {
        #expect(self.reaction { $0.notLeader.regionID = 1 } == .findLeader)
        #expect(self.reaction { $0.notLeader.leader = Metapb_Peer() } == .findLeader)
    }

    @Test func epochNotMatchInstallsWhatItLists() {
        let left = self.meta(2, "a", "g", confVer: 2, version: 6)
        let right = self.meta(1, "g", "m", confVer: 2, version: 6)
        let reaction = self.reaction { $0.epochNotMatch.currentRegions = [left, right] }
        #expect(reaction == .install([RegionDescription(left), RegionDescription(right)]))
    }

    @Test func epochNotMatchWithoutRegionsReloads() {
        #expect(
            self.reaction { $0.epochNotMatch = Errorpb_EpochNotMatch() } == .reload(.epochNotMatch, .regionMiss))
    }

    @Test func epochNotMatchOfAStoreThatLagsWaits() {
        let older = self.meta(1, "a", "z", confVer: 2, version: 4)
        #expect(self.reaction { $0.epochNotMatch.currentRegions = [older] } == .retry(.regionMiss, hint: nil))
        let olderPeers = self.meta(1, "a", "m", confVer: 1, version: 5)
        #expect(self.reaction { $0.epochNotMatch.currentRegions = [olderPeers] } == .retry(.regionMiss, hint: nil))
    }

    @Test func whatIsWrongAboutTheRegionReloads() {
        #expect(self.reaction { $0.keyNotInRegion.regionID = 1 } == .reload(.refused, .regionMiss))
        #expect(self.reaction { $0.mismatchPeerID.storePeerID = 1 } == .reload(.refused, .regionMiss))
        #expect(self.reaction { $0.recoveryInProgress.regionID = 1 } == .reload(.refused, .recoveryInProgress))
        #expect(self.reaction { $0.isWitness.regionID = 1 } == .reload(.refused, .isWitness))
    }

    @Test func aPeerThatIsGoneIsNotTheRegionsEnd() {
        #expect(self.reaction { $0.regionNotFound.regionID = 1 } == .peerGone)
    }

    @Test func bucketsAreTakenIn() {
        let reaction = self.reaction {
            $0.bucketVersionNotMatch.version = 3
            $0.bucketVersionNotMatch.keys = [Data("a".utf8), Data("m".utf8)]
        }
        #expect(reaction == .buckets(RegionBuckets(version: 3, keys: [Array("a".utf8), Array("m".utf8)])))
    }

    @Test func storeNotMatchReloadsTheStore() {
        #expect(self.reaction { $0.storeNotMatch.actualStoreID = 7 } == .reloadStore)
    }

    @Test func serverIsBusyTellsWhatItKnows() {
        #expect(
            self.reaction { $0.serverIsBusy.reason = "scheduler" }
                == .busy(estimatedWait: nil, hint: nil, isLate: false))
        #expect(
            self.reaction { $0.serverIsBusy.backoffMs = 150 }
                == .busy(estimatedWait: nil, hint: .milliseconds(150), isLate: false))
        #expect(
            self.reaction { $0.serverIsBusy.estimatedWaitMs = 20 }
                == .busy(estimatedWait: .milliseconds(20), hint: nil, isLate: false))
        #expect(
            self.reaction { $0.serverIsBusy.backoffMs = .max }
                == .busy(estimatedWait: nil, hint: .milliseconds(Int64.max), isLate: false))
        #expect(
            self.reaction { $0.serverIsBusy.reason = "deadline is exceeded" }
                == .busy(estimatedWait: nil, hint: nil, isLate: true))
    }

    @Test func theWrongTimeIsWaitedFor() {
        #expect(self.reaction { $0.diskFull.storeID = [1] } == .retry(.diskFull, hint: nil))
        #expect(
            self.reaction { $0.maxTimestampNotSynced = Errorpb_MaxTimestampNotSynced() }
                == .retry(.maxTimestampNotSynced, hint: nil))
        #expect(self.reaction { $0.regionNotInitialized.regionID = 1 } == .retry(.regionNotInitialized, hint: nil))
        #expect(self.reaction { $0.readIndexNotReady.regionID = 1 } == .retry(.regionScheduling, hint: nil))
        #expect(self.reaction { $0.proposalInMergingMode.regionID = 1 } == .retry(.regionScheduling, hint: nil))
    }

    @Test func anotherPeerMayKnowBetter() {
        #expect(self.reaction { $0.staleCommand = Errorpb_StaleCommand() } == .tryNextPeer)
        #expect(self.reaction { $0.dataIsNotReady.regionID = 1 } == .dataNotReady)
        #expect(self.reaction { $0.message = "deadline is exceeded" } == .late)
        #expect(self.reaction { $0.message = "an error of next year" } == .tryNextPeer)
    }

    @Test func whatWillNotChangeFails() {
        func code(_ reaction: RegionErrorReaction) -> TiKVError.Code? {
            if case .fail(let code, _) = reaction { code } else { nil }
        }
        #expect(code(self.reaction { $0.raftEntryTooLarge.entrySize = 9 }) == .entryTooLarge)
        guard case .flashback = self.reaction({ $0.flashbackInProgress.regionID = 1 }) else {
            Issue.record("a region that is set back may be through at its leader")
            return
        }
        #expect(code(self.reaction { $0.flashbackNotPrepared.regionID = 1 }) == .flashbackInProgress)
        #expect(code(self.reaction { $0.message = "invalid max_ts update: 3" }) == .serverError)
    }

    @Test func anUndeterminedResultIsNoRefusal() {
        #expect(self.reaction { $0.undeterminedResult.message = "x" } == .undetermined)
        // Whatever else it says.
        let both = self.reaction {
            $0.undeterminedResult.message = "x"
            $0.notLeader.regionID = 1
        }
        #expect(both == .undetermined)
    }

    @Test func namesAndCodesTellTheErrorsApart() {
        let errors: [Errorpb_Error] = [
            self.error { $0.undeterminedResult.message = "" }, self.error { $0.notLeader.regionID = 0 },
            self.error { $0.epochNotMatch = .init() }, self.error { $0.diskFull = .init() },
            self.error { $0.recoveryInProgress = .init() }, self.error { $0.isWitness = .init() },
            self.error { $0.flashbackInProgress = .init() }, self.error { $0.flashbackNotPrepared = .init() },
            self.error { $0.regionNotFound = .init() }, self.error { $0.keyNotInRegion = .init() },
            self.error { $0.mismatchPeerID = .init() }, self.error { $0.bucketVersionNotMatch = .init() },
            self.error { $0.serverIsBusy = .init() }, self.error { $0.staleCommand = .init() },
            self.error { $0.storeNotMatch = .init() }, self.error { $0.raftEntryTooLarge = .init() },
            self.error { $0.maxTimestampNotSynced = .init() }, self.error { $0.regionNotInitialized = .init() },
            self.error { $0.readIndexNotReady = .init() }, self.error { $0.proposalInMergingMode = .init() },
            self.error { $0.dataIsNotReady = .init() }, self.error { _ in },
        ]
        #expect(Set(errors.map { RegionErrorReaction.name(of: $0) }).count == 22)
        #expect(RegionErrorReaction.code(of: errors[12]) == .serverIsBusy)
        #expect(RegionErrorReaction.code(of: errors[3]) == .diskFull)
        #expect(RegionErrorReaction.code(of: errors[4]) == .recoveryInProgress)
        #expect(RegionErrorReaction.code(of: errors[1]) == .regionUnavailable)
    }
}
