// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKVEmbedded

@Suite struct LockWaitTests {
    private var txns = TxnStorageHarness()

    // MARK: - Time

    @Test mutating func noWaitIsToldAtOnce() throws {
        self.txns.lock("k", start: 1)
        for force in [false, true] {
            guard
                case .finished(let result) = self.txns.ask("k", start: 5, force: force, timeout: -1),
                case .key(.keyIsLocked(let lock))? = result.failure
            else {
                Issue.record("waits")
                return
            }
            #expect(lock.holders == [1])
            // Requests of the new kind get a result for their key as well.
            #expect(result.results == (force ? [.failed] : []))
        }
        #expect(self.txns.storage.nextEvent == nil)
    }

    @Test mutating func waitsEndInTime() throws {
        self.txns.lock("k", start: 1)
        let short = try self.txns.wait("k", start: 5, timeout: 100)
        let usual = try self.txns.wait("k", start: 6, timeout: 0)
        let long = try self.txns.wait("k", start: 7, timeout: 3_600_000)
        #expect(self.txns.storage.nextEvent == 1100)
        self.txns.advance(by: 99)
        #expect(self.txns.ended() == [:])
        self.txns.advance(by: 1)
        #expect(self.txns.ended() == [short: "keyIsLocked"])
        // Nobody waits for longer than the store's limit.
        self.txns.advance(by: 900)
        #expect(self.txns.ended() == [usual: "keyIsLocked", long: "keyIsLocked"])
        #expect(self.txns.storage.nextEvent == nil)
    }

    @Test mutating func whoGoesAwayIsForgotten() throws {
        self.txns.lock("k", start: 1)
        let first = try self.txns.wait("k", start: 5)
        let second = try self.txns.wait("k", start: 6)
        self.txns.storage.cancel(first)
        try self.txns.unlock("k", start: 1)
        #expect(self.txns.ended() == [second: "writeConflict"])
    }

    @Test mutating func aWaitThatEndsTellsSinceWhenTheHolderHoldsIt() throws {
        self.txns.lock("k", start: 1)
        _ = try self.txns.wait("k", start: 6, timeout: 300)
        _ = try self.txns.wait("k", start: 5, timeout: 300)
        try self.txns.unlock("k", start: 1)
        _ = self.txns.ended()
        self.txns.advance(by: 10)
        self.txns.lock("k", start: 9)
        // The other one is woken after the delay and would come again; here it had only come too late to be.
        let last = try self.txns.wait("k", start: 8, timeout: 50)
        self.txns.advance(by: 50)
        let ended = self.txns.storage.takeFinishedWaits().first { $0.token == last }
        guard case .key(.keyIsLocked(let lock))? = ended?.result.failure else {
            Issue.record("no time-out")
            return
        }
        #expect(lock.holders == [9])
        #expect(lock.durationToLastUpdate == 0)
    }

    // MARK: - Waking up

    @Test mutating func theOldestTransactionGoesFirstAndTheOthersAfterADelay() throws {
        self.txns.lock("k", start: 1)
        let late = try self.txns.wait("k", start: 9)
        let early = try self.txns.wait("k", start: 5)
        let middle = try self.txns.wait("k", start: 7)
        try self.txns.commit("k", start: 1, at: 20)
        #expect(self.txns.ended() == [early: "writeConflict"])
        self.txns.advance(by: 19)
        #expect(self.txns.ended() == [:])
        self.txns.advance(by: 1)
        #expect(self.txns.ended() == [middle: "writeConflict", late: "writeConflict"])
    }

    @Test mutating func theConflictNamesWhoCommitted() throws {
        self.txns.lock("k", start: 1)
        _ = try self.txns.wait("k", start: 5)
        try self.txns.commit("k", start: 1, at: 20)
        guard let (_, result) = self.txns.storage.takeFinishedWaits().first, case .key(let error)? = result.failure
        else {
            Issue.record("not woken")
            return
        }
        #expect(
            error
                == .writeConflict(
                    startTS: 5, conflictStartTS: 1, conflictCommitTS: 20, key: MVCCHarness.bytes("k"),
                    primary: MVCCHarness.bytes("p"), reason: .pessimisticRetry))
    }

    @Test mutating func whoComesAfterTheWakeUpIsNotWokenByTheDelay() throws {
        self.txns.lock("k", start: 1)
        let first = try self.txns.wait("k", start: 5)
        let second = try self.txns.wait("k", start: 6)
        try self.txns.unlock("k", start: 1)
        #expect(self.txns.ended() == [first: "writeConflict"])
        self.txns.lock("k", start: 5)
        let third = try self.txns.wait("k", start: 7)
        self.txns.advance(by: 20)
        #expect(self.txns.ended() == [second: "writeConflict"])
        try self.txns.unlock("k", start: 5)
        #expect(self.txns.ended() == [third: "writeConflict"])
    }

    @Test mutating func forcedLocksAreTakenOnTheServer() throws {
        self.txns.lock("k", start: 1)
        let late = try self.txns.wait("k", start: 9, force: true)
        let early = try self.txns.wait("k", start: 5, force: true)
        try self.txns.commit("k", start: 1, at: 20)
        let ended = self.txns.storage.takeFinishedWaits()
        #expect(ended.map(\.token) == [early])
        guard case .lockedWithConflict(_, 20)? = ended.first?.result.results.first else {
            Issue.record("not locked with the conflict: \(ended)")
            return
        }
        #expect(self.txns.holder("k") == [5])
        // The next one waits for the new holder, however long.
        self.txns.advance(by: 100)
        #expect(self.txns.ended() == [:])
        try self.txns.unlock("k", start: 5)
        #expect(self.txns.ended() == [late: "locked"])
        #expect(self.txns.holder("k") == [9])
    }

    @Test mutating func theDelayStopsAtAForcedLock() throws {
        self.txns.lock("k", start: 1)
        let first = try self.txns.wait("k", start: 5)
        let second = try self.txns.wait("k", start: 6)
        let forced = try self.txns.wait("k", start: 7, force: true)
        _ = try self.txns.wait("k", start: 8)
        try self.txns.unlock("k", start: 1)
        #expect(self.txns.ended() == [first: "writeConflict"])
        self.txns.advance(by: 20)
        #expect(self.txns.ended() == [second: "writeConflict", forced: "locked"])
        #expect(self.txns.holder("k") == [7])
    }

    @Test mutating func aForcedLockThatFailsLetsTheNextOneGo() throws {
        self.txns.lock("k", start: 1)
        let rolledBack = try self.txns.wait("k", start: 5, force: true)
        let next = try self.txns.wait("k", start: 6, force: true)
        _ = try self.txns.storage.run(now: 0, regions: self.txns.cluster) { engine throws(MVCCError) in
            try engine.rollBack([MVCCHarness.key("k")], startTS: 5)
        }
        try self.txns.unlock("k", start: 1)
        #expect(self.txns.ended() == [rolledBack: "pessimisticLockRolledBack", next: "locked"])
    }

    @Test mutating func aRegionThatHasMovedIsToldOnWaking() throws {
        self.txns.lock("k", start: 1)
        let token = try self.txns.wait("k", start: 5, force: true)
        let id = self.txns.cluster.regions[0].id
        try self.txns.cluster.split(id, at: [MVCCHarness.bytes("a")])
        try self.txns.unlock("k", start: 1)
        #expect(self.txns.ended() == [token: "region epochNotMatch"])
        #expect(self.txns.holder("k") == [])
    }

    @Test mutating func thoseWhoShareAreWokenTogether() throws {
        self.txns.lock("k", start: 1)
        let a = try self.txns.wait("k", start: 5, isShared: true)
        let b = try self.txns.wait("k", start: 6, isShared: true)
        let alone = try self.txns.wait("k", start: 7)
        try self.txns.unlock("k", start: 1)
        #expect(self.txns.ended() == [a: "writeConflict", b: "writeConflict"])
        self.txns.advance(by: 20)
        #expect(self.txns.ended() == [alone: "writeConflict"])
    }

    // MARK: - Deadlocks

    @Test mutating func twoThatWaitForEachOther() throws {
        self.txns.lock("a", start: 1)
        self.txns.lock("b", start: 2)
        let waiting = try self.txns.wait("b", start: 1)
        guard
            case .finished(let result) = self.txns.ask("a", start: 2),
            case .key(.deadlock(2, 1, let key, let hash, let chain))? = result.failure
        else {
            Issue.record("no deadlock")
            return
        }
        #expect(key == MVCCHarness.bytes("a"))
        #expect(hash == Fingerprint64.hash(MVCCHarness.bytes("b")))
        #expect(chain.map(\.txn) == [1, 2])
        #expect(chain.map(\.waitForTxn) == [2, 1])
        #expect(chain.map(\.key) == [MVCCHarness.bytes("b"), MVCCHarness.bytes("a")])
        // The other one goes on waiting, and the one that was refused may give way.
        try self.txns.unlock("b", start: 2)
        #expect(self.txns.ended() == [waiting: "writeConflict"])
    }

    @Test mutating func aCircleOfThree() throws {
        for (index, key) in ["a", "b", "c"].enumerated() { self.txns.lock(key, start: UInt64(index + 1)) }
        _ = try self.txns.wait("b", start: 1)
        _ = try self.txns.wait("c", start: 2)
        guard
            case .finished(let result) = self.txns.ask("a", start: 3, force: true),
            case .key(.deadlock(3, 1, _, _, let chain))? = result.failure
        else {
            Issue.record("no deadlock")
            return
        }
        #expect(chain.map(\.txn) == [1, 2, 3])
        #expect(result.results == [.failed])
    }

    @Test mutating func aTransactionWithoutLocksClosesNoCircle() throws {
        self.txns.lock("a", start: 1)
        self.txns.lock("b", start: 2)
        _ = try self.txns.wait("b", start: 1)
        guard case .waiting = self.txns.ask("a", start: 2, isFirst: true) else {
            Issue.record("a deadlock was found that cannot be")
            return
        }
    }

    @Test mutating func waitsThatAreOverCloseNoCircle() throws {
        self.txns.lock("a", start: 1)
        self.txns.lock("b", start: 2)
        let token = try self.txns.wait("b", start: 1, timeout: 10)
        self.txns.advance(by: 10)
        #expect(self.txns.ended() == [token: "keyIsLocked"])
        let cancelled = try self.txns.wait("b", start: 1)
        self.txns.storage.cancel(cancelled)
        _ = try self.txns.wait("a", start: 2)
    }

    @Test mutating func aNewHolderMayCloseACircle() throws {
        self.txns.lock("a", start: 1)
        self.txns.lock("b", start: 3)
        let waiting = try self.txns.wait("a", start: 3, force: true)
        let next = try self.txns.wait("a", start: 2, force: true)
        // 2 holds nothing that anyone waits for yet.
        try self.txns.unlock("a", start: 1)
        #expect(self.txns.ended() == [next: "locked"])
        // Now 3 waits for 2, and 2 may not wait for 3.
        guard
            case .finished(let result) = self.txns.ask("b", start: 2),
            case .key(.deadlock)? = result.failure
        else {
            Issue.record("no deadlock")
            return
        }
        try self.txns.unlock("a", start: 2)
        #expect(self.txns.ended() == [waiting: "locked"])
    }

    @Test mutating func thoseWhoShareAreAllWaitedFor() throws {
        self.txns.lock("k", start: 1, isShared: true)
        self.txns.lock("k", start: 2, isShared: true)
        self.txns.lock("x", start: 5)
        _ = try self.txns.wait("x", start: 2)
        // The first one only closes the key to others.
        guard case .finished = self.txns.ask("k", start: 5) else {
            Issue.record("waits")
            return
        }
        guard
            case .finished(let result) = self.txns.ask("k", start: 5),
            case .key(.deadlock(5, 2, _, _, _))? = result.failure
        else {
            Issue.record("no deadlock")
            return
        }
    }

    @Test mutating func whoWaitsCanBeSeen() throws {
        self.txns.lock("k", start: 1)
        _ = try self.txns.wait("k", start: 5)
        let entries = self.txns.storage.waitForEntries(now: self.txns.now)
        #expect(entries.map(\.txn) == [5])
        #expect(entries.map(\.waitForTxn) == [1])
        #expect(entries.map(\.key) == [MVCCHarness.bytes("k")])
        #expect(self.txns.storage.waiterCount(MVCCHarness.key("k")) == 1)
    }
}
