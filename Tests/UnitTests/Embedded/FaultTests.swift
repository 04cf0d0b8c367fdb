// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVProto

@testable import TiKVEmbedded

@Suite struct FaultTests {
    private typealias Scope = EmbeddedCluster.FaultScope

    private func name(_ fault: EmbeddedCluster.Fault?) -> String? {
        if case .status(_, let message) = fault?.kind { message } else { nil }
    }

    private func fault(_ name: String) -> EmbeddedCluster.Fault { .status(code: 14, message: name) }

    @Test func faultsHappenToWhatTheirScopeMatchesAsOftenAsTheySay() {
        var plan = FaultPlan()
        _ = plan.add(self.fault("get"), scope: Scope(rpc: "RawGet", regionID: 7), times: 2)
        _ = plan.add(self.fault("store"), scope: Scope(server: .store(2)), times: nil)
        func take(_ rpc: String, _ store: UInt64, _ region: UInt64?) -> String? {
            self.name(plan.take(rpc: rpc, server: .store(store), regionID: region))
        }
        #expect(take("RawGet", 1, 8) == nil)
        #expect(take("RawPut", 1, 7) == nil)
        #expect(take("RawGet", 1, nil) == nil)
        #expect(take("RawGet", 2, 7) == "get")
        #expect(take("RawGet", 1, 7) == "get")
        #expect(take("RawGet", 1, 7) == nil)
        #expect(take("RawGet", 2, 7) == "store" && take("RawPut", 2, 9) == "store")
        #expect(self.name(plan.take(rpc: "Tso", server: .placementDriver, regionID: nil)) == nil)
    }

    @Test func faultsCanBeTakenBack() {
        var plan = FaultPlan()
        let one = plan.add(self.fault("one"), scope: Scope(), times: 3)
        let endless = plan.add(self.fault("endless"), scope: Scope(), times: nil)
        let never = plan.add(self.fault("never"), scope: Scope(), times: 0)
        #expect(self.name(plan.take(rpc: "Tso", server: .placementDriver, regionID: nil)) == "one")
        #expect(plan.remove(one) == 2 && plan.remove(one) == nil && plan.remove(never) == nil)
        #expect(self.name(plan.take(rpc: "Tso", server: .placementDriver, regionID: nil)) == "endless")
        #expect(plan.remove(endless) == nil && plan.isEmpty)
        _ = plan.add(self.fault("one"), scope: Scope(), times: 1)
        plan.removeAll()
        #expect(plan.isEmpty)
    }

    @Test func pdHasNoRegionErrors() {
        var plan = FaultPlan()
        _ = plan.add(.regionError(.staleCommand), scope: Scope(), times: 1)
        #expect(plan.take(rpc: "GetRegion", server: .placementDriver, regionID: nil) == nil)
        #expect(plan.take(rpc: "RawGet", server: .store(1), regionID: 1)?.isRegionError == true)
    }

    @Test func injectedRegionErrorsAreFilledIn() throws {
        let cluster = ClusterState(storeCount: 2, replicaCount: 2, splitKeys: [])
        let region = cluster.regions[0]
        let target = RequestTarget(regionID: region.id, peerID: region.peers[0].id, storeID: 1, epoch: region.epoch)
        func proto(_ kind: EmbeddedCluster.RegionErrorKind) -> RegionError {
            kind.error(for: region, target: target, on: 1)
        }
        #expect(proto(.notLeader).proto.notLeader.leader.storeID == 1)
        #expect(!proto(.notLeaderWithoutHint).proto.notLeader.hasLeader)
        #expect(proto(.notLeader(hint: 2)).proto.notLeader.leader.id == region.peers[1].id)
        #expect(proto(.epochNotMatch).proto.epochNotMatch.currentRegions.map(\.id) == [region.id])
        let empty = proto(.epochNotMatchWithoutRegions).proto
        #expect(empty.hasEpochNotMatch && empty.epochNotMatch.currentRegions.isEmpty)
        let busy = proto(.serverIsBusy(reason: "r", backoffMilliseconds: 7, estimatedWaitMilliseconds: 9)).proto
        #expect(busy.serverIsBusy.reason == "r" && busy.serverIsBusy.backoffMs == 7)
        #expect(busy.serverIsBusy.estimatedWaitMs == 9)
        #expect(proto(.dataIsNotReady(safeTS: 4)).proto.dataIsNotReady.safeTs == 4)
        #expect(proto(.bucketVersionNotMatch(version: 3, keys: [[1]])).proto.bucketVersionNotMatch.version == 3)
        #expect(proto(.flashbackInProgress(startTS: 6)).proto.flashbackInProgress.flashbackStartTs == 6)
        #expect(proto(.diskFull).proto.diskFull.storeID == [1])
        #expect(proto(.other("x")).proto.message == "x")
    }

    // MARK: - Waiting

    @Test func counterLetsGoOfThoseWhoWaitedLongEnough() async throws {
        let counter = EventCounter()
        try await counter.wait(for: 0)
        try await withThrowingTaskGroup(of: Int.self) { group in
            for target in 1...3 {
                group.addTask {
                    try await counter.wait(for: target)
                    return target
                }
            }
            for expected in 1...3 {
                counter.add()
                let released = try await group.next()
                #expect(released == expected)
            }
        }
        try await counter.wait(for: 3)
        #expect(counter.count == 3)
    }

    @Test func cancellationEndsTheWait() async {
        let counter = EventCounter()
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    try await counter.wait(for: 1)
                    return false
                } catch {
                    return error is CancellationError
                }
            }
            group.cancelAll()
            #expect(await group.next() == true)
        }
    }

    @Test func countersKnowServersAndRPCs() {
        var counters = RequestCounters()
        counters.count("RawGet", on: .store(1))
        counters.count("RawGet", on: .store(1))
        counters.count("RawGet", on: .store(2))
        counters.count("Tso", on: .placementDriver)
        #expect(counters.count(of: "RawGet", on: .store(1)) == 2)
        #expect(counters.count(of: "RawGet", on: nil) == 3)
        #expect(counters.count(of: "Tso", on: .placementDriver) == 1 && counters.count(of: "Tso", on: .store(1)) == 0)
    }
}
