// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// What the cache says while regions change behind its back.
@Suite(.timeLimit(.minutes(1))) struct RegionCacheTests {
    private func call(_ harness: PipelineHarness) -> RegionCall {
        RegionCall(deadline: Deadline(after: .seconds(10), from: harness.clock.now), isWrite: false)
    }

    private func locate(_ harness: PipelineHarness, _ key: String) async throws -> CachedRegion {
        var call = self.call(harness)
        return try await harness.sender.locate(Array(key.utf8), &call)
    }

    @Test func aSplitShowsOnceTheOldRegionIsForgotten() async throws {
        let harness = PipelineHarness([.sample(1)])
        let old = try await self.locate(harness, "z")
        let epoch = RegionEpoch(confVer: 1, version: 2)
        harness.regions.change { $0.regions = [.sample(2, "", "m", epoch: epoch), .sample(1, "m", "", epoch: epoch)] }
        #expect(try await self.locate(harness, "z") === old)
        harness.cache.invalidate(old)
        let right = try await self.locate(harness, "z")
        #expect(right.id == 1 && right.epoch == epoch && right.startKey == Array("m".utf8))
        let left = try await self.locate(harness, "a")
        #expect(left.id == 2 && left.epoch == epoch)
        #expect(await harness.cache.count == 2)
    }

    @Test func aMergeShowsOnceTheOldRegionIsForgotten() async throws {
        let harness = PipelineHarness([.sample(1, "", "m"), .sample(2, "m", "")])
        let left = try await self.locate(harness, "a")
        harness.regions.change { $0.regions = [.sample(1, "", "", epoch: RegionEpoch(confVer: 1, version: 2))] }
        harness.cache.invalidate(left)
        let merged = try await self.locate(harness, "z")
        #expect(merged.id == 1 && merged.startKey.isEmpty && merged.endKey.isEmpty)
        #expect(try await self.locate(harness, "a") === merged)
    }

    @Test func aForgottenRegionComesBackTheSame() async throws {
        let harness = PipelineHarness([.sample(1)])
        let first = try await self.locate(harness, "k")
        harness.cache.invalidate(first)
        let second = try await self.locate(harness, "k")
        #expect(second !== first)
        #expect(second.id == first.id && second.epoch == first.epoch && second.leader == first.leader)
    }

    @Test func aNewLeaderIsFoundFromEitherEnd() async throws {
        let harness = PipelineHarness([.sample(1)])
        let region = try await self.locate(harness, "k")
        region.switchLeader(to: 1)
        #expect(try await self.locate(harness, "a").leader.storeID == 2)
        var call = self.call(harness)
        #expect(try await harness.sender.locate(before: Array("k".utf8), &call).leader.storeID == 2)
        #expect(try await harness.sender.locate(before: [], &call).leader.storeID == 2)
        #expect(harness.regions.questions == ["region"])
    }

    /// The peers change between the choice of one and the report that it failed.
    @Test(arguments: [false, true]) func peersThatLeaveMeanwhile(asWitness: Bool) async throws {
        let harness = PipelineHarness([.sample(1)])
        let cache = harness.cache
        let changed: RegionDescription = {
            var region = RegionDescription.sample(1, epoch: RegionEpoch(confVer: 2, version: 1), leader: 3)
            if asWitness { region.peers[1].isWitness = true } else { region.peers.remove(at: 1) }
            return region
        }()
        harness.on("store1") { _ throws(RPCError) in
            await cache.install([changed])
            throw RPCError(.unavailable, "reset", delivery: .unknown)
        }
        harness.on("store3") { _ in PipelineHarness.value("v") }
        #expect(try await harness.get() == PipelineHarness.value("v"))
        #expect(harness.hosts == ["store1", "store3"])
    }

    @Test func aGapInWhatPDKnowsIsWaitedOut() async throws {
        let harness = PipelineHarness([.sample(1, "", "b"), .sample(3, "d", "")])
        let regions = harness.regions
        regions.change { state in
            state.onQuestion = {
                guard regions.questions.count == 3 else { return }
                regions.change { $0.regions.insert(.sample(2, "b", "d"), at: 1) }
            }
        }
        var call = self.call(harness)
        let parts = try await harness.sender.regions(of: KeySpan(start: [], end: []), &call)
        #expect(parts.map(\.region.id) == [1, 2, 3])
        #expect(harness.clock.waits == [.milliseconds(2), .milliseconds(4)])
        regions.change { $0.onQuestion = nil }
    }
}
