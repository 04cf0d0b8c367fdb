// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVPD
import TiKVProto

@testable import TiKV

/// The resolver against the locks of transactions that stopped halfway.
@Suite(.timeLimit(.minutes(2)))
struct LockResolverTests {
    private func status(
        _ lab: LockLab, _ lock: Lock, _ purpose: LockPurpose, isSyncForced: Bool = false
    ) async throws -> TransactionStatus {
        try await lab.resolver.status(of: lock, purpose, isSyncForced: isSyncForced, deadline: lab.deadline).0
    }

    /// A lock that points to a primary, for questions about that.
    private func pointer(to primary: String, start: UInt64, timeToLive: UInt64 = 3_000) -> Lock {
        var info = Kvrpcpb_LockInfo()
        info.key = .init("elsewhere".utf8)
        info.primaryLock = .init(primary.utf8)
        info.lockVersion = start
        info.lockTtl = timeToLive
        return Lock(info)
    }

    private func isAlive(_ status: TransactionStatus) -> Bool {
        if case .alive(let timeToLive, _, _) = status { timeToLive > 0 } else { false }
    }

    // MARK: - Status

    @Test
    func aPrimaryTellsWhatBecameOfItsTransaction() async throws {
        try await LockLab.with { lab in
            let whole = try await lab.timestamp()
            try await lab.prewrite(["a": "1", "b": "1"], primary: "a", start: whole)
            let committed = try await lab.timestamp()
            try await lab.commit("a", start: whole, at: committed)
            try await lab.commit("b", start: whole, at: committed)
            let half = try await lab.timestamp()
            try await lab.prewrite(["c": "1", "d": "1"], primary: "c", start: half)
            let halfCommitted = try await lab.timestamp()
            try await lab.commit("c", start: half, at: halfCommitted)
            let open = try await lab.timestamp()
            try await lab.prewrite(["e": "1"], primary: "e", start: open)

            let write = LockPurpose.write(start: try await lab.timestamp())
            #expect(try await self.status(lab, self.pointer(to: "a", start: whole), write) == .committed(committed))
            #expect(try await self.status(lab, self.pointer(to: "c", start: half), write) == .committed(halfCommitted))
            let status = try await self.status(lab, self.pointer(to: "e", start: open), write)
            #expect(self.isAlive(status))
        }
    }

    /// A time to live of zero asks for resolution whatever the time is.
    @Test
    func aLockWithoutATimeToLiveIsResolvedByForce() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.prewrite(["k": "1"], primary: "k", start: start, timeToLive: 1_000_000)
            let lock = try await lab.lock(of: "k")
            #expect(lock.timeToLive == 1_000_000)
            let write = LockPurpose.write(start: try await lab.timestamp())
            let before = try await self.status(lab, lock, write)
            #expect(self.isAlive(before))
            let refused = try await lab.resolver.resolve([lock], for: write, deadline: lab.deadline)
            #expect(try #require(refused.wait) > .zero)
            #expect(lab.lockedKeys == ["k"])

            let resolution = try await lab.resolver.resolve([lock.living(0)], for: write, deadline: lab.deadline)
            #expect(resolution.wait == nil)
            #expect(lab.lockedKeys == [])
            #expect(try await self.status(lab, lock, write) == .rolledBack)
            #expect(try await lab.value("k") == nil)

            let other = try await lab.write(["other": "1"])
            let version = try #require(lab.cluster.transactionalState(of: Array("other".utf8)).versions.first)
            let committed = try await self.status(lab, self.pointer(to: "other", start: version.startTS), write)
            #expect(committed == .committed(other))
        }
    }

    @Test
    func aLockWithoutATimeToLiveKeepsNone() {
        #expect(Lock(Kvrpcpb_LockInfo()).timeToLive == 0)
    }

    @Test
    func readersPushAndWritersWait() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.prewrite(
                ["key": "1", "second": "1"], primary: "key", start: start, timeToLive: 100_000)
            let reader = try await lab.timestamp()
            let secondary = try await lab.lock(of: "second")
            let pushed = try await self.status(lab, secondary, .read(at: reader))
            guard case .alive(let timeToLive, true, _) = pushed else {
                Issue.record("\(pushed)")
                return
            }
            #expect(timeToLive > 0)
            let state = lab.cluster.transactionalState(of: Array("key".utf8))
            // At least so far; the store goes on to the time of the question.
            #expect(try #require(state.locks.first).minCommitTS > reader)
            let waiting = try await lab.resolver.resolve(
                [secondary], for: .write(start: reader), deadline: lab.deadline)
            #expect(try #require(waiting.wait) > .zero)
            let forced = try await lab.resolver.resolve(
                [secondary.living(0)], for: .write(start: reader), deadline: lab.deadline)
            #expect(forced.wait == nil)
            #expect(try await self.status(lab, secondary, .read(at: reader)) == .rolledBack)
        }
    }

    /// The secondary is there before its primary: only when the lock has expired is the transaction taken for dead.
    @Test
    func aPrimaryThatIsNotThereYetIsWaitedFor() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.prewrite(["second": "1"], primary: "key", start: start, timeToLive: 100_000)
            let secondary = try await lab.lock(of: "second")
            let write = LockPurpose.write(start: try await lab.timestamp())
            try await withThrowingTaskGroup(of: TransactionStatus.self) { group in
                group.addTask { try await self.status(lab, secondary, write) }
                while lab.cluster.requestCount("KvCheckTxnStatus") < 2 { await Task.yield() }
                try await lab.prewrite(["key": "1"], primary: "key", start: start, timeToLive: 100_000)
                let status = try #require(try await group.next())
                #expect(self.isAlive(status))
            }
            // One that never comes is rolled back where it would have been.
            let lost = try await lab.timestamp()
            let status = try await self.status(
                lab, self.pointer(to: "never", start: lost, timeToLive: 300), write)
            #expect(status == .rolledBack)
            let state = lab.cluster.transactionalState(of: Array("never".utf8))
            #expect(state.versions.first?.kind == .rollback)
            #expect((try await lab.timestamp() >> 18) >= (lost >> 18) + 300)
        }
    }

    @Test
    func aLockThatReadersMayNotPushIsWaitedForButByThoseOfTheLatestState() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            lab.cluster.putLock(
                .init(startTS: start, primary: Array("k".utf8), ttl: 100_000, value: Array("1".utf8)),
                on: Array("k".utf8))
            let lock = try await lab.lock(of: "k")
            #expect(lock.minimumCommit == 0)
            let refused = try await lab.resolver.resolve([lock], for: .read(at: 0), deadline: lab.deadline)
            #expect(refused.ignored == [])
            #expect(try #require(refused.wait) > .zero)
            let latest = try await lab.resolver.resolve([lock], for: .read(at: .max), deadline: lab.deadline)
            #expect(latest.ignored == [start])
            #expect(latest.wait == nil)
            let forced = try await lab.resolver.resolve(
                [lock.living(0)], for: .write(start: start), deadline: lab.deadline)
            #expect(forced.wait == nil)
            #expect(lab.lockedKeys == [])
        }
    }

    // MARK: - Asynchronous commits

    /// What is known of a transaction is not asked for again, be the lock that is met that of an asynchronous commit.
    @Test
    func aKnownStatusIsUsedAgain() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.prewrite(
                ["a": "1", "b": "1", "c": "1"], primary: "a", start: start, timeToLive: 1,
                asyncSecondaries: ["b", "c"])
            let locks = [try await lab.lock(of: "b"), try await lab.lock(of: "c")]
            let commit = try await lab.timestamp()
            try await lab.commit("a", start: start, at: commit)
            let reader = LockPurpose.read(at: try await lab.timestamp())
            let first = try await lab.resolver.resolve([locks[0]], for: reader, deadline: lab.deadline)
            #expect(first.readable == [start])
            #expect(await lab.resolver.known(start) == .committed(commit))
            let asked = lab.cluster.requestCount("KvCheckTxnStatus")
            let second = try await lab.resolver.resolve([locks[1]], for: reader, deadline: lab.deadline)
            #expect(second.readable == [start])
            #expect(lab.cluster.requestCount("KvCheckTxnStatus") == asked)
            #expect(lab.cluster.requestCount("KvCheckSecondaryLocks") == 0)
        }
    }

    /// Makes a transaction that began to commit asynchronously and fell back to two phases halfway.
    private func fallBack(_ lab: LockLab) async throws -> UInt64 {
        let start = try await lab.timestamp()
        try await lab.prewrite(
            ["fb1": "1"], primary: "fb1", start: start, timeToLive: 1, asyncSecondaries: ["fb2"])
        // Whoever would commit above this may not: the store answers with an ordinary lock.
        try await lab.prewrite(
            ["fb2": "2"], primary: "fb1", start: start, timeToLive: 1, asyncSecondaries: ["fb2"],
            maximumCommit: start - 1)
        lab.cluster.advanceClock(by: .seconds(1))
        #expect(try await lab.lock(of: "fb1").isAsyncCommit)
        #expect(try await !lab.lock(of: "fb2").isAsyncCommit)
        return start
    }

    @Test
    func aSecondaryThatFellBackMakesThePrimaryDecide() async throws {
        try await LockLab.with { lab in
            let start = try await self.fallBack(lab)
            let lock = try await lab.lock(of: "fb1")
            let write = LockPurpose.write(start: try await lab.timestamp())
            let status = try await self.status(lab, lock, write)
            guard case .alive(_, _, let found) = status, let primary = found else {
                Issue.record("\(status)")
                return
            }
            #expect(primary.key == Array("fb1".utf8))
            await #expect {
                try await lab.resolver.secondaries(of: primary, start: start, deadline: lab.deadline)
            } throws: { error in
                guard case LockResolver.SecondaryCheckError.check(.isNotAsync) = error else { return false }
                return true
            }
            #expect(try await self.status(lab, lock, write, isSyncForced: true) == .rolledBack)
        }
    }

    @Test
    func aTransactionThatFellBackIsRolledBack() async throws {
        try await LockLab.with { lab in
            _ = try await self.fallBack(lab)
            let lock = try await lab.lock(of: "fb1")
            let write = LockPurpose.write(start: try await lab.timestamp())
            let resolution = try await lab.resolver.resolve([lock], for: write, deadline: lab.deadline)
            #expect(resolution.wait == nil)
            let reader = try await lab.client.begin()
            #expect(try await reader.get("fb1") == nil)
            #expect(try await reader.get("fb2") == nil)
        }
    }

    // MARK: - Readers

    /// What each of six abandoned transactions means to a reader.
    @Test
    func readersGoOnByWhatBecameOfEachTransaction() async throws {
        try await LockLab.with { lab in
            var starts: [UInt64] = []
            for number in 1...6 {
                let start = try await lab.timestamp()
                starts.append(start)
                let isAsync = number == 4 || number == 5
                let primary = "p\(number)"
                try await lab.prewrite(
                    [primary: "1", "k\(number)": "1"], primary: primary, start: start,
                    timeToLive: number == 5 ? 1 : 1_000_000, asyncSecondaries: isAsync ? ["k\(number)"] : nil)
            }
            try await lab.commit("p1", start: starts[0], at: try await lab.timestamp())
            try await lab.rollBack("p2", start: starts[1])
            lab.cluster.advanceClock(by: .seconds(1))
            let reader = try await lab.timestamp()
            try await lab.commit("p6", start: starts[5], at: try await lab.timestamp())

            var locks: [Lock] = []
            for number in 1...6 { locks.append(try await lab.lock(of: "k\(number)")) }
            let resolution = try await lab.resolver.resolve(locks, for: .read(at: reader), deadline: lab.deadline)
            #expect(try #require(resolution.wait) > .zero)
            #expect(resolution.ignored == [starts[1], starts[2], starts[5]])
            #expect(resolution.readable == [starts[0], starts[4]])
        }
    }

    // MARK: - Pessimistic locks

    /// A pessimistic lock may point to a key that its transaction has given up as its primary.
    @Test
    func aStalePessimisticLockIsTakenBackAlone() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.lock(["k2"], primary: "k1", start: start, timeToLive: 1)
            try await lab.prewrite(["k3": "v3", "k1": "v1"], primary: "k3", start: start)
            try await lab.commit("k3", start: start, at: try await lab.timestamp())
            lab.cluster.advanceClock(by: .seconds(1))

            let other = try await lab.client.begin(.pessimistic)
            try await other.lock(["k2"])
            await other.rollback()
            #expect(try await lab.value("k3") == "v3")
            #expect(try await lab.value("k1") == "v1")
            #expect(try await lab.value("k2") == nil)
        }
    }

    @Test
    func pessimisticLocksThatHaveExpiredAreTakenBack() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.lock(["a", "b"], primary: "a", start: start, timeToLive: 1)
            lab.cluster.advanceClock(by: .seconds(1))
            let locks = [try await lab.lock(of: "b"), try await lab.lock(of: "a")]
            let write = LockPurpose.write(start: try await lab.timestamp())
            let resolution = try await lab.resolver.resolve(locks, for: write, deadline: lab.deadline)
            #expect(resolution.wait == nil)
            #expect(lab.lockedKeys == [])
        }
    }
}
