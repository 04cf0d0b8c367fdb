// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import Testing
import TiKVEmbedded
import TiKVProto
import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What stores answer over real connections.
@Suite struct EmbeddedStoreTests {
    @Test func rawRequests() async throws {
        try await EmbeddedHarness.with { harness in
            let context = harness.context(try harness.region("k"))
            let store = try harness.store(context.peer.storeID)
            #expect(try await harness.get("k", context).notFound)
            #expect(try await harness.put("k", "v", context) == Kvrpcpb_RawPutResponse())
            #expect(try await harness.get("k", context).value == Data("v".utf8))
            #expect(try await harness.put("empty", "", context) == Kvrpcpb_RawPutResponse())
            let empty = try await harness.get("empty", context)
            #expect(!empty.notFound && empty.value.isEmpty)

            let keys = (0..<300).map { Data("b\($0 + 100)".utf8) }
            let put = try await store.unary(
                TikvpbTikvRPC.rawBatchPut,
                .with {
                    $0.context = context
                    $0.pairs = keys.map { key in
                        .with {
                            $0.key = key
                            $0.value = key
                        }
                    }
                })
            #expect(put == Kvrpcpb_RawBatchPutResponse())
            let got = try await store.unary(
                TikvpbTikvRPC.rawBatchGet,
                .with {
                    $0.context = context
                    $0.keys = [keys[7], Data("no".utf8), keys[3]]
                })
            #expect(got.pairs.map(\.key) == [keys[7], keys[3]] && got.pairs.map(\.value) == [keys[7], keys[3]])

            let scan = try await store.unary(
                TikvpbTikvRPC.rawScan,
                .with {
                    $0.context = context
                    $0.startKey = keys[10]
                    $0.endKey = keys[299]
                    $0.limit = 1000
                })
            #expect(scan.kvs.map(\.key) == Array(keys[10..<299]))
            let back = try await store.unary(
                TikvpbTikvRPC.rawScan,
                .with {
                    $0.context = context
                    $0.startKey = keys[10]
                    $0.limit = 3
                    $0.reverse = true
                    $0.keyOnly = true
                })
            #expect(back.kvs.map(\.key) == [keys[9], keys[8], keys[7]] && back.kvs.allSatisfy { $0.value.isEmpty })
            let batch = try await store.unary(
                TikvpbTikvRPC.rawBatchScan,
                .with {
                    $0.context = context
                    $0.ranges = [
                        .with {
                            $0.startKey = keys[0]
                            $0.endKey = keys[9]
                        }, .with { $0.startKey = keys[50] },
                    ]
                    $0.eachLimit = 2
                })
            #expect(batch.kvs.map(\.key) == [keys[0], keys[1], keys[50], keys[51]])

            let checksum = try await store.unary(
                TikvpbTikvRPC.rawChecksum,
                .with {
                    $0.context = context
                    $0.ranges = [
                        .with {
                            $0.startKey = keys[0]
                            $0.endKey = keys[99]
                        }
                    ]
                })
            #expect(checksum.totalKvs == 99 && checksum.totalBytes == 792 && checksum.checksum != 0)

            let swap = try await store.unary(
                TikvpbTikvRPC.rawCompareAndSwap,
                .with {
                    $0.context = context
                    $0.key = keys[0]
                    $0.previousValue = keys[0]
                    $0.value = Data("n".utf8)
                })
            #expect(swap.succeed && swap.previousValue == keys[0] && !swap.previousNotExist)
            let failed = try await store.unary(
                TikvpbTikvRPC.rawCompareAndSwap,
                .with {
                    $0.context = context
                    $0.key = keys[0]
                    $0.previousNotExist = true
                    $0.value = Data("x".utf8)
                })
            #expect(!failed.succeed && failed.previousValue == Data("n".utf8))

            let deleted = try await store.unary(
                TikvpbTikvRPC.rawDelete,
                .with {
                    $0.context = context
                    $0.key = keys[0]
                })
            #expect(deleted == Kvrpcpb_RawDeleteResponse())
            let two = try await store.unary(
                TikvpbTikvRPC.rawBatchDelete,
                .with {
                    $0.context = context
                    $0.keys = [keys[1], keys[2]]
                })
            #expect(two == Kvrpcpb_RawBatchDeleteResponse())
            let range = try await store.unary(
                TikvpbTikvRPC.rawDeleteRange,
                .with {
                    $0.context = context
                    $0.startKey = keys[4]
                    $0.endKey = Data("c".utf8)
                })
            #expect(range == Kvrpcpb_RawDeleteRangeResponse())
            let left = try await store.unary(
                TikvpbTikvRPC.rawScan,
                .with {
                    $0.context = context
                    $0.limit = 1000
                })
            #expect(left.kvs.map(\.key) == [keys[3], Data("empty".utf8), Data("k".utf8)])

            let plugin = try await store.unary(TikvpbTikvRPC.rawCoprocessor, .with { $0.context = context })
            #expect(plugin.error == "Coprocessor plugin is disabled!")
        }
    }

    @Test func valuesExpireByTheClustersClock() async throws {
        try await EmbeddedHarness.with(.init(apiVersion: .v1ttl)) { harness in
            let context = harness.context(try harness.region("k"))
            let store = try harness.store(context.peer.storeID)
            let put = try await store.unary(
                TikvpbTikvRPC.rawPut,
                .with {
                    $0.context = context
                    $0.key = Data("k".utf8)
                    $0.ttl = 1000
                })
            #expect(put == Kvrpcpb_RawPutResponse())
            let ttl = Kvrpcpb_RawGetKeyTTLRequest.with {
                $0.context = context
                $0.key = Data("k".utf8)
            }
            let left = try await store.unary(TikvpbTikvRPC.rawGetKeyTTL, ttl)
            #expect((900...1000).contains(left.ttl) && !left.notFound)
            harness.cluster.advanceClock(by: .seconds(1001))
            #expect(try await store.unary(TikvpbTikvRPC.rawGetKeyTTL, ttl).notFound)
            #expect(try await harness.get("k", context).notFound)
        }
    }

    @Test func allStoresSeeTheSameDataAndOnlyTheLeaderServesThem() async throws {
        try await EmbeddedHarness.with { harness in
            let region = try harness.region("k")
            let leader = try #require(region.leaderStoreID)
            let other: UInt64 = leader == 1 ? 2 : 1
            #expect(try await harness.put("k", "v", harness.context(region)).hasRegionError == false)

            let refused = try await harness.get("k", harness.context(region, on: other))
            #expect(refused.regionError.notLeader.leader.storeID == leader)
            #expect(refused.regionError.notLeader.leader.id == region.peers[leader])
            #expect(refused.regionError.notLeader.regionID == region.id)

            try harness.cluster.transferLeader(ofRegion: region.id, to: other)
            #expect(try await harness.get("k", harness.context(region, on: other)).value == Data("v".utf8))
            let old = try await harness.get("k", harness.context(region))
            #expect(old.regionError.notLeader.leader.storeID == other)
            #expect(try await harness.pdRegion("k").leader.storeID == other)
        }
    }

    @Test func misdirectedRequests() async throws {
        try await EmbeddedHarness.with(.init(splitKeys: [Array("m".utf8)])) { harness in
            let region = try harness.region("k")
            let right = harness.context(region)

            var context = right
            context.regionID = 4711
            #expect(try await harness.get("k", context).regionError.regionNotFound.regionID == 4711)

            context = right
            context.peer.id += 1
            #expect(try await harness.get("k", context).regionError.mismatchPeerID.storePeerID == right.peer.id)

            context = right
            context.regionEpoch.version += 1
            #expect(
                try await harness.get("k", context).regionError.epochNotMatch.currentRegions.map(\.id) == [region.id])

            let elsewhere = try await harness.store(right.peer.storeID == 1 ? 2 : 1).unary(
                TikvpbTikvRPC.rawGet,
                .with {
                    $0.context = right
                    $0.key = Data("k".utf8)
                })
            #expect(elsewhere.regionError.storeNotMatch.requestStoreID == right.peer.storeID)

            let outside = try await harness.get("z", right).regionError.keyNotInRegion
            #expect(outside.key == Data("z".utf8) && outside.endKey == Data("m".utf8))

            context = right
            context.clusterID = harness.cluster.clusterID &+ 1
            let error = await #expect(throws: RPCError.self) { try await harness.get("k", context) }
            #expect(error?.code == .invalidArgument)
            context.clusterID = harness.cluster.clusterID
            #expect(try await harness.get("k", context).notFound)

            context.apiVersion = .v2
            #expect(try await harness.get("k", context).error.hasPrefix("Api version in request does not match"))
        }
    }

    @Test func unknownMethodsAreUnimplemented() async throws {
        try await EmbeddedHarness.with { harness in
            let error = await #expect(throws: RPCError.self) {
                try await harness.store(1).unary(TikvpbTikvRPC.kvGC, Kvrpcpb_GCRequest())
            }
            #expect(error?.code == .unimplemented && error?.delivery == .answered)
        }
    }

    // MARK: - Splits and merges

    @Test func splitIsSeenByPDAndStores() async throws {
        try await EmbeddedHarness.with { harness in
            let old = try harness.region("a")
            let stale = harness.context(old)
            #expect(try await harness.put("a", "1", stale).hasRegionError == false)
            #expect(try await harness.put("x", "2", stale).hasRegionError == false)
            let parts = try harness.cluster.split(at: Array("m".utf8))

            let error = try await harness.get("x", stale).regionError
            #expect(error.epochNotMatch.currentRegions.map(\.id) == [parts[1].id, parts[0].id])
            let left = try await harness.pdRegion("a")
            let right = try await harness.pdRegion("x")
            #expect(left.region.id == parts[0].id && right.region.id == old.id)
            #expect(left.region == error.epochNotMatch.currentRegions[1])
            #expect(right.region == error.epochNotMatch.currentRegions[0])
            #expect(left.region.endKey == Data("m".utf8) && right.region.startKey == Data("m".utf8))
            #expect(try await harness.get("a", harness.context(parts[0])).value == Data("1".utf8))
            #expect(try await harness.get("x", harness.context(parts[1])).value == Data("2".utf8))
        }
    }

    @Test func splitThroughAStore() async throws {
        try await EmbeddedHarness.with { harness in
            let context = harness.context(try harness.region("a"))
            let request = Kvrpcpb_SplitRegionRequest.with {
                $0.context = context
                $0.isRawKv = true
                $0.splitKeys = [Data("m".utf8), Data("t".utf8)]
            }
            let response = try await harness.store(context.peer.storeID).unary(TikvpbTikvRPC.splitRegion, request)
            #expect(response.regions.map(\.endKey) == [Data("m".utf8), Data("t".utf8), Data()])
            #expect(harness.cluster.regions.map(\.id) == response.regions.map(\.id))
            let again = try await harness.store(context.peer.storeID).unary(TikvpbTikvRPC.splitRegion, request)
            #expect(again.regionError.hasEpochNotMatch)
        }
    }

    @Test func mergeIsSeenByPDAndStores() async throws {
        try await EmbeddedHarness.with(.init(splitKeys: [Array("m".utf8)])) { harness in
            let (left, right) = (try harness.region("a"), try harness.region("x"))
            #expect(try await harness.put("a", "1", harness.context(left)).hasRegionError == false)
            let merged = try harness.cluster.merge(left.id, into: right.id)
            #expect(try await harness.get("a", harness.context(left)).regionError.regionNotFound.regionID == left.id)
            #expect(try await harness.get("x", harness.context(right)).regionError.hasEpochNotMatch)
            #expect(try await harness.get("a", harness.context(merged)).value == Data("1".utf8))
            #expect(try await harness.pdRegion("a").region.id == right.id)
            let gone = try await harness.pd.unary(
                PdpbPDRPC.getRegionByID,
                .with {
                    $0.header = harness.header
                    $0.regionID = left.id
                })
            #expect(!gone.hasRegion && !gone.header.hasError)
        }
    }

    @Test func nonsenseIsRefused() async throws {
        try await EmbeddedCluster.withCluster(.init(splitKeys: [Array("m".utf8)])) { cluster in
            func code(_ body: () async throws -> Void) async -> EmbeddedClusterError.Code? {
                do {
                    try await body()
                    return nil
                } catch {
                    return (error as? EmbeddedClusterError)?.code
                }
            }
            let region = cluster.regions[0]
            #expect(await code { try cluster.split(region: 99, keys: [[1]]) } == .unknownRegion)
            #expect(await code { try cluster.split(at: Array("m".utf8)) } == .invalidSplitKey)
            #expect(await code { try cluster.split(region: region.id, keys: [Array("z".utf8)]) } == .invalidSplitKey)
            #expect(await code { try cluster.merge(region.id, into: region.id) } == .cannotMerge)
            #expect(await code { try cluster.transferLeader(ofRegion: region.id, to: 9) } == .unknownStore)
            #expect(await code { try await cluster.stopStore(9) } == .unknownStore)
            #expect(await code { try await cluster.startStore(9) } == .unknownStore)
            #expect(await code { try await cluster.startStore(1) } == .storeRunning)
            #expect(cluster.regions.count == 2)
        }
    }
}
