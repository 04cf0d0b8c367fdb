// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// The pipeline: every way a request can go wrong, and how it finds its way all the same.
@Suite(.timeLimit(.minutes(1))) struct RegionRequestSenderTests {
    private typealias Harness = PipelineHarness

    private func code(_ body: () async throws(TiKVError) -> Void) async -> TiKVError? {
        do throws(TiKVError) {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    @Test func aKnownRegionIsAskedOfNobody() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in Harness.value("v") }
        #expect(try await harness.get() == Harness.value("v"))
        #expect(harness.regions.questions == ["region", "store 1"])
        _ = try await harness.get("z")
        #expect(harness.regions.questions.count == 2)
        let request = try #require(harness.requests.last as? Kvrpcpb_RawGetRequest)
        #expect(request.context.regionID == 1)
        #expect(request.context.peer.id == 11)
        #expect(!request.context.isRetryRequest)
    }

    @Test func theNewLeaderIsFollowedAtOnceAndRemembered() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in
            Harness.regionError {
                $0.notLeader.leader.id = 13
                $0.notLeader.leader.storeID = 3
            }
        }
        harness.on("store3") { _ in Harness.value("v") }
        _ = try await harness.get()
        #expect(harness.hosts == ["store1", "store3"])
        #expect(harness.clock.waits.isEmpty)
        let request = try #require(harness.requests.last as? Kvrpcpb_RawGetRequest)
        #expect(request.context.peer.storeID == 3)
        #expect(request.context.isRetryRequest)
        _ = try await harness.get()
        #expect(harness.hosts.last == "store3" && harness.hosts.count == 3)
    }

    @Test func duringAnElectionThePeersAreTriedInTurn() async throws {
        let harness = Harness([.sample(1)])
        for store in ["store1", "store2"] {
            harness.on(store) { _ in Harness.regionError { $0.notLeader.regionID = 1 } }
        }
        harness.on("store3") { _ in Harness.value("v") }
        _ = try await harness.get()
        #expect(harness.hosts == ["store1", "store2", "store3"])
        #expect(harness.clock.waits == [.milliseconds(2), .milliseconds(4)])
    }

    @Test func regionsThatAStoreListsAreUsedWithoutAskingPD() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { request in
            guard let get = request as? Kvrpcpb_RawGetRequest, get.context.regionEpoch.version == 1 else {
                return Harness.value("v")
            }
            return Harness.regionError { error in
                for (id, start, end) in [(2, "", "m"), (1, "m", "")] as [(UInt64, String, String)] {
                    var region = Metapb_Region()
                    region.id = id
                    region.startKey.append(contentsOf: start.utf8)
                    region.endKey.append(contentsOf: end.utf8)
                    region.regionEpoch.confVer = 1
                    region.regionEpoch.version = 2
                    var peer = Metapb_Peer()
                    peer.id = id * 10 + 1
                    peer.storeID = 1
                    region.peers = [peer]
                    error.epochNotMatch.currentRegions.append(region)
                }
            }
        }
        _ = try await harness.get("k")
        _ = try await harness.get("z")
        #expect(harness.regions.questions == ["region", "store 1"])
        let ids = harness.requests.compactMap { ($0 as? Kvrpcpb_RawGetRequest)?.context.regionID }
        #expect(ids == [1, 2, 1])
    }

    @Test func aRegionThatIsGoneIsAskedOfPD() async throws {
        let harness = Harness([.sample(1)])
        harness.on(
            "store1", Harness.sequence([Harness.regionError { $0.regionNotFound.regionID = 1 }, Harness.value("v")]))
        _ = try await harness.get()
        #expect(harness.regions.questions == ["region", "store 1", "region"])
    }

    @Test func whatPDSaysTooLateIsWaitedOut() async throws {
        // The store knows of a split that PD hasn't heard of; PD's answer must not bring the old region back.
        let harness = Harness([.sample(1)])
        harness.on("store1") { request in
            let get = request as? Kvrpcpb_RawGetRequest
            if get?.context.regionEpoch.version == 2 { return Harness.value("v") }
            return Harness.regionError { error in
                var region = Metapb_Region()
                region.id = 1
                region.startKey.append(contentsOf: "m".utf8)
                region.regionEpoch.confVer = 1
                region.regionEpoch.version = 2
                var peer = Metapb_Peer()
                peer.id = 11
                peer.storeID = 1
                region.peers = [peer]
                error.epochNotMatch.currentRegions = [region]
            }
        }
        let error = await self.code { () async throws(TiKVError) in _ = try await harness.get("a", timeout: .seconds(2))
        }
        #expect(error?.code == .regionUnavailable)
        harness.regions.change { $0.regions = [.sample(2, "", "m", epoch: RegionEpoch(confVer: 1, version: 2))] }
        #expect(try await harness.get("a") == Harness.value("v"))
        #expect(try await harness.get("z") == Harness.value("v"))
    }

    @Test func aBusyServerIsWaitedForAsLongAsItAsks() async throws {
        let harness = Harness([.sample(1)])
        harness.on(
            "store1", Harness.sequence([Harness.regionError { $0.serverIsBusy.backoffMs = 70 }, Harness.value("v")]))
        _ = try await harness.get()
        #expect(harness.clock.waits == [.milliseconds(70)])
        #expect(harness.hosts == ["store1", "store1"])
    }

    @Test func aServerThatStaysBusyGivesItsNameToTheError() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in Harness.regionError { $0.serverIsBusy.reason = "x" } }
        let error = await self.code { () async throws(TiKVError) in _ = try await harness.get(timeout: .seconds(8)) }
        #expect(error?.code == .serverIsBusy)
        #expect(error?.message.contains("serverBusy") == true)
        #expect(harness.clock.elapsed <= .seconds(8))
    }

    @Test func aDeadStoreHandsOverToItsPeers() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store2") { _ in Harness.value("v") }
        _ = try await harness.get()
        #expect(harness.hosts == ["store1", "store2"])
        #expect(harness.clock.waits == [.milliseconds(75)])
    }

    @Test func aStoreThatStaysDownIsNamedWithinTheDeadline() async throws {
        let harness = Harness([.sample(1, stores: [1])])
        let error = await self.code { () async throws(TiKVError) in _ = try await harness.get(timeout: .seconds(5)) }
        #expect(error?.code == .storeUnreachable)
        #expect(error?.message.contains("store 1 at store1:20160") == true)
        #expect(error?.message.contains("connection refused") == true)
        #expect(error?.attempts.map(\.address) == ["store1:20160"])
        #expect(error?.isOutcomeUnknown == false)
        #expect(error?.isRetryable == true)
        #expect(harness.clock.elapsed <= .seconds(5))
        // Where it is was asked again, in case it moved.
        #expect(harness.regions.questions.filter { $0 == "store 1" }.count > 1)
    }

    @Test func pdBeingSlowInTheEndDoesNotHideTheStoreThatIsDown() async throws {
        let harness = Harness([.sample(1, stores: [1])])
        let (regions, clock) = (harness.regions, harness.clock)
        harness.on("store1") { _ throws(RPCError) in
            regions.change { $0.failure = PDError(.unreachable, "PD is down") }
            clock.advance(by: .seconds(2))
            throw RPCError(.unavailable, "connection refused", delivery: .notSent)
        }
        // In time, it is PD's failure that ends the call.
        let early = await self.code { () async throws(TiKVError) in _ = try await harness.get(timeout: .seconds(60)) }
        #expect(early?.code == .pdUnreachable)
        regions.change { $0.failure = nil }
        harness.on("store1") { _ throws(RPCError) in
            regions.change { state in
                state.failure = PDError(.unreachable, "PD is down")
                state.onQuestion = { clock.advance(by: .seconds(60)) }
            }
            throw RPCError(.unavailable, "connection refused", delivery: .notSent)
        }
        let late = await self.code { () async throws(TiKVError) in _ = try await harness.get(timeout: .seconds(60)) }
        #expect(late?.code == .storeUnreachable)
        #expect((late?.cause as? TiKVError)?.code == .pdUnreachable)
    }

    @Test func aStoreThatNeverAnswersEndsAtTheDeadline() async throws {
        let harness = Harness([.sample(1)])
        let clock = harness.clock
        harness.on("store1") { _ throws(RPCError) in
            clock.advance(by: .seconds(5))
            throw RPCError(.deadlineExceeded, "", delivery: .unknown)
        }
        let read = await self.code { () async throws(TiKVError) in _ = try await harness.get(timeout: .seconds(5)) }
        #expect(read?.code == .deadlineExceeded)
        #expect(read?.message.contains("store 1 at store1:20160") == true)
        #expect(read?.isOutcomeUnknown == false)
        let write = await self.code { () async throws(TiKVError) in try await harness.put(timeout: .seconds(5)) }
        #expect(write?.code == .undetermined)
        #expect((write?.cause as? TiKVError)?.code == .deadlineExceeded)
    }

    @Test func aStoreThatCannotBeConnectedToInTimeIsUnreachable() async throws {
        let harness = Harness([.sample(1)])
        let clock = harness.clock
        harness.on("store1") { _ throws(RPCError) in
            clock.advance(by: .seconds(5))
            throw RPCError(.deadlineExceeded, "no connection in time", delivery: .notSent)
        }
        let error = await self.code { () async throws(TiKVError) in try await harness.put(timeout: .seconds(5)) }
        #expect(error?.code == .storeUnreachable)
        #expect(error?.isOutcomeUnknown == false)
    }

    @Test func aWriteWhoseConnectionBrokeMayBeRepeated() async throws {
        let harness = Harness([.sample(1, stores: [1])])
        let flag = Flag()
        harness.on("store1") { _ throws(RPCError) in
            if flag.take() { throw RPCError(.unavailable, "connection reset", delivery: .unknown) }
            return Kvrpcpb_RawPutResponse()
        }
        try await harness.put()
        #expect(harness.hosts == ["store1", "store1"])
    }

    @Test func aWriteThatMayHaveHappenedNeverFailsPlainly() async throws {
        let harness = Harness([.sample(1, stores: [1])])
        let flag = Flag()
        harness.on("store1") { _ throws(RPCError) in
            // Sent once, and never again.
            throw RPCError(.unavailable, "reset", delivery: flag.take() ? .unknown : .notSent)
        }
        let error = await self.code { () async throws(TiKVError) in try await harness.put(timeout: .seconds(3)) }
        #expect(error?.code == .undetermined)
        #expect(error?.isRetryable == false)
        #expect((error?.cause as? TiKVError)?.code == .storeUnreachable)
    }

    @Test func anUndeterminedResultIsNotRepeated() async throws {
        let harness = Harness([.sample(1)])
        let undetermined = Harness.putError { $0.undeterminedResult.message = "x" }
        harness.on("store1", Harness.sequence([undetermined, Kvrpcpb_RawPutResponse()]))
        let write = await self.code { () async throws(TiKVError) in try await harness.put() }
        #expect(write?.code == .undetermined)
        #expect(write?.isOutcomeUnknown == true)
        #expect(harness.hosts.count == 1)
        // A read has no outcome, and may be asked again.
        harness.on(
            "store1",
            Harness.sequence([Harness.regionError { $0.undeterminedResult.message = "x" }, Harness.value("v")]))
        #expect(try await harness.get() == Harness.value("v"))
    }

    @Test func whatIsTooLargeFailsAtOnce() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1", Harness.sequence([Harness.putError { $0.raftEntryTooLarge.entrySize = 9_000_000 }]))
        let error = await self.code { () async throws(TiKVError) in try await harness.put() }
        #expect(error?.code == .entryTooLarge)
        #expect(error?.message.contains("9000000") == true)
        #expect(error?.isOutcomeUnknown == false)
        #expect(harness.hosts.count == 1)
    }

    @Test func anUnknownCallFailsAtOnce() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ throws(RPCError) in throw RPCError(.unimplemented, "", delivery: .answered) }
        let error = await self.code { () async throws(TiKVError) in _ = try await harness.get() }
        #expect(error?.code == .unsupported)
        #expect(harness.hosts.count == 1)
    }

    @Test func aStoreAtAnotherAddressIsFound() async throws {
        let harness = Harness([.sample(1, stores: [1])])
        harness.on("store1") { _ in Harness.value("old") }
        _ = try await harness.get()
        harness.regions.change { $0.stores[1] = StoreDescription(id: 1, address: "moved:1") }
        harness.on("store1") { _ in Harness.regionError { $0.storeNotMatch.actualStoreID = 9 } }
        harness.on("moved") { _ in Harness.value("new") }
        #expect(try await harness.get() == Harness.value("new"))
        // Those that answered, and those that took their place until PD said where the store is.
        #expect(harness.retiredChannels == 2)
    }

    @Test func aStoreThatIsGoneForGoodIsLeft() async throws {
        let harness = Harness([.sample(1, leader: 1)])
        harness.regions.change { $0.stores[1]?.state = .tombstone }
        let error = await self.code { () async throws(TiKVError) in _ = try await harness.get(timeout: .seconds(1)) }
        // The others are asked, and can't be reached.
        #expect(error?.code == .storeUnreachable)
        #expect(!harness.hosts.contains("store1") && harness.hosts.contains("store2"))
        harness.regions.change { $0.regions = [.sample(1, epoch: RegionEpoch(confVer: 2, version: 1), leader: 2)] }
        harness.on("store2") { _ in Harness.value("v") }
        #expect(try await harness.get() == Harness.value("v"))
    }

    @Test func storesThatPointAtEachOtherDoNotKeepItRunningInCircles() async throws {
        let harness = Harness([.sample(1, stores: [1, 2])])
        for (store, other) in [("store1", 2), ("store2", 1)] as [(String, UInt64)] {
            harness.on(store) { _ in
                Harness.regionError {
                    $0.notLeader.leader.id = 10 + other
                    $0.notLeader.leader.storeID = other
                }
            }
        }
        let error = await self.code { () async throws(TiKVError) in _ = try await harness.get(timeout: .seconds(5)) }
        #expect(error?.code == .regionUnavailable)
        #expect(error?.message.contains("NotLeader") == true)
        #expect(harness.hosts.count < 40)
        #expect(harness.clock.elapsed <= .seconds(5))
    }

    @Test func noRegionAtAllIsSaidSo() async throws {
        let harness = Harness([])
        let error = await self.code { () async throws(TiKVError) in _ = try await harness.get(timeout: .seconds(1)) }
        #expect(error?.code == .regionUnavailable)
        #expect(error?.message.contains("PD knows no region") == true)
    }

    @Test func whatPDSaysReachesTheCaller() async throws {
        let harness = Harness([.sample(1)])
        harness.regions.change { $0.failure = PDError(.clusterIDMismatch(expected: 1, actual: 2), "other cluster") }
        let error = await self.code { () async throws(TiKVError) in _ = try await harness.get() }
        #expect(error?.code == .clusterIDMismatch)
    }

    @Test func aStoreShortOfResourcesIsAskedAgainLater() async throws {
        let harness = Harness([.sample(1)])
        let isFirst = Mutex(true)
        harness.on("store1") { _ throws(RPCError) in
            let first = isFirst.withLock { value in
                defer { value = false }
                return value
            }
            if first { throw RPCError(.resourceExhausted, "memory quota", delivery: .answered) }
            return Harness.value("v")
        }
        #expect(try await harness.get() == Harness.value("v"))
        #expect(harness.hosts == ["store1", "store1"])
        #expect(harness.clock.waits == [.milliseconds(1500)])
    }

    @Test func aStoreThatStaysShortOfResourcesIsBusy() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ throws(RPCError) in
            throw RPCError(.resourceExhausted, "about key k", delivery: .answered)
        }
        let error = await self.code { () async throws(TiKVError) in _ = try await harness.get() }
        #expect(error?.code == .serverIsBusy)
        #expect(error?.description.contains("key k") == false)
    }

    @Test func aClosedClientSaysSo() async throws {
        let harness = Harness([.sample(1)])
        harness.lifecycle.close()
        let error = await self.code { () async throws(TiKVError) in _ = try await harness.get() }
        #expect(error?.code == .clientClosed)
        #expect(harness.hosts.isEmpty)
    }

    @Test func aCallThatIsClosedUnderneathSaysSo() async throws {
        let harness = Harness([.sample(1)])
        let lifecycle = harness.lifecycle
        harness.on("store1") { _ throws(RPCError) in
            lifecycle.close()
            throw RPCError(.unavailable, "closed", delivery: .unknown)
        }
        let error = await self.code { () async throws(TiKVError) in _ = try await harness.get() }
        #expect(error?.code == .clientClosed)
    }

    @Test func cancellationEndsAWait() async throws {
        let harness = Harness([.sample(1)], jumps: false)
        harness.on("store1") { _ in Harness.regionError { $0.diskFull.storeID = [1] } }
        let code = await withTaskGroup(of: TiKVError?.self) { group in
            group.addTask {
                do throws(TiKVError) {
                    _ = try await harness.get()
                    return nil
                } catch {
                    return error
                }
            }
            await harness.clock.waitForSleepers(1)
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect(code?.code == .cancelled)
    }

    @Test func aCancelledWriteThatWasSentIsMarked() async throws {
        let harness = Harness([.sample(1)])
        let error = await withTaskGroup(of: TiKVError?.self) { group in
            harness.on("store1") { _ throws(RPCError) in
                // As the transport does it: the stream is reset once the task is cancelled.
                withUnsafeCurrentTask { $0?.cancel() }
                throw RPCError(.cancelled, "", delivery: .unknown)
            }
            group.addTask {
                do throws(TiKVError) {
                    try await harness.put()
                    return nil
                } catch {
                    return error
                }
            }
            return await group.next() ?? nil
        }
        #expect(error?.code == .cancelled)
        #expect(error?.isOutcomeUnknown == true)
    }

    @Test func aCancelledCallKeepsTheRegion() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ throws(RPCError) in
            // As the transport does it.
            if Task.isCancelled { throw RPCError(.cancelled, "", delivery: .notSent) }
            return Harness.value("v")
        }
        _ = try await harness.get()
        let error = await withTaskGroup(of: TiKVError?.self) { group in
            group.cancelAll()
            group.addTask {
                do throws(TiKVError) {
                    _ = try await harness.get()
                    return nil
                } catch {
                    return error
                }
            }
            return await group.next() ?? nil
        }
        #expect(error?.code == .cancelled)
        _ = try await harness.get()
        #expect(harness.regions.questions == ["region", "store 1"])
    }

    @Test func aTimestampThatIsNotSyncedYetIsWaitedFor() async throws {
        let harness = Harness([.sample(1)])
        let unsynced = Harness.regionError { $0.maxTimestampNotSynced = Errorpb_MaxTimestampNotSynced() }
        harness.on("store1", Harness.sequence([unsynced, unsynced, Harness.value("v")]))
        #expect(try await harness.get() == Harness.value("v"))
        #expect(harness.hosts == ["store1", "store1", "store1"])
        #expect(harness.clock.waits == [.milliseconds(2), .milliseconds(4)])
    }

    @Test func peersThatAllCallItStaleEndTheCallInTime() async throws {
        let harness = Harness([.sample(1)])
        for store in ["store1", "store2", "store3"] {
            harness.on(store) { _ in Harness.regionError { $0.staleCommand = Errorpb_StaleCommand() } }
        }
        let error = await self.code { () async throws(TiKVError) in
            _ = try await harness.get(timeout: .milliseconds(50))
        }
        #expect(error?.code == .regionUnavailable)
        #expect(error?.message.contains("StaleCommand") == true)
        #expect(harness.clock.elapsed <= .milliseconds(50))
    }

    @Test func expiredRegionsAreAskedOfPDAgain() async throws {
        let harness = Harness([.sample(1)], configuration: .init(timeToLive: .seconds(10), timeToLiveJitter: .zero))
        harness.on("store1") { _ in Harness.value("v") }
        _ = try await harness.get()
        harness.clock.advance(by: .seconds(9))
        _ = try await harness.get()
        harness.clock.advance(by: .seconds(9))
        _ = try await harness.get()
        #expect(harness.regions.questions.filter { $0 == "region" }.count == 1)
        harness.clock.advance(by: .seconds(11))
        _ = try await harness.get()
        #expect(harness.regions.questions.filter { $0 == "region" }.count == 2)
    }

    /// True the first time only.
    private final class Flag: Sendable {
        private let isUnused = Mutex(true)

        func take() -> Bool {
            self.isUnused.withLock { isUnused in
                defer { isUnused = false }
                return isUnused
            }
        }
    }
}
