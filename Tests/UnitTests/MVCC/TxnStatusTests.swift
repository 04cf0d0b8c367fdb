// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKVEmbedded

@Suite struct TxnStatusTests {
    private var mvcc = MVCCHarness()

    /// A timestamp of so many milliseconds.
    private func ts(_ milliseconds: UInt64, _ logical: UInt64 = 0) -> UInt64 { milliseconds << 18 | logical }

    @Test mutating func whatIsOverIsTold() throws {
        try self.mvcc.put("c", "v", start: 5, commit: 10)
        #expect(try self.mvcc.status("c", 5) == .committed(10))
        try self.mvcc.rollBack("r", start: 5)
        #expect(try self.mvcc.status("r", 5) == .rolledBack)
    }

    @Test mutating func whatIsUnknownIsAnErrorOrEnds() throws {
        #expect(
            self.mvcc.error { try self.mvcc.status("k", 5) } == .txnNotFound(startTS: 5, key: MVCCHarness.bytes("k")))
        #expect(
            try self.mvcc.status("k", 5, rollsBack: true, change: { $0.isResolvingPessimistic = true })
                == .lockNotExistDoNothing)
        #expect(self.mvcc.history("k") == [])
        #expect(try self.mvcc.status("k", 5, rollsBack: true) == .lockNotExist)
        #expect(self.mvcc.history("k") == ["rollback@5"])
        #expect(self.mvcc.versions("k").first?.write.isProtected == true)
        #expect(try self.mvcc.status("k", 5, rollsBack: true) == .rolledBack)
    }

    @Test mutating func livingLocksStayAndExpiredOnesGo() throws {
        let start = self.ts(10)
        try self.mvcc.prewrite("k", "v", at: start, ttl: 100)
        guard case .uncommitted(let lock, _) = try self.mvcc.status("k", start, current: self.ts(110)) else {
            Issue.record("gone too early")
            return
        }
        #expect(lock.ttl == 100)
        #expect(try self.mvcc.status("k", start, current: self.ts(111)) == .ttlExpired)
        #expect(self.mvcc.lockRecord("k") == nil)
        #expect(try self.mvcc.status("k", start, current: self.ts(111)) == .rolledBack)
        // A lock that lives for ever.
        try self.mvcc.prewrite("e", "v", at: start, ttl: .max)
        guard case .uncommitted = try self.mvcc.status("e", start, current: .max) else {
            Issue.record("gone too early")
            return
        }
    }

    @Test mutating func readersPushTheLeastCommitTimestamp() throws {
        let start = self.ts(10)
        try self.mvcc.prewrite("k", "v", at: start, ttl: 1000, minCommitTS: start + 1)
        guard case .uncommitted(_, let isPushed) = try self.mvcc.status("k", start, caller: self.ts(9)) else {
            Issue.record("gone")
            return
        }
        // It was above the reader already.
        #expect(isPushed)
        #expect(self.mvcc.lockRecord("k")?.minCommitTS == start + 1)
        _ = try self.mvcc.status("k", start, caller: self.ts(20), current: self.ts(15))
        #expect(self.mvcc.lockRecord("k")?.minCommitTS == self.ts(20) + 1)
        _ = try self.mvcc.status("k", start, caller: self.ts(21), current: self.ts(30))
        #expect(self.mvcc.lockRecord("k")?.minCommitTS == self.ts(30))
        #expect(try self.mvcc.get("k", at: self.ts(29)) == nil)
        // A read of the newest version passes by without pushing.
        guard case .uncommitted(_, true) = try self.mvcc.status("k", start, caller: .max) else {
            Issue.record("not passed")
            return
        }
        #expect(self.mvcc.lockRecord("k")?.minCommitTS == self.ts(30))
    }

    @Test mutating func locksThatMustNotBePushedAreNot() throws {
        try self.mvcc.prewrite("k", "v", at: self.ts(10), ttl: 1000)
        guard
            case .uncommitted(_, false) = try self.mvcc.status(
                "k", self.ts(10), caller: self.ts(20), current: self.ts(20))
        else {
            Issue.record("pushed")
            return
        }
        #expect(self.mvcc.lockRecord("k")?.minCommitTS == 0)
    }

    @Test mutating func asyncCommitIsDecidedByAllKeys() throws {
        let start = self.ts(10)
        try self.mvcc.prewrite("k", "v", at: start, ttl: 10, change: { $0.secondaries = [MVCCHarness.bytes("s")] })
        guard
            case .uncommitted(let lock, false) = try self.mvcc.status(
                "k", start, caller: self.ts(500), current: self.ts(500))
        else {
            Issue.record("decided by one key")
            return
        }
        #expect(lock.secondaries == [MVCCHarness.bytes("s")])
        #expect(
            try self.mvcc.status("k", start, current: self.ts(500), change: { $0.forcesSyncCommit = true })
                == .ttlExpired)
    }

    // MARK: - Pessimistic

    @Test mutating func pessimisticLocksAreRemovedWithoutARecordWhileTheTransactionMayRun() throws {
        let start = self.ts(10)
        try self.mvcc.lock("k", start: start, forUpdateTS: start, change: { $0.lockTTL = 10 })
        guard
            case .uncommitted = try self.mvcc.status(
                "k", start, current: self.ts(20), change: { $0.isResolvingPessimistic = true })
        else {
            Issue.record("gone too early")
            return
        }
        #expect(
            try self.mvcc.status("k", start, current: self.ts(21), change: { $0.isResolvingPessimistic = true })
                == .pessimisticRolledBack)
        #expect(self.mvcc.history("k") == [])
        try self.mvcc.lock("k", start: start, forUpdateTS: start, change: { $0.lockTTL = 10 })
        #expect(try self.mvcc.status("k", start, current: self.ts(21)) == .ttlExpired)
        #expect(self.mvcc.history("k") == ["rollback@\(start)"])
    }

    @Test mutating func aLeftOverForcedLockDoesNotHideTheCommit() throws {
        try self.mvcc.put("k", "v", start: 5, commit: 10)
        try self.mvcc.put("k", "w", start: 12, commit: 15)
        try self.mvcc.lock("k", start: 5, forUpdateTS: 11, change: { $0.allowsConflict = true })
        #expect(self.mvcc.lockRecord("k")?.isLockedWithConflict == true)
        #expect(try self.mvcc.status("k", 5) == .committed(10))
        #expect(self.mvcc.lockRecord("k") == nil)
    }

    @Test mutating func onlyThePrimaryKnows() throws {
        try self.mvcc.prewrite("s", "v", primary: "p", at: 5, ttl: 10)
        guard
            case .primaryMismatch(let lock)? = self.mvcc.error({
                try self.mvcc.status("s", 5, change: { $0.verifiesPrimary = true })
            })
        else {
            Issue.record("a secondary was taken for the primary")
            return
        }
        #expect(lock.lock.records.first?.primary == MVCCHarness.bytes("p"))
        // A pessimistic lock that names another primary is left over from before the transaction changed its mind.
        try self.mvcc.lock("l", primary: "p", start: 5, forUpdateTS: 5)
        #expect(
            try self.mvcc.status("l", 5, rollsBack: true, change: { $0.verifiesPrimary = true }) == .lockNotExist)
        #expect(self.mvcc.lockRecord("l") == nil)
    }

    @Test mutating func askingRaisesTheTimestampThatCommitsGoAbove() throws {
        _ = try? self.mvcc.status("k", 5, caller: 30, current: 40)
        #expect(self.mvcc.engine.maxTS == 40)
        _ = try? self.mvcc.status("k", 50, caller: .max, current: .max)
        #expect(self.mvcc.engine.maxTS == 50)
    }

    // MARK: - Secondaries

    @Test mutating func allSecondariesLockedIsSaid() throws {
        for key in ["a", "b"] {
            try self.mvcc.prewrite(key, "v", primary: "p", at: 5, change: { $0.secondaries = [] })
        }
        let keys = ["a", "b"].map { MVCCHarness.key($0) }
        guard case .locked(let locks) = try self.mvcc.engine.checkSecondaryLocks(keys, startTS: 5).value else {
            Issue.record("not locked")
            return
        }
        #expect(locks.map(\.key) == keys.map(\.raw))
        try self.mvcc.commit("b", start: 5, at: 10)
        #expect(try self.mvcc.engine.checkSecondaryLocks(keys, startTS: 5).value == .committed(10))
    }

    @Test mutating func aMissingSecondaryEndsTheTransaction() throws {
        try self.mvcc.prewrite("a", "v", primary: "p", at: 5, change: { $0.secondaries = [] })
        let keys = ["a", "b"].map { MVCCHarness.key($0) }
        #expect(try self.mvcc.engine.checkSecondaryLocks(keys, startTS: 5).value == .rolledBack)
        #expect(self.mvcc.versions("b").first?.write.isProtected == true)
        // It cannot be prewritten any more.
        #expect(
            conflictReason {
                try self.mvcc.prewrite("b", "v", primary: "p", at: 5, change: { $0.secondaries = [] })
            } == .selfRolledBack)
        // A pessimistic lock is none yet.
        try self.mvcc.lock("c", primary: "p", start: 7, forUpdateTS: 7)
        #expect(
            try self.mvcc.engine.checkSecondaryLocks([MVCCHarness.key("c")], startTS: 7).value == .rolledBack)
        #expect(self.mvcc.lockRecord("c") == nil)
    }

    // MARK: - Heartbeat and resolving

    @Test mutating func heartbeatsOnlyExtend() throws {
        func beat(_ ttl: UInt64, _ mvcc: inout MVCCHarness) throws -> UInt64 {
            try mvcc.engine.heartBeat(MVCCHarness.key("k"), startTS: 5, adviseTTL: ttl, minCommitTS: 9).value
        }
        #expect(caseName { try beat(5, &self.mvcc) } == "txnNotFound")
        try self.mvcc.prewrite("k", "v", at: 5, ttl: 100)
        #expect(try beat(90, &self.mvcc) == 100)
        #expect(try beat(200, &self.mvcc) == 200)
        #expect(self.mvcc.lockRecord("k")?.ttl == 200)
        // Only pipelined transactions move their least commit timestamp this way.
        #expect(self.mvcc.lockRecord("k")?.minCommitTS == 0)
    }

    @Test mutating func locksOfARangeAreResolvedByTheirTransactions() throws {
        for (key, start) in [("a", 5), ("b", 6), ("c", 7), ("x", 5)] as [(String, UInt64)] {
            try self.mvcc.prewrite(key, "v", at: start)
        }
        let range = EncodedRange(rawStart: [], rawEnd: MVCCHarness.bytes("x"))
        _ = try self.mvcc.engine.resolve([5: 10, 6: 0], in: range)
        #expect(self.mvcc.history("a") == ["put@10"])
        #expect(self.mvcc.history("b") == ["rollback@6"])
        #expect(self.mvcc.lockRecord("c") != nil)
        #expect(self.mvcc.lockRecord("x") != nil)
        _ = try self.mvcc.engine.resolve([MVCCHarness.key("x")], startTS: 5, commitTS: 10)
        #expect(self.mvcc.history("x") == ["put@10"])
        #expect(caseName { try self.mvcc.engine.resolve([7: 7], in: EncodedRange()) } == "invalidTxnTSO")
    }

    @Test mutating func resolvingAStaleForcedLockOfACommittedTransaction() throws {
        try self.mvcc.lock("k", primary: "p", start: 5, forUpdateTS: 5)
        _ = try self.mvcc.engine.resolve([5: 10], in: EncodedRange())
        #expect(self.mvcc.lockRecord("k") == nil)
        #expect(self.mvcc.history("k") == [])
    }
}
