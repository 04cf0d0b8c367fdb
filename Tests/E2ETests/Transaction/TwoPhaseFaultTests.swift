// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVTransport

@testable import TiKV

/// Commits whose decisive request goes wrong, and what stops a transaction and what does not.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl, "injects faults"))
struct TwoPhaseFaultTests {
    /// Takes a transaction's requests away from the answers to them.
    private struct Losing: RPCInterceptor {
        let name = "losing"
        let method: String
        /// How many answers are lost; nil for all of them.
        let remaining: Shared<Int?>

        func intercept<Response: Sendable>(
            _ rpc: InterceptedRPC, next: RPCInterceptorNext<Response>
        ) async throws -> Response {
            let response = try await next(rpc)
            guard rpc.method == self.method else { return response }
            let isLost = self.remaining.withLock { remaining in
                guard let count = remaining else { return true }
                remaining = max(0, count - 1)
                return count > 0
            }
            if isLost { throw RPCFailure(RPCError(.resourceExhausted, "the answer is lost", delivery: .unknown)) }
            return response
        }
    }

    private func withLosses(
        _ method: String, _ count: Int?, splits: [String] = [],
        _ body: (TransactionSpace, EmbeddedCluster) async throws -> Void
    ) async throws {
        var configuration = ClientConfiguration()
        configuration.interceptors = [Losing(method: method, remaining: Shared(count))]
        try await TransactionSpace.withControl(splits: splits, configuration: configuration, body)
    }

    // MARK: - The commit of the primary

    /// Every answer is lost: nobody knows, and rolling back afterwards does nothing.
    @Test
    func aCommitThatIsNeverAnsweredIsUndetermined() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin([("a", "a1")])
            cluster.inject(.dropRequest, into: .init(rpc: "KvCommit"), times: nil)
            let error = await failure { try await transaction.commit(timeout: .seconds(1)) }
            #expect(error?.code == .undetermined)
            let rollbacks = cluster.requestCount("KvBatchRollback")
            await transaction.rollback()
            #expect(cluster.requestCount("KvBatchRollback") == rollbacks)
            #expect(
                await failure { try await transaction.put(space.key("a"), value: "2") }?.code == .transactionFinished)
            #expect(cluster.lock(of: space.key("a")) != nil)
        }
    }

    @Test
    func aCommitThatNobodyTakesIsAFailure() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin([("a", "a1")])
            cluster.inject(.regionError(.notLeader), into: .init(rpc: "KvCommit"), times: nil)
            let error = await failure { try await transaction.commit(timeout: .seconds(1)) }
            #expect(error?.code == .regionUnavailable)
            #expect(error?.isOutcomeUnknown == false)
            #expect(error?.message.contains("NotLeader") == true)
        }
    }

    /// What comes after an answer that was lost, and is none, does not clear the doubt.
    @Test
    func aRegionErrorAfterALostAnswerLeavesTheDoubt() async throws {
        try await self.withLosses("KvCommit", 1) { space, cluster in
            let transaction = try await space.begin([("a", "a1")])
            // The first goes through; those after it find no leader.
            let gate = EmbeddedCluster.Gate()
            gate.open()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"))
            cluster.inject(.regionError(.notLeader), into: .init(rpc: "KvCommit"), times: nil)
            let error = await failure { try await transaction.commit(timeout: .seconds(1)) }
            #expect(error?.code == .undetermined)
            #expect(error?.isRetryable == false)
        }
    }

    @Test
    func aRefusedCommitIsAFailure() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin([("a", "a1")])
            cluster.inject(.keyError(.abort("no")), into: .init(rpc: "KvCommit"), times: nil)
            let error = await failure { try await transaction.commit() }
            #expect(error?.code == .transactionRolledBack)
            #expect(error?.isOutcomeUnknown == false)
            cluster.removeAllFaults()
            try await space.commit("a", "a2")
        }
    }

    /// A store that has answered knows, whatever was not heard before.
    @Test
    func aRefusalAfterALostRequestClearsTheDoubt() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin([("a", "a1")])
            cluster.inject(.cutConnection, into: .init(rpc: "KvCommit"))
            cluster.inject(.keyError(.abort("no")), into: .init(rpc: "KvCommit"), times: nil)
            let error = await failure { try await transaction.commit() }
            #expect(error?.code == .transactionRolledBack)
            #expect(error?.isOutcomeUnknown == false)
        }
    }

    /// The same commit is sent again, and its answer tells what became of the first.
    @Test
    func aCommitWhoseAnswerIsLostIsSentAgain() async throws {
        try await self.withLosses("KvCommit", 1, splits: ["b", "c"]) { space, _ in
            let transaction = try await space.begin([("a", "a1"), ("b", "b1"), ("c", "c1")])
            let commit = try #require(try await transaction.commit())
            #expect(commit > transaction.startTimestamp)
            #expect(try await space.latest("a") == "a1")
            #expect(try await space.latest("b") == "b1")
        }
    }

    @Test
    func aCommitWhoseAnswersAreAllLostWasMade() async throws {
        try await self.withLosses("KvCommit", nil, splits: ["b", "c"]) { space, _ in
            let transaction = try await space.begin([("a", "a1"), ("b", "b1"), ("c", "c1")])
            let error = await failure { try await transaction.commit(timeout: .seconds(1)) }
            #expect(error?.code == .undetermined)
            #expect(try await space.latest("a") == "a1")
            // Its lock leads to the primary, which is committed.
            #expect(try await space.latest("b") == "b1")
        }
    }

    /// What a store does not know it is asked again; only where it never knows, nobody does.
    @Test
    func aStoreThatDoesNotKnowIsAskedAgain() async throws {
        try await TransactionSpace.withControl { space, cluster in
            for rpc in ["KvPrewrite", "KvCommit"] {
                let transaction = try await space.begin([("a", Value(rpc))])
                let fault = cluster.inject(.regionError(.undeterminedResult), into: .init(rpc: rpc))
                #expect(try await transaction.commit() != nil)
                #expect(cluster.remove(fault) == nil)
                #expect(try await space.latest("a") == Value(rpc))
            }
            let transaction = try await space.begin([("a", "1")])
            cluster.inject(.regionError(.undeterminedResult), into: .init(rpc: "KvCommit"), times: nil)
            let error = await failure { try await transaction.commit(timeout: .seconds(1)) }
            #expect(error?.code == .undetermined)
            #expect(error?.isRetryable == false)
        }
    }

    // MARK: - Prewrite

    /// A request that was executed and whose answer was lost says that it comes again, also where its region was split
    /// meanwhile and it has become two.
    @Test
    func aPrewriteSaysThatItComesAgain() async throws {
        try await self.withLosses("KvPrewrite", 1) { space, cluster in
            let transaction = try await space.begin([("a", "1"), ("z", "1")])
            cluster.recordTransactionRequests()
            // The first goes through, the second waits until the region is another.
            let gates = (EmbeddedCluster.Gate(), EmbeddedCluster.Gate())
            gates.0.open()
            cluster.inject(.hold(gates.0), into: .init(rpc: "KvPrewrite"))
            cluster.inject(.hold(gates.1), into: .init(rpc: "KvPrewrite"))
            async let committed = transaction.commit()
            try await gates.1.waitForArrivals()
            _ = try cluster.split(at: TransactionSpace.encoded(space.key("m").bytes))
            gates.1.open()
            #expect(try await committed != nil)
            let requests = cluster.transactionRequests.filter { $0.rpc == "KvPrewrite" }
            #expect(requests.map(\.isRetry) == [false, true, true, true])
            #expect(try await space.latest("z") == "1")
        }
    }

    @Test
    func aFullDiskTakesOnlyWhatMayWrite() async throws {
        try await TransactionSpace.withControl { space, cluster in
            for store in cluster.stores { cluster.setDiskUsage(.almostFull, ofStore: store.id) }
            let allowed = try await space.begin(.init(diskFull: .allowedWhenAlmostFull), [("a", "1")])
            #expect(try await allowed.commit() != nil)
            #expect(try await space.latest("a") == "1")
            let refused = try await space.begin([("a", "2")])
            let error = await failure { try await refused.commit(timeout: .seconds(1)) }
            #expect(error?.code == .diskFull)
            #expect(error?.isOutcomeUnknown == false)
        }
    }

    // MARK: - Interruptions

    @Test
    func anInterruptedTransactionDoesNotCommit() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin([("a", "1")])
            transaction.interrupt(signal: 2)
            let prewrites = cluster.requestCount("KvPrewrite")
            let error = await failure { try await transaction.commit() }
            #expect(error?.code == .interrupted)
            #expect(error?.transaction?.signal == 2)
            #expect(cluster.requestCount("KvPrewrite") == prewrites)
            let locking = try await space.client.begin(.pessimistic)
            locking.interrupt()
            #expect(await failure { try await locking.lock([space.key("a")]) }?.code == .interrupted)
            locking.clearInterruption()
            try await locking.put(space.key("a"), value: "2")
            try await locking.commit()
            #expect(try await space.latest("a") == "2")
        }
    }

    /// What must not be left half done goes on.
    @Test
    func anInterruptionLeavesDecisionsAndCleanupAlone() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let committed = try await space.begin([("a", "1")])
            let committer = try await space.prewrite(committed)
            committed.interrupt()
            _ = try await space.commitPrimary(committer)
            #expect(try await space.latest("a") == "1")

            let cleaned = try await space.begin([("b", "1")])
            let other = try await space.prewrite(cleaned)
            cleaned.interrupt()
            #expect(await other.rollBack([space.key("b").bytes]))
            #expect(cluster.lock(of: space.key("b")) == nil)

            let pessimistic = try await space.client.begin(.pessimistic)
            try await pessimistic.lock([space.key("c")])
            pessimistic.interrupt()
            await pessimistic.rollback()
            #expect(cluster.lock(of: space.key("c")) == nil)
        }
    }

    // MARK: - Hooks

    @Test
    func hooksSeeTheCommitOfTheOtherKeys() async throws {
        let events = BackgroundEvents()
        let configuration = ClientConfiguration.transactions { $0.backgroundHooks = events.hooks }
        try await TransactionSpace.withControl(splits: ["b"], configuration: configuration) { space, cluster in
            let transaction = try await space.begin([("a", "1"), ("b", "1")])
            #expect(events.beginCount == 0)
            try await transaction.commit()
            #expect(events.beginCount == 1)
            await events.waitForEnd()
            #expect(cluster.lockedKeys.isEmpty)
        }
    }

    @Test
    func hooksSeeTheCleanup() async throws {
        let events = BackgroundEvents()
        let configuration = ClientConfiguration.transactions { $0.backgroundHooks = events.hooks }
        try await TransactionSpace.withControl(splits: ["b"], configuration: configuration) { space, cluster in
            let transaction = try await space.begin([("a", "1"), ("b", "1")])
            let committer = try await space.prewrite(transaction)
            #expect(cluster.lockedKeys.count == 2)
            committer.rollBackInBackground()
            #expect(events.beginCount == 1)
            await events.waitForEnd()
            #expect(cluster.lockedKeys.isEmpty)
        }
    }

    @Test
    func aCheckHasTheLastWord() async throws {
        struct Stale: Error {}
        try await TransactionSpace.withControl { space, cluster in
            let refused = try await space.begin([("a", "1")])
            await refused.checkBeforeCommit { _ in throw Stale() }
            let error = await failure { try await refused.commit() }
            #expect(error?.code == .commitRefused)
            #expect(error?.cause is Stale)
            let seen = Shared<Timestamp?>(nil)
            let allowed = try await space.begin([("a", "2")])
            await allowed.checkBeforeCommit { timestamp in seen.withLock { $0 = timestamp } }
            let commit = try await allowed.commit()
            #expect(seen.withLock { $0 } == commit)
            #expect(try await space.latest("a") == "2")
        }
    }
}
