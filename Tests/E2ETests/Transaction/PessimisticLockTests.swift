// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TiKVEmbedded
import TiKVProto
import TiKVWriteBuffer

@testable import TiKV

/// Locks that are taken before the commit: what they tell, how long they are waited for, and how long they live.
@Suite(.timeLimit(.minutes(3)))
struct PessimisticLockTests {
    private static func noWait(_ change: (inout LockOptions) -> Void = { _ in }) -> LockOptions {
        var options = LockOptions(waitTimeout: .zero)
        change(&options)
        return options
    }

    // MARK: - What is there

    @Test
    func valuesComeWithLocks() async throws {
        try await TransactionSpace.with { space in
            try await space.write(["a": "1", "b": "2"])
            let keys = [space.key("a"), space.key("b")]
            let transaction = try await space.client.begin(.pessimistic)
            let found = try await transaction.lock(keys, options: .init(returnsValues: true))
            #expect(found.count == 2)
            #expect(found[keys[0]]?.value == "1")
            #expect(found[keys[1]]?.value == "2")
            #expect(found.values.allSatisfy { $0.isLocked && !$0.isAlreadyLocked && $0.exists == true })
            await transaction.rollback()
        }
    }

    @Test
    func existenceComesWithLocks() async throws {
        try await TransactionSpace.with { space in
            try await space.write(["a": "1"])
            let keys = [space.key("a"), space.key("b")]
            for returnsValues in [false, true] {
                let transaction = try await space.client.begin(.pessimistic)
                let found = try await transaction.lock(
                    keys, options: .init(returnsValues: returnsValues, checksExistence: true))
                #expect(found.mapValues(\.exists) == [keys[0]: true, keys[1]: false])
                #expect(found[keys[0]]?.value == (returnsValues ? "1" : nil))
                #expect(found[keys[1]]?.value == nil)
                await transaction.rollback()
            }
        }
    }

    @Test
    func onlyKeysThatExistAreLocked() async throws {
        try await TransactionSpace.with { space in
            try await space.write(["k": "1", "k3": "3"])
            let options = LockOptions(returnsValues: true, onlyIfExists: true)
            let (k, k2, k3, j) = (space.key("k"), space.key("k2"), space.key("k3"), space.key("j"))
            for (keys, count) in [([k], 2), ([k2], 1), ([k, k2, k3], 3), ([k3, k2, k], 3)] {
                for isSplit in [false, true] {
                    let transaction = try await space.client.begin(.pessimistic)
                    try await transaction.lock([j])
                    var found: [Key: LockedKey] = [:]
                    if isSplit {
                        for key in keys {
                            found.merge(try await transaction.lock([key], options: options)) { _, new in new }
                        }
                    } else {
                        found = try await transaction.lock(keys, options: options)
                    }
                    #expect(found.count == keys.count)
                    #expect(await transaction.lockedKeyCount == count)
                    if keys.contains(k) { #expect(found[k]?.value == "1") }
                    if keys.contains(k2) {
                        #expect(found[k2]?.exists == false)
                        #expect(found[k2]?.isLocked == false)
                        #expect(await transaction.flags(of: k2) == nil)
                        #expect(try await !space.isLocked("k2"))
                    }
                    let again = try await transaction.lock([j], options: options)
                    #expect(again[j]?.isAlreadyLocked == true)
                    #expect(again[j]?.exists == nil)
                    await transaction.rollback()
                }
            }
            let first = try await space.client.begin(.pessimistic)
            #expect(try await first.lock([k], options: options)[k]?.value == "1")
            #expect(await first.lockedKeyCount == 1)
            #expect(await first.book.primary == k.bytes)
            try await first.commit()

            let missing = try await space.client.begin(.pessimistic)
            #expect(try await missing.lock([k2], options: options)[k2]?.isLocked == false)
            #expect(await missing.lockedKeyCount == 0)
            #expect(await missing.book.primary == nil)
            #expect(await missing.keeper == nil)
            #expect(try await missing.commit() == nil)

            let refused = try await space.client.begin(.pessimistic)
            let two = await failure { try await refused.lock([k, k2], options: options) }
            #expect(two?.code == .invalidArgument)
            #expect(two?.message.contains("first lock") == true)
            let blind = await failure { try await refused.lock([k], options: .init(onlyIfExists: true)) }
            #expect(blind?.code == .invalidArgument)
            #expect(blind?.message.contains("values are returned") == true)
            #expect(try await refused.lock([Key](), options: .init(onlyIfExists: true)) == [:])
            await refused.rollback()
        }
    }

    @Test
    func keysAreLockedOnce() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.client.begin(.pessimistic)
            for _ in 0..<2 { try await transaction.lock([space.key("a"), space.key("b"), space.key("a")]) }
            #expect(await transaction.lockedKeyCount == 2)
            await transaction.rollback()
            #expect(try await space.locked("a", "b") == [])
        }
    }

    /// A first lock that fails is not the primary of those that follow.
    @Test
    func aPrimaryThatIsNotLockedIsNone() async throws {
        try await TransactionSpace.with { space in
            try await space.commit("a", "1")
            let transaction = try await space.client.begin(.pessimistic)
            let error = await failure { try await transaction.insert(space.key("a"), value: "2") }
            #expect(error?.code == .keyAlreadyExists)
            #expect(await transaction.book.primary == nil)
            #expect(await transaction.keeper == nil)
            try await transaction.put(space.key("b"), value: "2")
            try await transaction.delete(space.key("a"))
            #expect(await transaction.book.primary == space.key("b").bytes)
            try await transaction.commit()
            #expect(try await space.latest("a") == nil)
            #expect(try await space.latest("b") == "2")
        }
    }

    /// Calls at the same time agree on the primary.
    @Test
    func firstLocksAtTheSameTimeHaveOnePrimary() async throws {
        try await TransactionSpace.with(splits: ["b", "c", "d"]) { space in
            let transaction = try await space.client.begin(.pessimistic)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for name in ["a", "b", "c", "d"] {
                    group.addTask { try await transaction.put(space.key(name), value: "1") }
                }
                try await group.waitForAll()
            }
            try await transaction.commit()
            let reader = try await space.client.begin()
            #expect(try await space.text(reader.scan(space.range)) == ["a=1", "b=1", "c=1", "d=1"])
        }
    }

    @Test
    func keysThatWereNotLockedAreNotCheckedAsLocked() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.client.begin(.pessimistic)
            var plan = CommitPlan([Mutation(.put, space.key("a").bytes, value: [1])])
            plan = CommitPlan(plan.mutations, primary: nil)
            let committer = Committer(
                context: space.client.context, start: transaction.startTimestamp.rawValue, plan: plan,
                options: .pessimistic, began: .now, forUpdate: 100)
            let request = committer.request(.init(mutations: plan.mutations, regionCount: 1))
            #expect(request.pessimisticActions == [.skipPessimisticCheck])
            #expect(request.forUpdateTs == 100)
        }
    }

    // MARK: - Waiting

    /// The primary is locked first and alone, so that no lock of others is taken while it is waited for.
    @Test
    func thePrimaryIsLockedFirst() async throws {
        try await TransactionSpace.with(splits: ["b"]) { space in
            let first = try await space.client.begin(.pessimistic)
            try await first.lock([space.key("a")])
            let second = try await space.client.begin(
                .init(kind: .pessimistic, lockWaitTimeout: .milliseconds(200)))
            async let failed = failure { try await second.lock([space.key("a"), space.key("b")]) }
            let third = try await space.client.begin(.pessimistic)
            _ = try await third.lock([space.key("b")], options: Self.noWait())
            #expect(await failed?.code == .lockWaitTimeout)
            await third.rollback()
            await first.rollback()
            await second.rollback()
        }
    }

    /// A lock whose own time is over lives on with its primary.
    @Test(.enabled(if: TestCluster.hasControl, "watches requests"))
    func aSecondaryLivesAsLongAsItsPrimary() async throws {
        let configuration = ClientConfiguration.transactions { $0.lockTimeToLive = .seconds(2) }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let first = try await space.client.begin(.pessimistic)
            try await first.lock([space.key("k1")])
            try await first.lock([space.key("k2")])
            let lifetime = try #require(cluster.lock(of: space.key("k2"))?.ttl)
            let beats = cluster.watch("KvTxnHeartBeat")
            try await beats.waitForArrivals(2)
            // The clock of PD is past the end of the second lock.
            cluster.advanceClock(by: .milliseconds(200))
            let now = try await space.client.currentTimestamp().rawValue >> 18
            #expect(now > (first.startTimestamp.rawValue >> 18) + lifetime)
            #expect(cluster.lock(of: space.key("k1"))?.ttl ?? 0 > lifetime)
            let second = try await space.client.begin(.pessimistic)
            let noWait = await failure { try await second.lock([space.key("k2")], options: Self.noWait()) }
            #expect(noWait?.code == .keyIsLocked)
            let short = await failure {
                try await second.lock([space.key("k2")], options: .init(waitTimeout: .milliseconds(200)))
            }
            #expect(short?.code == .lockWaitTimeout)
            await second.rollback()
            try await first.commit()
        }
    }

    @Test
    func aCallThatHasNoTimeLeftDoesNotWait() async throws {
        try await TransactionSpace.with { space in
            let first = try await space.client.begin(.pessimistic)
            try await first.lock([space.key("a")])
            let second = try await space.client.begin(.pessimistic)
            let error = await failure { try await second.lock([space.key("a")], timeout: .milliseconds(300)) }
            #expect(error?.code == .deadlineExceeded)
            await first.rollback()
            await second.rollback()
        }
    }

    /// The one that is chosen says whose locks close the circle.
    @Test
    func aDeadlockWithEarlierLocksIsNotBrokenByTheCall() async throws {
        try await TransactionSpace.with(splits: ["b"]) { space in
            let first = try await space.client.begin(.pessimistic)
            let second = try await space.client.begin(.pessimistic)
            try await first.lock([space.key("a")])
            try await second.lock([space.key("c")])
            let pairs = [(first, second, "c"), (second, first, "a")]
            let errors = await withTaskGroup(of: TiKVError?.self) { group in
                for (transaction, _, name) in pairs {
                    group.addTask {
                        let error = await failure { try await transaction.lock([space.key(name)]) }
                        // Its end lets the other go on.
                        if error != nil { await transaction.rollback() }
                        return error
                    }
                }
                var errors: [TiKVError] = []
                for await error in group { if let error { errors.append(error) } }
                return errors
            }
            #expect(errors.map(\.code) == [.deadlock])
            let deadlock = try #require(errors.first?.transaction?.deadlock)
            #expect(!deadlock.isBroken)
            #expect(deadlock.waits.count >= 1)
            #expect(errors.first?.isRetryable == true)
            await first.rollback()
            await second.rollback()
        }
    }

    // MARK: - Lifetime

    /// The time to live goes with the transaction's age, by a clock that does not jump.
    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"))
    func locksLiveFromWhenTheyWereTaken() async throws {
        let lifetime = Duration.seconds(3)
        let configuration = ClientConfiguration.transactions { $0.lockTimeToLive = lifetime }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let now = try await space.client.currentTimestamp().rawValue
            // Ten seconds ahead of everybody's clock.
            let clock = ContinuousClock()
            let before = clock.now
            let transaction = try await space.client.begin(
                .init(kind: .pessimistic, startTimestamp: Timestamp(rawValue: now + (10_000 << 18))))
            let begun = clock.now
            let beats = cluster.watch("KvTxnHeartBeat")
            let asked = clock.now
            try await transaction.lock(
                [space.key("a")], options: .init(forUpdateTimestamp: transaction.startTimestamp))
            let first = try #require(cluster.lock(of: space.key("a"))?.ttl)
            let age = Duration.milliseconds(Int64(first)) - lifetime
            #expect(age >= begun.duration(to: asked) - .milliseconds(1))
            #expect(age <= before.duration(to: clock.now))
            try await transaction.lock(
                [space.key("b")], options: .init(forUpdateTimestamp: transaction.startTimestamp))
            #expect(cluster.lock(of: space.key("b"))?.ttl ?? 0 >= first)
            // Each sign of life gives the primary, and nobody else, as much again.
            try await beats.waitForArrivals(2)
            let raised = try #require(cluster.lock(of: space.key("a"))?.ttl)
            #expect(raised > first)
            #expect(.milliseconds(Int64(raised)) <= before.duration(to: clock.now) + lifetime)
            await transaction.rollback()
        }
    }

    /// A lock that was waited for lives as long as one that was free.
    @Test(.enabled(if: TestCluster.hasControl, "watches requests"))
    func aLockThatWasWaitedForIsAsYoungAsAnyOther() async throws {
        let lifetime = Duration.seconds(3)
        let configuration = ClientConfiguration.transactions { $0.lockTimeToLive = lifetime }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let first = try await space.client.begin(.pessimistic)
            try await first.lock([space.key("a")])
            let second = try await space.client.begin(.pessimistic)
            let begun = ContinuousClock.now
            let requests = cluster.watch("KvPessimisticLock")
            async let waited: Void = second.lock([space.key("a")])
            // A store waits for a second; then it is asked anew.
            try await requests.waitForArrivals(3)
            let asked = ContinuousClock.now
            await first.rollback()
            try await waited
            let lock = try #require(cluster.lock(of: space.key("a")))
            #expect(lock.startTS == second.startTimestamp.rawValue)
            let age = Duration.milliseconds(Int64(lock.ttl)) - lifetime
            #expect(age >= .milliseconds(1_900))
            #expect(age <= begun.duration(to: asked) + .seconds(10))
            #expect(try await space.isLocked("a"))
            await second.rollback()
            #expect(try await !space.isLocked("a"))
        }
    }

    /// Locks whose primary is gone are taken back without a trace, and only up to the timestamp named.
    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"))
    func locksOfAPrimaryThatIsGoneAreTakenBack() async throws {
        let configuration = ClientConfiguration.transactions { $0.lockTimeToLive = .milliseconds(100) }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let first = try await space.client.begin(.pessimistic)
            for name in ["k1", "k2", "k3"] { try await first.lock([space.key(name)]) }
            await first.stopKeeper()
            cluster.advanceClock(by: .seconds(1))
            for action in [Kvrpcpb_Action.ttlexpirePessimisticRollback, .lockNotExistDoNothing] {
                var request = Kvrpcpb_CheckTxnStatusRequest()
                request.primaryKey = Data(space.key("k1").bytes)
                request.lockTs = first.startTimestamp.rawValue
                request.currentTs = .max
                request.rollbackIfNotExist = true
                request.resolvingPessimisticLock = true
                let response = try await space.client.context.sender.send(
                    TikvpbTikvRPC.kvCheckTxnStatus, request, key: space.key("k1").bytes, timeout: .seconds(10),
                    isWrite: false)
                #expect(response.action == action)
            }
            #expect(cluster.transactionalState(of: space.key("k1").bytes).versions.isEmpty)
            let second = try await space.client.begin(.pessimistic)
            try await second.lock([space.key("k2")])
            await second.rollback()
            #expect(cluster.transactionalState(of: space.key("k2").bytes).versions.isEmpty)
            // A rollback as of an earlier moment leaves a lock.
            let lock = try #require(cluster.lock(of: space.key("k3")))
            await first.locker(primary: space.key("k1").bytes)
                .rollBack([space.key("k3").bytes], forUpdate: lock.forUpdateTS - 1)
            #expect(cluster.lock(of: space.key("k3")) == lock)
            let third = try await space.client.begin(.pessimistic)
            _ = try await third.lock([space.key("k3")], options: Self.noWait())
            await third.rollback()
        }
    }

    /// A reader passes a lock whose primary is locked pessimistically only.
    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"))
    func readersPushPessimisticPrimaries() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.client.begin(.pessimistic)
            try await transaction.lock([space.key("k1")])
            try await transaction.put(space.key("k2"), value: "2")
            let plan = try await transaction.plan()
            let part = CommitPlan(
                plan.mutations.filter { $0.key == space.key("k2").bytes }, primary: space.key("k1").bytes)
            let committer = await transaction.committer(part)
            try await committer.prewrite(deadline: space.deadline)
            #expect(cluster.lock(of: space.key("k1"))?.kind == .pessimistic)
            #expect(cluster.lock(of: space.key("k2"))?.kind == .put)
            let reads = cluster.requestCount("KvGet")
            #expect(try await space.latest("k2") == nil)
            // Once with the lock in the way, once past it.
            #expect(cluster.requestCount("KvGet") - reads <= 2)
            await transaction.rollback()
        }
    }

    /// All locks of a dead transaction in a region go with the first of them.
    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"))
    func aRegionIsClearedOfPessimisticLocksToo() async throws {
        try await TransactionSpace.withControl(splits: ["b"]) { space, cluster in
            let start = try await space.client.currentTimestamp().rawValue
            let primary = space.key("a").bytes
            for number in 0..<16 {
                cluster.putLock(
                    .init(startTS: start, primary: primary, ttl: 1, txnSize: 1_000, value: [1]),
                    on: space.key("s\(number)").bytes)
            }
            cluster.putLock(
                .init(kind: .pessimistic, startTS: start, primary: primary, ttl: 1, forUpdateTS: start),
                on: space.key("p").bytes)
            cluster.advanceClock(by: .seconds(5))
            // Whoever writes one of them removes all, since the lock says that there are many.
            try await space.commit("s3", "1")
            #expect(cluster.lock(of: space.key("s4")) == nil)
            let other = try await space.client.begin(.pessimistic)
            _ = try await other.lock([space.key("p")], options: Self.noWait())
            await other.rollback()
        }
    }

    // MARK: - Regions

    /// Regions are split before many keys are written to them, or locked.
    @Test(.enabled(if: TestCluster.hasControl, "looks at regions"), arguments: [false, true])
    func largeTransactionsSplitRegions(isPessimistic: Bool) async throws {
        let configuration = ClientConfiguration.transactions {
            $0.preSplitKeyCount = 500
            // Keys alone count before there are values.
            $0.preSplitSize = isPessimistic ? 2_000 : 5_000
        }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let keys = (0...500).map { space.key("key" + String(String($0 + 1_000).dropFirst())) }
            #expect(cluster.region(of: keys[0])?.id == cluster.region(of: keys[500])?.id)
            let transaction = try await space.client.begin(isPessimistic ? .pessimistic : .optimistic)
            if isPessimistic {
                try await transaction.lock(keys.prefix(500).map { $0 })
                #expect(cluster.region(of: keys[0])?.id != cluster.region(of: keys[500])?.id)
            }
            for key in keys.prefix(500) { try await transaction.put(key, value: "value") }
            try await transaction.commit()
            #expect(cluster.region(of: keys[0])?.id != cluster.region(of: keys[500])?.id)
            #expect(cluster.requestCount("ScatterRegion") > 0)
            #expect(try await space.client.begin().batchGet(keys).count == 500)
        }
    }

    // MARK: - Shared locks

    @Test
    func sharedLocksNeedAPrimaryAndStayShared() async throws {
        try await TransactionSpace.with { space in
            let (k, p) = (space.key("k"), space.key("p"))
            let transaction = try await space.client.begin(.pessimistic)
            let first = await failure { try await transaction.lock([k], options: .init(mode: .shared)) }
            #expect(first?.code == .invalidArgument)
            try await transaction.lock([p])
            _ = try await transaction.lock([k], options: .init(mode: .shared))
            #expect(await transaction.flags(of: k)?.contains([.locked, .lockedInShareMode]) == true)
            let upgrade = await failure { try await transaction.put(k, value: "1") }
            #expect(upgrade?.code == .invalidArgument)
            #expect(await transaction.lockedKeyCount == 2)
            // Another may share it.
            let other = try await space.client.begin(.pessimistic)
            try await other.lock([space.key("q")])
            _ = try await other.lock([k], options: Self.noWait { $0.mode = .shared })
            let writer = try await space.client.begin(.pessimistic)
            #expect(await failure { try await writer.lock([k], options: Self.noWait()) }?.code == .keyIsLocked)
            await writer.rollback()
            let plan = try await transaction.plan()
            #expect(plan.mutations.map(\.kind) == [.sharedLock, .lock])
            #expect(plan.primary == p.bytes)
            try await transaction.commit()
            try await other.commit()
            #expect(try await !space.isLocked("k"))
        }
    }
}
