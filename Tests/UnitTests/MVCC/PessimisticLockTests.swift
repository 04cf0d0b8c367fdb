// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKVEmbedded

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite struct PessimisticLockTests {
    private var mvcc = MVCCHarness()

    @Test mutating func lockedKeysCanBeReadAndNotWritten() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        #expect(try self.mvcc.lock("k", primary: "p", start: 5, forUpdateTS: 6) == .empty)
        let lock = try #require(self.mvcc.lockRecord("k"))
        #expect(lock.kind == .pessimistic)
        #expect((lock.startTS, lock.forUpdateTS, lock.ttl) == (5, 6, 3000))
        #expect(try self.mvcc.get("k", at: 10) == "v")
        #expect(caseName { try self.mvcc.prewrite("k", "w", at: 10) } == "keyIsLocked")
        #expect(caseName { try self.mvcc.lock("k", start: 10, forUpdateTS: 10) } == "keyIsLocked")
    }

    @Test mutating func aNewerCommitIsAConflict() throws {
        try self.mvcc.put("k", "v", start: 10, commit: 20)
        #expect(conflictReason { try self.mvcc.lock("k", start: 5, forUpdateTS: 15) } == .pessimisticRetry)
        // With a newer timestamp the transaction knows of it.
        try self.mvcc.lock("k", start: 5, forUpdateTS: 20)
    }

    @Test mutating func whatTheClientAsksForIsRead() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        try self.mvcc.prewrite("k", nil, at: 3, kind: .lock)
        try self.mvcc.commit("k", start: 3, at: 4)
        for (key, value) in [("k", "v" as String?), ("n", nil)] {
            let data = value.map { Data($0.utf8) }
            #expect(
                try self.mvcc.lock(key, start: 5, forUpdateTS: 6, change: { $0.returnsValues = true }) == .value(data))
            #expect(
                try self.mvcc.lock(key, start: 5, forUpdateTS: 7, change: { $0.checksExistence = true })
                    == .existence(value != nil))
        }
        #expect(self.mvcc.engine.maxTS == 7)
    }

    @Test mutating func existingKeysCanBeRefused() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        #expect(caseName { try self.mvcc.lock("k", start: 5, forUpdateTS: 5, mustNotExist: true) } == "alreadyExist")
        #expect(self.mvcc.lockRecord("k") == nil)
        try self.mvcc.lock("n", start: 5, forUpdateTS: 5, mustNotExist: true)
        // Also where the key is locked already.
        try self.mvcc.lock("k", start: 5, forUpdateTS: 5)
        #expect(caseName { try self.mvcc.lock("k", start: 5, forUpdateTS: 6, mustNotExist: true) } == "alreadyExist")
    }

    @Test mutating func lockOnlyIfExistsLeavesOtherKeysAlone() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        let change: (inout PessimisticLockParameters) -> Void = {
            $0.locksOnlyIfExists = true
            $0.returnsValues = true
        }
        #expect(try self.mvcc.lock("k", start: 5, forUpdateTS: 5, change: change) == .value(Data("v".utf8)))
        #expect(try self.mvcc.lock("n", start: 5, forUpdateTS: 5, change: change) == .value(nil))
        #expect(self.mvcc.lockRecord("k") != nil)
        #expect(self.mvcc.lockRecord("n") == nil)
        #expect(
            caseName { try self.mvcc.lock("k", start: 5, forUpdateTS: 5, change: { $0.locksOnlyIfExists = true }) }
                == "lockIfExistsFailed")
    }

    @Test mutating func aRequestAfterTheRollbackLeavesNoLock() throws {
        try self.mvcc.rollBack("k", start: 5)
        #expect(caseName { try self.mvcc.lock("k", start: 5, forUpdateTS: 5) } == "pessimisticLockRolledBack")
        // The record is found below newer ones too.
        try self.mvcc.put("k", "v", start: 8, commit: 9)
        #expect(caseName { try self.mvcc.lock("k", start: 5, forUpdateTS: 10) } == "pessimisticLockRolledBack")
        #expect(self.mvcc.lockRecord("k") == nil)
    }

    @Test mutating func comingAgainOnlyMovesTheTimestampForward() throws {
        try self.mvcc.lock("k", start: 5, forUpdateTS: 10)
        try self.mvcc.lock("k", start: 5, forUpdateTS: 8)
        #expect(self.mvcc.lockRecord("k")?.forUpdateTS == 10)
        try self.mvcc.lock("k", start: 5, forUpdateTS: 12)
        #expect(self.mvcc.lockRecord("k")?.forUpdateTS == 12)
        try self.mvcc.prewrite("k", "v", at: 5, forUpdateTS: 12, action: .check)
        #expect(caseName { try self.mvcc.lock("k", start: 5, forUpdateTS: 13) } == "lockTypeNotMatch")
    }

    // MARK: - In spite of a conflict

    @Test mutating func aForcedLockTellsOfTheConflict() throws {
        try self.mvcc.put("k", "v", start: 10, commit: 20)
        let result = try self.mvcc.lock("k", start: 5, forUpdateTS: 15, change: { $0.allowsConflict = true })
        #expect(result == .lockedWithConflict(value: Data("v".utf8), conflictTS: 20))
        let lock = try #require(self.mvcc.lockRecord("k"))
        #expect(lock.forUpdateTS == 20)
        #expect(lock.isLockedWithConflict)
        // Coming again gives the same answer.
        let again = try self.mvcc.lock("k", start: 5, forUpdateTS: 15, change: { $0.allowsConflict = true })
        #expect(again == result)
        #expect(
            try self.mvcc.lock("n", start: 5, forUpdateTS: 15, change: { $0.allowsConflict = true }) == .empty)
    }

    @Test mutating func aForcedLockThatWantsNoKeyConflictsInsteadOfFailing() throws {
        try self.mvcc.put("k", "v", start: 10, commit: 20)
        // With the client's timestamp the key did not exist; it has to look again, not to give up.
        #expect(
            conflictReason {
                try self.mvcc.lock(
                    "k", start: 5, forUpdateTS: 15, mustNotExist: true, change: { $0.allowsConflict = true })
            } == .pessimisticRetry)
        #expect(
            caseName {
                try self.mvcc.lock(
                    "k", start: 5, forUpdateTS: 25, mustNotExist: true, change: { $0.allowsConflict = true })
            } == "alreadyExist")
    }

    @Test mutating func forcedLocksComeOneByOne() throws {
        let command = PessimisticLockCommand(
            items: [.init(key: MVCCHarness.key("a")), .init(key: MVCCHarness.key("b"))],
            parameters: PessimisticLockParameters(
                primary: [], startTS: 1, lockTTL: 1, forUpdateTS: 1, allowsConflict: true))
        #expect(caseName { try self.mvcc.engine.lockPessimistically(command) } == "other")
    }

    // MARK: - Rollback

    @Test mutating func pessimisticRollbackLeavesNoRecord() throws {
        try self.mvcc.lock("k", start: 5, forUpdateTS: 10)
        try self.mvcc.unlock("k", start: 5, forUpdateTS: 9)
        #expect(self.mvcc.lockRecord("k") != nil)
        try self.mvcc.unlock("k", start: 6, forUpdateTS: 10)
        #expect(self.mvcc.lockRecord("k") != nil)
        try self.mvcc.unlock("k", start: 5, forUpdateTS: 10)
        #expect(self.mvcc.lockRecord("k") == nil)
        #expect(self.mvcc.history("k") == [])
        try self.mvcc.prewrite("k", "v", at: 5)
        try self.mvcc.unlock("k", start: 5, forUpdateTS: 10)
        #expect(self.mvcc.lockRecord("k") != nil)
    }

    @Test mutating func aBlockedRequestLocksNothing() throws {
        try self.mvcc.prewrite("b", "v", at: 1)
        let command = PessimisticLockCommand(
            items: [.init(key: MVCCHarness.key("a")), .init(key: MVCCHarness.key("b"))],
            parameters: PessimisticLockParameters(primary: [], startTS: 5, lockTTL: 1, forUpdateTS: 5))
        guard case .blocked(let item, _) = try self.mvcc.engine.lockPessimistically(command).value else {
            Issue.record("not blocked")
            return
        }
        #expect(item.key.raw == MVCCHarness.bytes("b"))
        #expect(self.mvcc.lockRecord("a") == nil)
    }

    // MARK: - Shared locks

    @Test mutating func severalTransactionsShareAKey() throws {
        try self.mvcc.lock("k", primary: "p", start: 5, forUpdateTS: 5, isShared: true)
        try self.mvcc.lock("k", primary: "q", start: 6, forUpdateTS: 6, isShared: true)
        let locks = self.mvcc.engine.store.locks[MVCCHarness.key("k").encoded]
        #expect(locks?.records.map(\.startTS) == [5, 6])
        // Readers do not care, writers wait.
        #expect(try self.mvcc.get("k", at: 10) == nil)
        #expect(caseName { try self.mvcc.prewrite("k", "v", at: 10) } == "keyIsLocked")
        // From now on nobody else may join.
        #expect(caseName { try self.mvcc.lock("k", start: 10, forUpdateTS: 10) } == "keyIsLocked")
        #expect(caseName { try self.mvcc.lock("k", start: 11, forUpdateTS: 11, isShared: true) } == "keyIsLocked")
        try self.mvcc.lock("k", primary: "p", start: 5, forUpdateTS: 12, isShared: true)
        try self.mvcc.unlock("k", start: 6, forUpdateTS: 6)
        try self.mvcc.unlock("k", start: 5, forUpdateTS: 12)
        #expect(self.mvcc.lockRecord("k") == nil)
        try self.mvcc.lock("k", start: 10, forUpdateTS: 10)
        #expect(caseName { try self.mvcc.lock("k", start: 11, forUpdateTS: 11, isShared: true) } == "keyIsLocked")
    }

    @Test mutating func sharedLocksArePrewrittenAndCommittedOneByOne() throws {
        for start: UInt64 in [5, 6] {
            try self.mvcc.lock("k", primary: "p\(start)", start: start, forUpdateTS: start, isShared: true)
        }
        #expect(
            caseName { try self.mvcc.prewrite("k", "v", primary: "p5", at: 5, forUpdateTS: 5, action: .check) }
                == "other")
        for start: UInt64 in [5, 6] {
            try self.mvcc.prewrite(
                "k", nil, primary: "p\(start)", at: start, forUpdateTS: start, action: .check, kind: .sharedLock)
        }
        #expect(
            caseName {
                try self.mvcc.prewrite(
                    "k", nil, primary: "p7", at: 7, forUpdateTS: 7, action: .check, kind: .sharedLock)
            } == "pessimisticLockNotFound")
        try self.mvcc.commit("k", start: 5, at: 10)
        #expect(self.mvcc.engine.store.locks[MVCCHarness.key("k").encoded]?.records.map(\.startTS) == [6])
        try self.mvcc.rollBack("k", start: 6)
        #expect(self.mvcc.engine.store.locks.isEmpty)
        #expect(self.mvcc.history("k") == ["lock@10", "rollback@6"])
    }

    @Test mutating func allSharesAreResolvedTogether() throws {
        for start: UInt64 in [5, 6, 7] {
            try self.mvcc.lock("k", primary: "p\(start)", start: start, forUpdateTS: start, isShared: true)
            try self.mvcc.prewrite(
                "k", nil, primary: "p\(start)", at: start, forUpdateTS: start, action: .check, kind: .sharedLock)
        }
        _ = try self.mvcc.engine.resolve([5: 10, 6: 0, 7: 11], in: EncodedRange())
        #expect(self.mvcc.engine.store.locks.isEmpty)
        #expect(Set(self.mvcc.history("k")) == ["lock@11", "lock@10", "rollback@6"])
        #expect(caseName { try self.mvcc.status("k", 5) } == "none")
    }

    @Test mutating func aSharedKeyIsNeverAPrimary() throws {
        try self.mvcc.lock("k", primary: "p", start: 5, forUpdateTS: 5, isShared: true)
        #expect(caseName { try self.mvcc.status("k", 5) } == "primaryMismatch")
        #expect(
            caseName {
                try self.mvcc.engine.heartBeat(MVCCHarness.key("k"), startTS: 5, adviseTTL: 1, minCommitTS: 0)
            } == "primaryMismatch")
    }
}
