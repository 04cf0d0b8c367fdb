// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded

@testable import TiKV

/// The two phases, step by step, and who is in the way of whom.
@Suite(.timeLimit(.minutes(3)))
struct TwoPhaseCommitTests {
    // MARK: - Conflicts

    @Test
    func aConflictOnOneKeyKeepsAllFromBeingWritten() async throws {
        try await TransactionSpace.with(splits: ["b", "c"]) { space in
            try await space.write(["a": "a", "b": "b", "c": "c"])
            let transaction = try await space.begin([("a", "a1"), ("b", "b1"), ("c", "c1")])
            try await space.commit("c", "c2")
            let error = await failure { try await transaction.commit() }
            #expect(error?.code == .writeConflict)
            #expect(error?.transaction?.conflict?.key == space.key("c"))
            #expect(error?.transaction?.conflict?.commitTimestamp ?? 0 > transaction.startTimestamp.rawValue)
            let reader = try await space.client.begin()
            #expect(try await space.text(reader.scan(space.range)) == ["a=a", "b=b", "c=c2"])
        }
    }

    /// Also where another key is locked by someone who takes his time: the conflict that is there already decides.
    @Test(arguments: [false, true])
    func aConflictIsToldAtOnceThoughAnotherKeyIsLocked(usesLatches: Bool) async throws {
        let configuration = ClientConfiguration.transactions { $0.usesLocalLatches = usesLatches }
        try await TransactionSpace.with(splits: ["b", "c"], configuration: configuration) { space in
            let first = try await space.begin([("b", "1")])
            let second = try await space.client.begin()
            let third = try await space.begin([("c", "3")])
            try await space.prewrite(first)
            try await third.commit()
            for name in ["a", "b", "c"] { try await second.put(space.key(name), value: "2") }
            let error = await failure { try await second.commit(timeout: .seconds(2)) }
            #expect(error?.code == .writeConflict)
            #expect(error?.isRetryable == true)
            #expect((error?.transaction?.conflict?.reason == .latch) == usesLatches)
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"), arguments: [false, true])
    func whatWasLockedBeforeAConflictIsFreedAtOnce(usesLatches: Bool) async throws {
        let events = BackgroundEvents()
        let configuration = ClientConfiguration.transactions {
            $0.usesLocalLatches = usesLatches
            $0.backgroundHooks = events.hooks
        }
        try await TransactionSpace.withControl(splits: ["b", "c"], configuration: configuration) { space, cluster in
            let first = try await space.client.begin()
            try await space.commit("b", "2")
            for name in ["a", "b", "c"] { try await first.put(space.key(name), value: "1") }
            // The last region gets its request when the conflict is known, as a slow one would.
            let gate = EmbeddedCluster.Gate()
            let region = try #require(cluster.region(of: space.key("c")))
            cluster.inject(.hold(gate), into: .init(rpc: "KvPrewrite", regionID: region.id))
            let error = await failure { try await first.commit() }
            #expect(error?.code == .writeConflict)
            gate.open()
            cluster.removeAllFaults()
            if usesLatches {
                // Nothing was sent.
                #expect(events.beginCount == 0)
                #expect(gate.arrivalCount == 0)
            } else {
                await events.waitForEnd()
                #expect(cluster.transactionalState(of: space.key("a").bytes).versions.first?.kind == .rollback)
                #expect(cluster.transactionalState(of: space.key("c").bytes).versions.first?.kind == .rollback)
            }
            #expect(cluster.lockedKeys.isEmpty)
            try await space.write(["a": "3", "b": "3", "c": "3"])
            let reader = try await space.client.begin()
            #expect(try await space.text(reader.scan(space.range)) == ["a=3", "b=3", "c=3"])
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"))
    func keysThatWereLockedBeforeAConflictNeedNoResolver() async throws {
        let events = BackgroundEvents()
        let configuration = ClientConfiguration.transactions { $0.backgroundHooks = events.hooks }
        try await TransactionSpace.withControl(splits: ["y"], configuration: configuration) { space, cluster in
            for _ in 0..<10 {
                let first = try await space.begin([("x1", "1"), ("y1", "1")])
                try await space.commit("x1", "2")
                let error = await failure { try await first.commit() }
                #expect(error?.code == .writeConflict)
                await events.waitForEnd()
                let checks = cluster.requestCount("KvCheckTxnStatus")
                #expect(try await space.latest("y1") == nil)
                #expect(cluster.requestCount("KvCheckTxnStatus") == checks)
                #expect(cluster.lock(of: space.key("y1")) == nil)
            }
        }
    }

    /// The one that began first gives way, or both would wait for each other.
    @Test(.enabled(if: TestCluster.hasControl, "holds requests back"))
    func twoThatLockCrosswiseDoNotWaitForEachOther() async throws {
        let configuration = ClientConfiguration.transactions { $0.keepAliveSize = 0 }
        try await TransactionSpace.withControl(splits: ["k2"], configuration: configuration) { space, cluster in
            let left = try #require(cluster.region(of: space.key("k1")))
            let right = try #require(cluster.region(of: space.key("k2")))
            let first = try await space.begin([("k1", "1"), ("k2", "1")])
            let second = try await space.begin([("k2", "2"), ("k1", "2")])
            // Each has locked one of the keys when it comes to the other's.
            let older = try await space.committer(first)
            let younger = try await space.committer(second)
            let gates = (EmbeddedCluster.Gate(), EmbeddedCluster.Gate())
            cluster.inject(.hold(gates.0), into: .init(rpc: "KvPrewrite", regionID: right.id), times: 1)
            async let one = failure { try await older.prewrite(deadline: space.deadline) }
            try await gates.0.waitForArrivals()
            while cluster.lock(of: space.key("k1")) == nil { await Task.yield() }
            cluster.inject(.hold(gates.1), into: .init(rpc: "KvPrewrite", regionID: left.id), times: 1)
            async let two = failure { try await younger.prewrite(deadline: space.deadline) }
            try await gates.1.waitForArrivals()
            while cluster.lock(of: space.key("k2")) == nil { await Task.yield() }
            gates.0.open()
            let error = await one
            #expect(error?.code == .writeConflict)
            #expect(error?.transaction?.conflict?.startTimestamp == second.startTimestamp.rawValue)
            older.rollBackInBackground()
            gates.1.open()
            #expect(await two == nil)
            _ = try await space.commitPrimary(younger)
            #expect(try await space.latest("k1") == "2")
            #expect(try await space.latest("k2") == "2")
        }
    }

    // MARK: - Prewrite

    @Test
    func aPrewriteDoneTwiceIsTheSame() async throws {
        try await TransactionSpace.with(splits: ["b"]) { space in
            try await space.write(["a": "a0", "b": "b0"])
            let first = try await space.begin([("a", "a1"), ("b", "b1")])
            try await space.prewrite(first)
            #expect(try await space.latest("a") == "a0")
            let again = try await space.prewrite(first)
            let timestamp = try await space.client.currentTimestamp()
            let commit = try await space.commitPrimary(again, at: timestamp.rawValue)
            #expect(commit >= timestamp.rawValue)
            #expect(try await space.latest("b") == "b1")
        }
    }

    @Test
    func aRolledBackTransactionCannotBePrewritten() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.begin([("a", "1")])
            let committer = try await space.committer(transaction)
            #expect(await committer.rollBack([space.key("a").bytes]))
            let error = await failure { try await committer.prewrite(deadline: space.deadline) }
            #expect(error?.transaction?.conflict?.reason == .selfRolledBack)
            #expect(error?.isRetryable == true)
        }
    }

    @Test
    func aPrimaryThatFailsLeavesNothingBehind() async throws {
        try await TransactionSpace.with(splits: ["b"]) { space in
            let first = try await space.begin([("a", "a1")])
            let before = Timestamp(rawValue: first.startTimestamp.rawValue - 1)
            try await first.commit()
            let second = try await space.begin(.init(startTimestamp: before), [("a", "a2"), ("b", "b2")])
            let committer = try await space.committer(second)
            #expect(await failure { try await second.commit() }?.code == .writeConflict)
            #expect(try await space.latest("a") == "a1")
            #expect(try await space.latest("b") == nil)
            // Once more, where it is rolled back already.
            #expect(await committer.rollBack([space.key("a").bytes, space.key("b").bytes]))
            #expect(try await space.latest("a") == "a1")
            try await space.commit("a", "a3")
            #expect(try await space.latest("a") == "a3")
        }
    }

    @Test
    func aPrewriteOfACancelledTaskIsCancelled() async throws {
        try await TransactionSpace.with(splits: ["b"]) { space in
            let transaction = try await space.begin([("a", "1"), ("b", "1")])
            let committer = try await space.committer(transaction)
            let deadline = space.deadline
            let errors = await withTaskGroup(of: TiKVError?.self) { group in
                group.cancelAll()
                group.addTask { await failure { try await committer.prewrite(deadline: deadline) } }
                group.addTask { await failure { try await transaction.commit() } }
                var errors: [TiKVError?] = []
                for await error in group { errors.append(error) }
                return errors
            }
            #expect(errors.map { $0?.code } == [.cancelled, .cancelled])
            #expect(errors.allSatisfy { $0?.isOutcomeUnknown == false })
        }
    }

    @Test
    func aTransactionBeginsAtATimestamp() async throws {
        try await TransactionSpace.with { space in
            for start in [Timestamp.latest, Timestamp(rawValue: 0)] {
                let error = await failure { try await space.client.begin(.init(startTimestamp: start)) }
                #expect(error?.code == .invalidArgument)
                let transaction = Transaction(space.client.context, start: start.rawValue, options: .optimistic)
                try await transaction.put(space.key("a"), value: "1")
                let refused = await failure { try await transaction.commit() }
                #expect(refused?.code == .invalidArgument)
                #expect(refused?.message.contains("not a timestamp that a transaction can begin at") == true)
            }
            #expect(try await space.latest("a") == nil)
        }
    }

    // MARK: - Commit

    @Test(.enabled(if: TestCluster.hasControl, "changes a lock"))
    func aCommitThatIsTooEarlyIsMadeLater() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let transaction = try await space.begin([("x", "1")])
            let start = transaction.startTimestamp.rawValue
            let committer = try await space.prewrite(transaction)
            var lock = try #require(cluster.lock(of: space.key("x")))
            lock.minCommitTS = start + 100
            cluster.putLock(lock, on: space.key("x").bytes)
            let commit = try await space.commitPrimary(committer, at: start + 1)
            #expect(commit >= start + 100)
            #expect(committer.recorder.value.commitRetries == 1)
            #expect(try await space.client.snapshot(at: Timestamp(rawValue: start + 2)).get(space.key("x")) == nil)
            #expect(try await space.client.snapshot(at: .latest).get(space.key("x")) == "1")
        }
    }

    /// The commit of the other keys goes on whatever becomes of the caller.
    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"))
    func secondariesAreCommittedThoughTheCallerIsCancelled() async throws {
        let events = BackgroundEvents()
        let configuration = ClientConfiguration.transactions { $0.backgroundHooks = events.hooks }
        try await TransactionSpace.withControl(splits: ["b"], configuration: configuration) { space, cluster in
            let transaction = try await space.begin([("a", "1"), ("b", "1")])
            let gate = EmbeddedCluster.Gate()
            let region = try #require(cluster.region(of: space.key("b")))
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit", regionID: region.id))
            let error = await withTaskGroup(of: TiKVError?.self) { group in
                group.addTask {
                    let error = await failure { try await transaction.commit() }
                    withUnsafeCurrentTask { $0?.cancel() }
                    return error
                }
                return await group.next() ?? nil
            }
            #expect(error == nil)
            try await gate.waitForArrivals()
            #expect(cluster.lock(of: space.key("b")) != nil)
            gate.open()
            await events.waitForEnd()
            #expect(cluster.lock(of: space.key("b")) == nil)
            #expect(cluster.transactionalState(of: space.key("b").bytes).versions.first?.kind == .put)
        }
    }

    @Test
    func manyKeysOverRegionsAndRequestsAreCommitted() async throws {
        try await TransactionSpace.with(splits: ["4", "8", "c"]) { space in
            var random = SeededRandom(7)
            var pairs: [Key: Value] = [:]
            for _ in 0..<100 {
                let name = (0..<10).map { _ in String(UInt8.random(in: 0..<16, using: &random), radix: 16) }.joined()
                pairs[space.key(name)] = Value((0..<10).map { _ in UInt8.random(in: .min ... .max, using: &random) })
            }
            let small = try await space.client.begin()
            for (key, value) in pairs { try await small.put(key, value: value) }
            try await small.commit()
            #expect(try await space.client.begin().batchGet(Array(pairs.keys)) == pairs)
            #expect(await small.commitDetails?.keyCount == pairs.count)

            var large: [Key: Value] = [:]
            for number in 0..<50 {
                let name = String(number % 16, radix: 16) + "/\(number)"
                large[space.key(name)] = Value([UInt8](repeating: UInt8(number), count: 16 * 1024 / 7))
            }
            let transaction = try await space.client.begin()
            for (key, value) in large { try await transaction.put(key, value: value) }
            try await transaction.commit()
            #expect(try await space.client.begin().batchGet(Array(large.keys)) == large)
            // Seven values fill a request.
            #expect(await transaction.commitDetails?.prewriteCount ?? 0 >= 50 / 7)
        }
    }

    // MARK: - Keys that leave no lock

    @Test(.enabled(if: TestCluster.hasControl, "holds requests back"), arguments: ["a", "z"])
    func aDeletedInsertIsNotKeptAlive(inserted: String) async throws {
        let configuration = ClientConfiguration.transactions { $0.keepAliveSize = 0 }
        try await TransactionSpace.withControl(configuration: configuration) { space, cluster in
            let transaction = try await space.client.begin()
            try await transaction.insert(space.key(inserted), value: "1")
            try await transaction.delete(space.key(inserted))
            try await transaction.put(space.key("m"), value: "1")
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"))
            async let committed = transaction.commit()
            try await gate.waitForArrivals()
            let keeper = try #require(await transaction.keeper)
            #expect(keeper.isRunning)
            #expect(keeper.primary == space.key("m").bytes)
            #expect(cluster.lock(of: space.key(inserted)) == nil)
            #expect(cluster.lock(of: space.key("m"))?.ttl ?? 0 >= 20_000)
            gate.open()
            #expect(try await committed != nil)
            #expect(!keeper.isRunning)
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "holds requests back"))
    func aDeletedInsertIsNotThePrimaryThatOthersLookFor() async throws {
        try await TransactionSpace.withControl(splits: ["b", "c"]) { space, cluster in
            let transaction = try await space.client.begin()
            try await transaction.insert(space.key("a"), value: "a1")
            try await transaction.put(space.key("b"), value: "b1")
            try await transaction.put(space.key("c"), value: "c1")
            try await transaction.delete(space.key("a"))
            let gate = EmbeddedCluster.Gate()
            let region = try #require(cluster.region(of: space.key("c")))
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit", regionID: region.id))
            try await transaction.commit()
            try await gate.waitForArrivals()
            // The primary is committed, and c's lock leads to it.
            #expect(cluster.lock(of: space.key("c"))?.primary == space.key("b").bytes)
            #expect(try await space.latest("c") == "c1")
            gate.open()
            #expect(try await space.latest("b") == "b1")
            #expect(try await space.latest("a") == nil)
        }
    }

    @Test
    func insertsThatWereAllDeletedAreCommitted() async throws {
        try await TransactionSpace.with(splits: ["b", "c"]) { space in
            let transaction = try await space.client.begin()
            for name in ["a", "b", "c"] {
                try await transaction.insert(space.key(name), value: "1")
                try await transaction.delete(space.key(name))
            }
            // Nothing is written, so there is no moment at which it was.
            #expect(try await transaction.commit() == nil)
            // What was promised is checked all the same.
            try await space.commit("b", "0")
            let other = try await space.client.begin()
            try await other.insert(space.key("b"), value: "1")
            try await other.delete(space.key("b"))
            #expect(await failure { try await other.commit() }?.code == .keyAlreadyExists)
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "holds requests back"))
    func keysThatWereOnlyLockedMayBeThePrimary() async throws {
        try await TransactionSpace.withControl(splits: ["b", "c"]) { space, cluster in
            let transaction = try await space.client.begin()
            try await transaction.insert(space.key("a"), value: "a1")
            try await transaction.delete(space.key("a"))
            try await transaction.lock([space.key("b"), space.key("c")])
            let gate = EmbeddedCluster.Gate()
            let region = try #require(cluster.region(of: space.key("c")))
            cluster.inject(.hold(gate), into: .init(rpc: "KvCommit", regionID: region.id), times: 1)
            try await transaction.commit()
            try await gate.waitForArrivals()
            let lock = try #require(cluster.lock(of: space.key("c")))
            #expect(lock.kind == .lock)
            #expect(lock.primary == space.key("b").bytes)
            try await space.commit("c", "c2")
            gate.open()
            #expect(try await space.latest("c") == "c2")
        }
    }

    @Test
    func anInsertOfAKeyThatExistsFailsTheCommit() async throws {
        try await TransactionSpace.with { space in
            try await space.commit("a", "1")
            let transaction = try await space.client.begin()
            try await transaction.insert(space.key("a"), value: "2")
            let error = await failure { try await transaction.commit() }
            #expect(error?.code == .keyAlreadyExists)
            #expect(error?.transaction?.key == space.key("a"))
            #expect(error?.isRetryable == false)
            // Nothing of the transaction is held: it answers that it has ended.
            #expect(
                await failure { try await transaction.put(space.key("a"), value: "3") }?.code == .transactionFinished)
            #expect(try await space.latest("a") == "1")
            try await space.commit("a", "4")
        }
    }

    @Test
    func unnecessaryWritesAreLeftOut() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await space.client.begin(.pessimistic)
            await transaction.skipWrites { key, _ in key == space.key("a") }
            try await transaction.put(space.key("a"), value: "1")
            try await transaction.lock([space.key("b")])
            let plan = try await transaction.plan()
            #expect(plan.mutations.map(\.kind) == [.lock, .lock])
            #expect(plan.mutations.map(\.key) == [space.key("a").bytes, space.key("b").bytes])
            #expect(plan.mutations.map(\.value) == [Array("1".utf8), []])
            #expect(plan.mutations.map(\.isPessimisticLock) == [true, true])
            try await transaction.commit()
            #expect(try await space.latest("a") == nil)
            #expect(try await space.locked("a", "b") == [])
            // Where it is not locked, it does not take part at all.
            let optimistic = try await space.begin([("a", "1"), ("b", "1")])
            await optimistic.skipWrites { key, _ in key == space.key("a") }
            #expect(try await optimistic.plan().mutations.map(\.key) == [space.key("b").bytes])
        }
    }
}
