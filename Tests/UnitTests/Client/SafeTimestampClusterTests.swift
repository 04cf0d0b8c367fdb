// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Testing
import TiKVEmbedded
import TiKVPD
import TiKVTransport

@testable import TiKV

/// Safe timestamps of an embedded cluster: PD asked over HTTP, stores over gRPC.
@Suite(.timeLimit(.minutes(1))) struct SafeTimestampClusterTests {
    /// - Parameters:
    ///   - prepare: what PD and the store say before anybody asks.
    private func with(
        scope: String, prepare: (EmbeddedCluster) -> Void,
        body: (SafeTimestamps, EmbeddedCluster) async throws -> Void
    ) async throws {
        try await EmbeddedCluster.withCluster(.init(storeCount: 1)) { cluster in
            try cluster.setLabels(["zone": "testDC"], ofStore: 1)
            prepare(cluster)
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let core = try ClientCore(
                .raw, pd: cluster.pdEndpoints.compactMap { PeerAddress($0) }, configuration: .init(), logger: logger)
            let safe = SafeTimestamps(
                source: ClusterSafeTimestampSource(pd: core.pd, connections: core.stores), scope: scope,
                interval: .milliseconds(100), clock: SystemTimeSource(), logger: logger)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await core.run() }
                group.addTask { await safe.run() }
                defer { group.cancelAll() }
                try await body(safe, cluster)
            }
        }
    }

    private func wait(_ safe: SafeTimestamps, _ scope: String, for value: UInt64) async {
        while safe.minimum(scope).rawValue != value {
            #expect(safe.minimum(scope) != .max)
            await Task.yield()
        }
    }

    @Test func pdKnowsTheStores() async throws {
        try await self.with(scope: "testDC") { cluster in
            cluster.holdSafeTS(at: 150)
            cluster.setResolvedTimestamps(cluster: nil, stores: [1: 100])
        } body: { safe, cluster in
            await self.wait(safe, "testDC", for: 100)
            // No store was asked, as PD knew.
            #expect(cluster.requestCount("GetStoreSafeTS") == 0)
        }
    }

    @Test func pdKnowsTheClusterAndThenNothing() async throws {
        try await self.with(scope: "global") { cluster in
            cluster.holdSafeTS(at: 150)
            cluster.setResolvedTimestamps(cluster: 100)
        } body: { safe, cluster in
            await self.wait(safe, "global", for: 100)
            #expect(cluster.requestCount("GetStoreSafeTS") == 0)
        }
        try await self.with(scope: "testDC") { cluster in
            cluster.holdSafeTS(at: 150)
            cluster.setResolvedTimestamps(cluster: nil)
        } body: { safe, cluster in
            await self.wait(safe, "testDC", for: 150)
            #expect(cluster.requestCount("GetStoreSafeTS") >= 1)
        }
    }

    @Test func aZeroInTheBeginningHoldsNothingBack() async throws {
        try await self.with(scope: "global") { cluster in
            cluster.holdSafeTS(at: 0)
            cluster.setResolvedTimestamps(cluster: nil)
        } body: { safe, cluster in
            while cluster.requestCount("GetStoreSafeTS") < 2 { await Task.yield() }
            #expect(safe.minimum() == .zero)
            cluster.setResolvedTimestamps(cluster: 100)
            await self.wait(safe, "global", for: 100)
            cluster.holdSafeTS(at: 150)
            cluster.setResolvedTimestamps(cluster: nil)
            await self.wait(safe, "global", for: 150)
        }
    }
}
