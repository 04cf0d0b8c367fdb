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
    }

    /// Below this many keys in a region, locks are removed by key and not for the whole region.
    static let liteThreshold: UInt64 = 512
    /// The time for removing locks in the background.
    static let backgroundTimeout = Duration.seconds(40)
    /// So much of it goes on at once; what is more is done by whoever met the locks.
    static let backgroundLimit = 10_000

    private nonisolated let core: ClientCore
    private var cache = TransactionStatusCache()
    private var backgroundCount = 0

    nonisolated var sender: RegionRequestSender { self.core.sender }

    init(core: ClientCore) {
        self.core = core
    }

    // MARK: - Resolving

    /// Does what can be done about locks that were met.
    func resolve(
        _ locks: [Lock], for purpose: LockPurpose, deadline: Deadline
    ) async throws(TiKVError) -> Resolution {
        var resolution = Resolution()
        var lite: [UInt64: (status: TransactionStatus, keys: [[UInt8]])] = [:]
        for lock in locks {
            var (status, now) = try await self.status(of: lock, purpose, isSyncForced: false, deadline: deadline)
            var verdict = LockVerdict(lock, status, purpose, now: now)
            if verdict.cleanup == .checkSecondaries, case .alive(_, _, let primary?) = status {
                (status, now) = try await self.outcome(of: lock, primary: primary, purpose, deadline: deadline)
                verdict = LockVerdict(lock, status, purpose, now: now, isSyncForced: true)
            }
            switch verdict.cleanup {
            case .nothing, .checkSecondaries:
                break
            case .rollBackPessimistic:
                try await self.rollBackPessimistic(lock, deadline: deadline)
            case .commit, .rollBack:
                if lock.transactionSize < Self.liteThreshold {
                    lite[lock.start, default: (status, [])].keys.append(lock.key)
                } else if purpose.isRead, self.mayGoOnInBackground() {
                    let final = status
                    self.inBackground { [self] in
                        let deadline = self.backgroundDeadline
                        try? await self.removeAll(lock, final, deadline: deadline)
                    }
                } else {
                    try await self.removeAll(lock, status, deadline: deadline)
                }
            }
            switch verdict.passage {
            case .ignore: resolution.ignored.append(lock.start)
            case .readThrough: resolution.readable.append(lock.start)
            case .afterCleanup: break
            case .wait(let milliseconds):
                let wait = Duration.milliseconds(Int64(clamping: milliseconds))
                resolution.wait = min(resolution.wait ?? wait, wait)
            }
        }
        for (start, work) in lite {
            if purpose.isRead, self.mayGoOnInBackground() {
                self.inBackground { [self] in
                    let deadline = self.backgroundDeadline
                    try? await self.remove(work.keys, of: start, work.status, deadline: deadline)
                }
            } else {
                try await self.remove(work.keys, of: start, work.status, deadline: deadline)
            }
        }
        return resolution
    }

    /// What became of a transaction, where it is known already.
    func known(_ start: UInt64) -> TransactionStatus? { self.cache[start] }

    // MARK: - Status

    /// What became of a lock's transaction, and PD's time in milliseconds.
    func status(
        of lock: Lock, _ purpose: LockPurpose, isSyncForced: Bool, deadline: Deadline
    ) async throws(TiKVError) -> (status: TransactionStatus, now: UInt64) {
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

    private func wait(_ backoff: inout Backoff, deadline: Deadline, _ lock: Lock) async throws(TiKVError) {
        let now = self.sender.clock.now
        guard
            let delay = backoff.next(.txnNotFound, remaining: deadline.remaining(at: now), random: self.sender.random())
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
    ) async throws(TiKVError) -> (status: TransactionStatus, now: UInt64) {
        var answers: [(locks: [Lock], expected: Int, commit: UInt64)] = []
        let sender = self.sender
        try await sender.scatter(
            primary.secondaries.sorted { KeyOrder.isLess($0, $1) },
            timeout: deadline.remaining(at: sender.clock.now), isWrite: false, concurrency: 16,
            split: { keys, call async throws(TiKVError) in
                try await sender.group(keys, by: { $0 }, chunks: { RawBatch.chunks($0, count: 512) }, &call)
            },
            deliver: { keys, region, call async throws(TiKVError) -> (locks: [Lock], expected: Int, commit: UInt64)? in
                var request = Kvrpcpb_CheckSecondaryLocksRequest()
                request.keys = keys.map { Data($0) }
                request.startVersion = lock.start
                guard
                    let response = try await sender.deliver(
                        TikvpbTikvRPC.kvCheckSecondaryLocks, &request, to: region, &call)
                else { return nil }
                if response.hasError, case .fail(let error) = KeyErrorReaction(response.error) { throw error }
                return (response.locks.map { Lock($0) }, keys.count, response.commitTs)
            },
            collect: { answers.append($0) })
        var check = SecondaryCheck(primary: primary)
        do throws(SecondaryCheck.Failure) {
            for answer in answers {
                try check.received(answer.locks, expected: answer.expected, commit: answer.commit)
            }
        } catch {
            switch error {
            case .isNotAsync:
                return try await self.status(of: lock, purpose, isSyncForced: true, deadline: deadline)
            case .contradiction:
                throw TiKVError(
                    .serverError, "stores contradict each other about the outcome of a transaction",
                    transaction: TransactionFailure(startTimestamp: lock.start))
            }
        }
        let status = check.status
        self.cache.insert(status, for: lock.start)
        try await self.remove(check.locked + [lock.primary], of: lock.start, status, deadline: deadline)
        return (status, 0)
    }

    // MARK: - Removing

    /// Removes all locks of a transaction in the region of one of them.
    private nonisolated func removeAll(
        _ lock: Lock, _ status: TransactionStatus, deadline: Deadline
    ) async throws(TiKVError) {
        var request = Self.request(lock.start, status)
        request.keys = []
        let response = try await self.sender.send(
            TikvpbTikvRPC.kvResolveLock, request, key: lock.key,
            timeout: deadline.remaining(at: self.sender.clock.now), isWrite: false)
        if response.hasError { throw Self.failure(response.error, lock.start) }
    }

    /// Removes a transaction's locks on some keys.
    private nonisolated func remove(
        _ keys: [[UInt8]], of start: UInt64, _ status: TransactionStatus, deadline: Deadline
    ) async throws(TiKVError) {
        let sender = self.sender
        try await sender.scatter(
            Set(keys).sorted { KeyOrder.isLess($0, $1) }, timeout: deadline.remaining(at: sender.clock.now),
            isWrite: false, concurrency: 16,
            split: { keys, call async throws(TiKVError) in
                try await sender.group(keys, by: { $0 }, chunks: { RawBatch.chunks($0, count: 512) }, &call)
            },
            deliver: { keys, region, call async throws(TiKVError) -> Void? in
                var request = Self.request(start, status)
                request.keys = keys.map { Data($0) }
                guard
                    let response = try await sender.deliver(TikvpbTikvRPC.kvResolveLock, &request, to: region, &call)
                else { return nil }
                if response.hasError { throw Self.failure(response.error, start) }
                return ()
            },
            collect: { _ in })
    }

    nonisolated func rollBackPessimistic(_ lock: Lock, deadline: Deadline) async throws(TiKVError) {
        var request = Kvrpcpb_PessimisticRollbackRequest()
        request.startVersion = lock.start
        request.forUpdateTs = lock.forUpdate == 0 ? .max : lock.forUpdate
        request.keys = [Data(lock.key)]
        let response = try await self.sender.send(
            TikvpbTikvRPC.kvPessimisticRollback, request, key: lock.key,
            timeout: deadline.remaining(at: self.sender.clock.now), isWrite: false)
        if let error = response.errors.first { throw Self.failure(error, lock.start) }
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

    private func mayGoOnInBackground() -> Bool { self.backgroundCount < Self.backgroundLimit }

    private func inBackground(_ work: @escaping @Sendable () async -> Void) {
        self.backgroundCount += 1
        self.core.inBackground {
            await work()
            await self.backgroundEnded()
        }
    }

    private func backgroundEnded() { self.backgroundCount -= 1 }
}
