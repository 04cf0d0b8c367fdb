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

/// Removes the locks of transactions that have ended, and finds out whether one has.
///
/// What a lock's primary says decides, see ``LockVerdict``; what will not change is remembered. A reader need not wait for
/// the locks to be removed: that goes on in the background.
actor LockResolver {
    /// How whoever met locks goes on.
    struct Resolution: Sendable, Hashable {
        /// How long the first of the locks that are still in the way lives; nil where none is.
        var wait: Duration?
        /// Transactions whose locks a read may overlook.
        var ignored: [UInt64] = []
        /// Transactions whose locks a read may take for committed.
        var readable: [UInt64] = []

        /// Takes note of how one of the locks is passed.
        mutating func note(_ start: UInt64, _ passage: LockVerdict.Passage) {
            switch passage {
            case .ignore: if !self.ignored.contains(start) { self.ignored.append(start) }
            case .readThrough: if !self.readable.contains(start) { self.readable.append(start) }
            case .afterCleanup: break
            case .wait(let milliseconds):
                let wait = Duration.milliseconds(Int64(clamping: milliseconds))
                self.wait = min(self.wait ?? wait, wait)
            }
        }
    }

    /// The time for removing locks in the background.
    static let backgroundTimeout = Duration.seconds(40)
    /// The locks of so many transactions are removed in the background at once; what is more is done by whoever met them.
    static let backgroundLimit = 10_000

    private nonisolated let core: ClientCore
    private nonisolated let limit: Int
    /// From this many keys in a region on a transaction's locks are removed for the whole region at once.
    private nonisolated let liteThreshold: UInt64
    /// Those who remove the same transaction's locks from the same region share the request.
    private nonisolated let sweeps: SingleFlight<Sweep, Bool, TiKVError>
    private var cache = TransactionStatusCache()
    /// How many removals go on in the background.
    private(set) var backgroundCount = 0
    /// What is being looked into, by the number of the call.
    private var resolving: [Int: [ResolvingLock]] = [:]
    private var nextCall = 0

    nonisolated var sender: RegionRequestSender { self.core.sender }

    /// How many wait for a request of somebody else that removes the same locks.
    nonisolated var sweepWaiterCount: Int { self.sweeps.waiterCount }

    /// - Parameter backgroundLimit: how many removals may go on in the background at once.
    init(core: ClientCore, backgroundLimit: Int = LockResolver.backgroundLimit) {
        self.core = core
        self.limit = backgroundLimit
        self.liteThreshold = UInt64(max(0, core.configuration.transaction.regionCleanupKeyCount))
        self.sweeps = SingleFlight(
            clock: core.sender.clock, isShared: { !$0.isCallersOwn && $0.code != .clientClosed })
    }

    // MARK: - Resolving

    /// What was asked about a lock: several locks of one transaction have one answer.
    private struct Question: Hashable {
        let start: UInt64
        let primary: [UInt8]
        let timeToLive: UInt64
        let isPessimistic: Bool

        init(_ lock: Lock) {
            self.start = lock.start
            self.primary = lock.primary
            self.timeToLive = lock.timeToLive
            self.isPessimistic = lock.isPessimistic
        }
    }

    struct Answer {
        var status: TransactionStatus
        /// PD's time in milliseconds; 0 where it does not matter any more.
        var now: UInt64
        /// The transaction does not commit asynchronously, whatever its locks say.
        var isSyncForced = false
        /// Locks to be removed beside the one that was asked about.
        var others: [[UInt8]] = []
    }

    /// Does what can be done about locks that were met.
    ///
    /// A reader does not wait for locks to be removed, and does not fail where they can't be: what became of their
    /// transactions is known by then.
    func resolve(
        _ locks: [Lock], for purpose: LockPurpose, deadline: Deadline
    ) async throws(TiKVError) -> Resolution {
        self.nextCall += 1
        let call = self.nextCall
        self.resolving[call] = locks.map { ResolvingLock($0, purpose) }
        defer { self.resolving[call] = nil }
        try await Failpoint.tryResolveLock.hit()
        var resolution = Resolution()
        var cleanups = LockCleanups(liteThreshold: self.liteThreshold)
        var answers: [Question: Answer] = [:]
        for lock in locks {
            let question = Question(lock)
            let answer: Answer
            if let known = answers[question] {
                answer = known
            } else {
                answer = try await self.answer(lock, purpose, deadline: deadline)
                answers[question] = answer
                if !answer.others.isEmpty { cleanups.add(answer.others, ofAsyncCommit: lock.start, answer.status) }
            }
            let verdict = LockVerdict(
                lock, answer.status, purpose, now: answer.now, isSyncForced: answer.isSyncForced)
            cleanups.add(lock, verdict.cleanup, answer.status)
            resolution.note(lock.start, verdict.passage)
        }
        for cleanup in cleanups.all {
            guard purpose.isRead else {
                try await self.clean(cleanup, deadline: deadline)
                continue
            }
            if self.mayGoOnInBackground() {
                self.inBackground { [self] in await self.cleanOrLeave(cleanup, deadline: self.backgroundDeadline) }
            } else {
                await self.cleanOrLeave(cleanup, deadline: deadline)
            }
        }
        return resolution
    }

    private func answer(
        _ lock: Lock, _ purpose: LockPurpose, deadline: Deadline
    ) async throws(TiKVError) -> Answer {
        let (status, now) = try await self.status(of: lock, purpose, isSyncForced: false, deadline: deadline)
        guard LockVerdict(lock, status, purpose, now: now).cleanup == .checkSecondaries,
            case .alive(_, _, let primary?) = status
        else { return Answer(status: status, now: now) }
        return try await self.outcome(of: lock, primary: primary, purpose, deadline: deadline)
    }

    /// The locks that are being looked into.
    var resolvingLocks: [ResolvingLock] { self.resolving.sorted { $0.key < $1.key }.flatMap(\.value) }

    /// What became of a transaction, where it is known already.
    func known(_ start: UInt64) -> TransactionStatus? { self.cache[start] }

    // MARK: - Status

    /// What became of a lock's transaction, and PD's time in milliseconds.
    func status(
        of lock: Lock, _ purpose: LockPurpose, isSyncForced: Bool, deadline: Deadline
    ) async throws(TiKVError) -> (TransactionStatus, now: UInt64) {
        if let known = self.cache[lock.start] { return (known, 0) }
        var backoff = Backoff()
        var rollsBackIfNotFound = false
        while true {
            let current = try await self.core.timestamp(deadline: deadline)
            var request = Kvrpcpb_CheckTxnStatusRequest()
            request.primaryKey = Data(lock.primary)
            request.lockTs = lock.start
            request.callerStartTs = purpose.callerStart
            // A time to live of 0 asks for resolution whatever the time is.
            request.currentTs = lock.timeToLive == 0 ? .max : current
            request.rollbackIfNotExist = rollsBackIfNotFound
            request.forceSyncCommit = isSyncForced
            request.resolvingPessimisticLock = lock.isPessimistic
            request.verifyIsPrimary = true
            let response = try await self.sender.send(
                TikvpbTikvRPC.kvCheckTxnStatus, request, key: lock.primary,
                timeout: deadline.remaining(at: self.sender.clock.now), isWrite: false)
            let now = current >> 18
            guard response.hasError else {
                let status = TransactionStatus(response)
                self.cache.insert(status, for: lock.start)
                return (status, now)
            }
            switch KeyErrorReaction(response.error, start: lock.start) {
            case .transactionNotFound:
                if LockVerdict.rest(of: lock.start, lock.timeToLive, now: now) == 0 {
                    // Nobody keeps it alive, so its primary will not come any more.
                    rollsBackIfNotFound = true
                } else if lock.isPessimistic {
                    return (.alive(timeToLive: lock.timeToLive, isPushed: false, primary: nil), now)
                } else {
                    try await self.wait(&backoff, deadline: deadline, lock)
                }
            case .primaryMismatch where lock.isPessimistic:
                // It points to a primary that its transaction has given up.
                return (.primaryIsGone, now)
            case .resolve, .primaryMismatch, .commitLater, .lockNotFound:
                throw TiKVError(
                    .serverError, "the store can't say what became of a transaction",
                    detail: "\(response.error)", transaction: TransactionFailure(startTimestamp: lock.start))
            case .fail(let error):
                throw error
            }
        }
    }

    /// Returns when a lock's transaction has ended, its locks have expired, nobody knows, or the time is over.
    func waitForEnd(of lock: Lock, deadline: Deadline) async {
        var backoff = Backoff()
        do throws(TiKVError) {
            while true {
                let (status, now) = try await self.status(
                    of: lock, .write(start: lock.start), isSyncForced: false, deadline: deadline)
                guard case .alive(let timeToLive, _, _) = status,
                    LockVerdict.rest(of: lock.start, timeToLive, now: now) > 0
                else { return }
                try await self.wait(&backoff, .holder, deadline: deadline, lock)
            }
        } catch {
            // Whoever goes on finds out what is the matter.
            return
        }
    }

    private func wait(
        _ backoff: inout Backoff, _ kind: BackoffKind = .txnNotFound, deadline: Deadline, _ lock: Lock
    ) async throws(TiKVError) {
        let now = self.sender.clock.now
        guard
            let delay = backoff.next(kind, remaining: deadline.remaining(at: now), random: self.sender.random())
        else {
            throw TiKVError(
                .keyIsLocked, "a lock could not be resolved before the deadline: its primary is not there",
                transaction: TransactionFailure(key: Key(lock.key)))
        }
        do throws(CancellationError) {
            try await self.sender.clock.sleep(until: now.advanced(by: delay))
        } catch {
            throw TiKVError(.cancelled, "the task was cancelled")
        }
    }

    // MARK: - Asynchronous commits

    /// The outcome of a transaction that commits asynchronously and whose locks have expired.
    func outcome(
        of lock: Lock, primary: Lock, _ purpose: LockPurpose, deadline: Deadline
    ) async throws(TiKVError) -> Answer {
        let check: SecondaryCheck
        do throws(SecondaryCheckError) {
            check = try await self.secondaries(of: primary, start: lock.start, deadline: deadline)
        } catch {
            switch error {
            case .request(let error):
                throw error
            case .check(.isNotAsync):
                let (status, now) = try await self.status(of: lock, purpose, isSyncForced: true, deadline: deadline)
                return Answer(status: status, now: now, isSyncForced: true)
            case .check(.contradiction):
                throw TiKVError(
                    .serverError, "stores contradict each other about the outcome of a transaction",
                    transaction: TransactionFailure(startTimestamp: lock.start))
            }
        }
        self.cache.insert(check.status, for: lock.start)
        return Answer(status: check.status, now: 0, isSyncForced: true, others: check.locked + [lock.primary])
    }

    enum SecondaryCheckError: Error {
        case request(TiKVError)
        case check(SecondaryCheck.Failure)
    }

    /// What the secondary locks of an asynchronous commit say.
    nonisolated func secondaries(
        of primary: Lock, start: UInt64, deadline: Deadline
    ) async throws(SecondaryCheckError) -> SecondaryCheck {
        var answers: [(locks: [Lock], expected: Int, commit: UInt64)] = []
        let sender = self.sender
        do throws(TiKVError) {
            try await sender.scatter(
                primary.secondaries.sorted { KeyOrder.isLess($0, $1) },
                timeout: deadline.remaining(at: sender.clock.now), isWrite: false, concurrency: 16,
                split: { keys, call async throws(TiKVError) in
                    try await sender.group(keys, by: { $0 }, chunks: { RawBatch.chunks($0, count: 512) }, &call)
                },
                deliver: {
                    keys, region, call async throws(TiKVError) -> (locks: [Lock], expected: Int, commit: UInt64)? in
                    var request = Kvrpcpb_CheckSecondaryLocksRequest()
                    request.keys = keys.map { Data($0) }
                    request.startVersion = start
                    guard
                        let response = try await sender.deliver(
                            TikvpbTikvRPC.kvCheckSecondaryLocks, &request, to: region, &call)
                    else { return nil }
                    if response.hasError { throw Self.failure(response.error, start) }
                    return (response.locks.map { Lock($0) }, keys.count, response.commitTs)
                },
                collect: { answers.append($0) })
        } catch {
            throw .request(error)
        }
        var check = SecondaryCheck(primary: primary)
        do throws(SecondaryCheck.Failure) {
            for answer in answers {
                try check.received(answer.locks, expected: answer.expected, commit: answer.commit)
            }
        } catch {
            throw .check(error)
        }
        return check
    }

    // MARK: - Removing

    /// A transaction's locks in one region.
    private struct Sweep: Hashable, Sendable {
        let start: UInt64
        let commit: UInt64
        let region: UInt64
        let version: UInt64
    }

    /// The same for whoever does not need the locks to be gone: who meets them next does this again.
    private nonisolated func cleanOrLeave(_ cleanup: LockCleanups.Cleanup, deadline: Deadline) async {
        do throws(TiKVError) {
            try await self.clean(cleanup, deadline: deadline)
        } catch {
            self.sender.logger.debug(
                "locks of a transaction that has ended are left behind", metadata: ["error": "\(error)"])
        }
    }

    private nonisolated func clean(
        _ cleanup: LockCleanups.Cleanup, deadline: Deadline
    ) async throws(TiKVError) {
        if cleanup.isOfAsyncCommit {
            try await Failpoint.resolveAsyncResolveData.hit()
            if Failpoint.resolveAsyncCommitLockReturn.value() != nil { return }
        }
        switch cleanup.kind {
        case .keys(let status):
            try await self.remove(cleanup.keys, of: cleanup.start, status, deadline: deadline)
        case .regions(let status):
            try await self.sweep(cleanup.keys, of: cleanup.start, status, deadline: deadline)
        case .pessimistic(let forUpdate):
            try await self.rollBackPessimistic(
                cleanup.keys, of: cleanup.start, forUpdate: forUpdate, deadline: deadline)
        }
    }

    /// Removes all locks of a transaction in the regions of some of its keys.
    private nonisolated func sweep(
        _ keys: [[UInt8]], of start: UInt64, _ status: TransactionStatus, deadline: Deadline
    ) async throws(TiKVError) {
        try await self.scatter(keys, deadline: deadline, count: .max) {
            [sender, sweeps] keys, region, call async throws(TiKVError) -> Bool in
            let request = Self.request(start, status)
            let sweep = Sweep(
                start: start, commit: request.commitVersion, region: region.id, version: region.epoch.version)
            let deadline = call.deadline
            var own = call
            let isDone = try await sweeps.run(sweep, deadline: deadline) { () async throws(TiKVError) -> Bool in
                var request = request
                guard
                    let response = try await sender.deliver(TikvpbTikvRPC.kvResolveLock, &request, to: region, &own)
                else { return false }
                if response.hasError { throw Self.failure(response.error, start) }
                return true
            }
            call = own
            if let isDone { return isDone }
            try sender.check(call)
            throw call.expired()
        }
    }

    /// Removes a transaction's locks on some keys.
    private nonisolated func remove(
        _ keys: [[UInt8]], of start: UInt64, _ status: TransactionStatus, deadline: Deadline
    ) async throws(TiKVError) {
        try await self.scatter(keys, deadline: deadline) {
            [sender] keys, region, call async throws(TiKVError) -> Bool in
            var request = Self.request(start, status)
            request.keys = keys.map { Data($0) }
            guard let response = try await sender.deliver(TikvpbTikvRPC.kvResolveLock, &request, to: region, &call)
            else { return false }
            if response.hasError { throw Self.failure(response.error, start) }
            return true
        }
    }

    nonisolated func rollBackPessimistic(
        _ keys: [[UInt8]], of start: UInt64, forUpdate: UInt64, deadline: Deadline
    ) async throws(TiKVError) {
        try await self.scatter(keys, deadline: deadline) {
            [sender] keys, region, call async throws(TiKVError) -> Bool in
            var request = Kvrpcpb_PessimisticRollbackRequest()
            request.startVersion = start
            request.forUpdateTs = forUpdate
            request.keys = keys.map { Data($0) }
            guard
                let response = try await sender.deliver(
                    TikvpbTikvRPC.kvPessimisticRollback, &request, to: region, &call)
            else { return false }
            if let error = response.errors.first { throw Self.failure(error, start) }
            return true
        }
    }

    /// Does something about keys, region by region.
    ///
    /// - Parameters:
    ///   - count: how many keys go into one request.
    ///   - work: says whether it was done; where not, the keys must be routed anew.
    private nonisolated func scatter(
        _ keys: [[UInt8]], deadline: Deadline, count: Int = 512,
        _ work: @escaping @Sendable ([[UInt8]], CachedRegion, inout RegionCall) async throws(TiKVError) -> Bool
    ) async throws(TiKVError) {
        let sender = self.sender
        try await sender.scatter(
            Set(keys).sorted { KeyOrder.isLess($0, $1) }, timeout: deadline.remaining(at: sender.clock.now),
            isWrite: false, concurrency: 16,
            split: { keys, call async throws(TiKVError) in
                try await sender.group(keys, by: { $0 }, chunks: { RawBatch.chunks($0, count: count) }, &call)
            },
            deliver: { keys, region, call async throws(TiKVError) -> Void? in
                try await work(keys, region, &call) ? () : nil
            },
            collect: { _ in })
    }

    private static func request(_ start: UInt64, _ status: TransactionStatus) -> Kvrpcpb_ResolveLockRequest {
        var request = Kvrpcpb_ResolveLockRequest()
        request.startVersion = start
        if case .committed(let commit) = status { request.commitVersion = commit }
        return request
    }

    private static func failure(_ error: Kvrpcpb_KeyError, _ start: UInt64) -> TiKVError {
        if case .fail(let error) = KeyErrorReaction(error, start: start) { return error }
        return TiKVError(
            .serverError, "the store could not resolve a lock", detail: "\(error)",
            transaction: TransactionFailure(startTimestamp: start))
    }

    // MARK: - Background

    private nonisolated var backgroundDeadline: Deadline {
        Deadline(after: Self.backgroundTimeout, from: self.sender.clock.now)
    }

    func mayGoOnInBackground() -> Bool {
        self.backgroundCount < self.limit && !self.core.lifecycle.isClosed
    }

    private func inBackground(_ work: @escaping @Sendable () async -> Void) {
        self.backgroundCount += 1
        self.core.inBackground {
            await work()
            await self.backgroundEnded()
        }
    }

    private func backgroundEnded() { self.backgroundCount -= 1 }
}
