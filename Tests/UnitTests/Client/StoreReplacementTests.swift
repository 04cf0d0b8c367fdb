// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

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
