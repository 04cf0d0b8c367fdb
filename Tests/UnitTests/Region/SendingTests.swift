// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// What callers get of a request, and what is told of where it went.
@Suite(.timeLimit(.minutes(1))) struct SendingTests {
    private typealias Harness = PipelineHarness

    @Test func anAnswerComesWithTheAddressThatGaveIt() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in Harness.value("v") }
        let recorder = RequestRecorder()
        let answer = try await withRequestStatistics(recorder) { try await harness.get() }
        #expect(answer == Harness.value("v"))
        #expect(recorder.statistics.accesses.map(\.address) == ["store1:20160"])
    }

    @Test func aTaskThatIsCancelledGetsThatAndTheRegionStays() async throws {
        let harness = Harness([.sample(1)], jumps: false)
        harness.on("store1") { _ throws(RPCError) in
            try? await harness.clock.sleep(until: harness.clock.now.advanced(by: .seconds(3600)))
            throw RPCError(.cancelled, "", delivery: .unknown)
        }
        let code = await withTaskGroup(of: TiKVError.Code?.self) { group in
            group.addTask {
                do throws(TiKVError) {
                    _ = try await harness.get()
                    return nil
                } catch {
                    return error.code
                }
            }
            while harness.hosts.isEmpty { await Task.yield() }
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect(code == .cancelled)
        let record = harness.stores.record(1)
        #expect(record.epoch == 0 && record.liveness == .reachable)
        #expect(harness.cache.known(containing: [1], now: harness.clock.now) != nil)
        harness.on("store1") { _ in Harness.value("v") }
        #expect(try await harness.get() == Harness.value("v"))
        #expect(harness.regions.questions.filter { $0 == "region" }.count == 1)
    }

    @Test func aReadThatNoReplicaAnswersInTimeIsRoutedAnew() async throws {
        let harness = Harness([.sample(1)])
        for store in ["store1", "store2", "store3"] {
            harness.on(store) { _ throws(RPCError) in throw RPCError(.deadlineExceeded, "", delivery: .unknown) }
        }
        var replica = ReplicaOptions.read(.mixed)
        replica.readTimeout = .milliseconds(100)
        do throws(TiKVError) {
            _ = try await harness.get(timeout: .seconds(2), options: RequestOptions(replica: replica))
            Issue.record("nobody answers")
        } catch {
            #expect(error.message.contains("deadlineExceeded"))
        }
        // Each was asked, and all of them again when the region had been looked at anew.
        #expect(Set(harness.hosts) == ["store1", "store2", "store3"])
        #expect(harness.hosts.count > 3)
    }

    @Test func whereATryGoesIsToldInWords() throws {
        let harness = Harness([.sample(1)])
        let region = try #require(
            CachedRegion(
                .sample(1), stores: { harness.stores.record($0) }, now: harness.clock.now, timeToLive: .seconds(10)))
        func handle(_ id: UInt64) throws -> StoreHandle {
            StoreHandle(
                id: id, address: try #require(PeerAddress("store\(id):20160")),
                channel: ScriptedChannel { (_: String, _) throws(RPCError) in Harness.value("") },
                reports: StoreReportBoard())
        }
        var target = RegionRequestSender.Target(choice: .init(index: 1), store: try handle(2))
        #expect(
            RegionRequestSender.Target.words(target, in: region)
                == "region 1 at peer 12 (voter, number 1) on store 2 (tikv), store2:20160")
        target.proxy = try handle(3)
        #expect(RegionRequestSender.Target.words(target, in: region).hasSuffix(", over store 3, store3:20160"))
        #expect(RegionRequestSender.Target.words(nil, in: region) == "region 1 at nobody")
    }

    // MARK: - Zones

    private func zoned() -> PipelineHarness {
        let harness = Harness([.sample(1)], routing: .init(zone: "z2"))
        harness.regions.change { state in
            for id in state.stores.keys { state.stores[id]?.labels = ["zone": "z\(id)"] }
        }
        harness.on("store1") { _ in Harness.value("from the leader") }
        return harness
    }

    @Test func aStaleReadThatHitsIsLocal() async throws {
        let harness = self.zoned()
        harness.on("store2") { _ in Harness.value("near") }
        let recorder = RequestRecorder()
        let options = RequestOptions(replica: .staleRead(labels: ["zone": "z2"]))
        let answer = try await withRequestStatistics(recorder) { try await harness.get(options: options) }
        #expect(answer == Harness.value("near"))
        let reads = recorder.statistics.staleReads
        #expect(reads.hits == 1 && reads.misses == 0)
        #expect(reads.localRequests == 1 && reads.localBytes > 0)
        #expect(reads.crossZoneRequests == 0 && reads.crossZoneBytes == 0)
    }

    @Test func aStaleReadThatMissesCrossesZones() async throws {
        let harness = self.zoned()
        harness.on("store2") { _ in Harness.regionError { $0.dataIsNotReady.regionID = 1 } }
        let recorder = RequestRecorder()
        let options = RequestOptions(replica: .staleRead(labels: ["zone": "z2"]))
        let answer = try await withRequestStatistics(recorder) { try await harness.get(options: options) }
        #expect(answer == Harness.value("from the leader"))
        let reads = recorder.statistics.staleReads
        #expect(reads.hits == 0 && reads.misses == 1)
        #expect(reads.crossZoneRequests == 1 && reads.crossZoneBytes > 0)
        #expect(reads.localRequests == 0 && reads.localBytes == 0)
        // Reads of another kind are not counted.
        let other = RequestRecorder()
        _ = try await withRequestStatistics(other) { try await harness.get() }
        #expect(other.statistics.staleReads == .init())
    }

    // MARK: - The columnar engine

    /// A region with voters on stores 1 to 3 and a learner on store 4, which is of the columnar engine.
    private static func columnar(isDown: Bool = false, version: UInt64 = 1) -> RegionDescription {
        var region = RegionDescription.sample(1, epoch: RegionEpoch(confVer: 1, version: version))
        region.peers.append(PeerDescription(id: 14, storeID: 4, role: .learner))
        if isDown { region.downPeers = [region.peers[3]] }
        return region
    }

    private func columnarHarness(_ region: RegionDescription) -> PipelineHarness {
        let harness = Harness(
            [region], configuration: .init(timeToLive: .seconds(600), timeToLiveJitter: .zero))
        harness.regions.change { state in
            state.stores[4] = StoreDescription(id: 4, address: "store4:3930", labels: ["engine": "tiflash"])
        }
        for number in 1...4 { harness.on("store\(number)") { _ in Harness.value("\(number)") } }
        return harness
    }

    @Test func columnarReadsGoToColumnarStoresAndOthersDoNot() async throws {
        let harness = self.columnarHarness(Self.columnar())
        let columnar = RequestOptions(replica: .columnar())
        for _ in 0..<3 { #expect(try await harness.get(options: columnar) == Harness.value("4")) }
        for mode: ReplicaReadMode in [.leader, .follower, .mixed, .learner] {
            #expect(try await harness.get(options: RequestOptions(replica: .read(mode))) != Harness.value("4"))
        }
    }

    @Test func aColumnarPeerThatWasDownIsUsedAgain() async throws {
        let harness = self.columnarHarness(Self.columnar(isDown: true))
        let columnar = RequestOptions(replica: .columnar())
        await #expect(throws: TiKVError.self) {
            _ = try await harness.get(timeout: .milliseconds(50), options: columnar)
        }
        #expect(!harness.hosts.contains("store4"))
        harness.regions.change { $0.regions = [Self.columnar()] }
        // However often the region is used meanwhile, within one time to live it is loaded anew.
        for _ in 0..<6 {
            _ = try await harness.get()
            harness.clock.advance(by: .seconds(101))
        }
        #expect(try await harness.get(options: columnar) == Harness.value("4"))
    }

    @Test func aColumnarStoreThatKnowsALaterRegionDoesNotLeadIt() async throws {
        let harness = self.columnarHarness(Self.columnar())
        harness.on("store4") { request in
            guard (request as? Kvrpcpb_RawGetRequest)?.context.regionEpoch.version == 1 else {
                return Harness.value("4")
            }
            return Harness.regionError { error in
                var region = Metapb_Region()
                region.id = 1
                region.regionEpoch.confVer = 1
                region.regionEpoch.version = 2
                for peer in Self.columnar().peers {
                    var copy = Metapb_Peer()
                    copy.id = peer.id
                    copy.storeID = peer.storeID
                    copy.role = peer.role.proto
                    region.peers.append(copy)
                }
                error.epochNotMatch.currentRegions = [region]
            }
        }
        #expect(try await harness.get(options: RequestOptions(replica: .columnar())) == Harness.value("4"))
        let region = try #require(harness.cache.known(containing: [1], now: harness.clock.now))
        #expect(region.epoch.version == 2 && region.leader.canLead && region.leader.storeID != 4)
        #expect(try await harness.get() == Harness.value("1"))
    }
}
