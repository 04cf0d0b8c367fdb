// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded

@testable import TiKV

/// What goes wrong with transactions that prewrite commits.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl, "injects faults"))
struct FastCommitFaultTests {
    private let prewrites = EmbeddedCluster.FaultScope(rpc: "KvPrewrite")

    // MARK: - Unknown outcomes

    /// It is committed, and nobody has said so.
    @Test(arguments: FastCommit.allCases)
    func aPrewriteWhoseAnswerIsLostIsUndetermined(fast: FastCommit) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin(fast.options(), [("a", "1"), ("b", "1")])
            cluster.inject(.dropAnswer, into: self.prewrites, times: nil)
            let error = await failure { try await transaction.commit(timeout: .seconds(1)) }
            #expect(error?.code == .undetermined)
            #expect(error?.isOutcomeUnknown == true)
            #expect(error?.isRetryable == false)
            #expect(error?.transaction?.startTimestamp == transaction.startTimestamp.rawValue)
            await transaction.rollback()
            #expect(
                await failure { try await transaction.put(space.key("a"), value: "2") }?.code == .transactionFinished)
            #expect(cluster.requestCount("KvBatchRollback") == 0)
            cluster.removeAllFaults()
            cluster.advanceClock(by: .seconds(30))
            #expect(try await space.latest("b") == "1")
            #expect(try await space.latest("a") == "1")
            #expect(space.client.commitCounts.isEmpty)
        }
    }

    /// It is not, and nobody knows that either.
    @Test(arguments: FastCommit.allCases)
    func aPrewriteThatNeverArrivesIsUndetermined(fast: FastCommit) async throws {
        try await TransactionSpace.withControl(splits: ["b"]) { space, cluster in
            let names = fast == .async ? ["a", "b"] : ["a"]
            let transaction = try await space.begin(fast.options(), names.map { ($0, "1") })
            let region = try #require(cluster.region(of: space.key(names.last ?? "")))
            cluster.inject(.dropRequest, into: .init(rpc: "KvPrewrite", regionID: region.id), times: nil)
            let error = await failure { try await transaction.commit(timeout: .seconds(1)) }
            #expect(error?.code == .undetermined)
            #expect(cluster.requestCount("KvBatchRollback") == 0)
            cluster.removeAllFaults()
            cluster.advanceClock(by: .seconds(30))
            #expect(try await space.latest("a") == nil)
            #expect(try await space.latest("b") == nil)
        }
    }

    @Test(arguments: FastCommit.allCases)
    func aCancelledTaskLeavesTheOutcomeOpen(fast: FastCommit) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin(fast.options(), [("a", "1"), ("b", "1")])
            cluster.inject(.dropAnswer, into: self.prewrites, times: nil)
            let error = try await withThrowingTaskGroup(of: TiKVError?.self) { group in
                group.addTask { await failure { try await transaction.commit() } }
                try await cluster.wait {
                    let state = $0.transactionalState(of: space.key("b").bytes)
                    return !state.locks.isEmpty || !state.versions.isEmpty
                }
                group.cancelAll()
                return try await group.next() ?? nil
            }
            #expect(error?.code == .undetermined)
            cluster.removeAllFaults()
            cluster.advanceClock(by: .seconds(30))
            #expect(try await space.latest("a") == "1")
        }
    }

    @Test(arguments: FastCommit.allCases)
    func aStoreThatDoesNotKnowIsAskedAgain(fast: FastCommit) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin(fast.options(), [("a", "1")])
            cluster.inject(.regionError(.undeterminedResult), into: self.prewrites)
            #expect(try await transaction.commit() != nil)
            #expect(await transaction.commitDetails?.kind == fast.kind)
            #expect(try await space.latest("a") == "1")

            let other = try await space.begin(fast.options(), [("a", "2")])
            cluster.inject(.regionError(.undeterminedResult), into: self.prewrites, times: nil)
            let error = await failure { try await other.commit(timeout: .seconds(1)) }
            #expect(error?.code == .undetermined)
            #expect(error?.isRetryable == false)
            #expect(cluster.requestCount("KvBatchRollback") == 0)
        }
    }

    // MARK: - Known outcomes

    /// The other key is locked, and its answer lost: still it is a failure, since one key can never be locked.
    @Test
    func aConflictOnOneKeyIsAFailure() async throws {
        try await TransactionSpace.withControl(splits: ["s"]) { space, cluster in
            let transaction = try await space.begin(FastCommit.async.options(), [("a", "1"), ("z", "1")])
            try await space.commit("a", "0")
            let gate = EmbeddedCluster.Gate()
            let (first, second) = (
                try #require(cluster.region(of: space.key("a"))), try #require(cluster.region(of: space.key("z")))
            )
            cluster.inject(.hold(gate), into: .init(rpc: "KvPrewrite", regionID: first.id))
            cluster.inject(.dropAnswer, into: .init(rpc: "KvPrewrite", regionID: second.id))
            async let error = failure { try await transaction.commit() }
            try await cluster.wait { $0.lock(of: space.key("z")) != nil }
            gate.open()
            let found = await error
            #expect(found?.code == .writeConflict)
            #expect(found?.isOutcomeUnknown == false)
            #expect(found?.isRetryable == true)
            try await cluster.wait { $0.lockedKeys.isEmpty }
            #expect(try await space.latest("z") == nil)
            #expect(try await space.latest("a") == "0")
        }
    }

    /// Another's lock stays in the way until the time is over: the key was never locked, so nothing is committed, and the
    /// store makes sure of it before anybody is told.
    @Test(arguments: FastCommit.allCases)
    func aKeyThatStaysLockedIsAFailure(fast: FastCommit) async throws {
        try await TransactionSpace.withControl(splits: ["s"]) { space, cluster in
            let holder = try await space.client.begin(.pessimistic)
            try await holder.lock([space.key("z")])
            let names = fast == .async ? ["a", "z"] : ["z"]
            let transaction = try await space.begin(fast.options(), names.map { ($0, "1") })
            async let error = failure { try await transaction.commit() }
            try await cluster.wait { $0.requestCount("KvCheckTxnStatus") > 0 }
            transaction.interrupt()
            let found = await error
            #expect(found?.code == .interrupted)
            #expect(found?.isOutcomeUnknown == false)
            let primary = space.key(names[0])
            let state = cluster.transactionalState(of: primary.bytes)
            #expect(state.versions.first?.kind == .rollback)
            #expect(state.versions.first?.startTS == transaction.startTimestamp.rawValue)
            await holder.rollback()
            try await cluster.wait { $0.lockedKeys.isEmpty }
            #expect(try await space.latest(names[0]) == nil)
        }
    }

    @Test(arguments: FastCommit.allCases)
    func aLostAnswerIsAskedForAgain(fast: FastCommit) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin(fast.options(), [("a", "1"), ("b", "1")])
            cluster.inject(.cutConnectionAfterwards, into: self.prewrites)
            let commit = try #require(try await transaction.commit())
            #expect(await transaction.commitDetails?.kind == fast.kind)
            try await cluster.wait { $0.lockedKeys.isEmpty }
            #expect(cluster.commits(of: space.key("a")) == [commit.rawValue])
            #expect(cluster.commits(of: space.key("b")) == [commit.rawValue])
        }
    }

    // MARK: - Regions that change

    enum Loss: String, CaseIterable {
        case ofTheRequest
        case ofTheAnswer
    }

    /// The first request may have committed it in one phase when its region becomes two. Committed, it stays committed at
    /// the same timestamp; and where it was not, it is committed otherwise.
    @Test(arguments: Loss.allCases, [false, true])
    func aRegionThatIsSplitAfterALostRequest(loss: Loss, mayBeAsync: Bool) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin(
                .init(asyncCommit: mayBeAsync, onePhaseCommit: true), [("a", "1"), ("z", "1")])
            let gate = EmbeddedCluster.Gate()
            cluster.inject(loss == .ofTheRequest ? .cutConnection : .cutConnectionAfterwards, into: self.prewrites)
            cluster.inject(.hold(gate), into: self.prewrites)
            async let committed = transaction.commit()
            try await gate.waitForArrivals()
            let made = cluster.commits(of: space.key("a"))
            #expect(made.count == (loss == .ofTheAnswer ? 1 : 0))
            _ = try cluster.split(at: TransactionSpace.encoded(space.key("m").bytes))
            gate.open()
            let commit = try #require(try await committed)
            if let first = made.first { #expect(commit.rawValue == first) }
            let kind = await transaction.commitDetails?.kind
            #expect(kind == (mayBeAsync ? .async : loss == .ofTheAnswer ? .onePhase : .twoPhase))
            try await cluster.wait { $0.lockedKeys.isEmpty }
            for name in ["a", "z"] { #expect(cluster.commits(of: space.key(name)) == [commit.rawValue]) }
        }
    }

    @Test(arguments: FastCommit.allCases, Loss.allCases)
    func aLeaderThatChangesAfterALostRequest(fast: FastCommit, loss: Loss) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin(fast.options(), [("a", "1"), ("z", "1")])
            let region = try #require(cluster.region(of: space.key("a")))
            let other = try #require(cluster.stores.first { $0.id != region.leaderStoreID })
            let gate = EmbeddedCluster.Gate()
            cluster.inject(loss == .ofTheRequest ? .cutConnection : .cutConnectionAfterwards, into: self.prewrites)
            cluster.inject(.hold(gate), into: self.prewrites)
            async let committed = transaction.commit()
            try await gate.waitForArrivals()
            try cluster.transferLeader(ofRegion: region.id, to: other.id)
            gate.open()
            let commit = try #require(try await committed)
            #expect(await transaction.commitDetails?.kind == fast.kind)
            try await cluster.wait { $0.lockedKeys.isEmpty }
            for name in ["a", "z"] { #expect(cluster.commits(of: space.key(name)) == [commit.rawValue]) }
        }
    }

    /// A new leader does not know yet as of when others have read.
    @Test(arguments: FastCommit.allCases)
    func aLeaderThatDoesNotKnowItsReadersIsWaitedFor(fast: FastCommit) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let fault = cluster.inject(.regionError(.maxTimestampNotSynced), into: self.prewrites, times: 2)
            let transaction = try await space.begin(fast.options(), [("a", "1")])
            #expect(try await transaction.commit() != nil)
            #expect(await transaction.commitDetails?.kind == fast.kind)
            #expect(cluster.remove(fault) == nil)
        }
    }

    // MARK: - Coordinators that die

    @Test(arguments: ["a", "z"])
    func whatIsLockedThroughoutIsCommitted(firstRead: String) async throws {
        try await TransactionSpace.withControl(splits: ["s"]) { space, cluster in
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"), times: nil)
            let transaction = try await space.begin(FastCommit.async.options(), [("a", "1"), ("k", "1"), ("z", "1")])
            let commit = try #require(try await transaction.commit())
            cluster.advanceClock(by: .seconds(30))
            try await space.withOther(cluster) { other in
                #expect(try await other.latest(firstRead) == "1")
                #expect(try await other.value("a", at: commit.previous) == nil)
                try await cluster.wait { $0.lockedKeys.isEmpty }
            }
            for name in ["a", "k", "z"] { #expect(cluster.commits(of: space.key(name)) == [commit.rawValue]) }
            gate.open()
        }
    }

    /// Somebody finds the transaction half locked, and keeps it from being committed for ever.
    @Test(arguments: [false, true])
    func whatIsHalfLockedIsRolledBack(isWriter: Bool) async throws {
        try await TransactionSpace.withControl(splits: ["s"]) { space, cluster in
            try await space.write(["a": "0", "z": "0"])
            let transaction = try await space.begin(FastCommit.async.options(), [("a", "1"), ("z", "1")])
            let gate = EmbeddedCluster.Gate()
            let region = try #require(cluster.region(of: space.key("z")))
            cluster.inject(.hold(gate), into: .init(rpc: "KvPrewrite", regionID: region.id))
            async let error = failure { try await transaction.commit() }
            try await gate.waitForArrivals()
            try await cluster.wait { $0.lock(of: space.key("a")) != nil }
            cluster.advanceClock(by: .seconds(30))
            try await space.withOther(cluster) { other in
                if isWriter {
                    try await other.commit("a", "2")
                } else {
                    #expect(try await other.latest("a") == "0")
                }
            }
            #expect(cluster.requestCount("KvCheckSecondaryLocks") == 1)
            gate.open()
            let found = await error
            #expect(found?.code == .writeConflict)
            #expect(found?.isOutcomeUnknown == false)
            try await cluster.wait { $0.lockedKeys.isEmpty }
            #expect(try await space.latest("a") == (isWriter ? "2" : "0"))
            #expect(try await space.latest("z") == "0")
        }
    }
}
