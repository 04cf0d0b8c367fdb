// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKV

@Suite
struct CommitStateTests {
    private func failure(_ step: CommitState.CommitStep) -> (TiKVError, CommitState.Cleanup)? {
        if case .failed(let error, let cleanup) = step { (error, cleanup) } else { nil }
    }

    private func prewritten() -> CommitState {
        var state = CommitState(start: 100)
        state.prewritten()
        return state
    }

    @Test
    func aCommitGoesThroughItsPhases() {
        var state = CommitState(start: 100)
        state.prewritten()
        state.commits(at: 200)
        #expect(state.phase == .committingPrimary(200))
        guard case .succeeded(.commitSecondaries(200)) = state.answered(nil) else {
            Issue.record("not committed")
            return
        }
        #expect(state.phase == .committed(200))
        // Nothing undoes it.
        #expect(state.failedBeforeCommit() == .nothing)
        #expect(state.phase == .committed(200))
    }

    @Test
    func aFailureBeforeTheCommitRollsBack() {
        var prewriting = CommitState(start: 100)
        #expect(prewriting.failedBeforeCommit() == .rollBack)
        #expect(prewriting.phase == .rolledBack)
        var prewritten = self.prewritten()
        #expect(prewritten.failedBeforeCommit() == .rollBack)
        // Once is enough.
        #expect(prewritten.failedBeforeCommit() == .nothing)
    }

    @Test
    func aCommitThatIsTooEarlyIsTriedLater() {
        var state = self.prewritten()
        state.commits(at: 101)
        guard case .tryLater(atLeast: 150) = state.answered(.commitLater(150)) else {
            Issue.record("not tried again")
            return
        }
        state.commits(at: 160)
        guard case .succeeded(.commitSecondaries(160)) = state.answered(nil) else {
            Issue.record("not committed")
            return
        }
        #expect(state.phase == .committed(160))
    }

    @Test
    func aCommitThatWouldHaveToBeFarInTheFutureFails() {
        var state = self.prewritten()
        state.commits(at: 200)
        let failure = self.failure(state.answered(.commitLater(200 + CommitState.longestPush + 1)))
        #expect(failure?.0.code == .commitTimestampLag)
        #expect(failure?.1 == .rollBack)
    }

    @Test
    func anAnswerThatTheLockIsGoneIsAFailureToRunAgain() {
        var state = self.prewritten()
        state.commits(at: 200)
        let failure = self.failure(state.answered(.lockNotFound))
        #expect(failure?.0.code == .transactionRolledBack)
        #expect(failure?.0.isRetryable == true)
        #expect(failure?.0.transaction?.startTimestamp == 100)
    }

    /// Whatever happens afterwards, a commit that was sent and not answered never becomes a failure.
    @Test
    func aCommitWithoutAnAnswerStaysUndetermined() {
        var state = self.prewritten()
        state.commits(at: 200)
        let sent = TiKVError(.undetermined, "no answer", cause: TiKVError(.cancelled, "the task was cancelled"))
        let (error, cleanup) = state.unanswered(sent)
        #expect(error.code == .undetermined)
        #expect(error.isOutcomeUnknown)
        #expect(!error.isRetryable)
        #expect(error.transaction?.startTimestamp == 100)
        #expect(((error.cause as? TiKVError)?.cause as? TiKVError)?.code == .cancelled)
        #expect(cleanup == .nothing)
        #expect(state.phase == .undetermined)
        #expect(state.failedBeforeCommit() == .nothing)
        #expect(state.phase == .undetermined)
        state.commits(at: 300)
        #expect(state.phase == .undetermined)

        var cancelled = self.prewritten()
        cancelled.commits(at: 200)
        let (other, _) = cancelled.unanswered(TiKVError(.cancelled, "cancelled", isOutcomeUnknown: true))
        #expect(other.code == .undetermined)
    }

    @Test
    func aCommitThatWasNeverSentIsAPlainFailure() {
        var state = self.prewritten()
        state.commits(at: 200)
        let (error, cleanup) = state.unanswered(TiKVError(.regionUnavailable, "no leader"))
        #expect(error.code == .regionUnavailable)
        #expect(error.isRetryable)
        #expect(cleanup == .rollBack)
        #expect(state.phase == .rolledBack)
    }
}
