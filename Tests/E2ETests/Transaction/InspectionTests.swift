// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded

@testable import TiKV

/// What stores tell to those who look for the cause of a trouble.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl, "looks at who waits"))
struct InspectionTests {
    @Test
    func aKeysHistoryHasAllVersionsAndTheLock() async throws {
        try await TransactionSpace.withControl { space, _ in
            let key = space.key("k")
            let empty = try await space.client.history(of: key)
            #expect(empty.lock == nil && empty.versions.isEmpty)
            let first = try await space.begin([("k", "1")])
            let one = try #require(try await first.commit())
            // Too long to stand in its record.
            let long = Value([UInt8](repeating: 7, count: 1_000))
            let two = try await space.write(["k": long])
            let deleting = try await space.client.begin()
            try await deleting.delete(key)
            let three = try #require(try await deleting.commit())
            let pending = try await space.begin([("a", "p"), ("k", "4")])
            try await space.prewrite(pending)

            let history = try await space.client.history(of: key)
            #expect(history.versions.map(\.kind) == [.delete, .put, .put])
            #expect(history.versions.map(\.commitTimestamp) == [three, two, one])
            #expect(history.versions.map(\.value) == [nil, long, "1"])
            #expect(history.versions.last?.startTimestamp == first.startTimestamp)
            #expect(history.lock?.kind == .put)
            #expect(history.lock?.holder == pending.startTimestamp)
            #expect(history.lock?.primary == space.key("a"))
            #expect(history.lock?.value == "4")
            #expect(await failure { try await space.client.history(of: "") }?.code == .invalidArgument)
        }
    }

    @Test
    func whatATransactionWroteIsFound() async throws {
        try await TransactionSpace.withControl(splits: ["h", "p"]) { space, cluster in
            let transaction = try await space.begin([("q", "1"), ("z", "1")])
            #expect(try await space.client.history(ofTransaction: transaction.startTimestamp) == nil)
            let committer = try await space.prewrite(transaction)
            // Locks are no versions.
            #expect(try await space.client.history(ofTransaction: transaction.startTimestamp) == nil)
            #expect(await committer.rollBack([space.key("q").bytes, space.key("z").bytes]))
            let requests = cluster.requestCount("MvccGetByStartTs")
            let left = try #require(try await space.client.history(ofTransaction: transaction.startTimestamp))
            // Region by region, up to the one that has something.
            #expect(cluster.requestCount("MvccGetByStartTs") - requests == 3)
            #expect(left.key == space.key("q"))
            #expect(left.history.lock == nil)
            #expect(left.history.versions.map(\.kind) == [.rollback])
            #expect(left.history.versions.first?.commitTimestamp == transaction.startTimestamp)
            // Elsewhere there is nothing of it.
            let elsewhere = try await space.client.history(
                ofTransaction: transaction.startTimestamp, in: space.range("a", "b"))
            #expect(elsewhere == nil)
        }
    }

    @Test(arguments: [1, 3])
    func whoWaitsForWhomIsTold(stores: Int) async throws {
        try await EmbeddedCluster.withCluster(.init(storeCount: stores)) { cluster in
            try await TransactionClient.withClient(pd: cluster.pdEndpoints) { client in
                #expect(try await client.lockWaits() == [])
                let holder = try await client.begin(.pessimistic)
                try await holder.lock(["k"])
                let waiter = try await client.begin(.pessimistic)
                async let locked: Void = {
                    _ = try await waiter.lock(["k"], options: .init(resourceGroupTag: [1, 2]))
                }()
                try await cluster.waitForLockWaiters(at: Array("k".utf8))
                let waits = try await client.lockWaits()
                #expect(waits.map(\.waiter).allSatisfy { $0 == waiter.startTimestamp } && !waits.isEmpty)
                #expect(waits.first?.holder == holder.startTimestamp)
                #expect(waits.first?.key == "k")
                #expect(waits.first?.resourceGroupTag == [1, 2])
                await holder.rollback()
                try await locked
                #expect(try await client.lockWaits() == [])
                await waiter.rollback()
                try await cluster.stopStore(1)
                #expect(await failure { try await client.lockWaits(timeout: .seconds(1)) } != nil)
            }
        }
    }
}
