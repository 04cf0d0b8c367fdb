// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Where a commit stands. Pure: events go in, what is to be done comes out.
///
/// What decides is the commit of the primary, unless prewrite does (``CommitProtocol``). Before it was sent, any failure is
/// one: the locks are rolled back. Once it was sent, nothing but a store's answer makes it a success or a failure; without
/// one the outcome is unknown, and the locks are left to whoever meets them, since rolling them back might undo what is done.
struct CommitState: Sendable {
    enum Phase: Sendable, Hashable {
        case prewriting
        /// All locks are there.
        case prewritten
        case committingPrimary(UInt64)
        case committed(UInt64)
        case rolledBack
        case undetermined
    }

    /// What is to be done about locks.
    enum Cleanup: Sendable, Hashable {
        case nothing
        case rollBack
        case commitSecondaries(UInt64)
    }

    /// What follows from the answer to the commit of the primary.
    enum CommitStep: Sendable {
        case succeeded(Cleanup)
        /// Commit again, with a timestamp not before this.
        case tryLater(atLeast: UInt64)
        case failed(TiKVError, Cleanup)
    }

    /// A commit that PD's clock is further behind than this, in the bits of timestamps, is not tried again: one hour.
    static let longestPush: UInt64 = 3_600_000 << 18

    private(set) var phase = Phase.prewriting
    let start: UInt64

    init(start: UInt64) {
        self.start = start
    }

    mutating func prewritten() {
        if self.phase == .prewriting { self.phase = .prewritten }
    }

    /// The prewrite failed, or what comes between it and the commit: the transaction can't have been committed.
    mutating func failedBeforeCommit() -> Cleanup {
        switch self.phase {
        case .prewriting, .prewritten:
            self.phase = .rolledBack
            return .rollBack
        case .committingPrimary, .committed, .rolledBack, .undetermined:
            return .nothing
        }
    }

    /// The same with its reason.
    ///
    /// - Parameter mayBeCommitted: prewrite decides, and nobody knows whether it was done.
    mutating func prewriteFailed(_ error: TiKVError, mayBeCommitted: Bool) -> (error: TiKVError, cleanup: Cleanup) {
        guard mayBeCommitted else { return (error, self.failedBeforeCommit()) }
        self.phase = .undetermined
        return (self.undetermined(error), .nothing)
    }

    /// All keys are locked, which is the commit.
    mutating func decidedByPrewrite(at timestamp: UInt64) {
        switch self.phase {
        case .prewriting, .prewritten: self.phase = .committed(timestamp)
        case .committingPrimary, .committed, .rolledBack, .undetermined: break
        }
    }

    /// The commit of the primary is about to be sent.
    mutating func commits(at timestamp: UInt64) {
        switch self.phase {
        case .prewritten, .committingPrimary: self.phase = .committingPrimary(timestamp)
        case .prewriting, .committed, .rolledBack, .undetermined: break
        }
    }

    /// The store has answered.
    ///
    /// - Parameters:
    ///   - error: what it said of the key; nil where it committed it.
    ///   - commit: the timestamp that it names; 0 where it names none.
    mutating func answered(_ error: KeyErrorReaction?, commit: UInt64 = 0) -> CommitStep {
        guard case .committingPrimary(let tried) = self.phase else {
            return .failed(TiKVError(.internalError, "an answer to a commit that was not sent"), .nothing)
        }
        switch error {
        case nil:
            let timestamp = commit > 0 ? commit : tried
            self.phase = .committed(timestamp)
            return .succeeded(.commitSecondaries(timestamp))
        case .commitLater(let minimum):
            guard minimum <= tried &+ Self.longestPush else {
                self.phase = .rolledBack
                return .failed(
                    TiKVError(
                        .commitTimestampLag, "the commit would have to be more than an hour later than PD's clock",
                        transaction: TransactionFailure(startTimestamp: self.start)), .rollBack)
            }
            return .tryLater(atLeast: minimum)
        case .lockNotFound, .transactionNotFound:
            self.phase = .rolledBack
            return .failed(
                TiKVError(
                    .transactionRolledBack, "the transaction was rolled back before it could be committed",
                    transaction: TransactionFailure(startTimestamp: self.start)), .rollBack)
        case .fail(let error):
            self.phase = .rolledBack
            return .failed(error, .rollBack)
        case .resolve, .primaryMismatch:
            // Another's lock on the primary: ours is gone.
            self.phase = .rolledBack
            return .failed(
                TiKVError(
                    .transactionRolledBack, "another transaction has the primary's lock",
                    transaction: TransactionFailure(startTimestamp: self.start)), .rollBack)
        }
    }

    /// There was no answer, or none that decides.
    ///
    /// - Parameter error: of the request; whether its outcome is unknown says whether it may have been done.
    mutating func unanswered(_ error: TiKVError) -> (error: TiKVError, cleanup: Cleanup) {
        guard case .committingPrimary = self.phase else { return (error, self.failedBeforeCommit()) }
        guard error.isOutcomeUnknown else {
            // It was never sent, so nobody can have done it.
            self.phase = .rolledBack
            return (error, .rollBack)
        }
        self.phase = .undetermined
        return (self.undetermined(error), .nothing)
    }

    /// The failure of a commit whose outcome nobody knows.
    private func undetermined(_ error: TiKVError) -> TiKVError {
        TiKVError(
            .undetermined, "the transaction may or may not have been committed: \(error.message)",
            detail: error.detail, cause: error, attempts: error.attempts,
            transaction: TransactionFailure(startTimestamp: self.start))
    }
}
