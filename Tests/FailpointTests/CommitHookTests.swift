// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

import Testing
import TiKV
import TiKVEmbedded
import TiKVFailpoints

/// The hooks inside a commit, and of the locks that come before it.
@Suite(.timeLimit(.minutes(3)))
struct CommitHookTests: HookSuite {
    // MARK: - Prewrite

    @Test func nothingIsSentBeforeTheFirstPrewrite() async throws {
        try await self.with([.beforePrewrite: "pause"]) { client, cluster, scope in
            let transaction = try await self.writing(client)
            async let commit = transaction.commit()
            try await scope.waitForHits(.beforePrewrite)
            #expect(cluster.requestCount("KvPrewrite") == 0)
            scope.resume(.beforePrewrite)
            #expect(try await commit != nil)
        }
    }

    @Test func batchesAreAsLargeAsATestSays() async throws {
        for (action, count) in [("off", 1), ("return(1)", 3)] {
            try await self.with([.prewriteBatchSizeLimit: action]) { client, cluster, _ in
                let transaction = try await client.begin()
                for key in ["a", "b", "c"] as [Key] { try await transaction.put(key, value: "1") }
                try await transaction.commit()
                #expect(cluster.requestCount("KvPrewrite") == count)
            }
        }
    }

    @Test func prewrittenLocksLiveShortly() async throws {
        for (action, isShort) in [("return", true), ("off", false)] {
            try await self.with([.prewriteShortLockTTL: action, .beforeCommit: "pause"]) { client, cluster, scope in
                let transaction = try await self.writing(client)
                async let commit = transaction.commit()
                try await scope.waitForHits(.beforeCommit)
                let lock = try #require(self.lock(of: Self.key, cluster))
                #expect((lock.ttl == 1) == isShort)
                scope.resume(.beforeCommit)
                #expect(try await commit != nil)
            }
        }
    }

    @Test func theLeastCommitTimestampOfOneTransactionIsNotSent() async throws {
        try await self.with([.beforeCommit: "pause"]) { client, cluster, scope in
            let transaction = try await self.writing(client)
            try scope.set(.prewriteZeroCommitTS, "return(\(transaction.startTimestamp.rawValue))")
            let other = try await client.begin()
            try await other.put("b", value: "1")
            async let first = transaction.commit()
            async let second = other.commit()
            try await scope.waitForHits(.beforeCommit, 2)
            #expect(self.lock(of: Self.key, cluster)?.minCommitTS == 0)
            #expect(try #require(self.lock(of: "b", cluster)).minCommitTS > other.startTimestamp.rawValue)
            try scope.set(.beforeCommit, "off")
            #expect(try await first != nil)
            #expect(try await second != nil)
        }
    }

    @Test(arguments: [true, false]) func assertionsAreNotSent(isSkipped: Bool) async throws {
        try await self.with([.assertionSkipCheckFromPrewrite: isSkipped ? "return" : "off"]) { client, _, _ in
            let transaction = try await client.begin(.init(assertionLevel: .strict))
            try await transaction.put(Self.key, value: "1")
            try await transaction.assert(Self.key, exists: true)
            let error = await self.failure { try await transaction.commit() }
            #expect(error?.code == (isSkipped ? nil : .assertionFailed))
        }
    }

    @Test(arguments: [true, false]) func whatLockingHasShownIsNotHeldAgainstAssertions(isSkipped: Bool) async throws {
        let action = isSkipped ? "return" : "off"
        try await self.with(
            [.assertionSkipCheckFromLock: action, .assertionSkipCheckFromPrewrite: "return"]
        ) { client, _, _ in
            let transaction = try await client.begin(.init(kind: .pessimistic, assertionLevel: .strict))
            try await transaction.put(Self.key, value: "1")
            try await transaction.assert(Self.key, exists: true)
            let error = await self.failure { try await transaction.commit() }
            #expect(error?.code == (isSkipped ? nil : .assertionFailed))
        }
    }

    // MARK: - Commit

    @Test func theCheckBeforeTheCommitFails() async throws {
        try await self.with([.failCheckSchemaValid: "return"]) { client, cluster, _ in
            let transaction = try await self.writing(client)
            let error = await self.failure { try await transaction.commit() }
            #expect(error?.code == .commitRefused)
            #expect(cluster.requestCount("KvCommit") == 0)
            await self.waitUntilNothingIsLocked(cluster)
            let found = try await self.values(client)
            #expect(found.isEmpty)
        }
    }

    @Test func theOthersAreLockedWhenThePrimaryIsCommitted() async throws {
        try await self.with([.afterPrimaryBatch: "pause"]) { client, cluster, scope in
            let transaction = try await self.writing(client)
            async let commit = transaction.commit()
            try await scope.waitForHits(.afterPrimaryBatch)
            #expect(cluster.lockedKeys == [Self.other.bytes])
            #expect(cluster.transactionalState(of: Self.key.bytes).versions.count == 1)
            scope.resume(.afterPrimaryBatch)
            #expect(try await commit != nil)
            await self.waitUntilNothingIsLocked(cluster)
        }
    }

    @Test func secondariesStayLocked() async throws {
        try await self.with([.beforeCommitSecondaries: "return(\"skip\")"]) { client, cluster, scope in
            let timestamp = try await self.writing(client).commit()
            #expect(timestamp != nil)
            try await scope.waitForHits(.beforeCommitSecondaries)
            #expect(cluster.requestCount("KvCommit") == 1)
            #expect(cluster.lockedKeys == [Self.other.bytes])
            // Whoever comes next finds out.
            let found = try await self.values(client)
            #expect(found == [Self.key: "1", Self.other: "1"])
        }
    }

    @Test func aFailedCommitLeavesItsLocks() async throws {
        try await self.with([.beforeCommit: "panic", .commitFailedSkipCleanup: "return"]) { client, cluster, scope in
            let transaction = try await self.writing(client)
            let error = await self.failure { try await transaction.commit() }
            #expect(error?.code == .internalError)
            #expect(scope.hits(.commitFailedSkipCleanup) == 1)
            #expect(cluster.lockedKeys == [Self.key.bytes, Self.other.bytes])
            #expect(cluster.requestCount("KvBatchRollback") == 0)
        }
    }

    // MARK: - Pessimistic locks

    @Test func pessimisticLocksLiveShortly() async throws {
        for (action, isShort) in [("return", true), ("off", false)] {
            try await self.with([.pessimisticLockShortTTL: action]) { client, cluster, _ in
                let transaction = try await client.begin(.pessimistic)
                try await transaction.lock([Self.key])
                #expect((try #require(self.lock(of: Self.key, cluster)).ttl == 1) == isShort)
                await transaction.rollback()
            }
        }
    }

    @Test func nobodyHearsThatATransactionIsAlive() async throws {
        try await self.with([.doNotKeepAlive: "return"], lockTimeToLive: .milliseconds(200)) { client, cluster, scope in
            let transaction = try await client.begin(.pessimistic)
            try await transaction.lock([Self.key])
            try await scope.waitForHits(.doNotKeepAlive)
            #expect(cluster.requestCount("KvTxnHeartBeat") == 0)
            await transaction.rollback()
        }
    }

    @Test(arguments: [
        (Failpoint.pessimisticRollbackSkip, "return"), (.onRollback, "return(\"skipRollbackPessimisticLock\")"),
    ])
    func aRollbackLeavesItsPessimisticLocks(hook: Failpoint, action: String) async throws {
        try await self.with([hook: action]) { client, cluster, scope in
            let transaction = try await client.begin(.pessimistic)
            try await transaction.lock([Self.key])
            await transaction.rollback()
            #expect(scope.hits(hook) == 1)
            #expect(cluster.requestCount("KvPessimisticRollback") == 0)
            #expect(cluster.lockedKeys == [Self.key.bytes])
        }
    }
}

#endif
