// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVTransport

@testable import TiKV

/// What a client leaves behind when it has been closed.
@Suite(.timeLimit(.minutes(2))) struct ClientLeakTests {
    /// A task, timer or connection that were still there would hold on to what it works for.
    @Test(arguments: [EmbeddedCluster.APIVersion.v1, .v2])
    func aClosedClientIsGone(version: EmbeddedCluster.APIVersion) async throws {
        try await EmbeddedCluster.withCluster(.init(splitKeys: [[0x6d]], apiVersion: version)) { cluster in
            weak var core: ClientCore?
            weak var sender: RegionRequestSender?
            weak var pool: ConnectionPool?
            let configuration = ClientConfiguration(apiVersion: version == .v2 ? .v2 : .v1)
            try await RawClient.withClient(pd: cluster.pdEndpoints, configuration: configuration) { client in
                try await client.batchPut([("a", "1"), ("z", "2")])
                for try await _ in client.scan(.everything) {}
                await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<10 { group.addTask { _ = try await client.get("a") } }
                    group.cancelAll()
                }
                core = client.core
                sender = client.core.sender
                let store = try #require(cluster.stores.first { client.core.stores.known($0.id) != nil })
                pool = client.core.stores.known(store.id)?.channel as? ConnectionPool
                #expect(core != nil && sender != nil && pool != nil)
            }
            // The task that was the last to use it may still be on its way out when the client says that it is closed.
            let end = ContinuousClock.now.advanced(by: .seconds(20))
            while core != nil || sender != nil || pool != nil, .now < end { await Task.yield() }
            #expect(core == nil)
            #expect(sender == nil)
            #expect(pool == nil)
        }
    }
}
