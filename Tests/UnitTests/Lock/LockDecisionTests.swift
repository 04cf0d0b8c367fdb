// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVProto

@testable import TiKV

@Suite
struct LockDecisionTests {
    private func lock(
        start: UInt64 = 1_000 << 18, timeToLive: UInt64 = 3_000, isPessimistic: Bool = false, isAsync: Bool = false,
        minimumCommit: UInt64 = 0, key: String = "k"
    ) -> Lock {
        var info = Kvrpcpb_LockInfo()
        info.key = .init(key.utf8)
        info.primaryLock = .init("p".utf8)
        info.lockVersion = start
        info.lockTtl = timeToLive
        info.lockType = isPessimistic ? .pessimisticLock : .put
        info.useAsyncCommit = isAsync
        info.minCommitTs = minimumCommit
        return Lock(info)
    }

    private func status(_ fill: (inout Kvrpcpb_CheckTxnStatusResponse) -> Void) -> TransactionStatus {
        var response = Kvrpcpb_CheckTxnStatusResponse()
        fill(&response)
        return TransactionStatus(response)
    }

    // MARK: - Status

    @Test
    func answersSayWhatBecameOfATransaction() {
        #expect(self.status { $0.commitVersion = 7 } == .committed(7))
        #expect(self.status { _ in } == .rolledBack)
        #expect(self.status { $0.action = .ttlexpireRollback } == .rolledBack)
        #expect(self.status { $0.action = .lockNotExistRollback } == .rolledBack)
        #expect(self.status { $0.action = .lockNotExistDoNothing } == .primaryIsGone)
        #expect(self.status { $0.action = .ttlexpirePessimisticRollback } == .primaryIsGone)
        #expect(self.status { $0.lockTtl = 5 } == .alive(timeToLive: 5, isPushed: false, primary: nil))
        let pushed = self.status {
            $0.lockTtl = 5
            $0.action = .minCommitTspushed
        }
        #expect(pushed == .alive(timeToLive: 5, isPushed: true, primary: nil))
    }

    @Test
    func onlyFinalStatusesAreRememberedAndNotTooMany() {
        var cache = TransactionStatusCache(capacity: 3)
        cache.insert(.alive(timeToLive: 1, isPushed: false, primary: nil), for: 1)
        cache.insert(.primaryIsGone, for: 1)
        #expect(cache[1] == nil)
        for start in 1...5 as ClosedRange<UInt64> { cache.insert(.committed(start * 10), for: start) }
        #expect(cache.count == 3)
        #expect(cache[2] == nil)
        #expect(cache[3] == .committed(30))
        #expect(cache[5] == .committed(50))
        cache.insert(.rolledBack, for: 5)
        #expect(cache.count == 3)
    }

    // MARK: - Verdicts

    @Test
    func readersGoOnWhereTheLockCannotConcernThem() {
        let lock = self.lock()
        let read = LockPurpose.read(at: 2_000 << 18)
        let now: UInt64 = 1_500
        #expect(LockVerdict(lock, .committed(3_000 << 18), read, now: now).passage == .ignore)
        #expect(LockVerdict(lock, .committed(2_000 << 18), read, now: now).passage == .readThrough)
        #expect(LockVerdict(lock, .rolledBack, read, now: now).passage == .ignore)
        let pushed = TransactionStatus.alive(timeToLive: 3_000, isPushed: true, primary: nil)
        #expect(LockVerdict(lock, pushed, read, now: now).passage == .ignore)
        #expect(LockVerdict(lock, pushed, read, now: now).cleanup == .nothing)
        let alive = TransactionStatus.alive(timeToLive: 3_000, isPushed: false, primary: nil)
        #expect(LockVerdict(lock, alive, read, now: now).passage == .wait(2_500))
        #expect(LockVerdict(lock, .committed(3_000 << 18), read, now: now).cleanup == .commit(3_000 << 18))
        #expect(LockVerdict(lock, .rolledBack, read, now: now).cleanup == .rollBack)
    }

    @Test
    func writersWaitUntilTheLockIsGone() {
        let lock = self.lock()
        let write = LockPurpose.write(start: 2_000 << 18)
        #expect(LockVerdict(lock, .committed(5), write, now: 1_500).passage == .afterCleanup)
        #expect(LockVerdict(lock, .rolledBack, write, now: 1_500).passage == .afterCleanup)
        // A push is of no use to a writer.
        let pushed = TransactionStatus.alive(timeToLive: 3_000, isPushed: true, primary: nil)
        #expect(LockVerdict(lock, pushed, write, now: 1_500).passage == .wait(2_500))
        #expect(LockVerdict(lock, pushed, write, now: 9_000).passage == .wait(0))
        #expect(write.callerStart == 0)
        #expect(LockPurpose.read(at: 7).callerStart == 7)
    }

    @Test
    func pessimisticLocksAreTakenBack() {
        let lock = self.lock(isPessimistic: true)
        let write = LockPurpose.write(start: 1)
        #expect(LockVerdict(lock, .primaryIsGone, write, now: 0).cleanup == .rollBackPessimistic)
        #expect(LockVerdict(lock, .primaryIsGone, write, now: 0).passage == .afterCleanup)
        #expect(LockVerdict(lock, .rolledBack, write, now: 0).cleanup == .rollBackPessimistic)
        #expect(LockVerdict(lock, .committed(9), write, now: 0).cleanup == .rollBackPessimistic)
        // Another lock may not be touched as long as nothing is decided.
        #expect(LockVerdict(self.lock(), .primaryIsGone, write, now: 0).cleanup == .nothing)
    }

    @Test
    func anExpiredAsynchronousCommitIsFoundOut() {
        let primary = self.lock(isAsync: true)
        let status = TransactionStatus.alive(timeToLive: 3_000, isPushed: false, primary: primary)
        let read = LockPurpose.read(at: 1)
        #expect(LockVerdict(primary, status, read, now: 3_999).passage == .wait(1))
        #expect(LockVerdict(primary, status, read, now: 4_000).cleanup == .checkSecondaries)
        #expect(LockVerdict(primary, status, read, now: 4_000, isSyncForced: true).cleanup == .nothing)
    }

    @Test
    func locksExpireByPDsClock() {
        #expect(LockVerdict.rest(of: 1_000 << 18, 500, now: 1_200) == 300)
        #expect(LockVerdict.rest(of: 1_000 << 18, 500, now: 1_500) == 0)
        #expect(LockVerdict.rest(of: 1_000 << 18, .max, now: 1_500) == .max)
    }

    // MARK: - Asynchronous commits

    @Test
    func allSecondariesLockedIsACommitAtTheLatestOfTheirTimestamps() throws {
        var check = SecondaryCheck(primary: self.lock(isAsync: true, minimumCommit: 10))
        try check.received(
            [
                self.lock(isAsync: true, minimumCommit: 12, key: "a"),
                self.lock(isAsync: true, minimumCommit: 11, key: "b"),
            ],
            expected: 2, commit: 0)
        #expect(check.status == .committed(12))
        #expect(check.locked == [bytes("a"), bytes("b")])
    }

    @Test
    func aMissingSecondaryDecides() throws {
        var rolledBack = SecondaryCheck(primary: self.lock(isAsync: true, minimumCommit: 10))
        try rolledBack.received([], expected: 1, commit: 0)
        #expect(rolledBack.status == .rolledBack)
        try rolledBack.received([self.lock(isAsync: true, minimumCommit: 99)], expected: 1, commit: 0)
        #expect(rolledBack.status == .rolledBack)

        var committed = SecondaryCheck(primary: self.lock(isAsync: true, minimumCommit: 10))
        try committed.received([], expected: 1, commit: 15)
        #expect(committed.status == .committed(15))
        #expect(throws: SecondaryCheck.Failure.contradiction) {
            try committed.received([], expected: 1, commit: 16)
        }
        #expect(throws: SecondaryCheck.Failure.isNotAsync) {
            try committed.received([self.lock()], expected: 1, commit: 0)
        }
    }

    // MARK: - Errors

    private func reaction(_ fill: (inout Kvrpcpb_KeyError) -> Void) -> KeyErrorReaction {
        var error = Kvrpcpb_KeyError()
        fill(&error)
        return KeyErrorReaction(error, start: 5)
    }

    private func failure(_ fill: (inout Kvrpcpb_KeyError) -> Void) -> TiKVError? {
        if case .fail(let error) = self.reaction(fill) { error } else { nil }
    }

    @Test
    func conflictsKeepTheirDetailsAndHideTheirKeys() throws {
        let error = try #require(
            self.failure {
                $0.conflict.startTs = 5
                $0.conflict.conflictTs = 6
                $0.conflict.conflictCommitTs = 7
                $0.conflict.key = .init("secret".utf8)
                $0.conflict.reason = .optimistic
            })
        #expect(error.code == .writeConflict)
        #expect(error.isRetryable)
        let conflict = try #require(error.transaction?.conflict)
        #expect(conflict.key == "secret")
        #expect(conflict.startTimestamp == 6)
        #expect(conflict.commitTimestamp == 7)
        #expect(conflict.reason == .optimistic)
        #expect(!error.description.contains("secret"))
        #expect(!(error.transaction?.description.contains("secret") ?? true))
        #expect(error.debugDescription.contains("secret"))
    }

    @Test
    func deadlocksNameTheCircle() throws {
        let error = try #require(
            self.failure {
                $0.deadlock.lockTs = 8
                $0.deadlock.lockKey = .init("a".utf8)
                var wait = Deadlock_WaitForEntry()
                wait.txn = 5
                wait.waitForTxn = 8
                wait.key = .init("a".utf8)
                $0.deadlock.waitChain = [wait]
            })
        #expect(error.code == .deadlock)
        #expect(error.isRetryable)
        #expect(error.transaction?.deadlock?.holder == 8)
        #expect(error.transaction?.deadlock?.waits == [.init(transaction: 5, holder: 8, key: "a")])
    }

    @Test
    func otherErrorsHaveTheirCodes() {
        #expect(self.failure { $0.alreadyExist.key = .init("k".utf8) }?.code == .keyAlreadyExists)
        #expect(self.failure { $0.alreadyExist.key = .init("k".utf8) }?.transaction?.key == "k")
        #expect(self.failure { $0.assertionFailed.assertion = .exist }?.code == .assertionFailed)
        #expect(self.failure { $0.assertionFailed.assertion = .exist }?.isRetryable == false)
        #expect(self.failure { $0.retryable = "again" }?.code == .writeConflict)
        #expect(self.failure { $0.retryable = "again" }?.isRetryable == true)
        #expect(self.failure { $0.abort = "no" }?.code == .transactionRolledBack)
        #expect(self.failure { $0.commitTsTooLarge.commitTs = 1 }?.code == .serverError)
        #expect(self.failure { _ in }?.code == .serverError)
        guard case .commitLater(9) = self.reaction({ $0.commitTsExpired.minCommitTs = 9 }) else {
            Issue.record("not later")
            return
        }
        guard case .transactionNotFound = self.reaction({ $0.txnNotFound.startTs = 1 }) else {
            Issue.record("not unknown")
            return
        }
        guard case .lockNotFound = self.reaction({ $0.txnLockNotFound.key = .init("k".utf8) }) else {
            Issue.record("not gone")
            return
        }
    }

    /// Versions and locks of the key are told to whoever looks at everything: keys and values are in them.
    @Test
    func whatTheStoreSaysToFindTheReasonIsKeptApart() throws {
        let error = try #require(
            self.failure {
                $0.conflict.key = .init("k".utf8)
                var info = Kvrpcpb_MvccDebugInfo()
                info.key = .init("secret".utf8)
                $0.debugInfo.mvccInfo = [info]
            })
        #expect(error.code == .writeConflict)
        #expect(!"\(error)".contains("secret"))
        #expect(error.debugDescription.contains("secret"))
        #expect(self.failure { $0.conflict.key = .init("k".utf8) }?.detail == "")
    }

    @Test
    func ofASharedLockEachHolderCounts() {
        let reaction = self.reaction {
            $0.locked.key = .init("k".utf8)
            for start in 1...2 as ClosedRange<UInt64> {
                var inner = Kvrpcpb_LockInfo()
                inner.lockVersion = start
                $0.locked.sharedLockInfos.append(inner)
            }
        }
        guard case .resolve(let locks) = reaction else {
            Issue.record("nothing to resolve")
            return
        }
        #expect(locks.map(\.start) == [1, 2])
        #expect(locks.map(\.key) == [bytes("k"), bytes("k")])
    }
}
