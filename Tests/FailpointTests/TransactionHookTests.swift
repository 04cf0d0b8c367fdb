// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

import Testing
import TiKV
import TiKVEmbedded
import TiKVFailpoints

/// The hooks of the transaction client, through its public API.
@Suite(.timeLimit(.minutes(3)))
struct TransactionHookTests: HookSuite {
    // MARK: - All requests

    @Test(arguments: [Failpoint.requestFailsOnSend, .requestFailsOnReceive, .requestCancelled])
    func aRequestThatFailsOnceIsSentAgain(hook: Failpoint) async throws {
        try await self.with([hook: "2*return->off", .backoffSkipsSleep: "return"]) { client, _, scope in
            let transaction = try await self.writing(client)
            let timestamp = try await transaction.commit()
            #expect(timestamp != nil)
            let found = try await self.values(client)
            #expect(found == [Self.key: "1", Self.other: "1"])
            #expect(scope.hits(hook) == 2)
        }
    }

    @Test func aLostAnswerToACommitThatIsNotAskedForAgainLeavesItUndetermined() async throws {
        try await self.with([:]) { client, _, scope in
            let transaction = try await self.writing(client)
            try scope.set(.rpcCommitResult, "return(timeout)")
            try scope.set(.requestNoRetry, "return(true)")
            let error = await self.failure { try await transaction.commit() }
            #expect(error?.code == .undetermined)
            #expect(error?.transaction?.startTimestamp == transaction.startTimestamp.rawValue)
        }
    }

    @Test func requestsWaitWhereTheyAreSent() async throws {
        try await self.with([.beforeSendRequest: "pause"]) { client, cluster, scope in
            async let value = client.snapshot().get(Self.key)
            try await scope.waitForHits(.beforeSendRequest)
            #expect(cluster.requestCount("KvGet") == 0)
            try scope.set(.beforeSendRequest, "off")
            let found = try await value
            #expect(found == nil)
        }
    }

    @Test func waitsBetweenAttemptsAreSkipped() async throws {
        try await self.with([.backoffSkipsSleep: "return"]) { client, cluster, _ in
            cluster.inject(
                .regionError(.serverIsBusy(backoffMilliseconds: 3_600_000)), into: .init(rpc: "KvPrewrite"), times: 3)
            let timestamp = try await self.writing(client).commit()
            #expect(timestamp != nil)
        }
    }

    @Test func timestampsFail() async throws {
        try await self.with([.timestampError: "1*return(true)->off"]) { client, _, _ in
            let error = await self.failure { _ = try await client.begin() }
            #expect(error?.code == .pdUnreachable)
            let timestamp = try await self.writing(client).commit()
            #expect(timestamp != nil)
        }
    }

    // MARK: - Prewrite

    @Test(arguments: ["notLeader", "serverIsBusy", "timeout", "undeterminedResult"])
    func prewritesAreSentAgain(kind: String) async throws {
        try await self.with([.rpcPrewriteResult: "1*return(\(kind))->off"]) { client, _, scope in
            let timestamp = try await self.writing(client).commit()
            #expect(timestamp != nil)
            let found = try await self.values(client).count
            #expect(found == 2)
            #expect(scope.hits(.rpcPrewriteResult) == 1)
        }
    }

    @Test func aConflictInPrewriteFailsTheCommit() async throws {
        try await self.with([.rpcPrewriteResult: "return(writeConflict)"]) { client, cluster, _ in
            let transaction = try await self.writing(client)
            let error = await self.failure { try await transaction.commit() }
            #expect(error?.code == .writeConflict)
            #expect(error?.isRetryable == true)
            await self.waitUntilNothingIsLocked(cluster)
            let found = try await self.values(client)
            #expect(found.isEmpty)
        }
    }

    @Test(arguments: [Failpoint.prewritePrimaryFail, .prewriteSecondaryFail])
    func aPrewriteThatFailsLeavesNoLocks(hook: Failpoint) async throws {
        try await self.with([hook: "return"]) { client, cluster, scope in
            let transaction = try await self.writing(client)
            let error = await self.failure { try await transaction.commit() }
            #expect(error?.code == .serverError)
            #expect(scope.hits(hook) > 0)
            await self.waitUntilNothingIsLocked(cluster)
            let found = try await self.values(client)
            #expect(found.isEmpty)
        }
    }

    @Test(arguments: [Failpoint.prewritePrimary, .prewriteSecondary])
    func aCommitThatIsCancelledAfterAPrewriteTakesItsLocksBack(hook: Failpoint) async throws {
        try await self.with([hook: "pause"]) { client, cluster, scope in
            let transaction = try await self.writing(client)
            let error = try await withThrowingTaskGroup(of: TiKVError?.self) { group in
                group.addTask { await self.failure { try await transaction.commit() } }
                try await scope.waitForHits(hook)
                // The secondary's batch waits before it is sent, the primary's after that.
                while !cluster.lockedKeys.contains(Self.key.bytes) { await Task.yield() }
                group.cancelAll()
                return try await group.next() ?? nil
            }
            #expect(error?.code == .cancelled)
            await self.waitUntilNothingIsLocked(cluster)
            let found = try await self.values(client)
            #expect(found.isEmpty)
        }
    }

    // MARK: - Commit

    @Test func aCommitThatFailsBeforeItIsSentHasNoEffect() async throws {
        try await self.with([.commitError: "return(true)"]) { client, cluster, _ in
            let transaction = try await self.writing(client)
            let error = await self.failure { try await transaction.commit() }
            #expect(error?.code == .serverError)
            #expect(cluster.requestCount("KvCommit") == 0)
            await self.waitUntilNothingIsLocked(cluster)
            let found = try await self.values(client)
            #expect(found.isEmpty)
        }
    }

    @Test(arguments: ["notLeader", "timeout", "undeterminedResult"]) func commitsAreSentAgain(kind: String) async throws
    {
        try await self.with([.rpcCommitResult: "1*return(\(kind))->off"]) { client, _, _ in
            let timestamp = try await self.writing(client).commit()
            #expect(timestamp != nil)
            let found = try await self.values(client).count
            #expect(found == 2)
        }
    }

    @Test func aStoreThatNeverKnowsMakesACommitUndetermined() async throws {
        try await self.with([.rpcCommitResult: "return(undeterminedResult)"]) { client, cluster, _ in
            let transaction = try await self.writing(client)
            let error = await self.failure { try await transaction.commit(timeout: .seconds(2)) }
            #expect(error?.code == .undetermined)
            #expect(error?.isRetryable == false)
            // Nothing was rolled back, since it might have been committed.
            #expect(cluster.lockedKeys == [Self.key.bytes, Self.other.bytes])
        }
    }

    // MARK: - Pessimistic locks

    @Test func aPessimisticLockConflicts() async throws {
        try await self.with([.pessimisticLockErrWriteConflict: "return"]) { client, cluster, _ in
            let transaction = try await client.begin(.pessimistic)
            let error = await self.failure { try await transaction.lock([Self.key]) }
            #expect(error?.code == .writeConflict)
            #expect(cluster.lockedKeys.isEmpty)
            await transaction.rollback()
        }
    }

    @Test func aPessimisticLockWaitsBeforeItIsAskedFor() async throws {
        try await self.with([.beforePessimisticLock: "pause"]) { client, cluster, scope in
            let transaction = try await client.begin(.pessimistic)
            async let locked: Void = transaction.lock([Self.key])
            try await scope.waitForHits(.beforePessimisticLock)
            #expect(cluster.lockedKeys.isEmpty)
            try scope.set(.beforePessimisticLock, "off")
            try await locked
            #expect(cluster.lockedKeys == [Self.key.bytes])
            await transaction.rollback()
            #expect(cluster.lockedKeys.isEmpty)
        }
    }

    @Test func aRollbackThatIsSkippedLeavesItsLocks() async throws {
        try await self.with([.beforeAsyncPessimisticRollback: "return(\"skip\")"]) { client, cluster, _ in
            let transaction = try await client.begin(.pessimistic)
            try await transaction.lock([Self.key])
            await transaction.rollback()
            #expect(cluster.lockedKeys == [Self.key.bytes])
        }
    }

    // MARK: - Locks of others

    /// A lock whose transaction was never heard of again. Expired where its time to live is 1 ms.
    private func leaveLock(_ client: TransactionClient, _ cluster: EmbeddedCluster, ttl: UInt64) async throws {
        let start = try await client.currentTimestamp().rawValue
        cluster.advanceClock(by: .milliseconds(100))
        cluster.putLock(.init(startTS: start, primary: Self.other.bytes, ttl: ttl), on: Self.key.bytes)
    }

    @Test func aWriterWaitsForALockToBeResolvedAndAReaderDoesNot() async throws {
        try await self.with([.resolveLock: "pause"]) { client, cluster, scope in
            try await self.leaveLock(client, cluster, ttl: 1)
            let found = try await client.snapshot(at: client.currentTimestamp()).get(Self.key)
            #expect(found == nil)
            try await scope.waitForHits(.resolveLock)
            let transaction = try await self.writing(client)
            async let committed = transaction.commit()
            // The writer asks what became of the other, and waits: for its own request or for the reader's, which is the same.
            while cluster.requestCount("KvPrewrite") < 2 { await Task.yield() }
            #expect(cluster.requestCount("KvResolveLock") == 0)
            #expect(cluster.lockedKeys.contains(Self.key.bytes))
            try scope.set(.resolveLock, "off")
            let timestamp = try await committed
            #expect(timestamp != nil)
        }
    }

    @Test func aTransactionThatIsNotFoundIsTakenToBeAlive() async throws {
        try await self.with([:], requestTimeout: .seconds(20)) { client, cluster, scope in
            // Connected before, so that the short time is spent on the lock.
            #expect(try await self.values(client).isEmpty)
            try await self.leaveLock(client, cluster, ttl: 1)
            try scope.set(.txnNotFoundReturnsTTL, "return")
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            let error = await self.failure { _ = try await snapshot.get(Self.key, timeout: .seconds(1)) }
            #expect(error?.code == .keyIsLocked || error?.code == .deadlineExceeded, "\(error as Any)")
            #expect(cluster.lockedKeys == [Self.key.bytes])
            try scope.set(.txnNotFoundReturnsTTL, "off")
            let found = try await snapshot.get(Self.key)
            #expect(found == nil)
        }
    }

    @Test func theStatusOfAnExpiredTransactionFails() async throws {
        try await self.with([.txnExpiredReturnsTTL: "return", .txnStatusDelay: "sleep(1)"]) { client, cluster, scope in
            try await self.leaveLock(client, cluster, ttl: 1)
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            let error = await self.failure { _ = try await snapshot.get(Self.key) }
            #expect(error?.code == .serverError)
            #expect(scope.hits(.txnStatusDelay) > 0)
        }
    }

    // MARK: - Reads

    @Test func aPointGetWaitsBeforeItIsSent() async throws {
        try await self.with([.beforeSendPointGet: "pause"]) { client, _, scope in
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            async let value = snapshot.get(Self.key)
            try await scope.waitForHits(.beforeSendPointGet)
            // Written after the snapshot's moment: not seen, however late it asks.
            let timestamp = try await self.writing(client).commit()
            #expect(timestamp != nil)
            try scope.set(.beforeSendPointGet, "off")
            let found = try await value
            #expect(found == nil)
        }
    }

    @Test(arguments: ["notLeader", "timeout", "serverIsBusy"]) func readsAreSentAgain(kind: String) async throws {
        let action = "1*return(\(kind))->off"
        try await self.with([.rpcBatchGetResult: action, .rpcScanResult: action]) { client, _, scope in
            let timestamp = try await self.writing(client).commit()
            #expect(timestamp != nil)
            let found = try await self.values(client).count
            #expect(found == 2)
            var count = 0
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            for try await _ in snapshot.scan(KeyRange(start: Self.key, end: "")) { count += 1 }
            #expect(count == 2)
            #expect(scope.hits(.rpcBatchGetResult) == 1 && scope.hits(.rpcScanResult) == 1)
        }
    }
}

#endif
