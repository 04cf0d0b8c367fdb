// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded

@testable import TiKV

/// Transactions that are committed as soon as all of their keys are locked.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl, "changes the cluster"))
struct AsyncCommitTests {
    // MARK: - What it is

    @Test(arguments: [false, true])
    func aTransactionIsCommittedWhenItsKeysAreLocked(isPessimistic: Bool) async throws {
        let events = BackgroundEvents()
        let configuration = ClientConfiguration.transactions { $0.backgroundHooks = events.hooks }
        try await TransactionSpace.withControl(splits: ["b"], configuration: configuration) { space, cluster in
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"), times: nil)
            let transaction = try await space.begin(
                FastCommit.async.options(isPessimistic ? .pessimistic : .optimistic), [("a", "1"), ("b", "1")])
            let commit = try #require(try await transaction.commit())
            #expect(commit > transaction.startTimestamp)
            #expect(await transaction.commitDetails?.kind == .async)
            #expect(events.beginCount == 1)
            let primary = try #require(cluster.lock(of: space.key("a")))
            #expect(primary.usesAsyncCommit)
            #expect(primary.secondaries == [space.key("b").bytes])
            let secondary = try #require(cluster.lock(of: space.key("b")))
            #expect(secondary.usesAsyncCommit)
            #expect(secondary.secondaries.isEmpty)
            #expect(max(primary.minCommitTS, secondary.minCommitTS) == commit.rawValue)
            gate.open()
            await events.waitForEnd()
            #expect(cluster.lockedKeys.isEmpty)
            for name in ["a", "b"] {
                #expect(try await space.value(name, at: commit) == "1")
                #expect(try await space.value(name, at: commit.previous) == nil)
                #expect(cluster.commits(of: space.key(name)) == [commit.rawValue])
            }
        }
    }

    @Test
    func theClientsWordCountsWhereTheTransactionHasNone() async throws {
        let configuration = ClientConfiguration.transactions {
            $0.asyncCommit.isEnabled = true
            $0.onePhaseCommit = true
        }
        try await TransactionSpace.withControl(splits: ["b"], configuration: configuration) { space, _ in
            let usual = try await space.begin([("a", "1"), ("b", "1")])
            try await usual.commit()
            #expect(await usual.commitDetails?.kind == .async)
            let one = try await space.begin([("a", "1")])
            try await one.commit()
            #expect(await one.commitDetails?.kind == .onePhase)
            let other = try await space.begin(.init(asyncCommit: false), [("a", "2"), ("b", "2")])
            try await other.commit()
            #expect(await other.commitDetails?.kind == .twoPhase)
            let last = try await space.begin(.init(asyncCommit: false, onePhaseCommit: false), [("a", "2")])
            try await last.commit()
            #expect(await last.commitDetails?.kind == .twoPhase)
            #expect(try await space.latest("b") == "2")
        }
    }

    /// The primary's lock tells those who find the transaction abandoned where to look.
    @Test
    func thePrimarysLockNamesAllOtherKeys() async throws {
        try await TransactionSpace.withControl(splits: ["h", "o", "u"]) { space, cluster in
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"), times: nil)
            let sets = [
                ["a0"], ["b1", "a1"], ["d2", "e2", "c2"], ["z3", "a3", "h3", "o3", "u3"],
                ["q4", "p4", "r4", "s4", "t4"],
            ]
            for names in sets {
                let transaction = try await space.begin(FastCommit.async.options(), names.map { ($0, "1") })
                #expect(try await transaction.commit() != nil)
                let locks = names.sorted().map { cluster.lock(of: space.key($0)) }
                #expect(locks.allSatisfy { $0?.usesAsyncCommit == true })
                let secondaries = names.sorted().dropFirst().map { space.key($0).bytes }
                #expect(locks.first??.secondaries.sorted { Key($0) < Key($1) } == secondaries)
            }
            gate.open()
        }
    }

    /// So it is, however often a key was written and in how many requests the keys go.
    @Test
    func eachOtherKeyIsNamedOnce() async throws {
        let configuration = ClientConfiguration.transactions { $0.batchSizeLimit = 256 }
        try await TransactionSpace.withControl(splits: ["k40"], configuration: configuration) { space, cluster in
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"), times: nil)
            let names = (10..<80).map { "k\($0)" }
            let twice = ["k10", "k11", "k39", "k40", "k41", "k60", "k79"]
            let transaction = try await space.begin(
                FastCommit.async.options(), (names + twice).map { ($0, Value($0)) })
            let requests = cluster.requestCount("KvPrewrite")
            #expect(try await transaction.commit() != nil)
            #expect(await transaction.commitDetails?.kind == .async)
            #expect(cluster.requestCount("KvPrewrite") - requests > 2)
            let locks = names.map { cluster.lock(of: space.key($0)) }
            #expect(locks.allSatisfy { $0?.primary == space.key("k10").bytes && $0?.usesAsyncCommit == true })
            let secondaries = locks.first??.secondaries ?? []
            #expect(secondaries.count == 69)
            #expect(Set(secondaries) == Set(names.dropFirst().map { space.key($0).bytes }))
            #expect(locks.dropFirst().allSatisfy { $0?.secondaries.isEmpty == true })
            gate.open()
        }
    }

    // MARK: - Which timestamp

    @Test(arguments: FastCommit.allCases, [false, true])
    func thoseWhoBeganBeforeReadTheOldState(fast: FastCommit, isPessimistic: Bool) async throws {
        try await TransactionSpace.withControl { space, _ in
            try await space.commit("k", "1")
            let writer = try await space.client.begin(fast.options(isPessimistic ? .pessimistic : .optimistic))
            #expect(try await writer.get(space.key("k")) == "1")
            try await writer.put(space.key("k"), value: "2")
            for _ in 0..<20 { _ = try await space.client.currentTimestamp() }
            let reader = try await space.client.begin()
            #expect(try await reader.get(space.key("k")) == "1")
            let commit = try #require(try await writer.commit())
            #expect(await writer.commitDetails?.kind == fast.kind)
            #expect(commit > reader.startTimestamp)
            #expect(try await space.value("k", at: reader.startTimestamp) == "1")
            #expect(try await space.value("k", at: commit) == "2")
            #expect(try await space.value("k", at: commit.previous) == "1")
            #expect(try await space.client.begin().get(space.key("k")) == "2")
        }
    }

    @Test(arguments: [nil, .async, .onePhase] as [FastCommit?])
    func whoeverCommitsLaterHasTheLaterTimestamp(fast: FastCommit?) async throws {
        try await TransactionSpace.withControl { space, _ in
            let first = try await space.begin(fast?.options() ?? .optimistic, [("a", "1")])
            let second = try await space.begin(fast?.options() ?? .optimistic, [("b", "1")])
            let earlier = try #require(try await second.commit())
            let later = try #require(try await first.commit())
            #expect(earlier < later)
            #expect(await first.commitDetails?.kind == fast?.kind ?? .twoPhase)
        }
    }

    /// Without the guarantee there is no timestamp from PD: what comes of it is as early as can be.
    @Test(arguments: FastCommit.allCases)
    func withoutThatGuaranteeTheStoreMayChooseAnEarlierOne(fast: FastCommit) async throws {
        try await TransactionSpace.withControl { space, _ in
            let options = fast.options { $0.guaranteesLinearizability = false }
            let first = try await space.begin(options, [("a", "1")])
            let second = try await space.begin(options, [("b", "1")])
            #expect(try await second.commit()?.rawValue == second.startTimestamp.rawValue + 1)
            #expect(try await first.commit()?.rawValue == first.startTimestamp.rawValue + 1)
            #expect(await first.commitDetails?.kind == fast.kind)
            // What is asked to be later is later all the same.
            let now = try await space.client.currentTimestamp()
            let after = try await space.begin(
                fast.options {
                    $0.guaranteesLinearizability = false
                    $0.commitAfter = now
                }, [("a", "2")])
            #expect(try #require(try await after.commit()) > now)
        }
    }

    /// A commit that must come later than PD's clock is at waits for it, or fails, however it would be committed.
    @Test(arguments: [true, false])
    func commitsWaitForPDsClock(isLinearizable: Bool) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let now = try await space.client.currentTimestamp().rawValue
            let transaction = try await space.begin(
                .init(
                    commitAfter: Timestamp(rawValue: now + (10_000 << 18)), asyncCommit: true, onePhaseCommit: true,
                    guaranteesLinearizability: isLinearizable), [("k", "1")])
            let error = await failure { try await transaction.commit() }
            #expect(error?.code == .commitTimestampLag)
            #expect(error?.isOutcomeUnknown == false)
            #expect(cluster.requestCount("KvPrewrite") == 0)
            #expect(try await space.latest("k") == nil)
        }
    }

    // MARK: - When it is not done

    @Test
    func limitsHold() async throws {
        let names = (0..<16).map { "key\($0)" }
        try await TransactionSpace.withControl { space, _ in
            let size = names.reduce(0) { $0 + space.key($1).count }
            for (keyLimit, sizeLimit, kind) in [
                (16, size, CommitDetails.Kind.async), (15, size, .twoPhase), (16, size - 1, .twoPhase),
            ] {
                let transaction = try await space.begin(FastCommit.async.options(), names.map { ($0, "1") })
                var committer = try await space.committer(transaction)
                committer.asyncCommit.keyLimit = keyLimit
                committer.asyncCommit.keySizeLimit = sizeLimit
                _ = try await committer.commit(timeout: .seconds(20))
                #expect(committer.recorder.value.kind == kind)
            }
        }
    }

    @Test(arguments: FastCommit.allCases)
    func localTransactionsAreCommittedInTwoPhases(fast: FastCommit) async throws {
        try await TransactionSpace.withControl { space, _ in
            for (scope, kind) in [
                (TransactionOptions.Scope.local("bj"), CommitDetails.Kind.twoPhase), (.global, fast.kind),
            ] {
                let transaction = try await space.begin(fast.options { $0.scope = scope }, [("k", "1")])
                #expect(try await transaction.commit() != nil)
                #expect(await transaction.commitDetails?.kind == kind)
            }
        }
    }

    /// Others hold the same lock, so that neither its time nor what became of it can be looked up for one of them.
    @Test(arguments: FastCommit.allCases)
    func transactionsWithSharedLocksAreCommittedInTwoPhases(fast: FastCommit) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.client.begin(fast.options(.pessimistic))
            let first = await failure { try await transaction.lock([space.key("a")], options: .init(mode: .shared)) }
            #expect(first?.code == .invalidArgument)
            try await transaction.put(space.key("b"), value: "1")
            _ = try await transaction.lock([space.key("a")], options: .init(mode: .shared))
            // Though it is the first in order.
            #expect(try await transaction.plan().primary == space.key("b").bytes)
            #expect(try await transaction.commit() != nil)
            #expect(await transaction.commitDetails?.kind == .twoPhase)
            try await cluster.wait { $0.lockedKeys.isEmpty }
            #expect(try await space.latest("b") == "1")
        }
    }

    /// What is checked before the commit would come too late, and so would a check that leaves no lock.
    @Test
    func checksAreNotPassedBy() async throws {
        try await TransactionSpace.withControl(splits: ["b"]) { space, _ in
            for fast in FastCommit.allCases {
                let seen = Shared(0)
                let checked = try await space.begin(fast.options(), [("a", "1")])
                await checked.checkBeforeCommit { _ in seen.withLock { $0 += 1 } }
                try await checked.commit()
                #expect(await checked.commitDetails?.kind == .twoPhase)
                #expect(seen.withLock { $0 } == 1)
            }
            try await space.commit("b", "there")
            let inserting = try await space.begin(FastCommit.async.options(), [("a", "2")])
            try await inserting.insert(space.key("b"), value: "2")
            try await inserting.delete(space.key("b"))
            let error = await failure { try await inserting.commit() }
            #expect(error?.code == .keyAlreadyExists)
            #expect(await inserting.commitDetails?.kind == nil)
            #expect(try await space.latest("a") == "1")
        }
    }

    /// Somebody has read later than the store may commit.
    @Test(arguments: FastCommit.allCases)
    func aStoreThatMayNotCommitSoLateFallsBack(fast: FastCommit) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin(fast.options(), [("a", "1"), ("b", "1")])
            cluster.raiseMaxTS(to: transaction.startTimestamp.rawValue + (60_000 << 18))
            let commit = try #require(try await transaction.commit())
            #expect(await transaction.commitDetails?.kind == .twoPhase)
            #expect(try await space.value("a", at: commit) == "1")
            #expect(try await space.value("b", at: commit) == "1")
            #expect(cluster.commits(of: space.key("a")) == [commit.rawValue])
        }
    }

    /// The primary's lock is an asynchronous one, the other is not: the primary decides.
    @Test
    func oneKeyThatFallsBackIsEnough() async throws {
        try await TransactionSpace.withControl(splits: ["b"]) { space, cluster in
            let transaction = try await space.begin(FastCommit.async.options(), [("a", "1"), ("b", "1")])
            let (prewrite, commit) = (EmbeddedCluster.Gate(), EmbeddedCluster.Gate())
            let region = try #require(cluster.region(of: space.key("b")))
            cluster.inject(.hold(prewrite), into: .init(rpc: "KvPrewrite", regionID: region.id))
            cluster.inject(.hold(commit), into: .init(rpc: "KvCommit"), times: nil)
            async let committed = transaction.commit()
            try await prewrite.waitForArrivals()
            try await cluster.wait { $0.lock(of: space.key("a")) != nil }
            cluster.raiseMaxTS(to: transaction.startTimestamp.rawValue + (60_000 << 18))
            prewrite.open()
            try await commit.waitForArrivals()
            #expect(cluster.lock(of: space.key("a"))?.usesAsyncCommit == true)
            #expect(cluster.lock(of: space.key("b"))?.usesAsyncCommit == false)
            commit.open()
            let timestamp = try #require(try await committed)
            #expect(await transaction.commitDetails?.kind == .twoPhase)
            #expect(try await space.value("b", at: timestamp) == "1")
            #expect(cluster.commits(of: space.key("a")) == [timestamp.rawValue])
        }
    }

    // MARK: - Locks in the way

    @Test(arguments: [false, true])
    func commitsNeedNotWaitForLocks(isPessimistic: Bool) async throws {
        try await TransactionSpace.withControl { space, cluster in
            let holder = try await space.client.begin(.pessimistic)
            try await holder.lock([space.key("k")])
            let transaction = try await space.client.begin(
                .init(kind: isPessimistic ? .pessimistic : .optimistic, waitsForLocks: false))
            try await transaction.putWithoutLock(space.key("k"), value: "1")
            let error = await failure { try await transaction.commit() }
            #expect(error?.code == .keyIsLocked)
            #expect(error?.isOutcomeUnknown == false)
            #expect(error?.transaction?.key == space.key("k"))
            #expect(cluster.requestCount("KvCheckTxnStatus") == 0)
            await holder.rollback()
            #expect(try await space.latest("k") == nil)
        }
    }

    // MARK: - What others see

    /// Reads of the newest version may not pass such a lock by, and are at no time that keeps commits from being made.
    @Test
    func readersOfTheNewestVersionSeeWhatIsLocked() async throws {
        try await TransactionSpace.withControl(splits: ["b"]) { space, cluster in
            try await space.write(["a": "0", "b": "0"])
            let transaction = try await space.begin(FastCommit.async.options(), [("a", "1"), ("b", "1")])
            let newest = space.client.snapshot(options: .init(isCached: false))
            #expect(try await newest.get(space.key("a")) == "0")
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"), times: nil)
            try await transaction.commit()
            #expect(await transaction.commitDetails?.kind == .async)
            async let found = newest.get(space.key("a"))
            try await cluster.wait { $0.requestCount("KvCheckTxnStatus") > 0 }
            // Nobody else commits it, so that it is taken for abandoned.
            cluster.advanceClock(by: .seconds(30))
            #expect(try await found == "1")
            #expect(try await newest.get(space.key("b")) == "1")
            #expect(try await space.latest("a") == "1")
            gate.open()
            let next = try await space.begin(FastCommit.async.options(), [("a", "2")])
            try await next.commit()
            #expect(await next.commitDetails?.kind == .async)
        }
    }

    @Test
    func pessimisticTransactionsWaitForSuchLocksToExpire() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let start = try await space.client.currentTimestamp().rawValue
            let key = space.key("k")
            cluster.putLock(
                .init(
                    startTS: start, primary: key.bytes, ttl: 3_000, minCommitTS: start + 1, usesAsyncCommit: true,
                    value: Array("old".utf8)), on: key.bytes)
            let transaction = try await space.client.begin(.pessimistic)
            try await transaction.lock([space.key("k1")])
            try await transaction.putWithoutLock(key, value: "new")
            async let committed = transaction.commit()
            try await cluster.wait { $0.requestCount("KvCheckTxnStatus") > 0 }
            #expect(cluster.lock(of: key)?.startTS == start)
            cluster.advanceClock(by: .seconds(30))
            let commit = try #require(try await committed)
            #expect(try await space.latest("k") == "new")
            #expect(cluster.commits(of: key) == [commit.rawValue, start + 1])
        }
    }
}
