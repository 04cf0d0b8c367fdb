// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import Testing
import TiKVEmbedded
import TiKVProto
import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Injected faults, as a client meets them.
@Suite struct EmbeddedFaultTests {
    @Test func everyRegionErrorReachesTheClient() async throws {
        let kinds: [(EmbeddedCluster.RegionErrorKind, @Sendable (Errorpb_Error) -> Bool)] = [
            (.notLeader, { $0.notLeader.hasLeader }),
            (.notLeaderWithoutHint, { $0.hasNotLeader && !$0.notLeader.hasLeader }),
            (.notLeader(hint: 2), { $0.notLeader.leader.storeID == 2 }),
            (.epochNotMatch, { $0.epochNotMatch.currentRegions.count == 1 }),
            (.epochNotMatchWithoutRegions, { $0.hasEpochNotMatch && $0.epochNotMatch.currentRegions.isEmpty }),
            (.regionNotFound, { $0.hasRegionNotFound }),
            (.keyNotInRegion, { $0.hasKeyNotInRegion }),
            (.storeNotMatch, { $0.hasStoreNotMatch }),
            (.mismatchPeerID, { $0.hasMismatchPeerID }),
            (.regionNotInitialized, { $0.hasRegionNotInitialized }),
            (.isWitness, { $0.hasIsWitness }),
            (.serverIsBusy(backoffMilliseconds: 5), { $0.serverIsBusy.backoffMs == 5 }),
            (.staleCommand, { $0.hasStaleCommand }),
            (.maxTimestampNotSynced, { $0.hasMaxTimestampNotSynced }),
            (.readIndexNotReady, { $0.hasReadIndexNotReady }),
            (.proposalInMergingMode, { $0.hasProposalInMergingMode }),
            (.dataIsNotReady(safeTS: 3), { $0.dataIsNotReady.safeTs == 3 }),
            (.recoveryInProgress, { $0.hasRecoveryInProgress }),
            (.bucketVersionNotMatch(version: 8, keys: []), { $0.bucketVersionNotMatch.version == 8 }),
            (.raftEntryTooLarge(size: 9), { $0.raftEntryTooLarge.entrySize == 9 }),
            (.diskFull, { $0.hasDiskFull }),
            (.flashbackInProgress(startTS: 4), { $0.flashbackInProgress.flashbackStartTs == 4 }),
            (.flashbackNotPrepared, { $0.hasFlashbackNotPrepared }),
            (.undeterminedResult, { $0.hasUndeterminedResult }),
            (.other("odd"), { $0.message == "odd" }),
        ]
        try await EmbeddedHarness.with { harness in
            let region = try harness.region("k")
            let context = harness.context(region)
            for (index, (kind, isExpected)) in kinds.enumerated() {
                harness.cluster.inject(
                    .regionError(kind),
                    into: .init(rpc: "RawPut", regionID: region.id, server: .store(context.peer.storeID)))
                // Another RPC is left alone.
                #expect(try await harness.get("k", context).hasRegionError == false)
                let error = try await harness.put("k", "v", context).regionError
                #expect(isExpected(error), "\(index): \(error)")
                #expect(try await harness.get("k", context).notFound, "nothing was written")
            }
            #expect(try await harness.put("k", "v", context).hasRegionError == false)
            #expect(harness.cluster.requestCount("RawPut") == kinds.count + 1)
            #expect(harness.cluster.requestCount("RawPut", on: .store(context.peer.storeID)) == kinds.count + 1)
            #expect(harness.cluster.requestCount("RawPut", on: .placementDriver) == 0)
        }
    }

    @Test func heldRequestGoesOnWhenTheGateOpens() async throws {
        try await EmbeddedHarness.with { harness in
            let context = harness.context(try harness.region("k"))
            let gate = EmbeddedCluster.Gate()
            harness.cluster.inject(.hold(gate), into: .init(rpc: "RawGet"))
            try await withThrowingTaskGroup(of: Data.self) { group in
                group.addTask { try await harness.get("k", context).value }
                try await gate.waitForArrivals()
                // The request is looked at after the gate, so it sees this.
                #expect(try await harness.put("k", "late", context).hasRegionError == false)
                gate.open()
                let value = try await group.next()
                #expect(value == Data("late".utf8) && gate.arrivalCount == 1)
            }
        }
    }

    @Test func droppedAnswerWasStillDone() async throws {
        try await EmbeddedHarness.with { harness in
            let context = harness.context(try harness.region("k"))
            // The connection is up, so that the deadline meets the store and not the connect.
            #expect(try await harness.get("k", context).notFound)
            harness.cluster.inject(.dropAnswer, into: .init(rpc: "RawPut"))
            let error = try await self.abandoned {
                _ = try await harness.put("k", "v", context)
            } when: {
                try await harness.get("k", context).value == Data("v".utf8)
            }
            #expect(error?.code == .cancelled && error?.delivery == .unknown)
        }
    }

    @Test func droppedRequestWasNotDone() async throws {
        try await EmbeddedHarness.with { harness in
            let context = harness.context(try harness.region("k"))
            harness.cluster.inject(.dropRequest, into: .init(rpc: "RawPut"))
            let error = try await self.abandoned {
                _ = try await harness.put("k", "v", context)
            } when: {
                // One more request on the same connection gives the server time to have seen the first.
                try await harness.get("k", context).notFound && harness.cluster.requestCount("RawPut") == 1
            }
            #expect(error?.code == .cancelled)
            #expect(try await harness.get("k", context).notFound)
        }
    }

    /// Starts a call, cancels it when something has come true, and says how it ended.
    private func abandoned(
        _ call: @escaping @Sendable () async throws -> Void, when isTrue: () async throws -> Bool
    ) async throws -> RPCError? {
        try await withThrowingTaskGroup(of: RPCError?.self) { group in
            group.addTask {
                do {
                    try await call()
                    return nil
                } catch {
                    return error as? RPCError
                }
            }
            while try await !isTrue() {}
            group.cancelAll()
            return try await group.next() ?? nil
        }
    }

    @Test func cutConnectionBreaksItsCallsAndIsReplaced() async throws {
        try await EmbeddedHarness.with { harness in
            let context = harness.context(try harness.region("k"))
            harness.cluster.inject(.cutConnection, into: .init(rpc: "RawGet"))
            let error = await #expect(throws: RPCError.self) { try await harness.get("k", context) }
            #expect(error?.code == .unavailable && error?.delivery == .unknown)
            #expect(try await harness.get("k", context).notFound)
        }
    }

    @Test func connectionCutAfterwardsLosesTheAnswerAlone() async throws {
        try await EmbeddedHarness.with { harness in
            let context = harness.context(try harness.region("k"))
            let id = harness.cluster.inject(.cutConnectionAfterwards, into: .init(rpc: "RawPut"))
            let error = await #expect(throws: RPCError.self) { try await harness.put("k", "v", context) }
            #expect(error?.code == .unavailable && error?.delivery == .unknown)
            #expect(try await harness.get("k", context).value == Data("v".utf8))
            #expect(harness.cluster.count(of: id) == 1)
        }
    }

    @Test func lateRequestIsDoneAlthoughItsClientGaveUp() async throws {
        try await EmbeddedHarness.with { harness in
            let context = harness.context(try harness.region("k"))
            #expect(try await harness.get("k", context).notFound)
            // Far later than the test can take: what ends the wait is that the client gives up.
            let id = harness.cluster.inject(.delayRequest(.seconds(3_600)), into: .init(rpc: "RawPut"))
            let error = try await self.abandoned {
                _ = try await harness.put("k", "v", context)
            } when: {
                harness.cluster.count(of: id) == 1 ? try await harness.get("k", context).notFound : false
            }
            #expect(error?.code == .cancelled)
            while try await harness.get("k", context).notFound {}
        }
    }

    @Test func lateAnswerIsOfSomethingDoneAtOnce() async throws {
        try await EmbeddedHarness.with { harness in
            let context = harness.context(try harness.region("k"))
            #expect(try await harness.get("k", context).notFound)
            harness.cluster.inject(.delayAnswer(.seconds(3_600)), into: .init(rpc: "RawPut"))
            let error = try await self.abandoned {
                _ = try await harness.put("k", "v", context)
            } when: {
                try await harness.get("k", context).value == Data("v".utf8)
            }
            #expect(error?.code == .cancelled)
            // A short one comes.
            harness.cluster.inject(.delayAnswer(.milliseconds(1)), into: .init(rpc: "RawGet"))
            #expect(try await harness.get("k", context).value == Data("v".utf8))
        }
    }

    @Test func statusFromPDAndStores() async throws {
        try await EmbeddedHarness.with { harness in
            let context = harness.context(try harness.region("k"))
            let endless = harness.cluster.inject(.status(code: 14, message: "not leader"), times: nil)
            for _ in 0..<2 {
                let pd = await #expect(throws: RPCError.self) { try await harness.pdRegion("k") }
                #expect(pd?.code == .unavailable && pd?.message == "not leader" && pd?.delivery == .answered)
                await #expect(throws: RPCError.self) { try await harness.get("k", context) }
            }
            #expect(harness.cluster.remove(endless) == nil)
            #expect(try await harness.pdRegion("k").hasRegion)
        }
    }
}
