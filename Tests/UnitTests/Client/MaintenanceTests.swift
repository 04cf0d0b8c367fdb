// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD

@testable import TiKV

/// Work beside calls: what comes round again, what is done at once, and how all of it ends.
@Suite(.timeLimit(.minutes(1))) struct MaintenanceTests {
    /// A client whose `run()` goes on until the body is through.
    private func running(_ body: (PipelineHarness) async throws -> Void) async throws -> PipelineHarness {
        let harness = PipelineHarness([.sample(1)], jumps: false, runs: false)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await harness.background.run(
                    harness.lifecycle, harness.stores, harness.cache, clock: harness.clock,
                    shutdownTimeout: .seconds(5))
            }
            try await body(harness)
            group.cancelAll()
            try await group.next()
        }
        return harness
    }

    private func region(_ harness: PipelineHarness) async throws -> CachedRegion {
        await harness.cache.install([.sample(1)])
        return try #require(harness.cache.known(containing: [1], now: harness.clock.now))
    }

    @Test func regionsAreLookedThroughEverySecond() async throws {
        _ = try await self.running { harness in
            for _ in 0..<3 {
                let region = try await self.region(harness)
                region.reloadLater()
                await harness.clock.waitForSleepers(1)
                harness.clock.advance(by: .milliseconds(999))
                for _ in 0..<20 { await Task.yield() }
                #expect(!region.needsReload)
                harness.clock.advance(by: .milliseconds(1))
                while !region.needsReload { await Task.yield() }
            }
        }
    }

    @Test func whatIsHandedOverBeginsAtOnceAndEndsWithTheClient() async throws {
        let begun = Mutex(0)
        let ended = Mutex(0)
        let late = Mutex(false)
        let harness = try await self.running { harness in
            for _ in 0..<3 {
                harness.background.add(
                    .finish {
                        begun.withLock { $0 += 1 }
                        while !Task.isCancelled { await Task.yield() }
                        ended.withLock { $0 += 1 }
                    })
            }
            // Without a move of the clock.
            while begun.withLock({ $0 }) < 3 { await Task.yield() }
            #expect(ended.withLock { $0 } == 0)
        }
        #expect(harness.clock.elapsed == .zero)
        // The end waited for what was under way, and was told.
        #expect(ended.withLock { $0 } == 3)
        harness.background.add(.finish { late.withLock { $0 = true } })
        for _ in 0..<100 { await Task.yield() }
        #expect(!late.withLock { $0 })
    }
}
