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

@Suite struct PrewriteTests {
    private var mvcc = MVCCHarness()

    // MARK: - Optimistic

    @Test mutating func leavesALockThatHidesTheValue() throws {
        try self.mvcc.prewrite("k", "v", primary: "p", at: 10, ttl: 300, change: { $0.txnSize = 7 })
        let lock = try #require(self.mvcc.lockRecord("k"))
        #expect(lock.kind == .put)
        #expect(lock.primary == MVCCHarness.bytes("p"))
        #expect((lock.startTS, lock.ttl, lock.txnSize) == (10, 300, 7))
        #expect(lock.shortValue == Data("v".utf8))
        #expect(try self.mvcc.get("k", at: 9) == nil)
        #expect(caseName { try self.mvcc.get("k", at: 10) } == "keyIsLocked")
    }

    @Test mutating func longValuesAreKeptBesideTheRecords() throws {
        let value = String(repeating: "x", count: 256)
        try self.mvcc.put("k", value, start: 5, commit: 6)
        #expect(self.mvcc.engine.store.values.count == 1)
        #expect(self.mvcc.versions("k").first?.write.shortValue == nil)
        #expect(try self.mvcc.get("k", at: 6) == value)
        try self.mvcc.put("k", String(value.dropLast()), start: 7, commit: 8)
        #expect(self.mvcc.engine.store.values.count == 1)
        #expect(try self.mvcc.get("k", at: 8)?.count == 255)
        #expect(try self.mvcc.get("k", at: 7)?.count == 256)
    }

    @Test mutating func aNewerCommitIsAConflict() throws {
        try self.mvcc.put("k", "v", start: 10, commit: 20)
        let error = self.mvcc.error { try self.mvcc.prewrite("k", "w", primary: "p", at: 15) }
        #expect(
            error
                == .writeConflict(
                    startTS: 15, conflictStartTS: 10, conflictCommitTS: 20, key: MVCCHarness.bytes("k"),
                    primary: MVCCHarness.bytes("p"), reason: .optimistic))
        // Any record counts, also one without a value.
        try self.mvcc.rollBack("k", start: 30)
        #expect(conflictReason { try self.mvcc.prewrite("k", "w", at: 25) } == .optimistic)
        try self.mvcc.prewrite("k", "w", at: 31)
    }

    @Test mutating func aLockOfSomebodyElseIsInTheWay() throws {
        try self.mvcc.prewrite("k", "v", at: 10, ttl: 100)
        guard case .keyIsLocked(let lock)? = self.mvcc.error({ try self.mvcc.prewrite("k", "w", at: 20) }) else {
            Issue.record("not locked")
            return
        }
        #expect(lock.holders == [10])
        #expect(lock.lock.records.first?.ttl == 100)
    }

    @Test mutating func comingAgainChangesNothing() throws {
        try self.mvcc.prewrite("k", "v", at: 10)
        try self.mvcc.prewrite("k", "w", at: 10)
        #expect(self.mvcc.lockRecord("k")?.shortValue == Data("v".utf8))
    }

    @Test mutating func comingAgainAfterTheCommitSucceeds() throws {
        try self.mvcc.put("k", "v", start: 10, commit: 20)
        try self.mvcc.put("k", "w", start: 30, commit: 40)
        let result = try self.mvcc.prewrite("k", "v", at: 10)
        #expect(result == PrewriteCommand.Result())
        #expect(self.mvcc.lockRecord("k") == nil)
        // The same where somebody else has locked the key by now.
        try self.mvcc.prewrite("k", "x", at: 50)
        #expect(try self.mvcc.prewrite("k", "v", at: 10) == PrewriteCommand.Result())
        #expect(self.mvcc.lockRecord("k")?.startTS == 50)
    }

    @Test mutating func aTransactionThatIsRolledBackCannotPrewrite() throws {
        try self.mvcc.rollBack("k", start: 10)
        #expect(conflictReason { try self.mvcc.prewrite("k", "v", at: 10) } == .selfRolledBack)
    }

    @Test mutating func oneLockInTheWayKeepsAllOthersBack() throws {
        try self.mvcc.prewrite("b", "v", at: 10)
        let mutations = ["a", "b", "c"].map { Mutation(kind: .put, key: MVCCHarness.key($0)) }
        let command = PrewriteCommand(mutations: mutations, primary: MVCCHarness.bytes("a"), startTS: 20)
        let result = try self.mvcc.engine.prewrite(command).value
        #expect(result.locks.count == 1)
        #expect(self.mvcc.lockRecord("a") == nil)
        #expect(self.mvcc.lockRecord("c") == nil)
    }

    // MARK: - Kinds of mutations

    @Test mutating func insertWantsTheKeyNotToExist() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        #expect(caseName { try self.mvcc.prewrite("k", "w", at: 3, kind: .insert) } == "alreadyExist")
        try self.mvcc.put("k", nil, start: 4, commit: 5)
        try self.mvcc.prewrite("k", "w", at: 6, kind: .insert)
        try self.mvcc.commit("k", start: 6, at: 7)
        #expect(try self.mvcc.get("k", at: 7) == "w")
        // Locks and rollbacks above do not hide it.
        try self.mvcc.prewrite("k", nil, at: 8, kind: .lock)
        try self.mvcc.commit("k", start: 8, at: 9)
        try self.mvcc.rollBack("k", start: 10)
        #expect(caseName { try self.mvcc.prewrite("k", "x", at: 11, kind: .insert) } == "alreadyExist")
    }

    @Test mutating func checkNotExistsLeavesNoLock() throws {
        try self.mvcc.prewrite("k", nil, at: 5, kind: .checkNotExists)
        #expect(self.mvcc.lockRecord("k") == nil)
        // It has read the key, so that nobody may commit below it any more.
        #expect(self.mvcc.engine.maxTS == 5)
        try self.mvcc.put("k", "v", start: 6, commit: 7)
        #expect(caseName { try self.mvcc.prewrite("k", nil, at: 8, kind: .checkNotExists) } == "alreadyExist")
        #expect(
            caseName { try self.mvcc.prewrite("k", nil, at: 8, forUpdateTS: 8, kind: .checkNotExists) } == "other")
    }

    @Test mutating func aLockMutationWritesNothing() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        try self.mvcc.prewrite("k", nil, at: 3, kind: .lock)
        #expect(try self.mvcc.get("k", at: 3) == "v")
        try self.mvcc.commit("k", start: 3, at: 4)
        #expect(self.mvcc.history("k") == ["lock@4", "put@2"])
        #expect(try self.mvcc.get("k", at: 5) == "v")
    }

    @Test mutating func aSkippedCheckOverwritesWhatIsNewer() throws {
        try self.mvcc.put("k", "v", start: 10, commit: 20)
        try self.mvcc.prewrite("k", "w", at: 15, change: { $0.skipsConstraintCheck = true })
        #expect(self.mvcc.lockRecord("k")?.startTS == 15)
    }

    // MARK: - Assertions

    @Test mutating func assertionsAreChecked() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        for level in [AssertionLevel.fast, .strict] {
            let error = self.mvcc.error {
                try self.mvcc.prewrite("k", "w", at: 5, assertion: .notExist, level: level)
            }
            #expect(
                error
                    == .assertionFailed(
                        startTS: 5, key: MVCCHarness.bytes("k"), assertion: .notExist, existingStartTS: 1,
                        existingCommitTS: 2))
            #expect(
                caseName { try self.mvcc.prewrite("n", "w", at: 5, assertion: .exist, level: level) }
                    == "assertionFailed")
        }
        try self.mvcc.prewrite("k", "w", at: 5, assertion: .notExist, level: .off)
        try self.mvcc.prewrite("n", "w", at: 5, assertion: .notExist, level: .strict)
    }

    @Test mutating func assertionsLookThroughLocksAndRollbacks() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        try self.mvcc.prewrite("k", nil, at: 3, kind: .lock)
        try self.mvcc.commit("k", start: 3, at: 4)
        try self.mvcc.prewrite("k", "w", at: 5, assertion: .exist, level: .strict)
        try self.mvcc.rollBack("k", start: 5)
        #expect(
            caseName { try self.mvcc.prewrite("k", "w", at: 6, assertion: .notExist, level: .strict) }
                == "assertionFailed")
        try self.mvcc.put("k", nil, start: 7, commit: 8)
        #expect(
            caseName { try self.mvcc.prewrite("k", "w", at: 9, assertion: .exist, level: .strict) }
                == "assertionFailed")
    }

    @Test mutating func fastAssertionsNeedNoReadOfTheirOwn() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        try self.mvcc.lock("k", start: 5, forUpdateTS: 5)
        // The key is locked, so that its versions are not looked at; strict ones look all the same.
        #expect(
            caseName {
                try self.mvcc.prewrite(
                    "k", "w", at: 5, forUpdateTS: 5, action: .check, assertion: .notExist, level: .strict)
            } == "assertionFailed")
        try self.mvcc.prewrite("k", "w", at: 5, forUpdateTS: 5, action: .check, assertion: .notExist, level: .fast)
    }

    @Test mutating func aLockIsABetterAnswerThanAFailedAssertion() throws {
        try self.mvcc.prewrite("b", "v", at: 1)
        var first = Mutation(kind: .put, key: MVCCHarness.key("a"))
        first.assertion = .exist
        let command = PrewriteCommand(
            mutations: [first, Mutation(kind: .put, key: MVCCHarness.key("b"))], primary: MVCCHarness.bytes("a"),
            startTS: 5, assertionLevel: .strict)
        #expect(caseName { try self.mvcc.engine.prewrite(command) } == "assertionFailed")
    }

    // MARK: - Pessimistic

    @Test mutating func aPessimisticLockBecomesAPrewrittenOne() throws {
        try self.mvcc.lock("k", start: 5, forUpdateTS: 8, change: { $0.minCommitTS = 9 })
        try self.mvcc.prewrite("k", "v", at: 5, forUpdateTS: 6, action: .check, ttl: 10)
        let lock = try #require(self.mvcc.lockRecord("k"))
        #expect(lock.kind == .put)
        // What has been promised for the lock stays promised.
        #expect((lock.forUpdateTS, lock.minCommitTS, lock.ttl) == (8, 9, 3000))
    }

    @Test mutating func aLostLockIsMadeUpForAsLongAsNothingHasHappened() throws {
        try self.mvcc.put("k", "v", start: 1, commit: 2)
        try self.mvcc.prewrite("k", "w", at: 5, forUpdateTS: 5, action: .check)
        #expect(self.mvcc.lockRecord("k")?.startTS == 5)
        try self.mvcc.rollBack("k", start: 5)
        try self.mvcc.put("k", "x", start: 8, commit: 9)
        guard
            case .pessimisticLockNotFound(7, _, .lockMissingAmendFail)? = self.mvcc.error({
                try self.mvcc.prewrite("k", "w", at: 7, forUpdateTS: 12, action: .check)
            })
        else {
            Issue.record("a key that has changed was prewritten")
            return
        }
    }

    @Test mutating func anotherLockInPlaceOfOursIsALostOne() throws {
        try self.mvcc.prewrite("k", "v", at: 1)
        guard
            case .pessimisticLockNotFound(5, _, .lockTSMismatch)? = self.mvcc.error({
                try self.mvcc.prewrite("k", "w", at: 5, forUpdateTS: 5, action: .check)
            })
        else {
            Issue.record("another lock was taken for ours")
            return
        }
        // A key that was not to be locked before only has to wait, and whoever holds it may be removed at once.
        guard
            case .keyIsLocked(let lock)? = self.mvcc.error({
                try self.mvcc.prewrite("k", "w", at: 5, forUpdateTS: 5, action: .skip, ttl: 5)
            })
        else {
            Issue.record("not locked")
            return
        }
        #expect(lock.lock.records.first?.ttl == 0)
    }

    @Test mutating func theLockHasToBeTheExpectedOne() throws {
        try self.mvcc.put("k", "v", start: 6, commit: 7)
        try self.mvcc.lock("k", start: 5, forUpdateTS: 5, change: { $0.allowsConflict = true })
        #expect(self.mvcc.lockRecord("k")?.forUpdateTS == 7)
        #expect(
            caseName {
                try self.mvcc.prewrite(
                    "k", "w", at: 5, forUpdateTS: 5, action: .check,
                    change: { $0.mutations[0].expectedForUpdateTS = 5 })
            } == "pessimisticLockNotFound")
        try self.mvcc.prewrite(
            "k", "w", at: 5, forUpdateTS: 5, action: .check, change: { $0.mutations[0].expectedForUpdateTS = 7 })
    }

    @Test mutating func keysThatWereNotLockedAreNotCheckedUnlessAsked() throws {
        try self.mvcc.put("k", "v", start: 8, commit: 9)
        #expect(
            conflictReason {
                try self.mvcc.prewrite("k", "w", at: 5, forUpdateTS: 20, action: .constraintCheck)
            } == .lazyUniquenessCheck)
        // A repeated request may meet its own commit, or what came after it.
        #expect(
            caseName { try self.mvcc.prewrite("k", "w", at: 5, forUpdateTS: 5, action: .skip, isRetry: true) }
                == "pessimisticLockNotFound")
        try self.mvcc.prewrite("k", "w", at: 5, forUpdateTS: 5, action: .skip)
    }

    @Test mutating func aRepeatedPrewriteOfACommittedTransactionIsKnown() throws {
        try self.mvcc.lock("k", start: 5, forUpdateTS: 5)
        try self.mvcc.prewrite("k", "v", at: 5, forUpdateTS: 5, action: .check)
        try self.mvcc.prewrite("i", "v", primary: "k", at: 5, forUpdateTS: 5, action: .skip)
        try self.mvcc.commit("k", "i", start: 5, at: 9)
        // Nobody marked it as a repetition; that the transaction is committed is enough.
        try self.mvcc.prewrite("i", "v", primary: "k", at: 5, forUpdateTS: 5, action: .skip)
        #expect(self.mvcc.lockRecord("i") == nil)
    }

    @Test mutating func anOptimisticPrewriteMeetsItsOwnPessimisticLock() throws {
        try self.mvcc.lock("k", start: 5, forUpdateTS: 5)
        #expect(caseName { try self.mvcc.prewrite("k", "v", at: 5) } == "lockTypeNotMatch")
    }

    // MARK: - Async commit and one phase

    @Test mutating func asyncCommitGoesAboveAllReads() throws {
        self.mvcc.engine.raiseMaxTS(to: 100)
        let result = try self.mvcc.prewrite("k", "v", at: 10, change: { $0.secondaries = [MVCCHarness.bytes("s")] })
        #expect(result.minCommitTS == 101)
        let lock = try #require(self.mvcc.lockRecord("k"))
        #expect(lock.usesAsyncCommit)
        #expect(lock.minCommitTS == 101)
        #expect(lock.secondaries == [MVCCHarness.bytes("s")])
        // The other keys have no list.
        try self.mvcc.prewrite("s", "v", primary: "k", at: 10, change: { $0.secondaries = [MVCCHarness.bytes("s")] })
        #expect(self.mvcc.lockRecord("s")?.secondaries == [])
        #expect(self.mvcc.lockRecord("s")?.usesAsyncCommit == true)
        // Coming again says the same.
        let again = try self.mvcc.prewrite("k", "v", at: 10, change: { $0.secondaries = [MVCCHarness.bytes("s")] })
        #expect(again.minCommitTS == 101)
        #expect(try self.mvcc.get("k", at: 100) == nil)
        #expect(caseName { try self.mvcc.get("k", at: 101) } == "keyIsLocked")
    }

    @Test mutating func readsOfTheNewestVersionAreNoTimestamp() throws {
        self.mvcc.engine.raiseMaxTS(to: .max)
        #expect(self.mvcc.engine.maxTS == 0)
    }

    @Test mutating func tooLateForTheLimitFallsBackToTwoPhases() throws {
        self.mvcc.engine.raiseMaxTS(to: 100)
        let result = try self.mvcc.prewrite(
            "k", "v", at: 10,
            change: {
                $0.secondaries = []
                $0.maxCommitTS = 50
            })
        #expect(result.minCommitTS == 0)
        #expect(self.mvcc.lockRecord("k")?.usesAsyncCommit == false)
        let onePhase = try self.mvcc.prewrite(
            "o", "v", at: 10,
            change: {
                $0.triesOnePhase = true
                $0.maxCommitTS = 50
            })
        #expect(onePhase.onePhaseCommitTS == 0)
        #expect(self.mvcc.lockRecord("o") != nil)
        // Coming again, it is still so.
        let again = try self.mvcc.prewrite("k", "v", at: 10, change: { $0.secondaries = [] })
        #expect(again.minCommitTS == 0)
    }

    @Test mutating func onePhaseCommitsAtOnce() throws {
        self.mvcc.engine.raiseMaxTS(to: 100)
        let result = try self.mvcc.prewrite("k", "v", at: 10, change: { $0.triesOnePhase = true })
        #expect(result.onePhaseCommitTS == 101)
        #expect(self.mvcc.lockRecord("k") == nil)
        #expect(self.mvcc.history("k") == ["put@101"])
        // A repetition gets the same answer.
        try self.mvcc.put("k", "w", start: 200, commit: 201)
        let again = try self.mvcc.prewrite("k", "v", at: 10, change: { $0.triesOnePhase = true })
        #expect(again.onePhaseCommitTS == 101)
    }

    @Test mutating func onePhaseReplacesThePessimisticLock() throws {
        try self.mvcc.lock("k", start: 10, forUpdateTS: 30)
        let command = PrewriteCommand(
            mutations: [Mutation(kind: .put, key: MVCCHarness.key("k"), pessimisticAction: .check)],
            primary: MVCCHarness.bytes("k"), startTS: 10, forUpdateTS: 30, triesOnePhase: true)
        let outcome = try self.mvcc.engine.prewrite(command)
        #expect(outcome.value.onePhaseCommitTS == 31)
        #expect(outcome.released.map(\.commitTS) == [31])
        #expect(self.mvcc.lockRecord("k") == nil)
    }

    // MARK: - Pipelined

    @Test mutating func laterFlushesReplaceEarlierOnes() throws {
        func flush(_ value: String, _ generation: UInt64, _ mvcc: inout MVCCHarness) throws -> Int {
            let command = FlushCommand(
                mutations: [Mutation(kind: .put, key: MVCCHarness.key("k"), value: Data(value.utf8))],
                primary: MVCCHarness.bytes("k"), startTS: 10, generation: generation)
            return try mvcc.engine.flush(command).value.count
        }
        #expect(try flush("a", 1, &self.mvcc) == 0)
        #expect(try flush("b", 3, &self.mvcc) == 0)
        // One that comes late is of no effect.
        #expect(try flush("c", 2, &self.mvcc) == 0)
        let lock = try #require(self.mvcc.lockRecord("k"))
        #expect(lock.shortValue == Data("b".utf8))
        #expect((lock.generation, lock.minCommitTS, lock.txnSize) == (3, 11, .max))
        #expect(caseName { try flush("d", 0, &self.mvcc) } == "other")
        // Its rollback is protected wherever it is.
        try self.mvcc.rollBack("k", start: 10)
        #expect(conflictReason { try flush("e", 4, &self.mvcc) } == .selfRolledBack)
        #expect(self.mvcc.versions("k").first?.write.isProtected == true)
    }
}
