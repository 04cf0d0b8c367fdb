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

/// What PD answers over real connections.
@Suite struct EmbeddedPDTests {
    @Test func membersNeedNoClusterID() async throws {
        try await EmbeddedHarness.with(.init(clusterID: 77)) { harness in
            let members = try await harness.pd.unary(PdpbPDRPC.getMembers, Pdpb_GetMembersRequest())
            #expect(members.header.clusterID == 77 && !members.header.hasError)
            #expect(members.members.map(\.clientUrls) == [["http://\(harness.cluster.pdEndpoints[0])"]])
            #expect(members.leader == members.members[0] && members.etcdLeader == members.leader)
            let info = try await harness.pd.unary(PdpbPDRPC.getClusterInfo, Pdpb_GetClusterInfoRequest())
            #expect(info.serviceModes == [.pdSvcMode])
        }
    }

    @Test func requestsForOtherClustersFail() async throws {
        try await EmbeddedHarness.with(.init(clusterID: 77)) { harness in
            for id in [UInt64(0), 78] {
                let error = await #expect(throws: RPCError.self) {
                    try await harness.pd.unary(PdpbPDRPC.getRegion, .with { $0.header.clusterID = id })
                }
                #expect(error?.code == .failedPrecondition)
                #expect(error?.message == "mismatch cluster id, need 77 but got \(id)")
            }
            harness.cluster.answerAsCluster(99)
            let members = try await harness.pd.unary(PdpbPDRPC.getMembers, Pdpb_GetMembersRequest())
            #expect(members.header.clusterID == 99)
            await #expect(throws: RPCError.self) { try await harness.pdRegion("a") }
            // The stores still belong to the old one.
            var context = harness.context(try harness.region("a"))
            context.clusterID = 77
            #expect(try await harness.get("a", context).notFound)
            harness.cluster.answerAsCluster(nil)
            #expect(try await harness.pdRegion("a").hasRegion)
        }
    }

    @Test func stores() async throws {
        try await EmbeddedHarness.with { harness in
            let all = try await harness.pd.unary(PdpbPDRPC.getAllStores, .with { $0.header = harness.header })
            #expect(
                all.stores.map(\.id) == [1, 2, 3] && all.stores.map(\.address) == harness.cluster.stores.map(\.address))
            #expect(all.stores.allSatisfy { $0.state == .up && !$0.version.isEmpty })
            let one = try await harness.pd.unary(
                PdpbPDRPC.getStore,
                .with {
                    $0.header = harness.header
                    $0.storeID = 2
                })
            #expect(one.store == all.stores[1])
            let none = try await harness.pd.unary(
                PdpbPDRPC.getStore,
                .with {
                    $0.header = harness.header
                    $0.storeID = 9
                })
            #expect(none.header.error.message == "invalid store ID 9, not found" && !none.hasStore)
            let added = try await harness.cluster.addStore()
            let after = try await harness.pd.unary(PdpbPDRPC.getAllStores, .with { $0.header = harness.header })
            #expect(after.stores.last?.id == added)
        }
    }

    @Test func regions() async throws {
        let borders = ["c", "m"].map { Array($0.utf8) }
        try await EmbeddedHarness.with(.init(splitKeys: borders)) { harness in
            let region = try await harness.pdRegion("d")
            #expect(region.region.startKey == Data("c".utf8) && region.region.endKey == Data("m".utf8))
            #expect(region.region.peers.contains(region.leader) && region.region.peers.count == 3)
            let previous = try await harness.pd.unary(
                PdpbPDRPC.getPrevRegion,
                .with {
                    $0.header = harness.header
                    $0.regionKey = Data("d".utf8)
                })
            #expect(previous.region.endKey == Data("c".utf8))
            let nothing = try await harness.pd.unary(
                PdpbPDRPC.getPrevRegion,
                .with {
                    $0.header = harness.header
                    $0.regionKey = Data("a".utf8)
                })
            #expect(!nothing.hasRegion && !nothing.header.hasError)
            let scan = try await harness.pd.unary(
                PdpbPDRPC.scanRegions,
                .with {
                    $0.header = harness.header
                    $0.startKey = Data("d".utf8)
                    $0.limit = 5
                })
            #expect(scan.regions.map(\.region.startKey) == [Data("c".utf8), Data("m".utf8)])
            #expect(scan.regionMetas == scan.regions.map(\.region) && scan.leaders == scan.regions.map(\.leader))
            let batch = try await harness.pd.unary(
                PdpbPDRPC.batchScanRegions,
                .with {
                    $0.header = harness.header
                    $0.ranges = [.with { $0.endKey = Data("b".utf8) }, .with { $0.startKey = Data("x".utf8) }]
                    $0.containAllKeyRange = true
                })
            #expect(batch.regions.map(\.region.startKey) == [Data(), Data("m".utf8)])
            let wrong = try await harness.pd.unary(
                PdpbPDRPC.batchScanRegions,
                .with {
                    $0.header = harness.header
                    $0.ranges = [
                        .with {
                            $0.startKey = Data("x".utf8)
                            $0.endKey = Data("b".utf8)
                        }
                    ]
                })
            #expect(wrong.header.error.message == "invalid key range, start key > end key")
        }
    }

    @Test func splitAndScatterThroughPD() async throws {
        try await EmbeddedHarness.with { harness in
            let split = try await harness.pd.unary(
                PdpbPDRPC.splitRegions,
                .with {
                    $0.header = harness.header
                    $0.splitKeys = [Data("m".utf8)]
                })
            #expect(split.regionsID.count == 1 && split.finishedPercentage == 100)
            let id = try #require(split.regionsID.first)
            let before = try #require(harness.cluster.region(id)?.leaderStoreID)
            let none = try await harness.pd.unary(
                PdpbPDRPC.getOperator,
                .with {
                    $0.header = harness.header
                    $0.regionID = id
                })
            #expect(none.header.error.type == .regionNotFound)
            let scatter = try await harness.pd.unary(
                PdpbPDRPC.scatterRegion,
                .with {
                    $0.header = harness.header
                    $0.regionsID = [id, 4711]
                })
            #expect(scatter.finishedPercentage == 50 && scatter.failedRegionsID == [4711])
            #expect(harness.cluster.region(id)?.leaderStoreID != before)
            let done = try await harness.pd.unary(
                PdpbPDRPC.getOperator,
                .with {
                    $0.header = harness.header
                    $0.regionID = id
                })
            #expect(done.status == .success && done.regionID == id && done.desc == Data("scatter-region".utf8))
        }
    }

    @Test func theRest() async throws {
        try await EmbeddedHarness.with { harness in
            let header = harness.header
            #expect(try await harness.pd.unary(PdpbPDRPC.isBootstrapped, .with { $0.header = header }).bootstrapped)
            let again = try await harness.pd.unary(PdpbPDRPC.bootstrap, .with { $0.header = header })
            #expect(again.header.error.type == .alreadyBootstrapped)
            let first = try await harness.pd.unary(PdpbPDRPC.allocID, .with { $0.header = header })
            let many = try await harness.pd.unary(
                PdpbPDRPC.allocID,
                .with {
                    $0.header = header
                    $0.count = 10
                })
            #expect(many.id == first.id + 10 && many.count == 10)
            let config = try await harness.pd.unary(PdpbPDRPC.getClusterConfig, .with { $0.header = header })
            #expect(config.cluster.id == header.clusterID && config.cluster.maxPeerCount == 3)

            func update(_ safePoint: UInt64) async throws -> UInt64 {
                try await harness.pd.unary(
                    PdpbPDRPC.updateGCSafePoint,
                    .with {
                        $0.header = header
                        $0.safePoint = safePoint
                    }
                ).newSafePoint
            }
            // Garbage collection stays behind the transactions, which are moved first.
            await #expect(throws: RPCError.self) { try await update(10) }
            let lowest = try await harness.pd.unary(
                PdpbPDRPC.updateServiceGCSafePoint,
                .with {
                    $0.header = header
                    $0.serviceID = Data("gc_worker".utf8)
                    $0.ttl = .max
                    $0.safePoint = 10
                })
            #expect(lowest.minSafePoint == 10)
            #expect(try await update(10) == 10)
            #expect(try await update(5) == 10)
            #expect(try await harness.pd.unary(PdpbPDRPC.getGCSafePoint, .with { $0.header = header }).safePoint == 10)

            let keyspace = try await harness.pd.unary(
                KeyspacepbKeyspaceRPC.loadKeyspace,
                .with {
                    $0.header = header
                    $0.name = "DEFAULT"
                })
            #expect(keyspace.keyspace.id == 0 && keyspace.keyspace.name == "DEFAULT")
            let unknown = try await harness.pd.unary(
                KeyspacepbKeyspaceRPC.loadKeyspace,
                .with {
                    $0.header = header
                    $0.name = "mine"
                })
            #expect(unknown.header.error.type == .entryNotFound)
            let all = try await harness.pd.unary(KeyspacepbKeyspaceRPC.getAllKeyspaces, .with { $0.header = header })
            #expect(all.keyspaces == [keyspace.keyspace])
        }
    }

    /// Several streams at once: no timestamp is given twice, and each is above all that were there when it was asked for.
    @Test func timestampsOfConcurrentStreams() async throws {
        try await EmbeddedHarness.with { harness in
            let header = harness.header
            let streams = try await withThrowingTaskGroup(of: [Range<UInt64>].self) { group in
                for number in 1...4 {
                    group.addTask {
                        try await harness.pd.withStream(PdpbPDRPC.tso) { stream in
                            var taken: [Range<UInt64>] = []
                            for step in 0..<100 {
                                let count = UInt32(number * 7 + step % 3)
                                try await stream.send(
                                    .with {
                                        $0.header = header
                                        $0.count = count
                                    })
                                let answer = try #require(try await stream.next())
                                #expect(answer.count == count && answer.header.clusterID == header.clusterID)
                                let last = UInt64(answer.timestamp.physical) << 18 + UInt64(answer.timestamp.logical)
                                taken.append((last + 1 - UInt64(count))..<(last + 1))
                            }
                            stream.finish()
                            #expect(try await stream.next() == nil)
                            return taken
                        }
                    }
                }
                var streams: [[Range<UInt64>]] = []
                for try await taken in group { streams.append(taken) }
                return streams
            }
            for taken in streams {
                #expect(zip(taken, taken.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound })
            }
            let all = streams.joined().sorted { $0.lowerBound < $1.lowerBound }
            #expect(all.count == 400)
            #expect(zip(all, all.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound })
        }
    }

    @Test func timestampStreamOfAnotherClusterEnds() async throws {
        try await EmbeddedHarness.with { harness in
            let error = await #expect(throws: RPCError.self) {
                try await harness.pd.withStream(PdpbPDRPC.tso) { stream in
                    try await stream.send(
                        .with {
                            $0.header.clusterID = 1
                            $0.count = 1
                        })
                    _ = try await stream.next()
                }
            }
            #expect(error?.code == .failedPrecondition)
        }
    }

    @Test func clockJumpsShowInTimestamps() async throws {
        try await EmbeddedHarness.with { harness in
            let header = harness.header
            func physical() async throws -> Int64 {
                try await harness.pd.withStream(PdpbPDRPC.tso) { stream in
                    try await stream.send(
                        .with {
                            $0.header = header
                            $0.count = 1
                        })
                    return try #require(try await stream.next()).timestamp.physical
                }
            }
            let before = try await physical()
            harness.cluster.advanceClock(by: .seconds(3600))
            #expect(try await physical() >= before + 3_600_000)
        }
    }
}
