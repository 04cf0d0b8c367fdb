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

/// What goes over the wire where others than the leader may serve, and what the pipeline learns from it.
@Suite(.timeLimit(.minutes(1))) struct ReplicaPipelineTests {
    private typealias Harness = PipelineHarness

    private func contexts(_ harness: PipelineHarness) -> [Kvrpcpb_Context] {
        harness.requests.compactMap { ($0 as? Kvrpcpb_RawGetRequest)?.context }
    }

    private func options(_ replica: ReplicaOptions) -> RequestOptions { RequestOptions(replica: replica) }

    /// A store that never answers in time.
    private static let late: Harness.Handler = { _ throws(RPCError) in
        throw RPCError(.deadlineExceeded, "", delivery: .unknown)
    }

    @Test func requestsNameTheCluster() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in Harness.value("v") }
        _ = try await harness.get()
        #expect(self.contexts(harness).map(\.clusterID) == [7])
    }

    @Test func aFollowerIsToldThatItIsOne() async throws {
        let harness = Harness([.sample(1)])
        for store in ["store1", "store2", "store3"] { harness.on(store) { _ in Harness.value(store) } }
        #expect(try await harness.get(options: self.options(.read(.follower))) == Harness.value("store2"))
        #expect(try await harness.get(options: self.options(.staleRead())) == Harness.value("store1"))
        #expect(try await harness.get() == Harness.value("store1"))
        let contexts = self.contexts(harness)
        #expect(contexts.map(\.replicaRead) == [true, false, false])
        #expect(contexts.map(\.staleRead) == [false, true, false])
        #expect(contexts.map(\.peer.storeID) == [2, 1, 1])
    }

    @Test func labelsAreLookedUpBeforeTheyDecide() async throws {
        let harness = Harness([.sample(1)])
        harness.regions.change { state in
            for id in state.stores.keys { state.stores[id]?.labels = ["zone": "z\(id)"] }
        }
        for store in ["store1", "store2", "store3"] { harness.on(store) { _ in Harness.value(store) } }
        let options = self.options(.read(.mixed, labels: ["zone": "z3"]))
        #expect(try await harness.get(options: options) == Harness.value("store3"))
        var byStore = ReplicaOptions.read(.mixed)
        byStore.stores = [2]
        #expect(try await harness.get(options: self.options(byStore)) == Harness.value("store2"))
    }

    @Test func aReadTimeoutGoesToTheNextReplicaAndThenRound() async throws {
        let harness = Harness([.sample(1)])
        for store in ["store1", "store2", "store3"] { harness.on(store, Self.late) }
        var replica = ReplicaOptions.read(.leader)
        replica.readTimeout = .milliseconds(1)
        let options = self.options(replica)
        do throws(TiKVError) {
            _ = try await harness.get(timeout: .milliseconds(20), options: options)
            Issue.record("nobody answers")
        } catch {
            #expect(error.code == .storeUnreachable)
        }
        #expect(harness.hosts.prefix(3) == ["store1", "store2", "store3"])
        let contexts = self.contexts(harness)
        #expect(contexts.prefix(3).allSatisfy { $0.maxExecutionDurationMs == 1 })
        #expect(contexts.prefix(3).map(\.replicaRead) == [false, true, true])
        #expect(harness.options.prefix(3).allSatisfy { $0.timeout == .milliseconds(1) })
        // Only looking for the region again was waited for, nothing was probed, and the region is as good as before.
        #expect(harness.clock.waits.first == .milliseconds(2))
        #expect(harness.probes.isEmpty)
        harness.on("store1") { _ in Harness.value("v") }
        #expect(try await harness.get() == Harness.value("v"))
        #expect(harness.regions.questions.filter { $0 == "region" }.count == 1)
    }

    @Test func aShortDeadlineKeepsTheRegion() async throws {
        let harness = Harness([.sample(1)])
        let clock = harness.clock
        harness.on("store1") { _ throws(RPCError) in
            clock.advance(by: .milliseconds(5))
            throw RPCError(.deadlineExceeded, "", delivery: .unknown)
        }
        do throws(TiKVError) {
            _ = try await harness.get(timeout: .milliseconds(5))
            Issue.record("it was too short")
        } catch {
            #expect(error.code == .deadlineExceeded)
        }
        let region = try #require(harness.cache.known(containing: [1], now: clock.now))
        #expect(region.leader.storeID == 1 && !region.replicas[0].isEpochStale)
        #expect(harness.stores.record(1).liveness == .reachable)
    }

    @Test func aBusyLeadersReadGoesToAnIdleReplica() async throws {
        let harness = Harness([.sample(1)])
        let busy = Harness.regionError { $0.serverIsBusy.estimatedWaitMs = 100 }
        harness.on("store1", Harness.sequence([busy, Harness.value("1")]))
        harness.on("store2") { _ in Harness.value("2") }
        var replica = ReplicaOptions.read(.leader)
        replica.busyThreshold = .milliseconds(50)
        #expect(try await harness.get(options: self.options(replica)) == Harness.value("2"))
        #expect(self.contexts(harness).map(\.busyThresholdMs) == [50, 50])
        #expect(self.contexts(harness).map(\.replicaRead) == [false, true])
        // It is remembered who has how much to do, as long as that may be true.
        #expect(try await harness.get(options: self.options(replica)) == Harness.value("2"))
        #expect(harness.hosts == ["store1", "store2", "store2"])
        harness.clock.advance(by: .milliseconds(100))
        #expect(try await harness.get(options: self.options(replica)) == Harness.value("1"))
    }

    @Test func whereAllAreBusyTheLeaderMayTakeItsTime() async throws {
        let harness = Harness([.sample(1)])
        let busy = Harness.regionError { $0.serverIsBusy.estimatedWaitMs = 10_000 }
        harness.on("store1", Harness.sequence([busy, Harness.value("1")]))
        for store in ["store2", "store3"] { harness.on(store) { _ in busy } }
        var replica = ReplicaOptions.read(.leader)
        replica.busyThreshold = .milliseconds(50)
        #expect(try await harness.get(options: self.options(replica)) == Harness.value("1"))
        #expect(harness.hosts == ["store1", "store2", "store3", "store1"])
        #expect(self.contexts(harness).map(\.busyThresholdMs) == [50, 50, 50, 0])
        #expect(harness.cache.known(containing: [1], now: harness.clock.now) != nil)
    }

    @Test func aLeaderThatCannotBeReachedIsReachedOverAnother() async throws {
        let harness = Harness([.sample(1)], routing: .init(isForwardingEnabled: true))
        harness.on("store2") { _ in Harness.value("over 2") }
        #expect(try await harness.get() == Harness.value("over 2"))
        #expect(try await harness.get() == Harness.value("over 2"))
        // The second goes that way from the start.
        #expect(harness.hosts == ["store1", "store2", "store2"])
        #expect(
            harness.options.map(\.forwardedHost)
                == [nil, "store1:20160", "store1:20160"])
        // It is the leader's request all the same.
        #expect(self.contexts(harness).map(\.peer.storeID) == [1, 1, 1])
        harness.on("store1") { _ in Harness.value("1") }
        #expect(await harness.stores.probe(harness.stores.record(1)) == .reachable)
        #expect(try await harness.get() == Harness.value("1"))
    }

    @Test func storesInDoubtThatNobodyNeedsAreNotWaitedFor() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in Harness.value("1") }
        _ = try await harness.get()
        _ = try await harness.stores.resolve(3, deadline: Deadline(after: .seconds(1), from: harness.clock.now))
        harness.stores.record(3).needsCheck()
        let questions = harness.regions.questions.count
        harness.regions.change { state in state.silence = { [clock = harness.clock] in clock.advance(to: $0.instant) } }
        let start = harness.clock.now
        #expect(try await harness.get(options: self.options(.read(.mixed))) == Harness.value("1"))
        #expect(harness.regions.questions.count == questions)
        #expect(harness.clock.now == start)
        #expect(harness.watched == [3])
    }

    @Test func labelsThatPDDoesNotTellAreDoneWithoutAfterOneWait() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in Harness.value("1") }
        _ = try await harness.get()
        harness.regions.change { state in state.silence = { [clock = harness.clock] in clock.advance(to: $0.instant) } }
        let start = harness.clock.now
        let options = self.options(.read(.mixed, labels: ["zone": "z3"]))
        #expect(try await harness.get(options: options) == Harness.value("1"))
        #expect(start.duration(to: harness.clock.now) == .seconds(2))
    }

    @Test func aDeadStoreIsAvoidedByAllRegionsOfIts() async throws {
        let harness = Harness([.sample(1, "", "m"), .sample(2, "m", "")])
        harness.on("store2") { _ in Harness.value("2") }
        _ = try await harness.get("a")
        _ = try await harness.get("z")
        // The second finds nobody at store 1 and does not try.
        #expect(harness.hosts == ["store1", "store2", "store2"])
        #expect(harness.probes == ["store1"])
    }

    @Test func theSourceOfARequestTellsWhoWasAskedFirst() async throws {
        let harness = Harness([.sample(1)], source: RequestSource("test"))
        harness.on("store1") { _ in Harness.value("v") }
        harness.on("store2") { _ in Harness.regionError { $0.dataIsNotReady.regionID = 1 } }
        harness.regions.change { state in
            for id in state.stores.keys { state.stores[id]?.labels = ["id": "\(id)"] }
        }
        _ = try await harness.get()
        _ = try await harness.get(options: self.options(.staleRead(labels: ["id": "2"])))
        let contexts = self.contexts(harness)
        #expect(
            contexts.map(\.requestSource) == [
                "leader_external_test", "stale_follower_external_test",
                "retry_stale_follower_leader_external_test",
            ])
        #expect(contexts.map(\.isRetryRequest) == [false, false, true])
    }

    @Test func whatGoesWithARequestIsInItsContext() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in Harness.value("v") }
        var options = RequestOptions()
        options.priority = .high
        options.resourceGroupTag = [1, 2]
        options.resourceGroup = "rg"
        options.overridePriority = 16
        options.maximumExecutionTime = .seconds(2)
        options.keepsOutOfCache = true
        options.diskFull = .allowedWhenAlmostFull
        options.taskID = 5
        options.transactionSource = 6
        options.resolvedLocks = [8]
        options.committedLocks = [9]
        options.isolation = .rc
        options.traceID = [3]
        options.traceControlFlags = 2
        options.bucketsVersion = 4
        _ = try await harness.get(options: options)
        let context = try #require(self.contexts(harness).first)
        #expect(context.priority == .high)
        #expect(context.resourceGroupTag == Data([1, 2]))
        #expect(context.resourceControlContext.resourceGroupName == "rg")
        #expect(context.resourceControlContext.overridePriority == 16)
        #expect(harness.options.first?.priority == 16)
        #expect(context.maxExecutionDurationMs == 2000)
        #expect(context.notFillCache && context.diskFullOpt == .allowedOnAlmostFull)
        #expect(context.taskID == 5 && context.txnSource == 6)
        #expect(context.resolvedLocks == [8] && context.committedLocks == [9])
        #expect(context.isolationLevel == .rc && context.traceID == Data([3]) && context.traceControlFlags == 2)
        #expect(context.bucketsVersion == 4)
        // The next request has none of it.
        _ = try await harness.get()
        #expect(self.contexts(harness).last?.priority == .normal)
        #expect(self.contexts(harness).last?.resolvedLocks == [])
    }

    @Test func whereOnlyLeadersServeEveryReadIsALeaderRead() async throws {
        let harness = Harness([.sample(1)], routing: .init(readsFromLeadersOnly: true))
        for store in ["store1", "store2", "store3"] { harness.on(store) { _ in Harness.value(store) } }
        var busy = ReplicaOptions.read(.leader)
        busy.busyThreshold = .milliseconds(50)
        let all: [ReplicaOptions] = [
            .read(.follower), .read(.mixed), .read(.preferLeader), .read(.learner), .staleRead(), busy,
            .read(.mixed, labels: ["zone": "z3"]),
        ]
        for replica in all { #expect(try await harness.get(options: self.options(replica)) == Harness.value("store1")) }
        for context in self.contexts(harness) {
            #expect(!context.replicaRead && !context.staleRead && context.busyThresholdMs == 0)
        }
        #expect(self.contexts(harness).count == all.count)
    }

    @Test(arguments: [5, 500]) func aStoreTakesNoMoreRequestsThanItMay(limit: Int) async throws {
        let harness = Harness([.sample(1)], jumps: false, routing: .init(maximumRequestsPerStore: limit))
        let arrived = Mutex(0)
        harness.on("store1") { _ throws(RPCError) in
            arrived.withLock { $0 += 1 }
            try? await harness.clock.sleep(until: harness.clock.now.advanced(by: .seconds(3600)))
            throw RPCError(.cancelled, "", delivery: .unknown)
        }
        let code = await withTaskGroup(of: TiKVError.Code?.self) { group in
            for _ in 0..<limit {
                group.addTask {
                    _ = try? await harness.get()
                    return nil
                }
            }
            while arrived.withLock({ $0 }) < limit { await Task.yield() }
            var code: TiKVError.Code?
            do throws(TiKVError) {
                _ = try await harness.get()
            } catch {
                code = error.code
                #expect(error.message.contains("store 1"))
            }
            group.cancelAll()
            return code
        }
        #expect(code == .storeLimitReached)
        // What is over makes room.
        harness.on("store1") { _ in Harness.value("v") }
        #expect(try await harness.get() == Harness.value("v"))
    }

    @Test func storesThatWereSlowAreAskedHowTheyDo() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { request in
            guard request is Kvrpcpb_GetHealthFeedbackRequest else { return Harness.value("v") }
            var response = Kvrpcpb_GetHealthFeedbackResponse()
            response.healthFeedback.storeID = 1
            response.healthFeedback.feedbackSeqNo = 9
            response.healthFeedback.slowScore = 1
            return response
        }
        _ = try await harness.get()
        let record = harness.stores.record(1)
        record.feedback(score: 50, sequence: 2, at: harness.clock.now)
        #expect(record.slowScores.server == 50)
        harness.clock.advance(by: .seconds(16))
        await harness.stores.tick()
        harness.clock.advance(by: .seconds(1))
        await harness.stores.askForHealth(record)
        #expect(record.slowScores.server == 1)
    }

    @Test func theErrorInTheEndTellsWhatWasTried() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in Harness.regionError { $0.diskFull.storeID = [1] } }
        do throws(TiKVError) {
            _ = try await harness.get(timeout: .seconds(4))
            Issue.record("the disk stays full")
        } catch {
            #expect(error.code == .diskFull)
            #expect(error.message.contains("store 1 answered DiskFull for region 1"))
            #expect(error.message.contains("met DiskFull 5 times"))
            #expect(error.message.contains("sent 5 times"))
            #expect(error.message.contains("diskFull 4 times"))
        }
    }
}
