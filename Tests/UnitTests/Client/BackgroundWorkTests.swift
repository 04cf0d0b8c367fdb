// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD
import TiKVProto

@testable import TiKV

/// How a client ends, and what becomes of connections that nobody needs any more.
@Suite(.timeLimit(.minutes(1))) struct BackgroundWorkTests {
    private static let shutdownTimeout = Duration.seconds(5)

    /// A client whose store answers at `moved` only.
    private func harness() -> PipelineHarness {
        let harness = PipelineHarness([.sample(1, stores: [1])], jumps: false, runs: false)
        harness.on("store1") { _ in PipelineHarness.regionError { $0.storeNotMatch.actualStoreID = 9 } }
        harness.on("moved") { _ in PipelineHarness.value("new") }
        return harness
    }

    /// Makes the client give up its connections to `store1`.
    private func move(_ harness: PipelineHarness) async throws {
        _ = try await harness.stores.resolve(1, deadline: Deadline(after: .seconds(1), from: harness.clock.now))
        harness.regions.change { $0.stores[1] = StoreDescription(id: 1, address: "moved:1") }
        #expect(try await harness.get() == PipelineHarness.value("new"))
        // Those that answered as another store, and those in their place that turned out to lead to the wrong address.
        #expect(harness.retiredChannels == 2)
    }

    private func run(_ harness: PipelineHarness) async throws(TiKVError) {
        try await harness.background.run(
            harness.lifecycle, harness.stores, clock: harness.clock, shutdownTimeout: Self.shutdownTimeout)
    }

    @Test func retiredConnectionsCloseAfterTheirTime() async throws {
        let harness = self.harness()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.run(harness) }
            try await self.move(harness)
            await harness.clock.waitForSleepers(2)
            #expect(!harness.isShutDown("store1"))
            harness.clock.advance(by: Self.shutdownTimeout)
            while !harness.isShutDown("store1") { await Task.yield() }
            #expect(!harness.isShutDown("moved"))
            group.cancelAll()
            try await group.next()
        }
    }

    @Test func cancellationGivesNoTime() async throws {
        let harness = self.harness()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.run(harness) }
            try await self.move(harness)
            await harness.clock.waitForSleepers(2)
            // A call that never ends.
            try await harness.lifecycle.begin(deadline: Deadline(after: .seconds(1), from: harness.clock.now))
            group.cancelAll()
            try await group.next()
        }
        #expect(harness.clock.elapsed == .zero)
        #expect(harness.lifecycle.isClosed)
        #expect(harness.isShutDown("store1"))
        #expect(harness.isShutDown("moved"))
    }

    @Test func connectionsRetiredAfterTheWorkEndedAreClosedToo() async throws {
        let harness = self.harness()
        try harness.lifecycle.start()
        try await self.move(harness)
        await harness.stores.shutdown()
        #expect(harness.isShutDown("store1"))
        #expect(harness.isShutDown("moved"))
    }

    // MARK: - What is asked of PD beside calls

    private func runWithCache(
        _ configuration: ClientConfiguration.RegionCache, _ body: (PipelineHarness) async throws -> Void
    ) async throws {
        let harness = PipelineHarness(
            [.sample(1, "", "m"), .sample(2, "m", "")], jumps: false, runs: false, configuration: configuration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await harness.background.run(
                    harness.lifecycle, harness.stores, harness.cache, clock: harness.clock,
                    shutdownTimeout: Self.shutdownTimeout)
            }
            try await body(harness)
            group.cancelAll()
            try await group.next()
        }
    }

    @Test func allRegionsAreLoadedBeforehandWhereWanted() async throws {
        try await self.runWithCache(.init(isPreloaded: true)) { harness in
            await harness.clock.waitForSleepers(1)
            #expect(await harness.cache.count == 2)
        }
        try await self.runWithCache(.init()) { harness in
            await harness.clock.waitForSleepers(1)
            #expect(await harness.cache.count == 0)
        }
    }

    @Test func allRegionsAreLoadedAnewNowAndThen() async throws {
        try await self.runWithCache(.init(refreshInterval: .seconds(2))) { harness in
            for seconds in 1...4 {
                await harness.clock.waitForSleepers(1)
                #expect(harness.regions.questions.filter { $0 == "scan" }.count == (seconds - 1) / 2)
                harness.clock.advance(by: .seconds(1))
            }
            await harness.clock.waitForSleepers(1)
            #expect(harness.regions.questions.filter { $0 == "scan" }.count == 2)
        }
    }

    @Test func storesAreLookedAtFourTimesAnInterval() async throws {
        try await self.runWithCache(.init(storeRefreshInterval: .seconds(8))) { harness in
            let deadline = Deadline(after: .seconds(1), from: harness.clock.now)
            _ = try await harness.stores.resolve(1, deadline: deadline)
            harness.regions.change { $0.stores[1]?.labels = ["zone": "z9"] }
            for _ in 1...4 {
                await harness.clock.waitForSleepers(1)
                harness.clock.advance(by: .seconds(1))
            }
            await harness.clock.waitForSleepers(1)
            #expect(harness.regions.questions.filter { $0 == "store 1" }.count == 3)
            #expect(harness.stores.record(1).labels == ["zone": "z9"])
        }
    }

    @Test func withoutATimeForItNoStoreIsAskedWhetherItLives() async throws {
        let harness = PipelineHarness([.sample(1)], routing: .init(livenessTimeout: .zero))
        harness.on("store2") { _ in PipelineHarness.value("2") }
        #expect(try await harness.get() == PipelineHarness.value("2"))
        #expect(harness.probes.isEmpty)
        // It is avoided by what was loaded before, and nothing else is concluded.
        #expect(harness.stores.record(1).epoch == 1)
        #expect(harness.stores.record(1).liveness == .reachable)
    }
}
