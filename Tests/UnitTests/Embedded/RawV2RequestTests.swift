// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import Testing
import TiKVProto

@testable import TiKVEmbedded

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a store of API V2 makes of raw requests, without sockets.
@Suite struct RawV2RequestTests {
    private static let prefix: [UInt8] = [0x72, 0, 0, 0]

    /// Two regions that meet at the default keyspace's "m".
    private static func model() -> ClusterModel {
        let bound = EmbeddedCluster.APIVersion.v2.regionKey(forRaw: Array("m".utf8))
        return ClusterModel(
            cluster: ClusterState(storeCount: 1, replicaCount: 1, splitKeys: [bound]), clusterID: 5, apiVersion: .v2)
    }

    private static func key(_ text: String) -> Data { Data(Self.prefix + text.utf8) }

    private func context(_ model: ClusterModel, region: Int = 0) -> Kvrpcpb_Context {
        let region = model.cluster.regions[region]
        return .with {
            $0.apiVersion = .v2
            $0.regionID = region.id
            $0.regionEpoch = region.epoch.proto
            $0.peer = region.peers[0].proto
        }
    }

    private func put(_ model: inout ClusterModel, _ keys: String..., ttl: UInt64 = 0) throws {
        for key in keys {
            let context = self.context(model, region: key < "m" ? 0 : 1)
            try model.rawPut(
                .with {
                    $0.context = context
                    $0.key = Self.key(key)
                    $0.value = Data(("v" + key).utf8)
                    $0.ttl = ttl
                }, on: 1, now: 100)
        }
    }

    private func text<Result>(_ body: () throws -> Result) -> String? {
        do {
            _ = try body()
            return nil
        } catch {
            if case .request(let text)? = error as? StorageError { return text }
            return nil
        }
    }

    // MARK: - What is refused

    @Test func onlyRequestsOfVersionTwo() {
        let model = Self.model()
        for (version, name) in [(Kvrpcpb_APIVersion.v1, "V1"), (.v1Ttl, "V1ttl")] {
            let request = Kvrpcpb_RawGetRequest.with {
                $0.context.apiVersion = version
                $0.key = Self.key("k")
            }
            #expect(
                self.text { try model.rawGet(request, on: 1, now: 0) }
                    == "Api version in request does not match with TiKV storage, cmd: raw_get, "
                    + "storage: V2, request: \(name)")
        }
    }

    @Test(arguments: [[], [0x78, 0, 0, 0, 1], [0x74, 1], [0x61]] as [[UInt8]])
    func keysThatAreNotRaw(key: [UInt8]) {
        var model = Self.model()
        let context = self.context(model)
        let hex = key.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined().uppercased()
        let get = Kvrpcpb_RawGetRequest.with {
            $0.context = context
            $0.key = Data(key)
        }
        #expect(
            self.text { try model.rawGet(get, on: 1, now: 0) }
                == "Key mode mismatched with the request mode, cmd: raw_get, storage: V2, key: \(hex)")
        let put = Kvrpcpb_RawBatchPutRequest.with {
            $0.context = context
            $0.pairs = [.with { $0.key = Self.key("k") }, .with { $0.key = Data(key) }]
        }
        #expect(self.text { try model.rawBatchPut(put, on: 1, now: 0) }?.hasSuffix("key: \(hex)") == true)
    }

    @Test func rangesThatAreNotRaw() throws {
        let model = Self.model()
        let context = self.context(model)
        func error(_ start: [UInt8], _ end: [UInt8]) -> String? {
            self.text {
                try model.rawScan(
                    .with {
                        $0.context = context
                        $0.startKey = Data(start)
                        $0.endKey = Data(end)
                    }, on: 1)
            }
        }
        #expect(error([0x72], [0x72, 1]) == nil)
        #expect(error([0x72, 0, 0, 0], [0x73]) == nil)
        #expect(
            error([0x72], [])
                == "Key mode mismatched with the request mode, cmd: raw_scan, storage: V2, range: (Some(\"72\"), None)")
        #expect(error([], [0x73])?.hasSuffix("range: (Some(\"\"), Some(\"73\"))") == true)
        #expect(error([0x72], [0x73, 0, 0, 0]) != nil)
        #expect(error([0x71], [0x72]) != nil)
        #expect(error([0x78], [0x79]) != nil)
    }

    @Test func noColumnFamilyMayBeNamed() {
        var model = Self.model()
        let put = Kvrpcpb_RawPutRequest.with {
            $0.context = self.context(model)
            $0.key = Self.key("k")
            $0.cf = "default"
        }
        #expect(
            self.text { try model.rawPut(put, on: 1, now: 0) } == "cf is deprecated in API V2, cf name: default")
    }

    // MARK: - What is done

    @Test func keysComeBackAsTheyWere() throws {
        var model = Self.model()
        try self.put(&model, "a", "b", "m", "z")
        func scan(_ start: Data, _ end: Data, region: Int, reverse: Bool = false) throws -> [Data] {
            try model.rawScan(
                .with {
                    $0.context = self.context(model, region: region)
                    $0.startKey = start
                    $0.endKey = end
                    $0.limit = 10
                    $0.reverse = reverse
                }, on: 1
            ).run(now: 100).map(\.key)
        }
        let end = Data([0x72, 0, 0, 1])
        #expect(try scan(Self.key(""), end, region: 0) == [Self.key("a"), Self.key("b")])
        #expect(try scan(Self.key("m"), end, region: 1) == [Self.key("m"), Self.key("z")])
        #expect(try scan(Self.key("m"), Self.key(""), region: 0, reverse: true) == [Self.key("b"), Self.key("a")])
        let get = Kvrpcpb_RawGetRequest.with {
            $0.context = self.context(model)
            $0.key = Self.key("a")
        }
        #expect(try model.rawGet(get, on: 1, now: 100) == Data("va".utf8))
    }

    @Test func aRegionEndsWhereItsEncodedBoundSays() throws {
        let model = Self.model()
        let get = Kvrpcpb_RawGetRequest.with {
            $0.context = self.context(model)
            $0.key = Self.key("m")
        }
        do throws(StorageError) {
            _ = try model.rawGet(get, on: 1, now: 0)
            Issue.record("the key is in another region")
        } catch {
            guard case .region(let error) = error else {
                Issue.record("\(error)")
                return
            }
            // Bounds are told as they are, encoded.
            let bound = EmbeddedCluster.APIVersion.v2.regionKey(forRaw: Array("m".utf8))
            #expect([UInt8](error.proto.keyNotInRegion.endKey) == bound)
        }
    }

    @Test func valuesExpire() throws {
        var model = Self.model()
        try self.put(&model, "a", ttl: 10)
        let request = Kvrpcpb_RawGetKeyTTLRequest.with {
            $0.context = self.context(model)
            $0.key = Self.key("a")
        }
        #expect(try model.rawGetKeyTTL(request, on: 1, now: 104) == 6)
        #expect(try model.rawGetKeyTTL(request, on: 1, now: 110) == nil)
    }

    @Test func checksumsAreOverKeysAsClientsSendThem() throws {
        var model = Self.model()
        try self.put(&model, "a")
        let request = Kvrpcpb_RawChecksumRequest.with {
            $0.context = self.context(model)
            $0.ranges = [
                .with {
                    $0.startKey = Self.key("")
                    $0.endKey = Data([0x72, 0, 0, 1])
                }
            ]
        }
        var crc = CRC64()
        crc.update(Self.prefix + Array("a".utf8))
        crc.update(Data("va".utf8))
        #expect(try model.rawChecksum(request, on: 1).run(now: 100) == (crc.value, 1, 7))
    }

    @Test func splitKeysAreEncodedWhateverKindTheyAre() throws {
        var model = Self.model()
        let request = Kvrpcpb_SplitRegionRequest.with {
            $0.context = self.context(model)
            $0.isRawKv = true
            $0.splitKeys = [Self.key("c")]
        }
        let parts = try model.splitRegion(request, on: 1)
        #expect(parts[1].startKey == EmbeddedCluster.APIVersion.v2.regionKey(forRaw: Array("c".utf8)))
    }

    @Test func whereKeysAreAmongTheBoundsOfRegions() {
        let key: [UInt8] = [0x6b]
        #expect(EmbeddedCluster.APIVersion.v1.regionKey(forRaw: key) == key)
        #expect(EmbeddedCluster.APIVersion.v1ttl.regionKey(forRaw: key) == key)
        #expect(EmbeddedCluster.APIVersion.v1.regionKey(forTransactional: key) == [0x6b, 0, 0, 0, 0, 0, 0, 0, 0xf8])
        #expect(
            EmbeddedCluster.APIVersion.v2.regionKey(forRaw: key, keyspaceID: 0x010203)
                == [0x72, 1, 2, 3, 0x6b, 0, 0, 0, 0xfc])
        #expect(
            EmbeddedCluster.APIVersion.v2.regionKey(forTransactional: key) == [0x78, 0, 0, 0, 0x6b, 0, 0, 0, 0xfc])
        for length in 0...20 {
            let bytes = [UInt8](repeating: 0, count: length)
            #expect(MemComparable.decode(MemComparable.encode(bytes)) == bytes)
        }
        #expect(MemComparable.decode([]) == nil)
        #expect(MemComparable.decode([1, 2, 3, 4, 5, 6, 7, 8, 0xff]) == nil)
        #expect(MemComparable.decode([1, 0, 0, 0, 0, 0, 0, 1, 0xfb]) == nil)
    }
}
