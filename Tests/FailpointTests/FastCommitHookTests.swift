// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

import Testing
import TiKV
import TiKVEmbedded
import TiKVFailpoints

/// The hooks of asynchronous and one-phase commits.
@Suite(.timeLimit(.minutes(3)))
struct FastCommitHookTests {
    private static let key: Key = "a"
    /// In another region than `key`.
    private static let other: Key = "z"
    private static let async = TransactionOptions(asyncCommit: true)
    private static let onePhase = TransactionOptions(onePhaseCommit: true)

    /// Runs a test with two regions. What runs in the client's background is in the scope, too.
    private func with(
        _ actions: [Failpoint: String],
        _ body: (TransactionClient, EmbeddedCluster, FailpointScope) async throws -> Void
    ) async throws {
        let split = EmbeddedCluster.APIVersion.v1.regionKey(forTransactional: Array("m".utf8))
        try await EmbeddedCluster.withCluster(.init(splitKeys: [split])) { cluster in
            try await FailpointScope.withActive(actions) { scope in
                try await TransactionClient.withClient(pd: cluster.pdEndpoints) { client in
                    try await body(client, cluster, scope)
                }
            }
        }
    }

    private func writing(
        _ client: TransactionClient, _ options: TransactionOptions, _ keys: [Key] = [key, other], _ value: Value = "1"
    ) async throws -> Transaction {
        let transaction = try await client.begin(options)
        for key in keys { try await transaction.put(key, value: value) }
        return transaction
    }

    private func latest(_ client: TransactionClient, _ key: Key) async throws -> Value? {
        try await client.snapshot(at: client.currentTimestamp()).get(key)
    }

    private func failure(_ body: () async throws -> Void) async -> TiKVError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? TiKVError
        }
    }

    @Test func storesThatMayNotCommitSoLateFallBack() async throws {
        try await self.with([.prewriteInvalidMaxCommitTS: "return"]) { client, cluster, _ in
            let transaction = try await self.writing(client, Self.async)
            _ = try await transaction.commit()
            var kind = await transaction.commitDetails?.kind
            #expect(kind == .twoPhase)
            let single = try await self.writing(client, Self.onePhase, [Self.key], "2")
            _ = try await single.commit()
            kind = await single.commitDetails?.kind
            #expect(kind == .twoPhase)
            let found = try await self.latest(client, Self.key)
            #expect(found == "2")
            #expect(cluster.requestCount("KvCommit") > 0)
        }
    }

    /// The coordinator is gone when all is locked: others finish what it began.
    @Test func locksThatAreLeftBehindAreCommitted() async throws {
        try await self.with([.asyncCommitDoNothing: "return", .prewriteShortLockTTL: "return"]) { client, cluster, _ in
            let transaction = try await self.writing(client, Self.async)
            let commit = try await transaction.commit()
            #expect(cluster.lockedKeys == [Self.key.bytes, Self.other.bytes])
            cluster.advanceClock(by: .seconds(1))
            let found = try await self.latest(client, Self.other)
            #expect(found == "1")
            while !cluster.lockedKeys.isEmpty { await Task.yield() }
            let versions = cluster.transactionalState(of: Self.key.bytes).versions
            #expect(versions.map(\.commitTS) == [commit?.rawValue])
            #expect(cluster.requestCount("KvCommit") == 0)
        }
    }

    @Test(arguments: [true, false]) func theLeastTimestampIsFetchedBeforeAnythingIsLocked(
        isLinearizable: Bool
    ) async throws {
        try await self.with([.minCommitTSFromTSO: "return"]) { client, cluster, scope in
            var options = Self.async
            options.guaranteesLinearizability = isLinearizable
            let transaction = try await self.writing(client, options)
            try scope.set(.minCommitTSFromTSO, "panic")
            let error = await self.failure { _ = try await transaction.commit() }
            #expect((error == nil) == !isLinearizable)
            #expect(error?.isOutcomeUnknown != true)
            let prewrites = cluster.requestCount("KvPrewrite")
            #expect(prewrites == (isLinearizable ? 0 : 2))
            let found = try await self.latest(client, Self.key)
            #expect(found == (isLinearizable ? nil : "1"))
        }
    }

    /// What fails when every key has its lock can't be told from a success.
    @Test func aFailureAfterTheLastLockIsUndetermined() async throws {
        try await self.with([.prewritePrimary: "panic"]) { client, cluster, _ in
            let single = try await self.writing(client, Self.async, [Self.key])
            let error = await self.failure { _ = try await single.commit() }
            #expect(error?.code == .undetermined)
            #expect(cluster.lockedKeys == [Self.key.bytes])
            #expect(cluster.requestCount("KvBatchRollback") == 0)
            let one = try await self.writing(client, Self.onePhase, [Self.other])
            let lost = await self.failure { _ = try await one.commit() }
            #expect(lost?.code == .undetermined)
            let found = try await self.latest(client, Self.other)
            #expect(found == "1")
            // In two phases it is a failure.
            cluster.advanceClock(by: .seconds(30))
            let plain = try await self.writing(client, .optimistic)
            let known = await self.failure { _ = try await plain.commit() }
            #expect(known?.isOutcomeUnknown == false)
        }
    }

    @Test(arguments: ["undeterminedResult", "timeout", "notLeader"]) func prewritesAreSentAgain(
        kind: String
    ) async throws {
        try await self.with([.rpcPrewriteResult: "1*return(\(kind))->off"]) { client, _, _ in
            let transaction = try await self.writing(client, Self.onePhase, [Self.key])
            _ = try await transaction.commit()
            let kind = await transaction.commitDetails?.kind
            #expect(kind == .onePhase)
            let found = try await self.latest(client, Self.key)
            #expect(found == "1")
        }
    }
}

#endif
