// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TiKVEmbedded
import TiKVProto

@testable import TiKV

/// What locks say of their transactions, and what those learn who have to wait for them.
@Suite(.timeLimit(.minutes(3)))
struct LockDetailTests {
    // MARK: - Lifetime

    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"))
    func largeTransactionsLockForLonger() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let before = ContinuousClock.now
            let small = try await space.begin([("small", "1")])
            try await space.prewrite(small)
            let ttl = try #require(cluster.lock(of: space.key("small"))?.ttl)
            #expect(ttl >= 3_000)
            #expect(ttl <= 3_000 + LockTimeToLive.milliseconds(before.duration(to: .now)))
            // 4 MiB: 6 s times the square root of the mebibytes, and the age.
            let began = ContinuousClock.now
            let large = try await space.client.begin()
            let value = Value([UInt8](repeating: 1, count: 1_024))
            var names: [String] = []
            for number in 0..<2_048 {
                let name = "large\(number)"
                names.append(name + String(repeating: "x", count: 1_024 - space.prefix.count - name.count))
                try await large.put(space.key(names[number]), value: value)
            }
            #expect(await large.size == 4 << 20)
            try await space.prewrite(large)
            let age = LockTimeToLive.milliseconds(began.duration(to: .now))
            for name in [names[0], names[2_047]] {
                let ttl = try #require(cluster.lock(of: space.key(name))?.ttl)
                #expect(ttl >= 12_000)
                #expect(ttl <= 12_000 + age)
            }
        }
    }

    /// A sign of life never makes a lock's life shorter, and says so when the lock is gone.
    @Test
    func signsOfLifeOnlyProlong() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.begin([("k", "1")])
            let committer = try await space.prewrite(transaction)
            func beat(_ ttl: UInt64) async throws -> Kvrpcpb_TxnHeartBeatResponse {
                var request = Kvrpcpb_TxnHeartBeatRequest()
                request.primaryLock = Data(space.key("k").bytes)
                request.startVersion = transaction.startTimestamp.rawValue
                request.adviseLockTtl = ttl
                return try await space.client.context.sender.send(
                    TikvpbTikvRPC.kvTxnHeartBeat, request, key: space.key("k").bytes, timeout: .seconds(20),
                    isWrite: false)
            }
            #expect(try await beat(3_600_000).lockTtl == 3_600_000)
            let shorter = try await beat(5_555)
            #expect(!shorter.hasError)
            #expect(shorter.lockTtl == 3_600_000)
            #expect(await committer.rollBack([space.key("k").bytes]))
            let gone = try await beat(6_666)
            #expect(gone.hasError)
            #expect(gone.lockTtl == 0)
        }
    }

    /// Signs of life begin when the primary is locked, not when all keys are; they end with a call that has failed.
    @Test(.enabled(if: TestCluster.hasControl, "holds requests back"))
    func signsOfLifeBeginWithThePrimary() async throws {
        let configuration = ClientConfiguration.transactions { $0.lockTimeToLive = .milliseconds(500) }
        try await TransactionSpace.withControl(splits: ["b"], configuration: configuration) { space, cluster in
            let region = try #require(cluster.region(of: space.key("b")))
            let transaction = try await space.client.begin(.pessimistic)
            let timestamp = try await space.client.currentTimestamp()
            // A version that the second key's lock must not overlook.
            try await space.commit("b", "1")
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvPessimisticLock", regionID: region.id), times: 1)
            let beats = cluster.watch("KvTxnHeartBeat")
            async let failed = failure {
                try await transaction.lock(
                    [space.key("a"), space.key("b")], options: .init(forUpdateTimestamp: timestamp))
            }
            try await gate.waitForArrivals()
            let first = try #require(cluster.lock(of: space.key("a"))?.ttl)
            try await beats.waitForArrivals(2)
            #expect(cluster.lock(of: space.key("a"))?.ttl ?? 0 > first)
            gate.open()
            #expect(await failed?.code == .writeConflict)
            // What the call has locked goes, the signs of life with it, and another key becomes the primary.
            while cluster.lock(of: space.key("a")) != nil { await Task.yield() }
            #expect(space.client.context.keepers.count == 0)
            try await transaction.lock([space.key("c"), space.key("d")])
            #expect(cluster.lock(of: space.key("c"))?.primary == space.key("c").bytes)
            #expect(cluster.lock(of: space.key("d"))?.primary == space.key("c").bytes)
            let second = try #require(cluster.lock(of: space.key("c"))?.ttl)
            while cluster.lock(of: space.key("c"))?.ttl ?? 0 <= second { await Task.yield() }
            #expect(cluster.lock(of: space.key("a")) == nil)
            await transaction.rollback()
        }
    }

    // MARK: - Waiting

    /// Whichever is over first, the time to wait or that of the call, says how a wait ends.
    @Test(.enabled(if: TestCluster.hasControl, "holds requests back"))
    func theShorterTimeEndsAWait() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let holder = try await space.client.begin(.pessimistic)
            try await holder.lock([space.key("a")])
            let transaction = try await space.client.begin(.pessimistic)
            func end(_ wait: Duration?, _ timeout: Duration?, _ name: String = "a") async -> TiKVError.Code? {
                await failure {
                    try await transaction.lock([space.key(name)], options: .init(waitTimeout: wait), timeout: timeout)
                }?.code
            }
            #expect(await end(.seconds(30), .zero) == .deadlineExceeded)
            #expect(await end(.seconds(30), .milliseconds(200)) == .deadlineExceeded)
            #expect(await end(nil, .milliseconds(200)) == .deadlineExceeded)
            #expect(await end(.milliseconds(150), .seconds(30)) == .lockWaitTimeout)
            #expect(await end(.milliseconds(1_200), .seconds(30)) == .lockWaitTimeout)
            #expect(await end(.zero, nil) == .keyIsLocked)
            #expect(await end(nil, .seconds(30), "free") == nil)
            // An answer that comes too late makes nobody look after the lock.
            let checks = cluster.requestCount("KvCheckTxnStatus")
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvPessimisticLock"), times: nil)
            #expect(await end(.seconds(30), .milliseconds(200)) == .deadlineExceeded)
            #expect(cluster.requestCount("KvCheckTxnStatus") == checks)
            cluster.removeAllFaults()
            gate.open()
            await transaction.rollback()
            await holder.rollback()
        }
    }

    /// The one that closes a circle is told who waits for whom, and by which statement.
    @Test(.enabled(if: TestCluster.hasControl, "looks at who waits"))
    func aDeadlockTellsTheCircle() async throws {
        for waits in [[(0, 1), (1, 0)], [(0, 1), (2, 0), (1, 3), (3, 2)]] {
            try await TransactionSpace.withControl { space, cluster in
                func name(_ number: Int) -> String { "k\(number)" }
                var transactions: [Transaction] = []
                for number in waits.indices {
                    var options = TransactionOptions.pessimistic
                    options.resourceGroupTag = Array("tag\(number)".utf8)
                    let transaction = try await space.client.begin(options)
                    try await transaction.lock([space.key(name(number))])
                    transactions.append(transaction)
                }
                let all = transactions
                let options = LockOptions(
                    waitTimeout: .seconds(30), forUpdateTimestamp: try await space.client.currentTimestamp())
                await withTaskGroup(of: (Int, TiKVError?).self) { group in
                    for (waiter, holder) in waits.dropLast() {
                        group.addTask {
                            let error = await failure {
                                try await all[waiter].lock([space.key(name(holder))], options: options)
                            }
                            return (waiter, error)
                        }
                        try? await cluster.waitForLockWaiters(at: space.key(name(holder)).bytes)
                    }
                    let (last, first) = waits[waits.count - 1]
                    let error = await failure { try await all[last].lock([space.key(name(first))], options: options) }
                    #expect(error?.code == .deadlock)
                    let found = error?.transaction?.deadlock?.waits ?? []
                    let order = waits.count == 2 ? waits : [(2, 0), (0, 1), (1, 3), (3, 2)]
                    #expect(found.map(\.transaction) == order.map { all[$0.0].startTimestamp.rawValue })
                    #expect(found.map(\.holder) == order.map { all[$0.1].startTimestamp.rawValue })
                    #expect(found.map(\.key) == order.map { space.key(name($0.1)) })
                    #expect(found.map(\.resourceGroupTag) == order.map { Array("tag\($0.0)".utf8) })
                    // Each that ends lets the one go on that waits for it, which learns that it was woken.
                    var next = last
                    while let waiter = waits.dropLast().first(where: { $0.1 == next })?.0 {
                        await all[next].rollback()
                        guard let (ended, error) = await group.next() else { break }
                        #expect(ended == waiter)
                        #expect(error?.code == .writeConflict)
                        next = waiter
                    }
                    await all[next].rollback()
                    #expect(group.isEmpty)
                }
            }
        }
    }

    // MARK: - Optimistic transactions

    /// One that meets the lock of another that began later can't win, and does not wait for it.
    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"))
    func theOlderGivesWayAtOnce() async throws {
        try await TransactionSpace.withControl(splits: ["k2"]) { space, cluster in
            let older = try await space.begin([("k1", "1"), ("k2", "1")])
            let younger = try await space.client.currentTimestamp().rawValue
            // Of the younger one there is the lock of one key only.
            cluster.putLock(
                .init(startTS: younger, primary: space.key("k1").bytes, ttl: 3_600_000), on: space.key("k2").bytes)
            let checks = cluster.requestCount("KvCheckTxnStatus")
            let error = await failure { try await older.commit() }
            #expect(error?.code == .writeConflict)
            #expect(error?.transaction?.conflict?.startTimestamp == younger)
            #expect(cluster.requestCount("KvCheckTxnStatus") == checks)
            #expect(cluster.lock(of: space.key("k2"))?.startTS == younger)
        }
    }

    // MARK: - Locks that are not what they were

    /// By which protocol a transaction that has locked fairly is committed.
    enum Mode: CaseIterable, Sendable {
        case twoPhase, async, onePhase, asyncWithoutLinearizability

        var options: TransactionOptions {
            TransactionOptions(
                kind: .pessimistic, asyncCommit: self != .twoPhase, onePhaseCommit: self == .onePhase,
                guaranteesLinearizability: self != .asyncWithoutLinearizability)
        }

        var kind: CommitDetails.Kind {
            switch self {
            case .twoPhase: .twoPhase
            case .onePhase: .onePhase
            case .async, .asyncWithoutLinearizability: .async
            }
        }

        /// One request must be able to carry all keys where they are to be committed in one phase.
        func splits(_ key: String) -> [String] { self == .onePhase ? [] : [key] }
    }

    /// A lock that was lost and taken again, by a request that came twice, is not the one that was read under.
    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"), arguments: Mode.allCases)
    func aLockTakenAgainLaterIsFoundOut(mode: Mode) async throws {
        try await TransactionSpace.withControl(splits: mode.splits("k2")) { space, cluster in
            try await space.write(["k1": "v1", "k2": "v1", "k3": "v1"])
            let transaction = try await space.client.begin(mode.options)
            try await transaction.startFairLocking()
            for name in ["k1", "k2", "k3"] { try await transaction.lock([space.key(name)]) }
            try await transaction.finishFairLocking()
            try await transaction.put(space.key("k1"), value: "mine")
            let lock = try #require(cluster.lock(of: space.key("k1")))
            let committer = try await space.committer(transaction)
            // The lock goes, another commits, and the lock comes back as of that commit.
            let locker = await transaction.locker(primary: lock.primary)
            await locker.rollBack([space.key("k1").bytes], forUpdate: .max)
            let commit = try await space.commit("k1", "v2")
            var again = locker
            again.isForced = true
            let found = try await again.lock(
                [PessimisticLocker.Target(key: space.key("k1").bytes, isInsert: false)], forUpdate: lock.forUpdateTS,
                deadline: space.deadline)
            #expect(found.first?.conflict == commit.rawValue)
            #expect(cluster.lock(of: space.key("k1"))?.forUpdateTS == commit.rawValue)
            let error = await failure { try await committer.commit(timeout: .seconds(20)) }
            #expect(error?.code == .transactionRolledBack)
            #expect(error?.detail.contains("PessimisticLockNotFound") == true)
            #expect(error?.isOutcomeUnknown == false)
            await transaction.rollback()
            #expect(try await space.latest("k1") == "v2")
            let before = space.client.snapshot(at: Timestamp(rawValue: commit.rawValue - 1))
            #expect(try await before.get(space.key("k1")) == "v1")
        }
    }

    @Test(arguments: Mode.allCases)
    func aLockTakenWithAConflictIsCommitted(mode: Mode) async throws {
        try await TransactionSpace.with(splits: mode.splits("k3")) { space in
            try await space.write(["k2": "v0"])
            let transaction = try await space.client.begin(mode.options)
            let old = LockOptions(forUpdateTimestamp: try await space.client.currentTimestamp())
            let commit = try await space.commit("k2", "v2")
            try await transaction.startFairLocking()
            let found = try await transaction.lock([space.key("k2")], options: old)
            #expect(found[space.key("k2")]?.conflict == commit)
            _ = try await transaction.lock([space.key("k3")], options: old)
            let new = LockOptions(forUpdateTimestamp: try await space.client.currentTimestamp())
            _ = try await transaction.lock([space.key("k4")], options: new)
            try await transaction.finishFairLocking()
            try await transaction.put(space.key("k2"), value: "v1")
            try await transaction.put(space.key("k3"), value: "v1")
            let timestamp = try #require(try await transaction.commit())
            #expect(await transaction.commitDetails?.kind == mode.kind)
            let after = space.client.snapshot(at: timestamp)
            #expect(try await after.get(space.key("k2")) == "v1")
            #expect(try await after.get(space.key("k3")) == "v1")
            let before = space.client.snapshot(at: Timestamp(rawValue: timestamp.rawValue - 1))
            #expect(try await before.get(space.key("k2")) == "v2")
            #expect(try await before.get(space.key("k3")) == nil)
        }
    }

    // MARK: - Reads of a transaction

    /// Batches have what the transaction has written in front of what is stored, and ask for the rest only.
    @Test(.enabled(if: TestCluster.hasControl, "counts requests"))
    func batchesPutTheTransactionsWritesFirst() async throws {
        try await TransactionSpace.withControl { space, cluster in
            try await space.write(["a": "1", "b": "1", "c": "1", "d": "1"])
            let transaction = try await space.begin([("b", "2"), ("e", "2")])
            try await transaction.delete(space.key("c"))
            let found = try await transaction.batchGet(["a", "b", "c", "d", "e", "f"].map { space.key($0) })
            #expect(
                found == [
                    space.key("a"): "1", space.key("b"): "2", space.key("d"): "1", space.key("e"): "2",
                ])
            let requests = cluster.requestCount("KvBatchGet") + cluster.requestCount("KvGet")
            let own = try await transaction.batchGet(["b", "c", "e"].map { space.key($0) })
            #expect(own == [space.key("b"): "2", space.key("e"): "2"])
            #expect(cluster.requestCount("KvBatchGet") + cluster.requestCount("KvGet") == requests)
        }
    }

    /// When a value was committed is told where that is asked for; what the transaction has written is not committed yet.
    @Test
    func batchesTellWhenValuesWereCommitted() async throws {
        try await TransactionSpace.with { space in
            let commit = try await space.write(["a": "1", "b": "1", "c": "1"])
            let transaction = try await space.begin([("b", "2")])
            try await transaction.delete(space.key("c"))
            let found = try await transaction.versions(of: ["a", "b", "c", "d", "a"].map { space.key($0) })
            #expect(found.mapValues(\.value) == [space.key("a"): "1", space.key("b"): "2"])
            #expect(found[space.key("a")]?.commitTimestamp == commit)
            #expect(found[space.key("b")]?.commitTimestamp == .uncommitted)
            #expect(try await transaction.version(of: space.key("a"))?.commitTimestamp == commit)
            #expect(try await transaction.version(of: space.key("c")) == nil)
        }
    }

    // MARK: - What locking took

    @Test(.enabled(if: TestCluster.hasControl, "counts requests"))
    func whatLockingTookIsTold() async throws {
        try await TransactionSpace.withControl(splits: ["b"]) { space, cluster in
            try await space.write(["a": "1"])
            let holder = try await space.client.begin(.pessimistic)
            try await holder.lock([space.key("a")])
            let transaction = try await space.client.begin(.pessimistic)
            #expect(transaction.lockDetails == LockDetails())
            let requests = cluster.requestCount("KvPessimisticLock")
            async let locked: Void = transaction.lock([space.key("a"), space.key("c"), space.key("d")])
            try await cluster.waitForLockWaiters(at: space.key("a").bytes)
            try await holder.put(space.key("a"), value: "2")
            try await holder.commit()
            try await locked
            try await transaction.lock([space.key("c")])
            let details = transaction.lockDetails
            // The second call asks nobody.
            #expect(details.callCount == 1)
            #expect(details.keyCount == 3)
            #expect(details.retryCount >= 1)
            #expect(details.requestCount == cluster.requestCount("KvPessimisticLock") - requests)
            #expect(details.requestCount >= 3)
            #expect(details.regionCount >= 2)
            let slowest = try #require(details.slowestRequest)
            #expect(cluster.regions.contains { $0.id == slowest.regionID })
            #expect(slowest.time <= details.requestTime)
            #expect(details.requestTime <= details.time)
            await transaction.rollback()
        }
    }

    @Test
    func whatFairLockingTookIsTold() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.client.begin(.pessimistic)
            let old = LockOptions(forUpdateTimestamp: try await space.client.currentTimestamp())
            try await space.commit("a", "1")
            try await transaction.startFairLocking()
            _ = try await transaction.lock([space.key("a")], options: old)
            try await transaction.retryFairLocking()
            try await transaction.lock([space.key("a")])
            try await transaction.lock([space.key("b")])
            try await transaction.finishFairLocking()
            let details = transaction.lockDetails
            #expect(details.conflictCount == 1)
            #expect(details.fairCount == 2)
            #expect(details.knownCount == 1)
            #expect(details.callCount == 2)
            await transaction.rollback()
        }
    }
}
