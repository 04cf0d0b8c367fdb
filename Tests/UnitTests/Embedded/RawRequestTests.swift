// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import Testing
import TiKVOrderedMap
import TiKVProto

@testable import TiKVEmbedded

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a store makes of raw requests, without sockets.
@Suite struct RawRequestTests {
    /// Two regions that meet at "m".
    private static func model(_ version: EmbeddedCluster.APIVersion = .v1) -> ClusterModel {
        ClusterModel(
            cluster: ClusterState(storeCount: 1, replicaCount: 1, splitKeys: [Array("m".utf8)]), clusterID: 5,
            apiVersion: version)
    }

    private func context(_ model: ClusterModel, region: Int = 0) -> Kvrpcpb_Context {
        let region = model.cluster.regions[region]
        return .with {
            $0.regionID = region.id
            $0.regionEpoch = region.epoch.proto
            $0.peer = region.peers[0].proto
        }
    }

    private func put(_ model: inout ClusterModel, _ keys: String..., ttl: UInt64 = 0, now: UInt64 = 0) throws {
        for key in keys {
            let context = self.context(model, region: key < "m" ? 0 : 1)
            try model.rawPut(
                .with {
                    $0.context = context
                    $0.key = Data(key.utf8)
                    $0.value = Data(("v" + key).utf8)
                    $0.ttl = ttl
                }, on: 1, now: now)
        }
    }

    private func scan(
        _ model: ClusterModel, _ start: String, _ end: String = "", region: Int = 0, limit: UInt32 = 100,
        reverse: Bool = false
    ) throws -> [String] {
        try model.rawScan(
            .with {
                $0.context = self.context(model, region: region)
                $0.startKey = Data(start.utf8)
                $0.endKey = Data(end.utf8)
                $0.limit = limit
                $0.reverse = reverse
            }, on: 1
        ).run(now: 0).map { String(decoding: $0.key, as: UTF8.self) }
    }

    private func failure<Result>(_ body: () throws -> Result) -> StorageError? {
        do {
            _ = try body()
            return nil
        } catch {
            return error as? StorageError
        }
    }

    private func text<Result>(_ body: () throws -> Result) -> String? {
        if case .request(let text) = self.failure(body) { text } else { nil }
    }

    private func regionError<Result>(_ body: () throws -> Result) -> Errorpb_Error? {
        if case .region(let error) = self.failure(body) { error.proto } else { nil }
    }

    // MARK: - What is refused

    @Test(arguments: [EmbeddedCluster.APIVersion.v1, .v1ttl])
    func onlyRequestsOfVersionOne(version: EmbeddedCluster.APIVersion) {
        let model = Self.model(version)
        for (other, name) in [(Kvrpcpb_APIVersion.v2, "V2"), (.v1Ttl, "V1ttl")] {
            var request = Kvrpcpb_RawGetRequest()
            request.context.apiVersion = other
            // Before the region is looked at, which this request does not name.
            #expect(
                self.text { try model.rawGet(request, on: 1, now: 0) }
                    == "Api version in request does not match with TiKV storage, cmd: raw_get, "
                    + "storage: \(version == .v1 ? "V1" : "V1ttl"), request: \(name)")
        }
    }

    @Test func unknownColumnFamily() {
        var model = Self.model()
        var get = Kvrpcpb_RawGetRequest()
        get.cf = "raft"
        // A read looks at the region first, a write at the family.
        #expect(self.regionError { try model.rawGet(get, on: 1, now: 0) }?.hasStoreNotMatch == true)
        get.context = self.context(model)
        #expect(self.text { try model.rawGet(get, on: 1, now: 0) } == "invalid cf name: raft")
        #expect(self.text { try model.rawPut(.with { $0.cf = "raft" }, on: 1, now: 0) } == "invalid cf name: raft")
    }

    @Test func keyOfAnotherRegion() throws {
        var model = Self.model()
        let context = self.context(model)
        let error = try #require(
            self.regionError {
                try model.rawGet(
                    .with {
                        $0.context = context
                        $0.key = Data("m".utf8)
                    }, on: 1, now: 0)
            })
        #expect(error.hasKeyNotInRegion && error.keyNotInRegion.key == Data("m".utf8))
        #expect(error.keyNotInRegion.endKey == Data("m".utf8) && error.keyNotInRegion.regionID == context.regionID)
        #expect(error.message == "key 6D is not in region key range [, 6D) for region \(context.regionID)")

        // One wrong key, and nothing is written.
        let batch = Kvrpcpb_RawBatchPutRequest.with {
            $0.context = context
            $0.pairs = ["a", "z"].map { key in .with { $0.key = Data(key.utf8) } }
        }
        #expect(self.regionError { try model.rawBatchPut(batch, on: 1, now: 0) }?.hasKeyNotInRegion == true)
        #expect(model.engine.entries(.default).isEmpty)
    }

    @Test func sizes() throws {
        var model = Self.model()
        let context = self.context(model)
        var put = Kvrpcpb_RawPutRequest.with {
            $0.context = context
            $0.key = Data(repeating: 1, count: 8193)
        }
        #expect(
            self.text { try model.rawPut(put, on: 1, now: 0) } == "max key size exceeded, size: 8193, limit: 8192")
        put.key.removeLast()
        put.value = Data(count: 8 << 20)
        let error = self.regionError { try model.rawPut(put, on: 1, now: 0) }
        #expect(error?.hasRaftEntryTooLarge == true && error?.raftEntryTooLarge.entrySize == 8192 + (8 << 20))
        put.value.removeLast(8192)
        try model.rawPut(put, on: 1, now: 0)
    }

    // MARK: - Time to live

    @Test func plainStoresRefuseTTL() throws {
        var model = Self.model()
        #expect(
            self.text { try self.put(&model, "a", ttl: 1) } == "ttl is not enabled, but get put request with ttl")
        let context = self.context(model)
        #expect(
            self.text { try model.rawGetKeyTTL(.with { $0.context = context }, on: 1, now: 0) }
                == "ttl is not enabled, but get put request with ttl")
        #expect(
            self.text {
                try model.rawCompareAndSwap(
                    .with {
                        $0.context = context
                        $0.ttl = 3
                    }, on: 1, now: 0)
            } != nil)
    }

    @Test func timeToLive() throws {
        var model = Self.model(.v1ttl)
        try self.put(&model, "a", ttl: 30, now: 1000)
        let request = Kvrpcpb_RawGetKeyTTLRequest.with {
            $0.context = self.context(model)
            $0.key = Data("a".utf8)
        }
        #expect(try model.rawGetKeyTTL(request, on: 1, now: 1010) == 20)
        #expect(try model.rawGetKeyTTL(request, on: 1, now: 1030) == nil)
    }

    @Test func oneTTLIsForAllPairsAndOthersMustMatch() throws {
        var model = Self.model(.v1ttl)
        var request = Kvrpcpb_RawBatchPutRequest.with {
            $0.context = self.context(model)
            $0.pairs = ["a", "b", "c"].map { key in .with { $0.key = Data(key.utf8) } }
            $0.ttls = [9]
        }
        try model.rawBatchPut(request, on: 1, now: 0)
        #expect(model.engine.timeToLive(Array("c".utf8), in: .default, now: 0) == 9)
        request.ttls = [1, 2]
        #expect(
            self.text { try model.rawBatchPut(request, on: 1, now: 0) }
                == "The length of ttls does not equal to the length of pairs")
        request.ttls = [1, 2, 0]
        try model.rawBatchPut(request, on: 1, now: 0)
        #expect(model.engine.timeToLive(Array("b".utf8), in: .default, now: 0) == 2)
        #expect(model.engine.timeToLive(Array("c".utf8), in: .default, now: 0) == 0)
    }

    // MARK: - Scanning

    @Test func forwardScanStaysInTheRegion() throws {
        var model = Self.model()
        try self.put(&model, "a", "b", "c", "m", "z")
        #expect(try self.scan(model, "") == ["a", "b", "c"])
        #expect(try self.scan(model, "", "zz") == ["a", "b", "c"])
        #expect(try self.scan(model, "b", "c") == ["b"])
        #expect(try self.scan(model, "", limit: 2) == ["a", "b"])
        #expect(try self.scan(model, "", limit: 0) == [])
        #expect(try self.scan(model, "m", region: 1) == ["m", "z"])
        #expect(try self.scan(model, "m") == [], "the end of the region is a place to start, with nothing behind it")
        #expect(self.regionError { try self.scan(model, "n") }?.hasKeyNotInRegion == true)
        #expect(self.regionError { try self.scan(model, "a", region: 1) }?.hasKeyNotInRegion == true)
    }

    @Test func reverseScanGoesFromTheUpperBoundDown() throws {
        var model = Self.model()
        try self.put(&model, "a", "b", "c", "m", "z")
        #expect(try self.scan(model, "m", reverse: true) == ["c", "b", "a"])
        #expect(try self.scan(model, "c", "a", reverse: true) == ["b", "a"])
        #expect(try self.scan(model, "c", "b", limit: 1, reverse: true) == ["b"])
        #expect(try self.scan(model, "zz", "a", region: 1, reverse: true) == ["z", "m"])
        #expect(try self.scan(model, "", reverse: true) == [], "an empty start is before everything")
        #expect(self.regionError { try self.scan(model, "", region: 1, reverse: true) }?.hasKeyNotInRegion == true)
    }

    @Test func keyOnlyScanHasNoValues() throws {
        var model = Self.model()
        try self.put(&model, "a")
        var request = Kvrpcpb_RawScanRequest.with {
            $0.context = self.context(model)
            $0.limit = 9
        }
        #expect(try model.rawScan(request, on: 1).run(now: 0).map(\.value) == [Data("va".utf8)])
        request.keyOnly = true
        #expect(try model.rawScan(request, on: 1).run(now: 0).map(\.value) == [Data()])
    }

    @Test func batchScan() throws {
        var model = Self.model()
        try self.put(&model, "a", "b", "c", "d", "e")
        func scan(_ ranges: [(String, String)], reverse: Bool = false, limit: UInt32 = 2) throws -> [String] {
            try model.rawBatchScan(
                .with {
                    $0.context = self.context(model)
                    $0.ranges = ranges.map { start, end in
                        .with {
                            $0.startKey = Data(start.utf8)
                            $0.endKey = Data(end.utf8)
                        }
                    }
                    $0.eachLimit = limit
                    $0.reverse = reverse
                }, on: 1
            ).run(now: 0).map { String(decoding: $0.key, as: UTF8.self) }
        }
        #expect(try scan([("a", "c"), ("d", "")]) == ["a", "b", "d", "e"])
        // A range without an end goes to the start of the next.
        #expect(try scan([("a", ""), ("b", "")]) == ["a", "b", "c"])
        #expect(try scan([("e", "c"), ("b", "")], reverse: true) == ["d", "c", "a"])
        #expect(self.text { try scan([("c", "a")]) } == "Invalid KeyRanges")
        #expect(self.text { try scan([("a", "c")], reverse: true) } == "Invalid KeyRanges")
    }

    // MARK: - Ranges

    @Test func deleteRange() throws {
        var model = Self.model()
        try self.put(&model, "a", "b", "c", "m")
        func delete(_ start: String, _ end: String, region: Int = 0) throws {
            let context = self.context(model, region: region)
            try model.rawDeleteRange(
                .with {
                    $0.context = context
                    $0.startKey = Data(start.utf8)
                    $0.endKey = Data(end.utf8)
                }, on: 1)
        }
        try delete("a", "b")
        #expect(try self.scan(model, "") == ["b", "c"])
        #expect(self.regionError { try delete("c", "b") }?.message.hasPrefix("invalid delete range command") == true)
        #expect(self.regionError { try delete("b", "b") }?.message.hasPrefix("invalid delete range command") == true)
        #expect(self.regionError { try delete("b", "n") }?.hasKeyNotInRegion == true)
        #expect(self.regionError { try delete("b", "") }?.hasKeyNotInRegion == true, "the region has an end")
        try delete("", "m")
        #expect(try self.scan(model, "") == [])
        #expect(try self.scan(model, "m", region: 1) == ["m"])
        try delete("m", "", region: 1)
        #expect(try self.scan(model, "m", region: 1) == [])
    }

    @Test func checksumStaysInTheRegionAndKnowsOneAlgorithm() throws {
        var model = Self.model()
        try self.put(&model, "1", "z")
        var request = Kvrpcpb_RawChecksumRequest.with {
            $0.context = self.context(model)
            $0.ranges = [Kvrpcpb_KeyRange()]
        }
        let plan = try model.rawChecksum(request, on: 1)
        #expect(plan.entries.checksum(plan.ranges, now: 0).entries == 1)
        request.algorithm = .UNRECOGNIZED(7)
        #expect(self.text { try model.rawChecksum(request, on: 1) } == "unknown checksum algorithm 7")
    }

    // MARK: - Splitting

    @Test func splitThroughAStore() throws {
        var model = Self.model()
        var request = Kvrpcpb_SplitRegionRequest.with {
            $0.context = self.context(model)
            $0.isRawKv = true
            $0.splitKeys = [Data("c".utf8), Data("b".utf8)]
        }
        let parts = try model.splitRegion(request, on: 1)
        #expect(parts.map(\.startKey) == [[], Array("b".utf8), Array("c".utf8)])
        #expect(self.regionError { try model.splitRegion(request, on: 1) }?.hasEpochNotMatch == true)
        request.context = self.context(model, region: 1)
        request.splitKeys = [Data("b".utf8)]
        #expect(
            self.regionError { try model.splitRegion(request, on: 1) }?.message == "no valid key found for split.")
        request.splitKeys = [Data("x".utf8)]
        #expect(self.regionError { try model.splitRegion(request, on: 1) }?.hasKeyNotInRegion == true)
    }

    @Test func otherSplitKeysAreEncoded() throws {
        var model = Self.model()
        let request = Kvrpcpb_SplitRegionRequest.with {
            $0.context = self.context(model)
            $0.splitKeys = [Data("c".utf8)]
        }
        let parts = try model.splitRegion(request, on: 1)
        #expect(parts[1].startKey == Array("c".utf8) + [0, 0, 0, 0, 0, 0, 0, 248])
    }

    // MARK: - Answers

    @Test func errorsReachTheClientInTheAnswersOwnWay() {
        let text = StorageError.request("no")
        #expect(Kvrpcpb_RawGetResponse(text).error == "no")
        #expect(Kvrpcpb_RawBatchGetResponse(text).pairs.map(\.error.abort) == ["no"])
        #expect(Kvrpcpb_RawScanResponse(text).kvs.map(\.error.abort) == ["no"])
        #expect(Kvrpcpb_SplitRegionResponse(text).regionError.message == "no")
        let region = StorageError.region(.staleCommand)
        #expect(Kvrpcpb_RawScanResponse(region).regionError.hasStaleCommand)
        #expect(Kvrpcpb_RawScanResponse(region).kvs.isEmpty)
    }
}
