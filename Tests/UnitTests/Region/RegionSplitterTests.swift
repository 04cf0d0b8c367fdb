// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVOrderedMap
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// Splitting regions on demand.
@Suite(.timeLimit(.minutes(1))) struct RegionSplitterTests {
    private final class Scheduler: RegionScheduler {
        private let state = Mutex((scattered: [] as [UInt64], groups: [] as [String], polls: 0))

        var scattered: [UInt64] { self.state.withLock { $0.scattered.sorted() } }
        var groups: [String] { self.state.withLock { $0.groups } }
        var polls: Int { self.state.withLock { $0.polls } }

        func scatter(_ ids: [UInt64], group: String, deadline: Deadline) async throws(PDError) {
            self.state.withLock {
                $0.scattered += ids
                $0.groups.append(group)
            }
        }

        /// Each region takes three looks.
        func isScattering(_ id: UInt64, deadline: Deadline) async throws(PDError) -> Bool {
            self.state.withLock {
                $0.polls += 1
                return $0.polls % 3 != 0
            }
        }
    }

    /// Answers a split as TiKV does: new regions for all but the last part, whose version has grown.
    private static func split(
        _ request: Kvrpcpb_SplitRegionRequest, of region: RegionDescription, keepsIDOnTheLeft: Bool = false
    ) -> Kvrpcpb_SplitRegionResponse {
        var response = Kvrpcpb_SplitRegionResponse()
        let bounds = [region.startKey] + request.splitKeys.map { [UInt8]($0) } + [region.endKey]
        for index in 1..<bounds.count {
            var part = Metapb_Region()
            let keepsID = keepsIDOnTheLeft ? index == 1 : index == bounds.count - 1
            part.id = keepsID ? region.id : region.id * 100 + UInt64(index)
            part.startKey.append(contentsOf: bounds[index - 1])
            part.endKey.append(contentsOf: bounds[index])
            part.regionEpoch.confVer = region.epoch.confVer
            part.regionEpoch.version = region.epoch.version + UInt64(bounds.count - 2)
            for peer in region.peers {
                var copy = Metapb_Peer()
                copy.id = part.id * 10 + peer.storeID
                copy.storeID = peer.storeID
                part.peers.append(copy)
            }
            response.regions.append(part)
        }
        return response
    }

    private func keys(_ text: String) -> [[UInt8]] { text.map { [UInt8](String($0).utf8) } }

    @Test func regionsAreSplitAtTheKeysThatNeedIt() async throws {
        let regions = [RegionDescription.sample(1, "", "m"), .sample(2, "m", "")]
        let harness = PipelineHarness(regions)
        harness.on("store1") { request in
            let split = request as? Kvrpcpb_SplitRegionRequest ?? .init()
            return Self.split(split, of: split.context.regionID == 1 ? regions[0] : regions[1])
        }
        let scheduler = Scheduler()
        let splitter = RegionSplitter(sender: harness.sender, scheduler: scheduler)
        let ids = try await splitter.split(at: self.keys("dbmbx"), scatter: "table")
        // Nothing to do at m.
        #expect(ids.sorted() == [101, 102, 201])
        #expect(scheduler.scattered == [101, 102, 201])
        #expect(scheduler.groups == ["table"])
        #expect(harness.hosts.count == 2)
        // What came of it is known.
        var call = RegionCall(deadline: Deadline(after: .seconds(1), from: harness.clock.now), isWrite: false)
        let questions = harness.regions.questions.count
        for (key, id) in [("a", 101), ("c", 102), ("e", 1), ("n", 201), ("z", 2)] as [(String, UInt64)] {
            #expect(try await harness.sender.locate(Array(key.utf8), &call).id == id)
        }
        #expect(harness.regions.questions.count == questions)
    }

    @Test(arguments: [false, true]) func thePartThatKeepsTheIDIsNoneOfTheNew(isOnTheLeft: Bool) async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.on("store1") { request in
            Self.split(request as? Kvrpcpb_SplitRegionRequest ?? .init(), of: .sample(1), keepsIDOnTheLeft: isOnTheLeft)
        }
        let splitter = RegionSplitter(sender: harness.sender, scheduler: Scheduler())
        #expect(try await splitter.split(at: self.keys("bd")).sorted() == (isOnTheLeft ? [102, 103] : [101, 102]))
    }

    @Test func splittingWhereRegionsMeetAsksNobody() async throws {
        let harness = PipelineHarness([.sample(1, "", "m"), .sample(2, "m", "")])
        let splitter = RegionSplitter(sender: harness.sender, scheduler: Scheduler())
        #expect(try await splitter.split(at: self.keys("m")).isEmpty)
        #expect(try await splitter.split(at: []).isEmpty)
        #expect(harness.hosts.isEmpty)
    }

    @Test func manyKeysGoInSeveralRequests() async throws {
        let region = RegionDescription.sample(1)
        let harness = PipelineHarness([region])
        let sizes = Mutex<[Int]>([])
        harness.on("store1") { request in
            let split = request as? Kvrpcpb_SplitRegionRequest ?? .init()
            sizes.withLock { $0.append(split.splitKeys.count) }
            // Says nothing of what came of it.
            return Kvrpcpb_SplitRegionResponse()
        }
        let splitter = RegionSplitter(sender: harness.sender, scheduler: Scheduler(), concurrency: 1)
        let keys = (0..<5000).map { [UInt8($0 >> 8), UInt8($0 & 255)] }
        _ = try await splitter.split(at: keys)
        #expect(sizes.withLock { $0.reduce(0, +) } == 5000)
        #expect(sizes.withLock { $0.max() } == RegionSplitter.keysPerRequest)
    }

    @Test func aRegionThatHasChangedIsSplitAsItIsNow() async throws {
        let old = RegionDescription.sample(1)
        let harness = PipelineHarness([old])
        let now = RegionDescription.sample(1, "f", "", epoch: RegionEpoch(confVer: 1, version: 2))
        let left = RegionDescription.sample(3, "", "f", epoch: RegionEpoch(confVer: 1, version: 2))
        let regions = harness.regions
        harness.on("store1") { request in
            let split = request as? Kvrpcpb_SplitRegionRequest ?? .init()
            if split.context.regionEpoch.version == 1 {
                regions.change { $0.regions = [left, now] }
                var response = Kvrpcpb_SplitRegionResponse()
                response.regionError.epochNotMatch = .init()
                return response
            }
            return Self.split(split, of: split.context.regionID == 1 ? now : left)
        }
        let splitter = RegionSplitter(sender: harness.sender, scheduler: Scheduler())
        #expect(try await splitter.split(at: self.keys("bx")).sorted() == [101, 301])
    }

    @Test func spreadingIsWaitedFor() async throws {
        let harness = PipelineHarness([.sample(1)])
        let scheduler = Scheduler()
        let splitter = RegionSplitter(sender: harness.sender, scheduler: scheduler)
        try await splitter.waitUntilScattered([1, 2])
        #expect(scheduler.polls == 6)
        #expect(harness.clock.waits.count == 4)
    }

    @Test func spreadingThatTakesTooLongIsSaidSo() async throws {
        struct Endless: RegionScheduler {
            func scatter(_ ids: [UInt64], group: String, deadline: Deadline) async throws(PDError) {}
            func isScattering(_ id: UInt64, deadline: Deadline) async throws(PDError) -> Bool { true }
        }
        let harness = PipelineHarness([.sample(1)])
        let splitter = RegionSplitter(sender: harness.sender, scheduler: Endless())
        do throws(TiKVError) {
            try await splitter.waitUntilScattered([7], timeout: .seconds(3))
            Issue.record("it can't have ended")
        } catch {
            #expect(error.code == .deadlineExceeded)
            #expect(error.message.contains("region 7"))
        }
    }
}
