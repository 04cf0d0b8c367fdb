// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// For whom locks are resolved.
enum LockPurpose: Sendable, Hashable {
    /// For a read at a timestamp: it need not wait for a lock that will not be committed before it.
    case read(at: UInt64)
    /// For a write, or a pessimistic lock, of a transaction: the lock must be gone.
    case write(start: UInt64)

    /// What `CheckTxnStatus` is told: a reader's timestamp, above which it pushes the commit.
    var callerStart: UInt64 {
        switch self {
        case .read(let timestamp): timestamp
        // Nobody's commit is to be pushed for a write.
        case .write: 0
        }
    }
}

/// What to do about a lock, given what became of its transaction. Pure.
struct LockVerdict: Sendable, Hashable {
    /// How whoever met the lock goes on.
    enum Passage: Sendable, Hashable {
        /// As if it were not there.
        case ignore
        /// As if it were committed.
        case readThrough
        /// When it has been removed.
        case afterCleanup
        /// Not before the lock has expired, in so many milliseconds, or its transaction has ended.
        case wait(UInt64)
    }

    /// What is to be done with the lock.
    enum Cleanup: Sendable, Hashable {
        case nothing
        case commit(UInt64)
        case rollBack
        /// Takes a pessimistic lock back, which leaves no trace.
        case rollBackPessimistic
        /// The transaction's outcome is to be found from its other locks.
        case checkSecondaries
    }

    let passage: Passage
    let cleanup: Cleanup

    /// - Parameters:
    ///   - now: PD's time in milliseconds.
    ///   - isSyncForced: its transaction is known not to commit asynchronously, whatever its locks say.
    init(_ lock: Lock, _ status: TransactionStatus, _ purpose: LockPurpose, now: UInt64, isSyncForced: Bool = false) {
        switch status {
        case .committed(let commit):
            self.cleanup = lock.isPessimistic ? .rollBackPessimistic : .commit(commit)
            switch purpose {
            case .read(let timestamp): self.passage = commit > timestamp ? .ignore : .readThrough
            case .write: self.passage = .afterCleanup
            }
        case .rolledBack:
            self.cleanup = lock.isPessimistic ? .rollBackPessimistic : .rollBack
            self.passage = purpose.isRead ? .ignore : .afterCleanup
        case .primaryIsGone:
            // Only a pessimistic lock may be taken back without a decision.
            self.cleanup = lock.isPessimistic ? .rollBackPessimistic : .nothing
            self.passage = lock.isPessimistic ? .afterCleanup : .wait(0)
        case .alive(let timeToLive, let isPushed, let primary):
            let rest = Self.rest(of: lock.start, timeToLive, now: now)
            if rest == 0, !isSyncForced, let primary, primary.isAsyncCommit {
                self.cleanup = .checkSecondaries
                self.passage = .afterCleanup
            } else {
                self.cleanup = .nothing
                self.passage = isPushed && purpose.isRead ? .ignore : .wait(rest)
            }
        }
    }

    /// How many milliseconds a lock still lives; 0 where it has expired.
    static func rest(of start: UInt64, _ timeToLive: UInt64, now: UInt64) -> UInt64 {
        let (end, overflow) = (start >> 18).addingReportingOverflow(timeToLive)
        if overflow { return timeToLive }
        return end > now ? end - now : 0
    }
}

extension LockPurpose {
    var isRead: Bool {
        switch self {
        case .read: true
        case .write: false
        }
    }
}
