// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKV

@Suite
struct CommitProtocolTests {
    private static let a: [UInt8] = [1]
    private static let b: [UInt8] = [2]

    private func facts(_ change: (inout CommitProtocol.Facts) -> Void = { _ in }) -> CommitProtocol.Facts {
        var facts = CommitProtocol.Facts(keyCount: 2, keySize: 2)
        change(&facts)
        return facts
    }

    private func chosen(
        async: Bool = false, onePhase: Bool = false, keyLimit: Int = 256, keySizeLimit: Int = 4_096,
        _ change: (inout CommitProtocol.Facts) -> Void = { _ in }
    ) -> CommitProtocol {
        CommitProtocol(
            self.facts(change), wantsAsync: async, wantsOnePhase: onePhase, keyLimit: keyLimit,
            keySizeLimit: keySizeLimit)
    }

    /// One whose prewrite begins.
    private func begun(async: Bool = false, onePhase: Bool = false) -> CommitProtocol {
        var progress = self.chosen(async: async, onePhase: onePhase)
        progress.begin(minimumCommit: 100, maximumCommit: 200)
        progress.sends()
        return progress
    }

    // MARK: - The choice

    @Test
    func nothingIsDoneUnasked() {
        #expect(!self.chosen().isActive)
        #expect(!CommitProtocol().isActive)
        #expect(CommitProtocol().outcome == .twoPhase(isInDoubt: false))
        #expect(self.chosen(async: true).isAsync)
        #expect(!self.chosen(async: true).isOnePhase)
        #expect(self.chosen(onePhase: true).isOnePhase)
        #expect(!self.chosen(onePhase: true).isAsync)
    }

    @Test
    func limitsOfAsynchronousCommitsAreInclusive() {
        func isAsync(_ keys: Int, _ size: Int) -> Bool {
            self.chosen(async: true, keyLimit: 16, keySizeLimit: 80) {
                $0.keyCount = keys
                $0.keySize = size
            }.isAsync
        }
        #expect(isAsync(16, 80))
        #expect(!isAsync(17, 80))
        #expect(!isAsync(16, 81))
        // They are not those of one phase.
        #expect(self.chosen(onePhase: true, keyLimit: 1, keySizeLimit: 1).isOnePhase)
    }

    @Test
    func whatOthersMustBeAbleToLookUpIsLocked() {
        #expect(!self.chosen(async: true) { $0.locksAll = false }.isActive)
        #expect(self.chosen(onePhase: true) { $0.locksAll = false }.isOnePhase)
    }

    @Test
    func whatCanNotBeDecidedByPrewriteIsCommittedInTwoPhases() {
        for change: (inout CommitProtocol.Facts) -> Void in [
            { $0.hasSharedLocks = true }, { $0.isDecidedLate = true }, { $0.isLocal = true }, { $0.keyCount = 0 },
        ] {
            #expect(!self.chosen(async: true, onePhase: true, change).isActive)
        }
        let large = self.chosen(async: true, onePhase: true) { $0.fitsOneRequest = false }
        #expect(large.isAsync && !large.isOnePhase)
    }

    @Test
    func aMaximumBelowTheMinimumNeedsNoRequest() {
        var progress = self.chosen(async: true, onePhase: true)
        progress.begin(minimumCommit: 201, maximumCommit: 200)
        #expect(!progress.isActive)
        var equal = self.chosen(async: true)
        equal.begin(minimumCommit: 200, maximumCommit: 200)
        #expect(equal.isActive)
    }

    // MARK: - Success

    @Test
    func theLatestOfTheLeastTimestampsIsTheCommit() {
        var progress = self.begun(async: true)
        progress.locked([Self.a], minimumCommit: 150, onePhaseCommit: 0)
        progress.locked([Self.b], minimumCommit: 120, onePhaseCommit: 0)
        #expect(progress.outcome == .async(150))
    }

    @Test
    func oneAnswerIsTheCommitInOnePhase() {
        var progress = self.begun(async: true, onePhase: true)
        progress.locked([Self.a, Self.b], minimumCommit: 150, onePhaseCommit: 150)
        #expect(progress.outcome == .onePhase(150))
    }

    @Test
    func keysOfSeveralRequestsAreNotCommittedInOnePhase() {
        var both = self.begun(async: true, onePhase: true)
        both.cut()
        #expect(both.isAsync && !both.isOnePhase)
        both.locked([Self.a], minimumCommit: 150, onePhaseCommit: 0)
        both.locked([Self.b], minimumCommit: 160, onePhaseCommit: 0)
        #expect(both.outcome == .async(160))
        var one = self.begun(onePhase: true)
        one.cut()
        #expect(one.outcome == .twoPhase(isInDoubt: false))
        // What is not wanted is not brought about.
        var plain = CommitProtocol()
        plain.cut()
        #expect(plain.outcome == .twoPhase(isInDoubt: false))
    }

    // MARK: - Falling back

    @Test
    func oneStoreThatFallsBackIsEnough() {
        var progress = self.begun(async: true)
        progress.locked([Self.a], minimumCommit: 150, onePhaseCommit: 0)
        progress.locked([Self.b], minimumCommit: 0, onePhaseCommit: 0)
        #expect(progress.outcome == .twoPhase(isInDoubt: false))
        #expect(!progress.mayBeCommitted)
        // Those that come later do not bring it back.
        progress.locked([Self.a], minimumCommit: 170, onePhaseCommit: 0)
        #expect(progress.outcome == .twoPhase(isInDoubt: false))
    }

    @Test
    func onePhaseFallsBackToTwoAtOnce() {
        var progress = self.begun(async: true, onePhase: true)
        progress.locked([Self.a, Self.b], minimumCommit: 0, onePhaseCommit: 0)
        #expect(progress.outcome == .twoPhase(isInDoubt: false))
        #expect(!progress.isActive)
    }

    // MARK: - Failure

    @Test
    func aKeyThatWasNeverReachedKeepsItFromBeingCommitted() {
        var progress = self.begun(async: true)
        progress.locked([Self.a], minimumCommit: 150, onePhaseCommit: 0)
        #expect(!progress.mayBeCommitted)
        #expect(progress.needsSeal)
        progress.mayHaveLocked([Self.b])
        #expect(progress.mayBeCommitted)
    }

    @Test
    func aRequestWithoutAnAnswerMayHaveCommitted() {
        for (async, onePhase) in [(true, false), (false, true), (true, true)] {
            var progress = self.begun(async: async, onePhase: onePhase)
            #expect(!progress.mayBeCommitted)
            progress.mayHaveLocked([Self.a, Self.b])
            #expect(progress.mayBeCommitted)
        }
        var plain = CommitProtocol(
            self.facts(), wantsAsync: false, wantsOnePhase: false, keyLimit: 256, keySizeLimit: 4_096)
        plain.sends()
        plain.mayHaveLocked([Self.a, Self.b])
        #expect(!plain.mayBeCommitted)
        #expect(!plain.needsSeal)
    }

    @Test
    func aRefusalForGoodSettlesIt() {
        var progress = self.begun(async: true)
        progress.mayHaveLocked([Self.a, Self.b])
        progress.refused()
        #expect(!progress.mayBeCommitted)
        #expect(!progress.needsSeal)
    }

    /// The first request may have committed it in one phase; those that follow ask for plain locks and can't tell.
    @Test
    func aLostCommitInOnePhaseLeavesADoubtBehind() {
        var progress = self.begun(onePhase: true)
        progress.mayHaveLocked([Self.a, Self.b])
        progress.cut()
        #expect(progress.outcome == .twoPhase(isInDoubt: true))
        #expect(progress.mayBeCommitted)
        progress.settled()
        #expect(progress.outcome == .twoPhase(isInDoubt: false))
        #expect(!progress.mayBeCommitted)
        // Asynchronous locks tell.
        var both = self.begun(async: true, onePhase: true)
        both.mayHaveLocked([Self.a, Self.b])
        both.cut()
        both.locked([Self.a], minimumCommit: 150, onePhaseCommit: 0)
        both.locked([Self.b], minimumCommit: 150, onePhaseCommit: 0)
        #expect(both.outcome == .async(150))
    }

    @Test
    func nothingIsOpenBeforeARequestIsSent() {
        var progress = self.chosen(async: true)
        progress.begin(minimumCommit: 100, maximumCommit: 200)
        #expect(!progress.mayBeCommitted)
        #expect(!progress.needsSeal)
    }

    // MARK: - States

    @Test
    func prewriteDecides() {
        var committed = CommitState(start: 100)
        committed.decidedByPrewrite(at: 150)
        #expect(committed.phase == .committed(150))
        #expect(committed.failedBeforeCommit() == .nothing)

        var undetermined = CommitState(start: 100)
        let (error, cleanup) = undetermined.prewriteFailed(
            TiKVError(.deadlineExceeded, "late"), mayBeCommitted: true)
        #expect(error.code == .undetermined)
        #expect(error.isOutcomeUnknown)
        #expect(error.transaction?.startTimestamp == 100)
        #expect(cleanup == .nothing)
        #expect(undetermined.phase == .undetermined)
        // Nothing makes a success or a failure of it afterwards.
        undetermined.decidedByPrewrite(at: 150)
        #expect(undetermined.phase == .undetermined)
        #expect(undetermined.failedBeforeCommit() == .nothing)

        var failed = CommitState(start: 100)
        let (same, rollBack) = failed.prewriteFailed(TiKVError(.deadlineExceeded, "late"), mayBeCommitted: false)
        #expect(same.code == .deadlineExceeded)
        #expect(rollBack == .rollBack)
    }

    // MARK: - Facts

    @Test
    func factsAreThoseOfThePlan() {
        let plan = CommitPlan([
            Mutation(.put, [1, 2], value: [1, 2, 3]), Mutation(.delete, [2]), Mutation(.lock, [3]),
        ])
        #expect(
            plan.facts(limit: 1_000, keyLimit: 256)
                == CommitProtocol.Facts(keyCount: 3, keySize: 4))
        // A request is full when it has so many bytes, and not before.
        #expect(plan.facts(limit: 7, keyLimit: 256).fitsOneRequest)
        #expect(!plan.facts(limit: 6, keyLimit: 256).fitsOneRequest)
        let size = { plan.mutations.size(at: $0) }
        #expect(plan.mutations.pieces(bytes: 7, size: size).count == 1)
        #expect(plan.mutations.pieces(bytes: 6, size: size).count == 2)
        let checking = CommitPlan([Mutation(.put, [1]), Mutation(.checkNotExists, [2])])
        #expect(!checking.facts(limit: 1_000, keyLimit: 256).locksAll)
        let sharing = CommitPlan([Mutation(.put, [1]), Mutation(.sharedLock, [2])])
        #expect(sharing.facts(limit: 1_000, keyLimit: 256).hasSharedLocks)
        // Nothing to commit.
        #expect(CommitPlan([Mutation(.checkNotExists, [2])]).facts(limit: 1_000, keyLimit: 256).keyCount == 0)
    }

    @Test
    func delaysAreTheWindowAndTheDrift() {
        let settings = ClientConfiguration.AsyncCommit()
        #expect(!settings.isEnabled)
        #expect(settings.keyLimit == 256)
        #expect(settings.keySizeLimit == 4_096)
        #expect(settings.safeWindow == .seconds(2))
        #expect(settings.allowedClockDrift == .milliseconds(500))
        #expect(settings.longestDelay == .milliseconds(2_500))
        #expect(!ClientConfiguration().transaction.onePhaseCommit)
        let options = TransactionOptions()
        #expect(options.asyncCommit == nil && options.onePhaseCommit == nil && options.guaranteesLinearizability)
    }
}
