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

    /// With all that goes on beside calls: locks kept alive, a transaction that nobody ends, keys that are committed after the
    /// commit, locks of the dead.
    @Test(arguments: [EmbeddedCluster.APIVersion.v1, .v2])
    func aClosedTransactionClientIsGone(version: EmbeddedCluster.APIVersion) async throws {
        let split = version.regionKey(forTransactional: Array("m".utf8))
        try await EmbeddedCluster.withCluster(.init(splitKeys: [split], apiVersion: version)) { cluster in
            weak var core: ClientCore?
            weak var context: TransactionContext?
            weak var resolver: LockResolver?
            weak var abandoned: Transaction?
            var configuration = ClientConfiguration(apiVersion: version == .v2 ? .v2 : .v1)
            configuration.transaction.lockTimeToLive = .milliseconds(50)
            try await TransactionClient.withClient(pd: cluster.pdEndpoints, configuration: configuration) { client in
                (core, context, resolver) = (client.core, client.context, client.context.resolver)
                try await client.withTransaction { transaction in
                    try await transaction.put("a", value: "1")
                    try await transaction.put("z", value: "1")
                }
                let waiting = try await client.begin(.pessimistic)
                try await waiting.lock(["a"])
                abandoned = waiting
                #expect(abandoned != nil)
                // A reader, and a writer that is cancelled while it waits for the lock.
                for try await _ in client.snapshot().scan(.everything) {}
                await withTaskGroup(of: Void.self) { group in
                    group.addTask {
                        _ = try? await client.withTransaction(.pessimistic) { try await $0.lock(["a"]) }
                    }
                    while cluster.requestCount("KvPessimisticLock") < 2 { await Task.yield() }
                    group.cancelAll()
                }
                #expect(core != nil && context != nil && resolver != nil)
            }
            // The task that was the last to use it may still be on its way out when the client says that it is closed.
            let end = ContinuousClock.now.advanced(by: .seconds(20))
            while core != nil || context != nil || resolver != nil || abandoned != nil, .now < end {
                await Task.yield()
            }
            #expect(core == nil)
            #expect(context == nil)
            #expect(resolver == nil)
            #expect(abandoned == nil)
        }
    }
}
