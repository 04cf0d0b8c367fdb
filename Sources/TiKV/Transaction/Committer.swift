// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVOrderedMap
import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Carries out a commit in two phases: locks every key, side by side over the regions, then commits the primary, which
/// decides, and leaves the other keys to the background. ``CommitState`` says what may follow what.
struct Committer: Sendable {
    /// The time for what goes on after the outcome is known.
    static let cleanupTimeout = Duration.seconds(41)

    let context: TransactionContext
    let start: UInt64
    let plan: CommitPlan
    let options: TransactionOptions
    /// When the transaction began, by the machine's clock.
    let began: ContinuousClock.Instant
    /// The latest timestamp of its pessimistic locks; 0 where it is optimistic.
    let forUpdate: UInt64

    private struct Batch: Sendable {
        var mutations: [Mutation]
        /// How many keys the transaction has in the region.
        var regionCount: Int
    }

    // MARK: - The phases

    /// Commits.
    ///
    /// - Returns: the commit timestamp; nil where no key left a lock, so that there was nothing to commit.
    /// - Throws: ``TiKVError``. The locks are removed, in the background, unless the outcome is unknown.
    func commit(timeout: Duration) async throws(TiKVError) -> UInt64? {
        let deadline = self.context.deadline(timeout)
        var state = CommitState(start: self.start)
        var latch: LatchTable.Hold?
        if let latches = self.context.latches, !self.options.kind.isPessimistic {
            latch = try await latches.acquire(self.plan.mutations.lazy.map(\.key), start: self.start)
        }
        var committed: UInt64?
        defer { if let latch { self.context.latches?.release(latch, committed: committed) } }

        let timestamp: UInt64
        do throws(TiKVError) {
            try await self.prewrite(deadline: deadline)
            state.prewritten()
            guard !self.plan.primary.isEmpty else { return nil }
            timestamp = try await self.commitTimestamp(after: self.start, deadline: deadline)
        } catch {
            if state.failedBeforeCommit() == .rollBack { self.rollBackInBackground() }
            throw error
        }
        committed = try await self.commitPrimary(at: timestamp, &state, deadline: deadline)
        return committed
    }

    private func commitPrimary(
        at timestamp: UInt64, _ state: inout CommitState, deadline: Deadline
    ) async throws(TiKVError) -> UInt64 {
        let keys = self.plan.locked.map(\.key)
        var timestamp = timestamp
        while true {
            state.commits(at: timestamp)
            let answer: (response: Kvrpcpb_CommitResponse, keys: [[UInt8]])
            do throws(TiKVError) {
                answer = try await self.sendPrimary(keys, at: timestamp, deadline: deadline)
            } catch {
                let (error, cleanup) = state.unanswered(error)
                if cleanup == .rollBack { self.rollBackInBackground() }
                throw error
            }
            let error = answer.response.hasError ? KeyErrorReaction(answer.response.error, start: self.start) : nil
            switch state.answered(error, commit: answer.response.commitVersion) {
            case .succeeded(let cleanup):
                guard case .commitSecondaries(let commit) = cleanup else { return timestamp }
                let done = Set(answer.keys)
                let rest = keys.filter { !done.contains($0) }
                if !rest.isEmpty { self.context.inBackground { await self.commitSecondaries(rest, at: commit) } }
                return commit
            case .tryLater(let minimum):
                do throws(TiKVError) {
                    timestamp = try await self.commitTimestamp(after: minimum &- min(minimum, 1), deadline: deadline)
                } catch {
                    // The store has refused the earlier one for good, so nothing is committed.
                    self.rollBackInBackground()
                    throw error
                }
            case .failed(let error, let cleanup):
                if cleanup == .rollBack { self.rollBackInBackground() }
                throw error
            }
        }
    }

    // MARK: - Prewrite

    private func prewrite(deadline: Deadline) async throws(TiKVError) {
        let sender = self.context.sender
        let limit = self.context.configuration.batchSizeLimit
        try await sender.scatter(
            Batch(mutations: self.plan.mutations, regionCount: 0),
            timeout: deadline.remaining(at: self.context.clock.now), isWrite: false,
            concurrency: self.context.configuration.maximumConcurrency, options: self.requestOptions,
            split: { batch, call async throws(TiKVError) in
                let regions = try await sender.group(
                    batch.mutations, by: { $0.key }, chunks: { [Array($0)] }, &call)
                return regions.flatMap { region, mutations in
                    CommitPlan.batches(mutations[...], bytes: limit).map {
                        (region, Batch(mutations: $0, regionCount: mutations.count))
                    }
                }
            },
            deliver: { batch, region, call async throws(TiKVError) -> Void? in
                try await self.prewrite(batch, region, &call)
            },
            collect: { _ in })
    }

    private func prewrite(
        _ batch: Batch, _ region: CachedRegion, _ call: inout RegionCall
    ) async throws(TiKVError) -> Void? {
        let sender = self.context.sender
        while true {
            var request = self.request(batch)
            guard let response = try await sender.deliver(TikvpbTikvRPC.kvPrewrite, &request, to: region, &call) else {
                return nil
            }
            if response.errors.isEmpty { return () }
            var locks: [Lock] = []
            for error in response.errors {
                switch KeyErrorReaction(error, start: self.start) {
                case .resolve(let found): locks += found
                case .fail(let error): throw error
                case .commitLater, .transactionNotFound, .primaryMismatch, .lockNotFound:
                    // A pessimistic lock that should be there is not: others have taken it for abandoned.
                    throw TiKVError(
                        .transactionRolledBack, "a lock of the transaction is gone", detail: "\(error)",
                        transaction: TransactionFailure(startTimestamp: self.start))
                }
            }
            let resolution = try await self.context.resolver.resolve(
                locks, for: .write(start: self.start), deadline: call.deadline)
            guard let wait = resolution.wait else { continue }
            call.record(.keyIsLocked, "another transaction's lock is in the way")
            try await sender.wait(.txnLock, hint: wait > .zero && wait < .milliseconds(100) ? wait : nil, &call)
        }
    }

    private func request(_ batch: Batch) -> Kvrpcpb_PrewriteRequest {
        var request = Kvrpcpb_PrewriteRequest()
        request.mutations = batch.mutations.map(\.proto)
        request.primaryLock = Data(self.plan.primary.isEmpty ? batch.mutations[0].key : self.plan.primary)
        request.startVersion = self.start
        let age = self.began.duration(to: self.context.clock.now)
        request.lockTtl =
            Heartbeat.isNeeded(size: self.plan.size, isPessimistic: self.options.kind.isPessimistic)
            ? LockTimeToLive.managed(age: age) : LockTimeToLive.commit(size: self.plan.size, age: age)
        request.txnSize = UInt64(batch.regionCount)
        if self.options.kind.isPessimistic {
            request.forUpdateTs = self.forUpdate
            request.pessimisticActions = batch.mutations.map(\.pessimisticAction)
        }
        switch self.options.assertionLevel.level {
        case .off: break
        case .fast: request.assertionLevel = .fast
        case .strict: request.assertionLevel = .strict
        }
        request.minCommitTs = max(self.start, self.forUpdate) &+ 1
        return request
    }

    // MARK: - Commit

    /// Commits the primary, with such of the other keys as one request to its region can carry.
    private func sendPrimary(
        _ keys: [[UInt8]], at timestamp: UInt64, deadline: Deadline
    ) async throws(TiKVError) -> (response: Kvrpcpb_CommitResponse, keys: [[UInt8]]) {
        let sender = self.context.sender
        var call = try await sender.begin(
            timeout: deadline.remaining(at: self.context.clock.now), isWrite: true, options: self.requestOptions)
        defer { sender.lifecycle.end() }
        do throws(TiKVError) {
            while true {
                let region = try await sender.locate(self.plan.primary, &call)
                let chosen = CommitPlan.primaryBatch(
                    keys, primary: self.plan.primary, start: region.startKey, end: region.endKey)
                var request = self.commitRequest(chosen, at: timestamp)
                if let response = try await sender.deliver(TikvpbTikvRPC.kvCommit, &request, to: region, &call) {
                    return (response, chosen)
                }
            }
        } catch {
            throw call.final(error)
        }
    }

    private func commitSecondaries(_ keys: [[UInt8]], at timestamp: UInt64) async {
        let failure = await self.forEachRegion(keys) { keys, region, call async throws(TiKVError) in
            var request = self.commitRequest(keys, at: timestamp)
            return try await self.context.sender.deliver(TikvpbTikvRPC.kvCommit, &request, to: region, &call) != nil
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
        return request
    }

    /// A timestamp to commit at: after another one, and after the one that the application named.
    private func commitTimestamp(after minimum: UInt64, deadline: Deadline) async throws(TiKVError) -> UInt64 {
        let wanted = max(minimum, self.options.commitAfter?.rawValue ?? 0)
        let patience = Deadline(after: self.options.commitWaitTimeout, from: self.context.clock.now)
        let end = min(patience.instant, deadline.instant)
        var backoff = Backoff()
        while true {
            let timestamp = try await self.context.timestamp(deadline: deadline)
            if timestamp > wanted { return timestamp }
            let lag = TiKVError(
                .commitTimestampLag, "PD's clock is behind the timestamp that the commit must come after",
                transaction: TransactionFailure(startTimestamp: self.start))
            let gap = Duration.milliseconds(Int64(clamping: (wanted >> 18) - (timestamp >> 18)))
            guard gap <= self.context.clock.now.duration(to: end) else { throw lag }
            try await self.context.wait(
                .commitTimestampLag, &backoff, deadline: Deadline(at: end), failure: lag)
        }
    }

    // MARK: - Cleanup

    /// Removes what locks there may be, beside whatever the caller does next.
    private func rollBackInBackground() {
        let keys = self.plan.locked.map(\.key)
        guard !keys.isEmpty else { return }
        self.context.inBackground { await self.rollBack(keys) }
    }

    private func rollBack(_ keys: [[UInt8]]) async {
        let failure = await self.forEachRegion(keys) { keys, region, call async throws(TiKVError) in
            var request = Kvrpcpb_BatchRollbackRequest()
            request.startVersion = self.start
            request.keys = keys.map { Data($0) }
            return try await self.context.sender.deliver(TikvpbTikvRPC.kvBatchRollback, &request, to: region, &call)
                != nil
        }
        if let failure {
            self.context.logger.debug("locks left behind", metadata: ["error": "\(failure)"])
        }
    }

    private func forEachRegion(
        _ keys: [[UInt8]],
        _ send: @escaping @Sendable ([[UInt8]], CachedRegion, inout RegionCall) async throws(TiKVError) -> Bool
    ) async -> TiKVError? {
        let sender = self.context.sender
        do throws(TiKVError) {
            try await sender.scatter(
                keys, timeout: Self.cleanupTimeout, isWrite: false,
                concurrency: self.context.configuration.maximumConcurrency, options: self.requestOptions,
                split: { keys, call async throws(TiKVError) in
                    try await sender.group(keys, by: { $0 }, chunks: { RawBatch.chunks($0, count: 512) }, &call)
                },
                deliver: { keys, region, call async throws(TiKVError) -> Void? in
                    try await send(keys, region, &call) ? () : nil
                },
                collect: { _ in })
            return nil
        } catch {
            return error
        }
    }

    private var requestOptions: RequestOptions {
        var options = RequestOptions()
        options.apply(self.options.priority)
        options.resourceGroupTag = self.options.resourceGroupTag
        return options
    }
}

extension CommitPlan {
    /// The primary, and keys next to it that lie in its region, up to what one request carries.
    static func primaryBatch(
        _ keys: [[UInt8]], primary: [UInt8], start: [UInt8], end: [UInt8], limit: Int = 512
    ) -> [[UInt8]] {
        var chosen = [primary]
        for key in keys where key != primary {
            guard chosen.count < limit else { break }
            if KeyOrder.isLess(key, start) { continue }
            if !end.isEmpty, !KeyOrder.isLess(key, end) { break }
            chosen.append(key)
        }
        return chosen
    }
}
