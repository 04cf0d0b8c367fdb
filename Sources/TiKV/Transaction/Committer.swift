// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVFailpoints
import TiKVOrderedMap
import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Carries out a commit: locks every key, side by side over the regions, then commits the primary, which decides, and leaves
/// the other keys to the background; or is done when the keys are locked, where ``CommitProtocol`` allows that.
/// ``CommitState`` says what may follow what.
struct Committer: Sendable {
    /// The time for what goes on after the outcome is known.
    static let cleanupTimeout = Duration.seconds(41)
    /// A transaction older than this is not committed: what it read may be gone.
    static let longestLife: UInt64 = 24 * 3_600_000

    let context: TransactionContext
    let start: UInt64
    let plan: CommitPlan
    let options: TransactionOptions
    /// When the transaction began, by the machine's clock.
    let began: ContinuousClock.Instant
    /// The latest timestamp of its pessimistic locks; 0 where it is optimistic.
    let forUpdate: UInt64
    let interruption: Interruption
    let recorder: CommitRecorder
    /// By which protocol it commits, and how far that has come.
    let progress = CommitProgress()
    /// What the application does beside it.
    var hooks = CommitHooks()
    /// The limits of asynchronous commits.
    var asyncCommit: ClientConfiguration.AsyncCommit
    /// Where timestamps come from, in place of PD.
    var timestamps: (@Sendable () async throws(TiKVError) -> UInt64)?

    init(
        context: TransactionContext, start: UInt64, plan: CommitPlan, options: TransactionOptions,
        began: ContinuousClock.Instant, forUpdate: UInt64 = 0, interruption: Interruption = .init(),
        recorder: CommitRecorder = .init()
    ) {
        self.context = context
        self.start = start
        self.plan = plan
        self.options = options
        self.began = began
        self.forUpdate = forUpdate
        self.interruption = interruption
        self.recorder = recorder
        self.asyncCommit = context.configuration.asyncCommit
    }

    var sizeLimit: Int { self.context.configuration.batchSizeLimit }
    var clock: any TimeSource { self.context.clock }

    // MARK: - The phases

    /// Commits.
    ///
    /// - Returns: the commit timestamp; nil where no key left a lock, so that there was nothing to commit.
    /// - Throws: ``TiKVError``. The locks are removed, in the background, unless the outcome is unknown.
    func commit(timeout: Duration) async throws(TiKVError) -> UInt64? {
        let deadline = self.context.deadline(timeout)
        self.recorder.record {
            $0.keyCount = self.plan.mutations.count
            $0.size = self.plan.size
        }
        var state = CommitState(start: self.start)
        var latch: LatchTable.Hold?
        var committed: UInt64?
        // A pessimistic transaction has locks already.
        var mayHaveLocks = self.options.kind.isPessimistic
        defer { if let latch { self.context.latches?.release(latch, committed: committed) } }

        let timestamp: UInt64
        do throws(TiKVError) {
            try self.checkBeginning()
            if let latches = self.context.latches, !self.options.kind.isPessimistic {
                latch = try await latches.acquire(
                    self.plan.mutations.indices.lazy.map { self.plan.mutations.key(at: $0) }, start: self.start)
            }
            try await self.chooseProtocol(deadline: deadline)
            try await Failpoint.beforePrewrite.hit()
            mayHaveLocks = true
            async let refusal = self.prepare()
            try await self.prewrite(deadline: deadline)
            if let refusal = await refusal { throw refusal }
            if let decided = try await self.decided(&state, deadline: deadline) {
                committed = decided
                return decided
            }
            try self.checkAssertions()
            state.prewritten()
            guard !self.plan.primary.isEmpty else { return nil }
            timestamp = try await self.commitTimestamp(after: self.start, deadline: deadline)
            try await self.checkEnd(timestamp)
            try await Failpoint.beforeCommit.hit()
        } catch {
            let mayBeCommitted = await self.mayBeCommitted(deadline: deadline)
            let (failure, cleanup) = state.prewriteFailed(error, mayBeCommitted: mayBeCommitted)
            if cleanup == .rollBack, mayHaveLocks { self.rollBackInBackground() }
            throw failure
        }
        committed = try await self.commitPrimary(at: timestamp, &state, deadline: deadline)
        self.context.commits.add(.twoPhase)
        return committed
    }

    /// Throws where there is no use in beginning.
    private func checkBeginning() throws(TiKVError) {
        if Task.isCancelled { throw TiKVError(.cancelled, "the task was cancelled") }
        guard self.start > 0, self.start != .max else {
            throw TiKVError(.invalidArgument, "\(self.start) is not a timestamp that a transaction can begin at")
        }
        try self.interruption.check(start: self.start)
    }

    /// What locking has shown to be otherwise than asserted. Whatever else is wrong is told first: it may be the reason.
    private func checkAssertions() throws(TiKVError) {
        guard self.options.assertionLevel.level != .off, Failpoint.assertionSkipCheckFromLock.value() == nil,
            let refuted = self.plan.refuted.map({ self.plan.mutations[$0] })
        else { return }
        throw TiKVError(
            .assertionFailed, "whether a key exists is not as was asserted",
            transaction: TransactionFailure(
                startTimestamp: self.start,
                assertion: TransactionFailure.Assertion(key: Key(refuted.key), exists: refuted.assertion == .exist)))
    }

    func checkAge(_ timestamp: UInt64) throws(TiKVError) {
        guard (timestamp >> 18) < (self.start >> 18) + Self.longestLife else {
            throw TiKVError(
                .transactionRolledBack, "the transaction began more than a day ago",
                transaction: TransactionFailure(startTimestamp: self.start))
        }
    }

    private func checkEnd(_ timestamp: UInt64) async throws(TiKVError) {
        try self.checkAge(timestamp)
        if Failpoint.failCheckSchemaValid.value() != nil {
            throw TiKVError(
                .commitRefused, "failpoint failCheckSchemaValid",
                transaction: TransactionFailure(startTimestamp: self.start))
        }
        guard let check = self.hooks.check else { return }
        do {
            try await check(Timestamp(rawValue: timestamp))
        } catch {
            throw CommitHooks.refusal(error, start: self.start)
        }
    }

    /// Has the application do what it must have done before the decision.
    ///
    /// - Returns: why it refuses.
    private func prepare() async -> TiKVError? {
        guard let prepare = self.hooks.prepare else { return nil }
        do {
            try await prepare(Key(self.plan.primary))
            return nil
        } catch {
            return CommitHooks.refusal(error, start: self.start)
        }
    }

    // MARK: - The decision

    func commitPrimary(
        at timestamp: UInt64, _ state: inout CommitState, deadline: Deadline
    ) async throws(TiKVError) -> UInt64 {
        let began = self.clock.now
        defer { self.recorder.record { $0.commitTime = began.duration(to: self.clock.now) } }
        var timestamp = timestamp
        while true {
            state.commits(at: timestamp)
            let answer: (response: Kvrpcpb_CommitResponse, batch: CommitPlan.PrimaryBatch)
            do throws(TiKVError) {
                answer = try await self.sendPrimary(at: timestamp, deadline: deadline)
            } catch {
                let (error, cleanup) = state.unanswered(error)
                if cleanup == .rollBack { self.rollBackInBackground() }
                throw error
            }
            let error = answer.response.hasError ? KeyErrorReaction(answer.response.error, start: self.start) : nil
            switch state.answered(error, commit: answer.response.commitVersion) {
            case .succeeded(let cleanup):
                // It is committed, so that nothing that happens here can fail it.
                _ = try? await Failpoint.afterPrimaryBatch.hit()
                guard case .commitSecondaries(let commit) = cleanup else { return timestamp }
                let rest = self.plan.mutations.without(answer.batch.places)
                if !rest.isEmpty { self.context.inBackground { await self.commitSecondaries(rest, at: commit) } }
                return commit
            case .tryLater(let minimum):
                self.recorder.record { $0.commitRetries += 1 }
                do throws(TiKVError) {
                    timestamp = try await self.commitTimestamp(after: minimum &- min(minimum, 1), deadline: deadline)
                } catch {
                    // The store has refused the earlier one for good, so nothing is committed.
                    self.rollBackInBackground(primaryFirst: true)
                    throw error
                }
            case .failed(let error, let cleanup):
                if cleanup == .rollBack { self.rollBackInBackground(primaryFirst: true) }
                throw error
            }
        }
    }

    /// Commits the primary, with such of the other keys as one request to its region can carry.
    private func sendPrimary(
        at timestamp: UInt64, deadline: Deadline
    ) async throws(TiKVError) -> (response: Kvrpcpb_CommitResponse, batch: CommitPlan.PrimaryBatch) {
        let sender = self.context.sender
        var call = try await sender.begin(
            timeout: deadline.remaining(at: self.clock.now), isWrite: true, options: self.options.request)
        // The same commit done twice is the same, and the second answer tells what became of the first.
        call.asksAgainIfUndetermined = true
        defer { sender.lifecycle.end() }
        do throws(TiKVError) {
            while true {
                let region = try await sender.locate(self.plan.primary, &call)
                let batch = self.plan.primaryBatch(start: region.startKey, end: region.endKey, bytes: self.sizeLimit)
                var request = self.commitRequest(batch.keys, at: timestamp)
                let began = self.clock.now
                defer {
                    let time = began.duration(to: self.clock.now)
                    self.recorder.record { $0.slowestCommit = max($0.slowestCommit, time) }
                }
                if let response = try await sender.deliver(TikvpbTikvRPC.kvCommit, &request, to: region, &call) {
                    return (response, batch)
                }
            }
        } catch {
            throw call.final(error)
        }
    }

    /// Commits the keys that leave locks, of a transaction that is committed.
    func commitSecondaries(_ parts: [MutationList], at timestamp: UInt64) async {
        do throws(TiKVError) {
            if try await Failpoint.beforeCommitSecondaries.hit()?.text == "skip" { return }
        } catch {
            return
        }
        let failure = await self.forEachRegion(parts) { keys, region, call async throws(TiKVError) in
            var request = self.commitRequest(keys, at: timestamp)
            guard
                let response = try await self.context.sender.deliver(
                    TikvpbTikvRPC.kvCommit, &request, to: region, &call)
            else { return false }
            if response.hasError {
                // The primary is committed, so whatever a store has against a secondary is not as it should be.
                self.context.logger.info(
                    "a store refuses to commit a secondary key of a transaction that is committed",
                    metadata: ["start": "\(self.start)", "commit": "\(timestamp)"])
            }
            return true
        }
        // Whoever meets one of these locks finds the primary committed and goes on from there.
        if let failure {
            self.context.logger.debug("secondary keys left locked", metadata: ["error": "\(failure)"])
        }
    }

    private func commitRequest(_ keys: [[UInt8]], at timestamp: UInt64) -> Kvrpcpb_CommitRequest {
        var request = Kvrpcpb_CommitRequest()
        request.startVersion = self.start
        request.commitVersion = timestamp
        request.keys = keys.map { Data($0) }
        request.useAsyncCommit = self.progress.value.isAsync
        return request
    }

    // MARK: - Timestamps

    /// A timestamp to commit at: after another one, and after the one that the application named.
    func commitTimestamp(after minimum: UInt64, deadline: Deadline) async throws(TiKVError) -> UInt64 {
        let began = self.clock.now
        let isWaited = (self.options.commitAfter?.rawValue ?? 0) > minimum
        var wait = CommitWait(
            target: max(minimum, self.options.commitAfter?.rawValue ?? 0), patience: self.options.commitWaitTimeout)
        var backoff = Backoff()
        defer {
            let time = began.duration(to: self.clock.now)
            let details: CommitDetails.Wait? =
                isWaited && wait.lags > 0
                ? CommitDetails.Wait(
                    target: Timestamp(rawValue: wait.target), firstTimestamp: Timestamp(rawValue: wait.firstLag),
                    retries: backoff.attempts, time: time) : nil
            self.recorder.record {
                $0.timestampTime += time
                if let details { $0.wait = details }
            }
        }
        while true {
            let timestamp: UInt64
            if let timestamps = self.timestamps {
                timestamp = try await timestamps()
            } else {
                timestamp = try await self.context.timestamp(deadline: deadline)
            }
            switch wait.received(timestamp, after: began.duration(to: self.clock.now)) {
            case .commit(let timestamp):
                return timestamp
            case .wait(let longest):
                try await self.context.wait(
                    .commitTimestampLag, atMost: longest, &backoff, deadline: deadline,
                    failure: self.lag(wait, timestamp))
            case .fail:
                throw self.lag(wait, timestamp)
            }
        }
    }

    private func lag(_ wait: CommitWait, _ timestamp: UInt64) -> TiKVError {
        TiKVError(
            .commitTimestampLag,
            "PD's clock is at \(timestamp), behind \(wait.target), after which the commit must come",
            transaction: TransactionFailure(startTimestamp: self.start))
    }
}
