// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// Stores that change places: a request finds the one that holds its region.
@Suite(.timeLimit(.minutes(1))) struct StoreReplacementTests {
    /// One store, known to the client.
    private func harness() async throws -> PipelineHarness {
        let harness = PipelineHarness([.sample(1, stores: [1])])
        harness.on("store1") { _ in PipelineHarness.value("v") }
        #expect(try await harness.get() == PipelineHarness.value("v"))
        return harness
    }

    /// Store 9 takes over the region and the address of store 1.
    private func replace(_ harness: PipelineHarness) {
        harness.regions.change { state in
            state.stores[1]?.state = .tombstone
            state.stores[9] = StoreDescription(id: 9, address: "store1:20160")
            state.regions = [.sample(1, epoch: RegionEpoch(confVer: 3, version: 1), leader: 9, stores: [9])]
        }
    }

    @Test func aNewStoreAtAnOldAddress() async throws {
        let harness = try await self.harness()
        self.replace(harness)
        harness.on("store1") { request in
            guard (request as? Kvrpcpb_RawGetRequest)?.context.peer.storeID == 9 else {
                return PipelineHarness.regionError { $0.storeNotMatch.actualStoreID = 9 }
            }
            return PipelineHarness.value("v")
        }
        #expect(try await harness.get() == PipelineHarness.value("v"))
        #expect(harness.hosts == ["store1", "store1", "store1"])
    }

    @Test func aWriteFindsTheStoreThatReplacedADeadOne() async throws {
        let harness = try await self.harness()
        self.replace(harness)
        harness.on("store1") { request in
            guard (request as? Kvrpcpb_RawPutRequest)?.context.peer.storeID == 9 else {
                return PipelineHarness.putError { $0.storeNotMatch.actualStoreID = 9 }
            }
            return Kvrpcpb_RawPutResponse()
        }
        try await harness.put()
        #expect(harness.hosts == ["store1", "store1", "store1"])
    }

    @Test func otherConnectionsAreThereAtOnceAlsoWithoutPD() async throws {
        let harness = PipelineHarness([.sample(1, "", "m", stores: [1]), .sample(2, "m", "", stores: [1])])
        harness.on("store1") { _ in PipelineHarness.value("v") }
        for key in ["a", "z"] { #expect(try await harness.get(key) == PipelineHarness.value("v")) }
        let old = try #require(harness.stores.record(1).lastHandle)
        harness.regions.change { $0.failure = PDError(.unreachable, "away") }
        harness.on("store1") { request in
            guard (request as? Kvrpcpb_RawGetRequest)?.context.regionID == 2 else {
                return PipelineHarness.regionError { $0.storeNotMatch.actualStoreID = 9 }
            }
            return PipelineHarness.value("v")
        }
        await #expect(throws: TiKVError.self) { _ = try await harness.get("a", timeout: .seconds(1)) }
        #expect(harness.retiredChannels == 1)
        await harness.stores.closeRetired(1)
        #expect((old.channel as? ScriptedChannel)?.isShutDown == true)
        // The other region of the store is not cut off.
        #expect(try await harness.get("z", timeout: .seconds(5)) == PipelineHarness.value("v"))
    }

    @Test func itIsTheOneThatAnsweredWhoIsConnectedAnew() async throws {
        let harness = PipelineHarness([.sample(1)], routing: .init(isForwardingEnabled: true))
        harness.on("store1") { _ in PipelineHarness.value("v") }
        _ = try await harness.get()
        harness.on("store1", nil)
        let refusals = Mutex(1)
        harness.on("store2") { _ in
            let refuses = refusals.withLock { left in
                defer { left -= 1 }
                return left > 0
            }
            return refuses
                ? PipelineHarness.regionError { $0.storeNotMatch.actualStoreID = 9 } : PipelineHarness.value("over 2")
        }
        let leader = try #require(harness.stores.record(1).lastHandle)
        #expect(try await harness.get() == PipelineHarness.value("over 2"))
        #expect(harness.retiredChannels == 1)
        await harness.stores.closeRetired(1)
        // Store 2 stood between; the leader's own connections are what they were.
        #expect((leader.channel as? ScriptedChannel)?.isShutDown == false)
        #expect(harness.stores.record(1).lastHandle?.channel as AnyObject === leader.channel as AnyObject)
    }

    @Test func aStoreThatMovedAndLeftNothingBehind() async throws {
        let harness = try await self.harness()
        harness.regions.change { $0.stores[1]?.address = "moved:20160" }
        harness.on("store1", nil)
        harness.on("moved") { _ in PipelineHarness.value("v") }
        #expect(try await harness.get() == PipelineHarness.value("v"))
        #expect(harness.hosts == ["store1", "store1", "moved"])
        #expect(harness.retiredChannels == 1)
    }
}
