// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Requests to regions some of whose stores fail: whom they go to over the whole pipeline, and what they wait for.
@Suite(.timeLimit(.minutes(1))) struct ReplicaFaultTests {
    private typealias Harness = PipelineHarness

    private static let stores = ["store1", "store2", "store3"]

    /// Milliseconds that a first, second, ... wait for a store that failed takes here, with a jitter of one half.
    private static let storeWaits = [75, 150, 300, 600, 1200].map { Duration.milliseconds($0) }

    private func options(_ replica: ReplicaOptions) -> RequestOptions { RequestOptions(replica: replica) }

    private func region(_ harness: PipelineHarness) throws -> CachedRegion {
        try #require(harness.cache.known(containing: [1], now: harness.clock.now))
    }

    private func asked(_ harness: PipelineHarness) -> Int {
        harness.regions.questions.count { $0 == "region" }
    }

    private func error(_ body: () async throws(TiKVError) -> Void) async -> TiKVError? {
        do throws(TiKVError) {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    /// Stores labelled by their number, all of them resolved, that answer with their names.
    private func healthy(
        leader: UInt64 = 1, configuration: ClientConfiguration.RegionCache = .init(),
        routing: ClientConfiguration.Routing = .init()
    ) async throws -> PipelineHarness {
        let harness = Harness([.sample(1, leader: leader)], configuration: configuration, routing: routing)
        harness.regions.change { state in
            for id in state.stores.keys { state.stores[id]?.labels = ["id": "\(id)"] }
        }
        for store in Self.stores { harness.on(store) { _ in Harness.value(store) } }
        for id in 1...3 {
            _ = try await harness.stores.resolve(
                UInt64(id), deadline: Deadline(after: .seconds(1), from: harness.clock.now))
        }
        return harness
    }

    // MARK: - Stores that cancel

    /// A connection that was given up, or a store that is about to end, cancels what its callers have not.
    @Test func aStoreThatCancelsIsAskedAgainOverANewConnection() async throws {
        let harness = Harness([.sample(1)])
        let left = Mutex(1)
        harness.on("store1") { _ throws(RPCError) in
            if left.withLock({ left in
                left -= 1
                return left >= 0
            }) {
                throw RPCError(.cancelled, "", delivery: .answered)
            }
            return Harness.value("v")
        }
        #expect(try await harness.get().value == Data("v".utf8))
        #expect(harness.retiredChannels == 1)
        #expect(self.asked(harness) == 1)
    }

    @Test func storesThatCancelEverythingEndCallsInTimeAndServeAgainLater() async throws {
        let harness = try await self.healthy()
        #expect(try await harness.get().value == Data("store1".utf8))
        for store in Self.stores {
            harness.on(store) { _ throws(RPCError) in throw RPCError(.cancelled, "", delivery: .answered) }
        }
        let start = harness.clock.now
        let error = await self.error { () async throws(TiKVError) in _ = try await harness.get(timeout: .seconds(3)) }
        #expect(error?.code == .storeUnreachable)
        #expect(error?.description.contains("cancelled") == true)
        #expect(start.duration(to: harness.clock.now) <= .seconds(3))
        // Whose outcome nobody knows is told so.
        let write = await self.error { () async throws(TiKVError) in try await harness.put(timeout: .seconds(3)) }
        #expect(write?.isOutcomeUnknown == true)
        for store in Self.stores { harness.on(store) { _ in Harness.value(store) } }
        #expect(try await !harness.get().value.isEmpty)
    }

    // MARK: - Leaders that fail

    @Test func aLeaderThatLivesAndFailsIsTriedTenTimesAndTheOthersOnce() async throws {
        let harness = try await self.healthy()
        let left = Mutex(12)
        for store in Self.stores {
            harness.on(store) { _ throws(RPCError) in
                let fails = left.withLock { left in
                    left -= 1
                    return left >= 0
                }
                if fails { throw RPCError(.unavailable, "reset", delivery: .unknown) }
                return Harness.value(store)
            }
        }
        let found = try await harness.get(timeout: .seconds(100))
        #expect(found == Harness.value("store1"))
        let leader = Array(repeating: "store1", count: 10)
        #expect(harness.hosts == leader + ["store2", "store3"] + ["store1"])
        #expect(harness.clock.waits.prefix(5) == Self.storeWaits[...])
        // A wait for each, and one for the region, which is then loaded anew.
        #expect(harness.clock.waits.count == 13)
        #expect(harness.clock.waits.last == .milliseconds(2))
        #expect(self.asked(harness) == 2)
    }

    @Test func whereAllStoresAreDownEachIsTriedOnceAndTheRegionLookedUpAnew() async throws {
        let harness = Harness([.sample(1)])
        let error = await self.error { () async throws(TiKVError) in _ = try await harness.get(timeout: .seconds(3)) }
        #expect(error?.code == .storeUnreachable)
        #expect(harness.hosts == Self.stores)
        #expect(harness.clock.waits.prefix(4) == Self.storeWaits.prefix(3) + [.milliseconds(2)])
        #expect(self.asked(harness) > 1)
    }

    /// A leader that eats up the 50 s that one request may give it, while another has been elected.
    @Test func aWriteLeavesALeaderThatHasHadItsTime() async throws {
        let harness = try await self.healthy()
        let clock = harness.clock
        harness.on("store1") { _ throws(RPCError) in
            clock.advance(by: .seconds(50))
            throw RPCError(.deadlineExceeded, "", delivery: .unknown)
        }
        harness.on("store2") { _ in
            Harness.putError {
                $0.notLeader.leader.id = 13
                $0.notLeader.leader.storeID = 3
            }
        }
        harness.on("store3") { _ in Kvrpcpb_RawPutResponse() }
        try await harness.put(timeout: .seconds(200))
        #expect(harness.hosts == Self.stores)
        #expect(clock.elapsed < .seconds(50) + .milliseconds(2500))
        #expect(try self.region(harness).leader.storeID == 3)
    }

    // MARK: - Timeouts

    @Test func aFirstReadThatIsLateCostsTheNextNothing() async throws {
        let harness = try await self.healthy()
        for store in Self.stores {
            harness.on(store) { _ throws(RPCError) in throw RPCError(.deadlineExceeded, "", delivery: .unknown) }
        }
        var replica = ReplicaOptions.read(.leader)
        replica.readTimeout = .milliseconds(1)
        let options = self.options(replica)
        let clock = harness.clock
        let waits = Mutex<Int?>(nil)
        harness.on("store3") { _ throws(RPCError) in
            // The last of three; only then is anything waited for.
            waits.withLock { $0 = $0 ?? clock.waits.count }
            throw RPCError(.deadlineExceeded, "", delivery: .unknown)
        }
        _ = await self.error { () async throws(TiKVError) in
            _ = try await harness.get(timeout: .milliseconds(2), options: options)
        }
        #expect(harness.hosts.prefix(3) == Self.stores[...])
        #expect(waits.withLock { $0 } == 0)
        for store in Self.stores { harness.on(store) { _ in Harness.value(store) } }
        let sent = harness.hosts.count
        let found = try await harness.get()
        #expect(found == Harness.value("store1"))
        #expect(harness.hosts.count == sent + 1)
    }

    @Test func aWriteThatIsLateWaitsAndEndsWithoutAnOutcome() async throws {
        let harness = try await self.healthy()
        for store in Self.stores {
            harness.on(store) { _ throws(RPCError) in throw RPCError(.deadlineExceeded, "", delivery: .unknown) }
        }
        let error = await self.error { () async throws(TiKVError) in try await harness.put(timeout: .milliseconds(200))
        }
        #expect(error?.code == .undetermined)
        #expect(error?.isOutcomeUnknown == true)
        #expect(harness.clock.waits.first == Self.storeWaits[0])
        for store in Self.stores { harness.on(store) { _ in Harness.value(store) } }
        let sent = harness.hosts.count
        let found = try await harness.get()
        #expect(found == Harness.value("store1"))
        #expect(harness.hosts.count == sent + 1)
    }

    // MARK: - Forwarding

    @Test func aLeaderThatMovedIsSentToItselfAgain() async throws {
        let harness = try await self.healthy(routing: .init(isForwardingEnabled: true))
        harness.on("store1", nil)
        let isForwarded: @Sendable () -> Bool = {
            harness.options.last?.forwardedHost != nil
        }
        harness.on("store2") { _ in
            guard isForwarded() else { return Harness.value("2") }
            return Harness.regionError {
                $0.notLeader.leader.id = 13
                $0.notLeader.leader.storeID = 3
            }
        }
        let first = try await harness.get()
        let second = try await harness.get()
        #expect(first == Harness.value("store3") && second == first)
        #expect(harness.hosts == ["store1", "store2", "store3", "store3"])
        #expect(
            harness.options.map { $0.forwardedHost }
                == [nil, "store1:20160", nil, nil])
        #expect(self.asked(harness) == 1)
        #expect(try self.region(harness).proxy == nil)
    }

    /// To a store that the region had no peer on.
    @Test func aLeaderThatMovedElsewhereIsFoundByPD() async throws {
        let harness = try await self.healthy(routing: .init(isForwardingEnabled: true))
        harness.on("store1", nil)
        let regions = harness.regions
        harness.on("store2") { _ in
            regions.change { state in
                state.stores[4] = StoreDescription(id: 4, address: "store4:20160")
                state.regions = [.sample(1, epoch: RegionEpoch(confVer: 3, version: 1), leader: 4, stores: [2, 3, 4])]
            }
            return Harness.regionError {
                $0.notLeader.leader.id = 14
                $0.notLeader.leader.storeID = 4
            }
        }
        harness.on("store4") { _ in Harness.value("store4") }
        let found = try await harness.get()
        #expect(found == Harness.value("store4"))
        #expect(harness.hosts == ["store1", "store2", "store4"])
        #expect(harness.options.last?.forwardedHost == nil)
        #expect(self.asked(harness) == 2)
    }

    // MARK: - Followers that fail

    @Test func deadFollowersAreNotTriedAgainByARegionThatIsLoadedAnew() async throws {
        let harness = try await self.healthy(leader: 3)
        for store in ["store1", "store2"] { harness.on(store, nil) }
        let options = self.options(.read(.mixed))
        let first = try await harness.get(options: options)
        #expect(first == Harness.value("store3"))
        #expect(harness.hosts == Self.stores)
        let old = try self.region(harness)
        #expect(old.replicas.map(\.isEpochStale) == [true, true, false])
        #expect(old.replicas.map(\.store.liveness) == [.unreachable, .unreachable, .reachable])
        old.reloadOnAccess()
        let waits = harness.clock.waits.count
        for _ in 0..<100 {
            let found = try await harness.get(options: options)
            #expect(found == Harness.value("store3"))
        }
        let new = try self.region(harness)
        #expect(new !== old && new.replicas.allSatisfy { !$0.isEpochStale })
        #expect(new.replicas.map(\.store.liveness) == [.unreachable, .unreachable, .reachable])
        #expect(harness.hosts.count == 103)
        #expect(harness.clock.waits.count == waits)
    }

    @Test func aPeerThatPDCallsUpAgainIsReadOnceTheRegionExpires() async throws {
        let harness = try await self.healthy(
            configuration: .init(timeToLive: .seconds(2), timeToLiveJitter: .zero))
        harness.regions.change { state in state.regions[0].downPeers = [state.regions[0].peers[1]] }
        let options = self.options(.read(.mixed, labels: ["id": "2"]))
        for _ in 0..<3 {
            let found = try await harness.get(options: options)
            #expect(found != Harness.value("store2"))
        }
        harness.regions.change { $0.regions[0].downPeers = [] }
        // That it is used does not keep it.
        harness.clock.advance(by: .seconds(1))
        let before = try await harness.get(options: options)
        #expect(before != Harness.value("store2"))
        #expect(self.asked(harness) == 1)
        harness.clock.advance(by: .seconds(1))
        let after = try await harness.get(options: options)
        #expect(after == Harness.value("store2"))
        #expect(self.asked(harness) == 2)
    }

    // MARK: - Slow stores

    @Test(arguments: [false, true]) func aStoreThatIsSlowAndBusyIsLeftForTheOthers(isStale: Bool) async throws {
        let replica: ReplicaOptions = isStale ? .staleRead() : .read(.mixed)
        let harness = try await self.healthy(leader: 3)
        let first = try await harness.get(options: self.options(replica))
        #expect(first == Harness.value("store1"))
        // By its own word.
        harness.report(
            StoreFeedback(transportLayerLoad: 0, health: .init(storeID: 1, sequence: 1, slowScore: 100)), from: "store1"
        )
        #expect(harness.stores.record(1).isSlow)
        let second = try await harness.get(options: self.options(replica))
        #expect(second == Harness.value("store2"))
        // Whoever has the labels, being slow counts for more.
        var labelled = replica
        labelled.labels = ["id": "1"]
        let third = try await harness.get(options: self.options(labelled))
        #expect(third == Harness.value("store3"))
        // The healthy follower, then the leader; the slow one not at all.
        harness.on("store2") { _ in Harness.regionError { $0.serverIsBusy.reason = "busy" } }
        harness.on("store1") { _ in Harness.regionError { $0.serverIsBusy.reason = "busy" } }
        let sent = harness.hosts.count
        let last = try await harness.get(options: self.options(replica))
        #expect(last == Harness.value("store3"))
        #expect(harness.hosts.dropFirst(sent) == ["store2", "store3"])
        #expect(harness.clock.waits.isEmpty)
    }

    // MARK: - Stale reads

    /// The leader is down, and PD knows of the new one.
    @Test(arguments: [1, 2]) func aStaleReadWhoseLeaderIsReplacedIsServedAndBringsTheNewOne(zone: Int) async throws {
        let harness = try await self.healthy()
        harness.on("store1", nil)
        harness.regions.change {
            $0.regions = [.sample(1, epoch: RegionEpoch(confVer: 1, version: 1), leader: 2)]
        }
        // What was known before.
        await harness.cache.install([.sample(1)])
        let old = try self.region(harness)
        let found = try await harness.get(options: self.options(.staleRead(labels: ["id": "\(zone)"])))
        let last = try #require((harness.requests.last as? Kvrpcpb_RawGetRequest)?.context)
        if zone == 1 {
            #expect(found != Harness.value("store1"))
            #expect(harness.hosts.first == "store1" && last.replicaRead && !last.staleRead)
            #expect(old.isToBeReloaded)
            await harness.cache.collect()
            _ = try await harness.get()
            #expect(harness.hosts.last == "store2")
            #expect(try self.region(harness).leader.storeID == 2)
        } else {
            #expect(found == Harness.value("store2"))
            #expect(harness.hosts == ["store2"] && last.staleRead)
            #expect(!old.isToBeReloaded)
        }
    }

    // MARK: - Waits

    @Test func anEpochWithoutRegionsAndATimestampBehindAreWaitedFor() async throws {
        for (error, wait) in [
            (Harness.regionError { $0.epochNotMatch = .init() }, 2),
            (Harness.regionError { $0.maxTimestampNotSynced = .init() }, 2),
        ] {
            let harness = try await self.healthy()
            harness.on("store1", Harness.sequence([error, Harness.value("store1")]))
            let found = try await harness.get()
            #expect(found == Harness.value("store1"))
            #expect(harness.clock.waits == [.milliseconds(wait)])
        }
    }
}
