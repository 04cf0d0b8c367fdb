// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded

@testable import TiKV

/// What the settings of a client say of all of its transactions.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl, "watches requests"))
struct TransactionSettingTests {
    // MARK: - Signs of life

    /// A transaction that is older than allowed gives no signs of life, and knows that others may take its locks.
    @Test(arguments: [true, false])
    func signsOfLifeHaveAnEnd(isOver: Bool) async throws {
        let configuration = ClientConfiguration.transactions {
            $0.lockTimeToLive = .milliseconds(500)
            if isOver { $0.maximumLifetime = .zero }
        }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let transaction = try await space.client.begin(.pessimistic)
            #expect(await !transaction.mayHaveLostLocks)
            let beats = cluster.watch("KvTxnHeartBeat")
            try await transaction.lock([space.key("a")])
            #expect(await transaction.mayHaveLostLocks == isOver)
            #expect(space.client.context.keepers.count == (isOver ? 0 : 1))
            guard isOver else {
                try await beats.waitForArrivals()
                await transaction.rollback()
                #expect(await !transaction.mayHaveLostLocks)
                return
            }
            cluster.advanceClock(by: .seconds(10))
            try await space.commit("a", "other")
            try await transaction.put(space.key("a"), value: "mine")
            #expect(await failure { try await transaction.commit() } != nil)
            #expect(cluster.requestCount("KvTxnHeartBeat") == 0)
            #expect(try await space.latest("a") == "other")
        }
    }

    /// A lock that somebody took away is noticed with the next sign of life.
    @Test
    func aLockThatIsGoneIsNoticed() async throws {
        let configuration = ClientConfiguration.transactions { $0.lockTimeToLive = .milliseconds(200) }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let transaction = try await space.client.begin(.pessimistic)
            try await transaction.lock([space.key("a")])
            #expect(await !transaction.mayHaveLostLocks)
            cluster.removeLock(of: space.key("a").bytes)
            while await !transaction.mayHaveLostLocks { await Task.yield() }
            await transaction.rollback()
        }
    }

    // MARK: - Locks

    @Test(arguments: [nil, 0, 1] as [Int?])
    func locksAreTakenAnewAsOftenAsAllowed(limit: Int?) async throws {
        let configuration = ClientConfiguration.transactions { $0.maximumLockRetries = limit }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let transaction = try await space.client.begin(.pessimistic)
            let conflicts = 2
            // Each time that it asks, another has committed since it got its timestamp.
            let gates = (0..<conflicts).map { _ in EmbeddedCluster.Gate() }
            for gate in gates { cluster.inject(.hold(gate), into: .init(rpc: "KvPessimisticLock"), times: 1) }
            async let failed = failure { try await transaction.lock([space.key("a")]) }
            for gate in gates.prefix((limit ?? conflicts - 1) + 1) {
                try await gate.waitForArrivals()
                try await space.commit("a", "other")
                gate.open()
            }
            let error = await failed
            #expect(error?.code == (limit == nil ? nil : .writeConflict))
            #expect(transaction.lockDetails.retryCount == limit ?? conflicts)
            #expect(await transaction.lockedKeyCount == (limit == nil ? 1 : 0))
            await transaction.rollback()
        }
    }

    /// What the call costs is summed up by its own tag, or that of its transaction.
    @Test
    func callsMayHaveTagsOfTheirOwn() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let first = try await space.client.begin(.init(kind: .pessimistic, resourceGroupTag: [1]))
            let second = try await space.client.begin(.init(kind: .pessimistic, resourceGroupTag: [2]))
            try await first.lock([space.key("a")])
            try await second.lock([space.key("b")])
            async let waited = failure {
                try await first.lock([space.key("b")], options: .init(resourceGroupTag: [11]))
            }
            try await cluster.waitForLockWaiters(at: space.key("b").bytes)
            let error = await failure { try await second.lock([space.key("a")]) }
            #expect(
                error?.transaction?.deadlock?.waits.map(\.resourceGroupTag).sorted { $0[0] < $1[0] } == [[2], [11]])
            await second.rollback()
            #expect(await waited == nil)
            await first.rollback()
        }
    }

    // MARK: - Requests

    @Test
    func aCommitHasOnlySoManyRequestsUnderWay() async throws {
        let configuration = ClientConfiguration.transactions { $0.maximumConcurrency = 2 }
        try await TransactionSpace.withControl(splits: ["b", "c", "d", "e"], configuration: configuration) {
            space, cluster in
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvPrewrite"), times: nil)
            let names = ["a", "b", "c", "d", "e"]
            let transaction = try await space.begin(names.map { ($0, "1") })
            async let commit = transaction.commit()
            try await gate.waitForArrivals(2)
            // Time enough for others to come, if they did.
            for _ in 0..<20 { _ = try await space.client.currentTimestamp() }
            #expect(cluster.requestCount("KvPrewrite") == 2)
            gate.open()
            #expect(try await commit != nil)
            #expect(cluster.requestCount("KvPrewrite") == 5)
        }
    }

    /// Reads ask again after a wait that begins as long as is said.
    @Test(arguments: [Duration.milliseconds(10), .seconds(60)])
    func readsWaitForLocksAsLongAsSaid(wait: Duration) async throws {
        let configuration = ClientConfiguration.transactions { $0.readLockWait = wait }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let start = try await space.client.currentTimestamp().rawValue
            // Readers can't push it.
            cluster.putLock(
                .init(startTS: start, primary: space.key("a").bytes, ttl: 3_600_000, value: [1]),
                on: space.key("a").bytes)
            let recorder = RequestRecorder()
            let snapshot = space.client.snapshot(at: try await space.client.currentTimestamp())
            let error = await failure {
                try await withRequestStatistics(recorder) {
                    try await snapshot.get(space.key("a"), timeout: .milliseconds(500))
                }
            }
            // Whichever of them sees that the time is over.
            #expect(error?.code == .keyIsLocked || error?.code == .deadlineExceeded)
            let waits = recorder.statistics.backoffs["txnLockFast"]?.count ?? 0
            // A wait that would outlast the call is cut, once.
            #expect(wait > .seconds(1) ? waits == 1 : waits > 1)
        }
    }

    // MARK: - Conflicts within a client

    /// One that has conflicted waits until those before it are done, and does not run in between.
    @Test(arguments: [false, true])
    func conflictsAreRunAgainOneAfterTheOther(usesLatches: Bool) async throws {
        let configuration = ClientConfiguration.transactions { $0.usesLocalLatches = usesLatches }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let key = space.key("a")
            let turns = space.client.context.retries
            let before = try #require(await turns.enter(key, deadline: nil))
            let runs = Shared(0)
            async let done: Void = space.client.withTransaction { transaction in
                let run = runs.withLock { runs in
                    runs += 1
                    return runs
                }
                _ = try await transaction.get(key)
                // Another is quicker.
                if run == 1 { try await space.commit("a", "other") }
                try await transaction.put(key, value: "mine")
            }
            try await cluster.wait { _ in turns.waiterCount(key) == 1 }
            #expect(runs.withLock { $0 } == 1)
            turns.leave(before.turn)
            try await done
            #expect(runs.withLock { $0 } == 2)
            #expect(try await space.latest("a") == "mine")
            #expect(await turns.enter(key, deadline: nil)?.hasWaited == false)
        }
    }

    /// One that gave way to another does not begin anew before that one has ended: it would be in the way of all.
    @Test
    func whoGaveWayWaitsForTheOther() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let key = space.key("a")
            let younger = Shared<Transaction?>(nil)
            let runs = Shared(0)
            async let done: Void = space.client.withTransaction { transaction in
                let run = runs.withLock { runs in
                    runs += 1
                    return runs
                }
                if run == 1 {
                    // One that has begun later locks the key first.
                    let other = try await space.begin([("a", "other")])
                    try await space.prewrite(other)
                    younger.withLock { $0 = other }
                }
                try await transaction.put(key, value: "mine")
            }
            // It asks what becomes of the other.
            try await cluster.wait { $0.requestCount("KvCheckTxnStatus") >= 3 }
            #expect(runs.withLock { $0 } == 1)
            let other = try #require(younger.withLock { $0 })
            let committer = try await space.committer(other)
            _ = try await space.commitPrimary(committer)
            try await done
            #expect(runs.withLock { $0 } == 2)
            #expect(try await space.latest("a") == "mine")
        }
    }

    @Test(arguments: [false, true])
    func aHotKeyIsCountedRight(usesLatches: Bool) async throws {
        let configuration = ClientConfiguration.transactions {
            $0.usesLocalLatches = usesLatches
            $0.maximumAttempts = .max
        }
        try await TransactionSpace.withControl(configuration: configuration) { space, _ in
            let key = space.key("count")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        for _ in 0..<5 {
                            try await space.client.withTransaction { transaction in
                                let count = try await transaction.get(key)?.bytes.first ?? 0
                                try await transaction.put(key, value: Value([count + 1]))
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await space.latest("count") == Value([80]))
        }
    }

    /// Old keys are forgotten when there are more than said.
    @Test
    func latchesForgetOldKeys() async throws {
        let configuration = ClientConfiguration.transactions {
            $0.usesLocalLatches = true
            $0.latchCapacity = 3
        }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            for name in ["a", "b", "c"] { try await space.commit(name, "1") }
            #expect(space.client.context.latches?.keyCount == 3)
            cluster.advanceClock(by: .seconds(180))
            try await space.commit("d", "1")
            #expect(space.client.context.latches?.keyCount == 1)
        }
    }
}
