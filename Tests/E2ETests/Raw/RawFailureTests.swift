// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ServiceLifecycle
import Testing
import TiKV
import TiKVEmbedded

/// How calls fail: in time, with the cause, and never plainly where a write may have happened.
@Suite(.timeLimit(.minutes(2)), .enabled(if: TestCluster.hasControl, "stops servers and injects faults"))
struct RawFailureTests {
    // MARK: - PD

    @Test func aPDThatDoesNotResolveIsNamed() async throws {
        try await RawClient.withClient(pd: ["no-such-host.invalid:2379"]) { client in
            let error = await failure { try await client.get("k", timeout: .seconds(4)) }
            #expect(error?.code == .pdUnreachable)
            #expect(error?.message.contains("no-such-host.invalid:2379") == true)
            #expect(error?.attempts.map(\.address) == ["no-such-host.invalid:2379"])
        }
    }

    @Test func aPDThatRefusesIsNamedWithTheCause() async throws {
        var address = ""
        try await EmbeddedCluster.withCluster { address = $0.pdEndpoints[0] }
        try await RawClient.withClient(pd: [address]) { [address] client in
            let error = await failure { try await client.put("k", value: "v", timeout: .seconds(2)) }
            #expect(error?.code == .pdUnreachable)
            #expect(error?.message.contains(address) == true)
            // It never got as far as the write.
            #expect(error?.isOutcomeUnknown == false)
            #expect(error?.isRetryable == true)
        }
    }

    @Test func oneGoodAddressIsEnough() async throws {
        try await EmbeddedCluster.withCluster { cluster in
            try await RawClient.withClient(pd: ["no-such-host.invalid:2379"] + cluster.pdEndpoints) { client in
                try await client.put("k", value: "v")
                #expect(try await client.get("k") == "v")
            }
        }
    }

    @Test func aPDOfAnotherClusterIsRefused() async throws {
        try await TestCluster.withControl(.init(splitKeys: [Array("m".utf8)])) { client, cluster in
            try await client.put("a", value: "v")
            let other = cluster.clusterID &+ 1
            cluster.answerAsCluster(other)
            let error = await failure { try await client.get("z", timeout: .seconds(5)) }
            #expect(error?.code == .clusterIDMismatch)
            #expect(error?.message.contains("\(cluster.clusterID)") == true)
            #expect(error?.message.contains("\(other)") == true)
            // What needs no PD goes on.
            #expect(try await client.get("a") == "v")
            cluster.answerAsCluster(nil)
            #expect(try await client.get("z") == nil)
        }
    }

    // MARK: - Stores

    /// With one connection, the first call leaves none to be opened: a deadline after it meets the store, not a connect.
    private static var oneConnection: ClientConfiguration {
        var configuration = ClientConfiguration()
        configuration.connection.connectionsPerStore = 1
        return configuration
    }

    @Test func aStoreThatIsDownIsNamed() async throws {
        try await TestCluster.withControl(.init(storeCount: 1, replicaCount: 1)) { client, cluster in
            try await client.put("k", value: "v")
            let store = cluster.stores[0]
            try await cluster.stopStore(store.id, electingLeaders: false)
            let error = await failure { try await client.get("k", timeout: .seconds(2)) }
            #expect(error?.code == .storeUnreachable)
            #expect(error?.message.contains("store \(store.id) at \(store.address)") == true)
            let write = await failure { try await client.put("k", value: "w", timeout: .seconds(2)) }
            #expect(write?.code == .storeUnreachable)
            #expect(write?.isOutcomeUnknown == false)
            try await cluster.startStore(store.id)
            #expect(try await client.get("k") == "v")
        }
    }

    @Test func aReadThatIsNeverAnsweredEndsAtItsDeadline() async throws {
        try await TestCluster.withControl(configuration: Self.oneConnection) { client, cluster in
            _ = try await client.get("k")
            cluster.inject(.dropRequest, into: .init(rpc: "RawGet"))
            let error = await failure { try await client.get("k", timeout: .seconds(1)) }
            #expect(error?.code == .deadlineExceeded)
            #expect(error?.isOutcomeUnknown == false)
            #expect(error?.message.contains("store") == true)
            let stored = try await client.get("k")
            #expect(stored == nil)
        }
    }

    @Test func aWriteThatIsNeverAnsweredIsUndetermined() async throws {
        try await TestCluster.withControl(configuration: Self.oneConnection) { client, cluster in
            _ = try await client.get("k")
            cluster.inject(.dropAnswer, into: .init(rpc: "RawPut"))
            let error = await failure { try await client.put("k", value: "v", timeout: .seconds(1)) }
            #expect(error?.code == .undetermined)
            #expect(error?.isOutcomeUnknown == true)
            #expect(error?.isRetryable == false)
            #expect((error?.cause as? TiKVError)?.code == .deadlineExceeded)
            // It did happen.
            let stored = try await client.get("k")
            #expect(stored == "v")

            cluster.inject(.dropAnswer, into: .init(rpc: "RawBatchPut"))
            let batch = await failure { try await client.batchPut([("b", "v")], timeout: .seconds(1)) }
            #expect(batch?.code == .undetermined)
            cluster.inject(.dropAnswer, into: .init(rpc: "RawDeleteRange"))
            let range = await failure { try await client.deleteRange(.everything, timeout: .seconds(1)) }
            #expect(range?.isOutcomeUnknown == true)
        }
    }

    @Test func aBatchOfWhichPartWasWrittenSaysSo() async throws {
        try await TestCluster.withControl(.init(splitKeys: [Array("m".utf8)])) { client, cluster in
            try await client.batchPut([("a", "0"), ("z", "0")])
            let region = try #require(cluster.region(containing: Array("z".utf8)))
            cluster.inject(
                .regionError(.raftEntryTooLarge(size: 1)), into: .init(rpc: "RawBatchPut", regionID: region.id))
            var configuration = ClientConfiguration()
            configuration.raw.maximumConcurrency = 1
            try await RawClient.withClient(pd: cluster.pdEndpoints, configuration: configuration) { single in
                let error = await failure { try await single.batchPut([("a", "1"), ("z", "1")]) }
                #expect(error?.code == .entryTooLarge)
                #expect(error?.isOutcomeUnknown == true)
                let stored = try await single.batchGet(["a", "z"])
                #expect(stored == ["a": "1", "z": "0"])
            }
        }
    }

    @Test func noTimeAtAllIsNoTime() async throws {
        try await TestCluster.withControl { client, _ in
            _ = try await client.get("k")
            for timeout in [Duration.zero, .seconds(-1)] {
                let error = await failure { try await client.put("k", value: "v", timeout: timeout) }
                #expect(error?.code == .deadlineExceeded)
                #expect(error?.isOutcomeUnknown == false)
            }
            let stored = try await client.get("k", timeout: .seconds(Int64.max))
            #expect(stored == nil)
        }
    }

    // MARK: - Cancellation

    @Test func cancellingACallEndsItAndNothingElse() async throws {
        try await TestCluster.withControl { client, cluster in
            try await client.put("k", value: "v")
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "RawGet"))
            let error = try await withThrowingTaskGroup(of: TiKVError?.self) { group in
                group.addTask { await failure { try await client.get("k") } }
                try await gate.waitForArrivals()
                group.cancelAll()
                return try await group.next() ?? nil
            }
            #expect(error?.code == .cancelled)
            #expect(error?.isOutcomeUnknown == false)
            // The gate is still shut: the connection lives, and this call is another one.
            #expect(try await client.get("k") == "v")
            gate.open()
        }
    }

    @Test func cancellingACallForgetsNoRegion() async throws {
        try await TestCluster.withControl { client, cluster in
            try await client.put("k", value: "v")
            let known = cluster.requestCount("GetRegion")
            let early = await withTaskGroup(of: TiKVError?.self) { group in
                group.cancelAll()
                group.addTask { await failure { try await client.get("k") } }
                return await group.next() ?? nil
            }
            #expect(early?.code == .cancelled)
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "RawGet"))
            let late = try await withThrowingTaskGroup(of: TiKVError?.self) { group in
                group.addTask { await failure { try await client.get("k") } }
                try await gate.waitForArrivals()
                group.cancelAll()
                return try await group.next() ?? nil
            }
            #expect(late?.code == .cancelled)
            gate.open()
            #expect(try await client.get("k") == "v")
            #expect(cluster.requestCount("GetRegion") == known)
        }
    }

    @Test func aCancelledWriteSaysThatItMayHaveHappened() async throws {
        try await TestCluster.withControl { client, cluster in
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "RawPut"))
            let error = try await withThrowingTaskGroup(of: TiKVError?.self) { group in
                group.addTask { await failure { try await client.put("k", value: "v") } }
                try await gate.waitForArrivals()
                group.cancelAll()
                return try await group.next() ?? nil
            }
            #expect(error?.code == .cancelled)
            #expect(error?.isOutcomeUnknown == true)
            gate.open()
        }
    }

    @Test func cancellingABatchEndsAllOfIt() async throws {
        try await TestCluster.withControl(.init(splitKeys: [[0x40], [0x80]])) { client, cluster in
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "RawBatchGet"), times: nil)
            let error = try await withThrowingTaskGroup(of: TiKVError?.self) { group in
                group.addTask { await failure { try await client.batchGet([[1], [0x50], [0x90]]) } }
                try await gate.waitForArrivals(3)
                group.cancelAll()
                return try await group.next() ?? nil
            }
            #expect(error?.code == .cancelled)
            gate.open()
        }
    }

    @Test func aCancelledTaskAsksForNothing() async throws {
        try await TestCluster.withControl { client, cluster in
            let error = await withTaskGroup(of: TiKVError?.self) { group in
                group.cancelAll()
                group.addTask { await failure { try await client.put("k", value: "v") } }
                return await group.next() ?? nil
            }
            #expect(error?.code == .cancelled)
            #expect(error?.isOutcomeUnknown == false)
            #expect(cluster.requestCount("RawPut") == 0)
        }
    }

    // MARK: - Life

    @Test func aClosedClientSaysSo() async throws {
        try await EmbeddedCluster.withCluster { cluster in
            var kept: RawClient?
            try await RawClient.withClient(pd: cluster.pdEndpoints) { client in
                try await client.put("k", value: "v")
                kept = client
            }
            let client = try #require(kept)
            #expect(await failure { try await client.get("k") }?.code == .clientClosed)
            #expect(await failure { try await client.batchGet(["k"]) }?.code == .clientClosed)
            var iterator = client.scan(.everything).makeAsyncIterator()
            do throws(TiKVError) {
                _ = try await iterator.next()
                Issue.record("a scan of a closed client must fail")
            } catch {
                #expect(error.code == .clientClosed)
            }
            #expect(await failure { try await client.run() }?.code == .clientClosed)
        }
    }

    @Test func callsWaitForTheClientToRun() async throws {
        try await EmbeddedCluster.withCluster { cluster in
            let client = try RawClient(pd: cluster.pdEndpoints)
            let error = await failure { try await client.get("k", timeout: .milliseconds(50)) }
            #expect(error?.code == .clientNotRunning)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await client.put("k", value: "v") }
                // A task of its own, as an application would have it, so that it can be cancelled apart from the calls.
                let run = Task { try await client.run() }
                _ = try await group.next()
                #expect(await failure { try await client.run() }?.code == .clientAlreadyRunning)
                run.cancel()
                try await run.value
            }
            #expect(await failure { try await client.get("k") }?.code == .clientClosed)
        }
    }

    @Test func theScopedClientThrowsWhatItsBodyThrows() async throws {
        struct Mine: Error {}
        await #expect(throws: Mine.self) {
            try await RawClient.withClient(pd: ["127.0.0.1:1"]) { _ in throw Mine() }
        }
    }

    @Test func aGracefulStopLetsCallsFinish() async throws {
        try await EmbeddedCluster.withCluster { cluster in
            let client = try RawClient(pd: cluster.pdEndpoints)
            let group = ServiceGroup(
                configuration: .init(services: [.init(service: client)], logger: .tikvSilent))
            async let running: Void = group.run()
            try await client.put("k", value: "v")
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "RawGet"))
            async let held = client.get("k")
            try await gate.waitForArrivals()
            await group.triggerGracefulShutdown()
            // From some moment on new calls are refused, while the old one goes on.
            while await failure({ try await client.put("other", value: "w") })?.code != .clientClosed {
                await Task.yield()
            }
            gate.open()
            #expect(try await held == "v")
            try await running
        }
    }

    @Test func aGracefulStopLetsCallsDoAllTheirSteps() async throws {
        try await EmbeddedCluster.withCluster(.init(splitKeys: [[0x40], [0x80]])) { cluster in
            var configuration = ClientConfiguration()
            configuration.raw.maximumConcurrency = 1
            let client = try RawClient(pd: cluster.pdEndpoints, configuration: configuration)
            let group = ServiceGroup(
                configuration: .init(services: [.init(service: client)], logger: .tikvSilent))
            async let running: Void = group.run()
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "RawBatchPut"))
            async let held: Void = client.batchPut([([1], "a"), ([0x50], "b"), ([0x90], "c")])
            try await gate.waitForArrivals()
            await group.triggerGracefulShutdown()
            while await failure({ try await client.put("other", value: "w") })?.code != .clientClosed {
                await Task.yield()
            }
            // The next pieces are sent only now; one of them needs PD and a wait.
            cluster.inject(.regionError(.epochNotMatchWithoutRegions), into: .init(rpc: "RawBatchPut"))
            gate.open()
            try await held
            try await running
            #expect(cluster.requestCount("RawBatchPut") == 4)
        }
    }

    @Test func aGracefulStopWaitsOnlySoLong() async throws {
        try await EmbeddedCluster.withCluster { cluster in
            var configuration = ClientConfiguration()
            configuration.shutdownTimeout = .milliseconds(20)
            let client = try RawClient(pd: cluster.pdEndpoints, configuration: configuration)
            let group = ServiceGroup(
                configuration: .init(services: [.init(service: client)], logger: .tikvSilent))
            async let running: Void = group.run()
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "RawGet"))
            async let held = failure { try await client.get("k") }
            try await gate.waitForArrivals()
            await group.triggerGracefulShutdown()
            #expect(await held?.code == .clientClosed)
            gate.open()
            try await running
        }
    }
}
