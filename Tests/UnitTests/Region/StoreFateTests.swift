// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// Stores that are taken away, replaced, or slow for a while.
@Suite(.timeLimit(.minutes(1))) struct StoreFateTests {
    @Test func aStoreThatPDDoesNotKnowAnyMoreIsGone() async throws {
        let harness = PipelineHarness([.sample(1)])
        let deadline = Deadline(after: .seconds(5), from: harness.clock.now)
        let record = harness.stores.record(2)
        _ = try await harness.stores.resolve(2, deadline: deadline)
        #expect(record.resolveState == .resolved && record.handle?.address.host == "store2")
        let epoch = record.epoch
        harness.regions.change { $0.stores[2] = nil }
        record.needsCheck()
        await harness.stores.check(record)
        #expect(record.resolveState == .unknownToPD)
        #expect(record.handle == nil && record.lastHandle == nil)
        // Regions of that time do not use it.
        #expect(record.epoch > epoch)
        #expect(harness.retiredChannels == 1)
    }

    @Test func storeNotMatchClosesTheConnections() async throws {
        let harness = PipelineHarness([.sample(1, stores: [1])])
        harness.on("store1") { _ in PipelineHarness.value("old") }
        _ = try await harness.get()
        let old = try #require(harness.stores.known(1)?.channel as? ScriptedChannel)
        harness.regions.change { state in
            state.stores[1]?.state = .tombstone
            state.stores[9] = StoreDescription(id: 9, address: "store1:20160")
            state.regions = [.sample(1, epoch: RegionEpoch(confVer: 3, version: 1), leader: 9, stores: [9])]
        }
        harness.on("store1") { request in
            guard (request as? Kvrpcpb_RawGetRequest)?.context.peer.storeID == 9 else {
                return PipelineHarness.regionError { $0.storeNotMatch.actualStoreID = 9 }
            }
            return PipelineHarness.value("new")
        }
        let found = try await harness.get()
        #expect(found == PipelineHarness.value("new"))
        // The same address, over connections of its own.
        let new = try #require(harness.stores.known(9)?.channel as? ScriptedChannel)
        #expect(new !== old)
        #expect(harness.retiredChannels == 1)
        await harness.stores.closeRetired(1)
        #expect(old.isShutDown && !new.isShutDown)
        // An old handle is of no account any more: who holds one closes nothing.
        if let handle = harness.stores.known(9) {
            await harness.stores.reconnect(
                StoreHandle(id: 1, address: handle.address, channel: old, reports: handle.reports))
        }
        #expect(harness.retiredChannels == 1)
    }

    @Test func aStoresOwnScoreMakesItSlowAndIsForgottenInTime() {
        var health = StoreHealth()
        let start = ContinuousClock.now
        func tick(_ seconds: ClosedRange<Int>) {
            for second in seconds {
                _ = health.tick(count: 0, latency: .zero, at: start.advanced(by: .seconds(second)))
            }
        }
        #expect(health.server.score <= 1 && !health.isSlow)
        health.feedback(score: 50, sequence: 1, at: start)
        #expect(!health.isSlow)
        health.feedback(score: 100, sequence: 2, at: start.advanced(by: .seconds(1)))
        #expect(health.isSlow)
        tick(2...121)
        #expect(abs(health.server.score - 60) <= 5)
        #expect(!health.isSlow)
        tick(122...331)
        #expect(health.server.score == 1 && !health.isSlow)
    }
}
