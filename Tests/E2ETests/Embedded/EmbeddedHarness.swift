// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOPosix
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

/// An embedded cluster and bare connections to its servers, to send requests that no client of ours would make up.
struct EmbeddedHarness: Sendable {
    let cluster: EmbeddedCluster
    let pd: ConnectionPool
    let stores: [UInt64: ConnectionPool]

    static func with<Result>(
        _ configuration: EmbeddedCluster.Configuration = .init(),
        _ body: (EmbeddedHarness) async throws -> Result
    ) async throws -> Result {
        try await EmbeddedCluster.withCluster(configuration) { cluster in
            let harness = try EmbeddedHarness(cluster)
            do {
                let result = try await body(harness)
                await harness.shutdown()
                return result
            } catch {
                await harness.shutdown()
                throw error
            }
        }
    }

    init(_ cluster: EmbeddedCluster) throws {
        self.cluster = cluster
        self.pd = try Self.pool(try #require(cluster.pdEndpoints.first))
        self.stores = Dictionary(
            uniqueKeysWithValues: try cluster.stores.map { ($0.id, try Self.pool($0.address)) })
    }

    static func pool(_ address: String) throws -> ConnectionPool {
        ConnectionPool(
            address: try #require(PeerAddress(address)), group: MultiThreadedEventLoopGroup.singleton,
            // Each call by itself: a status of its own is what these tests look at.
            configuration: ConnectionConfiguration(batch: nil),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func shutdown() async {
        await self.pd.shutdown()
        for pool in self.stores.values { await pool.shutdown() }
    }

    // MARK: - Requests

    /// The context that a client with a fresh view would send to a store; without one, to the leader.
    func context(_ region: EmbeddedCluster.RegionInfo, on storeID: UInt64? = nil) -> Kvrpcpb_Context {
        .with {
            $0.regionID = region.id
            $0.regionEpoch.confVer = region.confVer
            $0.regionEpoch.version = region.version
            let storeID = storeID ?? region.leaderStoreID ?? 0
            $0.peer.storeID = storeID
            $0.peer.id = region.peers[storeID] ?? 0
        }
    }

    func store(_ id: UInt64?) throws -> ConnectionPool {
        try #require(id.flatMap { self.stores[$0] })
    }

    func get(_ key: String, _ context: Kvrpcpb_Context, timeout: Duration? = nil) async throws -> Kvrpcpb_RawGetResponse
    {
        try await self.store(context.peer.storeID).unary(
            TikvpbTikvRPC.rawGet,
            .with {
                $0.context = context
                $0.key = Data(key.utf8)
            },
            options: CallOptions(timeout: timeout))
    }

    func put(_ key: String, _ value: String, _ context: Kvrpcpb_Context) async throws -> Kvrpcpb_RawPutResponse {
        try await self.store(context.peer.storeID).unary(
            TikvpbTikvRPC.rawPut,
            .with {
                $0.context = context
                $0.key = Data(key.utf8)
                $0.value = Data(value.utf8)
            })
    }

    /// The region of a key as the control handle sees it.
    func region(_ key: String) throws -> EmbeddedCluster.RegionInfo {
        try #require(self.cluster.region(containing: Array(key.utf8)))
    }

    var header: Pdpb_RequestHeader { .with { $0.clusterID = self.cluster.clusterID } }

    /// The region of a key as PD sees it.
    func pdRegion(_ key: String) async throws -> Pdpb_GetRegionResponse {
        try await self.pd.unary(
            PdpbPDRPC.getRegion,
            .with {
                $0.header = self.header
                $0.regionKey = Data(key.utf8)
            })
    }
}
