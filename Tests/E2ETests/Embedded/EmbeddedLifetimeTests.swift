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

/// Servers that come and go.
@Suite struct EmbeddedLifetimeTests {
    @Test func stoppedStoreIsGoneAndComesBackWithItsDataAtItsAddress() async throws {
        try await EmbeddedHarness.with { harness in
            let region = try harness.region("k")
            let leader = try #require(region.leaderStoreID)
            #expect(try await harness.put("k", "v", harness.context(region)).hasRegionError == false)
            let address = try #require(harness.cluster.stores.first { $0.id == leader }?.address)

            try await harness.cluster.stopStore(leader)
            let error = await #expect(throws: RPCError.self) { try await harness.get("k", harness.context(region)) }
            #expect(error?.code == .unavailable)
            #expect(harness.cluster.stores.first { $0.id == leader }?.isRunning == false)
            // The others have a new leader, which PD knows.
            let moved = try harness.region("k")
            #expect(moved.leaderStoreID != leader && moved.leaderStoreID != nil)
            #expect(try await harness.pdRegion("k").leader.storeID == moved.leaderStoreID)
            #expect(try await harness.get("k", harness.context(moved)).value == Data("v".utf8))

            try await harness.cluster.startStore(leader)
            #expect(harness.cluster.stores.first { $0.id == leader }?.address == address)
            try harness.cluster.transferLeader(ofRegion: region.id, to: leader)
            let pool = try EmbeddedHarness.pool(address)
            let answer = try await pool.unary(
                TikvpbTikvRPC.rawGet,
                .with {
                    $0.context = harness.context(region)
                    $0.key = Data("k".utf8)
                })
            #expect(answer.value == Data("v".utf8))
            await pool.shutdown()
        }
    }

    @Test func requestsInFlightBreakWhenTheStoreStops() async throws {
        try await EmbeddedHarness.with { harness in
            let region = try harness.region("k")
            let gate = EmbeddedCluster.Gate()
            harness.cluster.inject(.hold(gate))
            try await withThrowingTaskGroup(of: RPCError?.self) { group in
                group.addTask {
                    do {
                        _ = try await harness.get("k", harness.context(region))
                        return nil
                    } catch {
                        return error as? RPCError
                    }
                }
                try await gate.waitForArrivals()
                try await harness.cluster.stopStore(try #require(region.leaderStoreID), electingLeaders: false)
                let error = try await group.next() ?? nil
                #expect(error?.code == .unavailable && error?.delivery == .unknown)
            }
            // Without an election the others still name the one that is gone.
            let other = try #require(region.peers.keys.first { $0 != region.leaderStoreID })
            let refused = try await harness.get("k", harness.context(region, on: other))
            #expect(refused.regionError.notLeader.leader.storeID == region.leaderStoreID)
        }
    }

    /// The port is closed when `withCluster` returns, also where the servers had hardly begun to run.
    @Test(arguments: [false, true]) func portsAreClosedAfterwards(throwing: Bool) async throws {
        struct Mine: Error {}
        for _ in 0..<20 {
            var endpoint = ""
            var id: UInt64 = 0
            do {
                try await EmbeddedCluster.withCluster { cluster in
                    endpoint = try #require(cluster.pdEndpoints.first)
                    id = cluster.clusterID
                    if throwing { throw Mine() }
                }
            } catch is Mine {}
            let pool = try EmbeddedHarness.pool(endpoint)
            // Another test's cluster may have the port by now.
            let members = try? await pool.unary(PdpbPDRPC.getMembers, Pdpb_GetMembersRequest())
            #expect(members?.header.clusterID != id)
            await pool.shutdown()
        }
    }

    @Test func takenPortIsAnError() async throws {
        try await EmbeddedCluster.withCluster { cluster in
            let port = try #require(PeerAddress(cluster.pdEndpoints[0])?.port)
            let error = await #expect(throws: EmbeddedClusterError.self) {
                _ = try await EmbeddedCluster.start(.init(pdPort: port))
            }
            #expect(error?.code == .cannotListen)
        }
    }

    @Test func runEndsWithItsTaskAndRunsOnce() async throws {
        let cluster = try await EmbeddedCluster.start()
        let pool = try EmbeddedHarness.pool(cluster.pdEndpoints[0])
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await cluster.run() }
            let members = try? await pool.unary(PdpbPDRPC.getMembers, Pdpb_GetMembersRequest())
            #expect(members?.members.count == 1)
            // A second call has nothing to do.
            await cluster.run()
            group.cancelAll()
        }
        await #expect(throws: RPCError.self) { try await pool.unary(PdpbPDRPC.getMembers, Pdpb_GetMembersRequest()) }
        await pool.shutdown()
    }

    @Test func clusterThatWasShutDownBeforeItRanEndsAtOnce() async throws {
        let cluster = try await EmbeddedCluster.start()
        cluster.shutdown()
        await cluster.run()
    }

    @Test func theClosuresErrorComesThrough() async throws {
        struct Mine: Error {}
        await #expect(throws: Mine.self) { try await EmbeddedCluster.withCluster { _ in throw Mine() } }
    }

    @Test func onlyOneReplicaAndOneStore() async throws {
        try await EmbeddedHarness.with(.init(storeCount: 1)) { harness in
            let region = try harness.region("k")
            #expect(region.peers.count == 1 && region.leaderStoreID == 1)
            #expect(try await harness.put("k", "v", harness.context(region)).hasRegionError == false)
        }
    }
}
