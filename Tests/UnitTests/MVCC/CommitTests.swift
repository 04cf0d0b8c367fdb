// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKVEmbedded

@Suite struct CommitTests {
    private var mvcc = MVCCHarness()

    @Test mutating func makesTheValueVisibleFromItsTimestampOn() throws {
        try self.mvcc.put("k", "v", start: 5, commit: 10)
        #expect(try self.mvcc.get("k", at: 9) == nil)
        #expect(try self.mvcc.get("k", at: 10) == "v")
        #expect(self.mvcc.lockRecord("k") == nil)
        try self.mvcc.put("k", nil, start: 15, commit: 20)
        #expect(try self.mvcc.get("k", at: 19) == "v")
        #expect(try self.mvcc.get("k", at: 20) == nil)
    }

    @Test mutating func comingAgainSucceeds() throws {
        try self.mvcc.put("k", "v", start: 5, commit: 10)
        try self.mvcc.commit("k", start: 5, at: 10)
        #expect(self.mvcc.history("k") == ["put@10"])
    }

    @Test mutating func withoutALockThereIsNothingToCommit() throws {
        let error = self.mvcc.error { try self.mvcc.commit("k", start: 5, at: 10) }
        #expect(error == .txnLockNotFound(startTS: 5, commitTS: 10, key: MVCCHarness.bytes("k")))
        try self.mvcc.prewrite("k", "v", at: 7)
        #expect(caseName { try self.mvcc.commit("k", start: 5, at: 10) } == "txnLockNotFound")
        try self.mvcc.rollBack("r", start: 5)
        #expect(caseName { try self.mvcc.commit("r", start: 5, at: 10) } == "txnLockNotFound")
        #expect(caseName { try self.mvcc.commit("k", start: 7, at: 7) } == "invalidTxnTSO")
    }

    @Test mutating func aPushedTimestampHasToBeRespected() throws {
        try self.mvcc.prewrite("k", "v", at: 5, ttl: 1000, minCommitTS: 6)
        let status = try self.mvcc.status("k", 5, caller: 20)
        guard case .uncommitted(_, minCommitTSPushed: true) = status else {
            Issue.record("not pushed")
            return
        }
        let error = self.mvcc.error { try self.mvcc.commit("k", start: 5, at: 20) }
        #expect(error == .commitTSExpired(startTS: 5, commitTS: 20, key: MVCCHarness.bytes("k"), minCommitTS: 21))
        #expect(try self.mvcc.get("k", at: 20) == nil)
        try self.mvcc.commit("k", start: 5, at: 21)
    }

    @Test mutating func aPessimisticLockHasNothingToCommit() throws {
        try self.mvcc.lock("k", start: 5, forUpdateTS: 5)
        try self.mvcc.commit("k", start: 5, at: 10)
        #expect(self.mvcc.lockRecord("k") == nil)
        #expect(self.mvcc.history("k") == [])
    }

    @Test mutating func allKeysOrNone() throws {
        try self.mvcc.prewrite("a", "v", at: 5)
        #expect(caseName { try self.mvcc.commit("a", "b", start: 5, at: 10) } == "txnLockNotFound")
        #expect(self.mvcc.lockRecord("a") != nil)
        #expect(self.mvcc.history("a") == [])
    }

    // MARK: - Rollback

    @Test mutating func rollbackRemovesLockAndValueAndLeavesARecord() throws {
        let long = String(repeating: "x", count: 300)
        try self.mvcc.prewrite("k", long, at: 5)
        #expect(self.mvcc.engine.store.values.count == 1)
        try self.mvcc.rollBack("k", start: 5)
        #expect(self.mvcc.engine.store.values.count == 0)
        #expect(self.mvcc.lockRecord("k") == nil)
        #expect(self.mvcc.history("k") == ["rollback@5"])
        // The primary's record stays, come what may.
        #expect(self.mvcc.versions("k").first?.write.isProtected == true)
        try self.mvcc.rollBack("k", start: 5)
        #expect(self.mvcc.history("k") == ["rollback@5"])
    }

    @Test mutating func unprotectedRollbacksCollapse() throws {
        for start: UInt64 in [5, 10, 15] {
            try self.mvcc.prewrite("k", "v", primary: "p", at: start)
            try self.mvcc.rollBack("k", start: start)
        }
        #expect(self.mvcc.history("k") == ["rollback@15"])
        // Protected ones do not.
        try self.mvcc.cleanUp("k", start: 20)
        try self.mvcc.prewrite("k", "v", primary: "p", at: 25)
        try self.mvcc.rollBack("k", start: 25)
        #expect(self.mvcc.history("k") == ["rollback@25", "rollback@20", "rollback@15"])
    }

    @Test mutating func whatIsCommittedCannotBeRolledBack() throws {
        try self.mvcc.put("k", "v", start: 5, commit: 10)
        let error = self.mvcc.error { try self.mvcc.rollBack("k", start: 5) }
        #expect(error == .committed(startTS: 5, commitTS: 10, key: MVCCHarness.bytes("k")))
        #expect(try self.mvcc.get("k", at: 10) == "v")
    }

    @Test mutating func aRollbackLeavesTheLocksOfOthers() throws {
        try self.mvcc.prewrite("k", "v", at: 10)
        try self.mvcc.rollBack("k", start: 5)
        #expect(self.mvcc.lockRecord("k")?.startTS == 10)
        #expect(conflictReason { try self.mvcc.prewrite("k", "v", at: 5) } == nil)
        try self.mvcc.commit("k", start: 10, at: 20)
        #expect(self.mvcc.history("k") == ["put@20", "rollback@5"])
    }

    @Test mutating func cleanupLeavesALivingLock() throws {
        let start: UInt64 = 10 << 18
        try self.mvcc.prewrite("k", "v", at: start, ttl: 100)
        #expect(caseName { try self.mvcc.cleanUp("k", start: start, current: 110 << 18) } == "keyIsLocked")
        try self.mvcc.cleanUp("k", start: start, current: 111 << 18)
        #expect(self.mvcc.lockRecord("k") == nil)
        // Without a time it goes in any case.
        try self.mvcc.prewrite("l", "v", at: start, ttl: 100)
        try self.mvcc.cleanUp("l", start: start)
        #expect(self.mvcc.lockRecord("l") == nil)
        #expect(self.mvcc.engine.maxTS >= start)
    }

    // MARK: - Records that meet

    @Test mutating func aProtectedRollbackAtTheTimestampOfACommitIsNotedThere() throws {
        try self.mvcc.put("k", "v", start: 5, commit: 10)
        try self.mvcc.put("k", "w", start: 15, commit: 20)
        try self.mvcc.cleanUp("k", start: 10)
        let write = try #require(self.mvcc.versions("k").last?.write)
        #expect(write.kind == .put)
        #expect(write.hasOverlappedRollback)
        #expect(write.gcFence == 20)
        // Both are true: the value is there, and the transaction that started at 10 is rolled back.
        #expect(try self.mvcc.get("k", at: 10) == "v")
        #expect(caseName { try self.mvcc.prewrite("k", "x", at: 10) } == "writeConflict")
        #expect(try self.mvcc.status("k", 10, rollsBack: true) == .rolledBack)
        // An unprotected one leaves no trace.
        try self.mvcc.put("u", "v", start: 5, commit: 10)
        try self.mvcc.rollBack("u", start: 10)
        #expect(self.mvcc.versions("u").first?.write.hasOverlappedRollback == false)
    }

    @Test mutating func aFenceHidesWhatGCHasRemovedTheSuccessorOf() throws {
        try self.mvcc.put("k", "v", start: 5, commit: 10)
        try self.mvcc.put("k", nil, start: 15, commit: 20)
        try self.mvcc.cleanUp("k", start: 10)
        // GC on this replica was faster than the rewriting of the old record.
        self.mvcc.engine.setWrite(MVCCHarness.key("k"), commitTS: 20, nil)
        #expect(try self.mvcc.get("k", at: 30) == nil)
        #expect(try self.mvcc.get("k", at: 15) == "v")
        try self.mvcc.prewrite("k", "w", at: 31, kind: .insert)
    }

    @Test mutating func aCommitNotesTheRollbackThatItWouldOverwrite() throws {
        try self.mvcc.prewrite("k", "v", at: 5, change: { $0.secondaries = [] })
        #expect(self.mvcc.lockRecord("k")?.minCommitTS == 6)
        // Another transaction, which started at 10, is rolled back here meanwhile.
        try self.mvcc.cleanUp("k", start: 10)
        #expect(self.mvcc.lockRecord("k")?.rollbackTS == [10])
        try self.mvcc.commit("k", start: 5, at: 10)
        #expect(self.mvcc.versions("k").first?.write.hasOverlappedRollback == true)
        #expect(conflictReason { try self.mvcc.prewrite("k", "w", at: 10) } == .selfRolledBack)
    }

    // MARK: - GC

    @Test mutating func gcKeepsWhatIsSeenAtTheSafePoint() throws {
        try self.mvcc.put("k", "a", start: 1, commit: 2)
        try self.mvcc.put("k", String(repeating: "b", count: 300), start: 3, commit: 4)
        try self.mvcc.prewrite("k", nil, at: 5, kind: .lock)
        try self.mvcc.commit("k", start: 5, at: 6)
        try self.mvcc.rollBack("k", start: 7)
        try self.mvcc.put("k", "c", start: 9, commit: 10)
        try self.mvcc.put("d", "x", start: 1, commit: 2)
        try self.mvcc.put("d", nil, start: 3, commit: 4)
        _ = try self.mvcc.engine.collectGarbage(in: EncodedRange(), safePoint: 8)
        #expect(self.mvcc.history("k") == ["put@10", "put@4"])
        #expect(self.mvcc.history("d") == [])
        #expect(try self.mvcc.get("k", at: 8)?.count == 300)
        #expect(try self.mvcc.get("k", at: 10) == "c")
        _ = try self.mvcc.engine.collectGarbage(in: EncodedRange(), safePoint: 10)
        #expect(self.mvcc.engine.store.values.count == 0)
    }
}
