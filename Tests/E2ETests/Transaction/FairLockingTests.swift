// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded

@testable import TiKV

/// Locks that are given in spite of later versions, for statements that run again.
@Suite(.timeLimit(.minutes(3)))
struct FairLockingTests {
    /// All combinations of what a call may ask for.
    private static let combinations = [(false, false), (false, true), (true, false), (true, true)]

    private func options(
        _ combination: (returnsValues: Bool, checksExistence: Bool) = (false, false), at timestamp: Timestamp? = nil,
        wait: Duration? = nil, onlyIfExists: Bool = false
    ) -> LockOptions {
        LockOptions(
            waitTimeout: wait, returnsValues: combination.returnsValues, checksExistence: combination.checksExistence,
            onlyIfExists: onlyIfExists, forUpdateTimestamp: timestamp)
    }

    private func fair(
        _ space: TransactionSpace, _ options: TransactionOptions = .pessimistic
    ) async throws -> Transaction {
        let transaction = try await space.client.begin(options)
        try await transaction.startFairLocking()
        return transaction
    }

    private func lock(_ transaction: Transaction, _ space: TransactionSpace, _ names: String...) async throws {
        for name in names { try await transaction.lock([space.key(name)]) }
    }

    private func stage(_ transaction: Transaction, _ space: TransactionSpace, _ names: [String]) async -> [String] {
        var found: [String] = []
        for name in names where await transaction.isLockedFairly(space.key(name)) { found.append(name) }
        return found
    }

    private func now(_ space: TransactionSpace) async throws -> Timestamp { try await space.client.currentTimestamp() }

    // MARK: - Conflicts

    @Test
    func aLaterVersionIsToldWithTheLock() async throws {
        try await TransactionSpace.with { space in
            let key = space.key("k")
            for combination in Self.combinations {
                try await space.commit("k", "old")
                let quiet = try await self.fair(space)
                let found = try await quiet.lock([key], options: self.options(combination, at: quiet.startTimestamp))
                #expect(found[key]?.conflict == nil)
                #expect(found[key]?.exists == (combination.0 || combination.1 ? true : nil))
                #expect(found[key]?.value == (combination.0 ? "old" : nil))
                await quiet.rollback()

                let overtaken = try await self.fair(space)
                let commit = try await space.commit("k", "new")
                let late = try await overtaken.lock(
                    [key], options: self.options(combination, at: overtaken.startTimestamp))
                #expect(late[key]?.conflict == commit)
                // Whatever was asked for: it is the newest version that is locked.
                #expect(late[key]?.exists == true)
                #expect(late[key]?.value == "new")
                #expect(try await space.isLocked("k"))
                await overtaken.rollback()
                #expect(try await !space.isLocked("k"))
            }
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "injects faults"))
    func aLockThatIsNotGivenIsNotInTheStage() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let key = space.key("k")
            for combination in Self.combinations {
                let holder = try await space.client.begin(.pessimistic)
                try await holder.lock([key])
                let transaction = try await self.fair(space)
                let error = await failure {
                    try await transaction.lock([key], options: self.options(combination, wait: .milliseconds(10)))
                }
                #expect(error?.code == .lockWaitTimeout)
                #expect(await transaction.book.stageCount == 0)
                await holder.rollback()
                cluster.inject(.regionError(.notLeader), into: .init(rpc: "KvPessimisticLock"))
                _ = try await transaction.lock([key], options: self.options(combination))
                #expect(await transaction.book.stageKeys == [key.bytes])
                await transaction.rollback()
            }
        }
    }

    @Test
    func aTransactionLockedWithAConflictCommits() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await self.fair(space)
            let commit = try await space.commit("k", "1")
            let found = try await transaction.lock(
                [space.key("k")], options: self.options(at: transaction.startTimestamp))
            #expect(found[space.key("k")]?.conflict == commit)
            try await transaction.finishFairLocking()
            #expect(await transaction.book.constraints[space.key("k").bytes] == commit.rawValue)
            // Asked about again, the lock has a later timestamp, and the commit knows that.
            #expect(try await transaction.getForUpdate(space.key("k")) == "1")
            #expect(await transaction.book.constraints[space.key("k").bytes] ?? 0 > commit.rawValue)
            try await transaction.put(space.key("k"), value: "2")
            let timestamp = try #require(try await transaction.commit())
            #expect(timestamp > commit)
            #expect(try await space.latest("k") == "2")
        }
    }

    // MARK: - Attempts

    @Test(arguments: [true, false])
    func eachAttemptKeepsWhatItAsksForAgain(isFinished: Bool) async throws {
        try await TransactionSpace.with { space in
            let all = ["k1", "k2", "k3", "k4", "k5", "k6"]
            let transaction = try await space.client.begin(.pessimistic)
            try await self.lock(transaction, space, "k1", "k2")
            try await transaction.startFairLocking()
            #expect(await transaction.isFairLocking)
            try await self.lock(transaction, space, "k2", "k3", "k4")
            #expect(try await space.locked("k1", "k2", "k3", "k4") == ["k1", "k2", "k3", "k4"])
            #expect(await self.stage(transaction, space, all) == ["k3", "k4"])
            try await transaction.retryFairLocking()
            #expect(try await space.locked("k1", "k2", "k3", "k4") == ["k1", "k2", "k3", "k4"])
            try await self.lock(transaction, space, "k4", "k5")
            try await transaction.retryFairLocking()
            #expect(try await space.locked("k1", "k2", "k3", "k4", "k5") == ["k1", "k2", "k4", "k5"])
            try await self.lock(transaction, space, "k2", "k5", "k6")
            if isFinished {
                try await transaction.finishFairLocking()
                #expect(try await space.locked("k1", "k2", "k3", "k4", "k5", "k6") == ["k1", "k2", "k5", "k6"])
            } else {
                try await transaction.cancelFairLocking()
                #expect(try await space.locked("k1", "k2", "k3", "k4", "k5", "k6") == ["k1", "k2"])
            }
            #expect(await !transaction.isFairLocking)
            await transaction.rollback()
            #expect(try await space.locked("k1", "k2", "k5", "k6") == [])
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"))
    func whatIsKnownIsNotAskedForAgain() async throws {
        try await TransactionSpace.withControl { space, cluster in
            for isConflict in [false, true] {
                try await space.commit("k2", "v2")
                let (k1, k2) = (space.key("k1"), space.key("k2"))
                let transaction = try await space.client.begin(.pessimistic)
                try await transaction.lock([space.key("k0")])
                let before = try await self.now(space)
                var commits: [String: Timestamp] = [:]
                if isConflict {
                    let deleting = try await space.client.begin()
                    try await deleting.put(k1, value: "0")
                    try await deleting.commit()
                    let again = try await space.client.begin()
                    try await again.delete(k1)
                    commits["k1"] = try await again.commit()
                    commits["k2"] = try await space.commit("k2", "v2")
                }
                try await transaction.startFairLocking()
                for (key, name) in [(k1, "k1"), (k2, "k2")] {
                    let found = try await transaction.lock([key], options: self.options(at: before))
                    #expect(found[key]?.conflict == commits[name])
                }
                for combination in [(false, true), (true, false)] {
                    try await transaction.retryFairLocking()
                    let now = try await self.now(space)
                    let requests = cluster.requestCount("KvPessimisticLock")
                    let first = try await transaction.lock([k1], options: self.options(combination, at: now))
                    let second = try await transaction.lock([k2], options: self.options(combination, at: now))
                    #expect(first[k1]?.exists == false)
                    #expect(second[k2]?.exists == true)
                    #expect(second[k2]?.value == (combination.0 ? "v2" : nil))
                    #expect(first[k1]?.conflict == nil)
                    #expect(second[k2]?.conflict == nil)
                    let sent = cluster.requestCount("KvPessimisticLock") - requests
                    // Values that nobody has asked for before must be.
                    #expect(sent == (combination.0 && !isConflict ? 2 : 0))
                }
                try await transaction.cancelFairLocking()
                await transaction.rollback()
            }
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "looks into stores"))
    func thePrimaryFollowsTheAttempt() async throws {
        try await TransactionSpace.withControl { space, cluster in
            func primary(_ name: String) -> String? {
                cluster.lock(of: space.key(name)).map { space.name(Key($0.primary)) }
            }
            let transaction = try await self.fair(space)
            try await self.lock(transaction, space, "k1", "k2")
            #expect(primary("k1") == "k1")
            #expect(primary("k2") == "k1")
            // The same first key keeps it.
            try await transaction.retryFairLocking()
            try await self.lock(transaction, space, "k1", "k2", "k3")
            #expect([primary("k1"), primary("k2"), primary("k3")] == ["k1", "k1", "k1"])
            // Another one takes all with it.
            try await transaction.retryFairLocking()
            try await self.lock(transaction, space, "k4", "k2", "k3", "k5")
            #expect(["k4", "k2", "k3", "k5"].map(primary) == ["k4", "k4", "k4", "k4"])
            // A secondary becomes the primary; what the attempt does not take again goes.
            try await transaction.retryFairLocking()
            #expect(primary("k1") == nil)
            try await self.lock(transaction, space, "k5", "k6")
            #expect(["k5", "k6"].map(primary) == ["k5", "k5"])
            try await transaction.retryFairLocking()
            #expect(["k2", "k3", "k4"].map(primary) == [nil, nil, nil])
            try await self.lock(transaction, space, "k6", "k5")
            #expect(["k5", "k6"].map(primary) == ["k6", "k6"])
            try await transaction.cancelFairLocking()
            #expect(try await space.locked("k1", "k2", "k3", "k4", "k5", "k6") == [])

            // One from before stays what it is.
            try await self.lock(transaction, space, "k1")
            try await transaction.startFairLocking()
            try await self.lock(transaction, space, "k2")
            try await transaction.retryFairLocking()
            try await self.lock(transaction, space, "k3", "k2")
            #expect(["k1", "k2", "k3"].map(primary) == ["k1", "k1", "k1"])
            try await transaction.cancelFairLocking()
            #expect(try await space.locked("k1", "k2", "k3") == ["k1"])
            await transaction.rollback()
            #expect(try await space.locked("k1") == [])
        }
    }

    @Test
    func severalKeysEndFairLocking() async throws {
        try await TransactionSpace.with { space in
            let transaction = try await self.fair(space)
            try await self.lock(transaction, space, "k1")
            try await transaction.retryFairLocking()
            try await self.lock(transaction, space, "k2")
            #expect(await transaction.isFairLocking)
            try await transaction.lock([space.key("k3"), space.key("k4")])
            #expect(await !transaction.isFairLocking)
            #expect(try await space.locked("k1", "k2", "k3", "k4") == ["k2", "k3", "k4"])
            await transaction.rollback()
        }
    }

    // MARK: - Inserts and keys that exist

    @Test
    func insertsSeeWhatIsThere() async throws {
        try await TransactionSpace.with { space in
            try await space.write(["k1": "1", "k3": "3", "k6": "6", "k8": "8"])
            let transaction = try await space.client.begin(.pessimistic)
            let read = LockOptions(returnsValues: true)
            _ = try await transaction.lock([space.key("k1"), space.key("k2")], options: read)
            try await transaction.startFairLocking()
            func insert(_ name: String, at timestamp: Timestamp) async -> TiKVError? {
                await failure {
                    try await transaction.acquire(
                        [PessimisticLocker.Target(key: space.key(name).bytes, isInsert: true)],
                        LockOptions(forUpdateTimestamp: timestamp), deadline: space.deadline, isRepeated: false)
                }
            }
            let old = try await self.now(space)
            #expect(await insert("k1", at: old)?.code == .keyAlreadyExists)
            #expect(await insert("k2", at: old) == nil)
            #expect(await insert("k3", at: old)?.code == .keyAlreadyExists)
            #expect(await insert("k4", at: old) == nil)
            let other = try await space.client.begin()
            try await other.put(space.key("k7"), value: "7")
            try await other.delete(space.key("k8"))
            let commit = try #require(try await other.commit())
            #expect(await insert("k7", at: old)?.code == .writeConflict)
            #expect(await insert("k8", at: old) == nil)
            #expect(await transaction.book.entry(of: space.key("k8").bytes)?.entry.conflict == commit.rawValue)
            try await transaction.retryFairLocking()
            let new = try await self.now(space)
            #expect(await insert("k7", at: new)?.code == .keyAlreadyExists)
            #expect(await insert("k8", at: new) == nil)
            await transaction.rollback()
        }
    }

    @Test
    func onlyKeysThatExistAreLockedWithAConflict() async throws {
        try await TransactionSpace.with { space in
            let key = space.key("k")
            try await space.commit("k", "1")
            let transaction = try await space.client.begin(.pessimistic)
            try await transaction.lock([space.key("p")])
            try await transaction.startFairLocking()
            let old = try await self.now(space)
            let commit = try await space.commit("k", "2")
            let options = self.options((true, false), at: old, onlyIfExists: true)
            let found = try await transaction.lock([key], options: options)
            #expect(found[key]?.exists == true)
            #expect(found[key]?.isAlreadyLocked == false)
            #expect(found[key]?.value == "2")
            #expect(found[key]?.conflict == commit)
            #expect(await transaction.isLockedFairly(key))
            try await transaction.cancelFairLocking()

            try await transaction.startFairLocking()
            let before = try await self.now(space)
            let deleting = try await space.client.begin()
            try await deleting.delete(key)
            try await deleting.commit()
            let error = await failure {
                try await transaction.lock(
                    [key], options: self.options((true, false), at: before, onlyIfExists: true))
            }
            #expect(error?.code == .writeConflict)
            #expect(await transaction.book.stageCount == 0)
            await transaction.rollback()
        }
    }

    // MARK: - Signs of life

    @Test(.enabled(if: TestCluster.hasControl, "watches requests"))
    func signsOfLifeGoOnAcrossAttempts() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let key = space.key("k")
            let plain = try await self.fair(space)
            try await plain.lock([key])
            #expect(await plain.keeper?.isRunning == true)
            try await plain.cancelFairLocking()
            #expect(await plain.keeper == nil)
            await plain.rollback()

            let transaction = try await self.fair(space)
            let holder = try await space.client.begin(.pessimistic)
            try await holder.put(key, value: "1")
            async let found = transaction.lock([key], options: self.options(at: transaction.startTimestamp))
            try await cluster.waitForLockWaiters(at: key.bytes)
            let commit = try await holder.commit()
            let conflict = try await found[key]?.conflict
            #expect(conflict == commit)
            #expect(conflict ?? transaction.startTimestamp > transaction.startTimestamp)
            let keeper = try #require(await transaction.keeper)
            #expect(keeper.isRunning)
            try await transaction.retryFairLocking()
            #expect(keeper.isRunning)
            let now = try await self.now(space)
            _ = try await transaction.lock([key], options: self.options(at: now))
            #expect(await transaction.keeper === keeper)
            try await transaction.cancelFairLocking()
            #expect(!keeper.isRunning)
            #expect(await transaction.lockedKeyCount == 0)
            await transaction.rollback()
        }
    }

    @Test(arguments: [nil, "k1", "k3"])
    func signsOfLifeGoOnWithTheSecondKey(first: String?) async throws {
        try await TransactionSpace.with { space in
            let transaction = try await self.fair(space)
            if let first {
                try await self.lock(transaction, space, first)
                try await transaction.retryFairLocking()
            }
            for (index, name) in ["k1", "k2"].enumerated() {
                try await self.lock(transaction, space, name)
                #expect(await transaction.isFairLocking)
                #expect(await self.stage(transaction, space, ["k1", "k2"]) == Array(["k1", "k2"].prefix(index + 1)))
                #expect(await transaction.book.primary == space.key("k1").bytes)
                #expect(await transaction.keeper?.isRunning == true)
                #expect(await transaction.keeper?.primary == space.key("k1").bytes)
            }
            try await transaction.finishFairLocking()
            #expect(await transaction.keeper?.isRunning == true)
            for name in ["k1", "k2"] {
                let other = try await space.client.begin(.pessimistic)
                let error = await failure {
                    try await other.lock([space.key(name)], options: .init(waitTimeout: .milliseconds(100)))
                }
                #expect(error?.code == .lockWaitTimeout)
                await other.rollback()
            }
            await transaction.rollback()
        }
    }

    /// Ended at each point, each way, with the same key locked again or another.
    @Test(arguments: [true, false], [true, false])
    func theEndLeavesWhatWasTaken(isFinished: Bool, isSameKey: Bool) async throws {
        try await TransactionSpace.with { space in
            for point in 0..<4 {
                let transaction = try await self.fair(space)
                var last = "k1"
                if point > 0 { try await self.lock(transaction, space, "k1") }
                if point > 1 { try await transaction.retryFairLocking() }
                if point > 2 {
                    last = isSameKey ? "k1" : "k2"
                    try await self.lock(transaction, space, last)
                    #expect(await transaction.book.primary == space.key(last).bytes)
                    #expect(await transaction.lockedKeyCount == (isSameKey ? 1 : 2))
                    #expect(await transaction.keeper?.isRunning == true)
                }
                if isFinished {
                    try await transaction.finishFairLocking()
                } else {
                    try await transaction.cancelFairLocking()
                }
                #expect(await !transaction.isFairLocking)
                // Kept is what the present attempt has locked.
                let isKept = isFinished && (point == 1 || point == 3)
                #expect(await transaction.lockedKeyCount == (isKept ? 1 : 0))
                #expect(await (transaction.keeper?.isRunning == true) == isKept)
                #expect(await transaction.book.primary == (isKept ? space.key(last).bytes : nil))
                #expect(try await space.locked("k1", "k2") == (isKept ? [last] : []))
                await transaction.rollback()
            }
        }
    }

    @Test
    func fairLockingIsForPessimisticTransactionsAndOneAtATime() async throws {
        try await TransactionSpace.with { space in
            let optimistic = try await space.client.begin()
            #expect(await failure { try await optimistic.startFairLocking() }?.code == .invalidArgument)
            let transaction = try await space.client.begin(.pessimistic)
            #expect(await failure { try await transaction.retryFairLocking() }?.code == .invalidArgument)
            try await transaction.startFairLocking()
            #expect(await failure { try await transaction.startFairLocking() }?.code == .invalidArgument)
            let shared = await failure {
                try await transaction.lock([space.key("k")], options: .init(mode: .shared))
            }
            #expect(shared?.code == .invalidArgument)
            // A commit finishes it.
            try await transaction.put(space.key("k"), value: "1")
            try await transaction.commit()
            #expect(try await space.latest("k") == "1")
        }
    }
}
