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

/// Takes pessimistic locks for one call of a transaction, side by side over the regions.
struct PessimisticLocker: Sendable {
    /// A key to lock.
    struct Target: Sendable, Hashable {
        var key: [UInt8]
        /// Whether the key must not exist.
        var isInsert: Bool
    }

    /// What was found when a key was locked.
    struct Found: Sendable {
        var key: [UInt8]
        /// Nil where the key has no value, or where values were not asked for.
        var value: [UInt8]?
        var exists: Bool
        /// When the version was committed that came after the timestamp of the lock; 0 where none did.
        var conflict: UInt64 = 0
    }

    let context: TransactionContext
    let start: UInt64
    let primary: [UInt8]
    var options: TransactionOptions
    let began: ContinuousClock.Instant
    let interruption: Interruption
    /// Whether the transaction holds no lock yet and asks for one only, so that it can't be part of a circle.
    var isFirst = false
    /// Whether a lock is given in spite of later versions; of one key only.
    var isForced = false
    var isShared = false
    var returnsValues = false
    var onlyIfExists = false
    /// Is told what it takes.
    var recorder = LockRecorder()
    /// How long to wait for others; nil for as long as the call has time.
    var waitTimeout: Duration?
    /// When it began to wait.
    var waitBegan: ContinuousClock.Instant

    init(
        context: TransactionContext, start: UInt64, primary: [UInt8], options: TransactionOptions,
        began: ContinuousClock.Instant, interruption: Interruption
    ) {
        self.context = context
        self.start = start
        self.primary = primary
        self.options = options
        self.began = began
        self.interruption = interruption
        self.waitTimeout = options.lockWaitTimeout
        self.waitBegan = context.clock.now
    }

    // MARK: - Locking

    /// Takes the locks, as of a timestamp.
    ///
    /// - Throws: ``TiKVError``: `writeConflict` where a key was committed after the timestamp, so that the call can be made
    ///   again with a later one. Some of the locks may have been taken.
    func lock(_ targets: [Target], forUpdate: UInt64, deadline: Deadline) async throws(TiKVError) -> [Found] {
        guard !targets.isEmpty else { return [] }
        let sender = self.context.sender
        let limit = self.context.configuration.batchSizeLimit
        var found: [Found] = []
        var isFirstSplit = true
        try await sender.scatter(
            targets, timeout: deadline.remaining(at: self.context.clock.now), isWrite: false,
            concurrency: self.context.configuration.maximumConcurrency, options: self.options.request,
            split: { targets, call async throws(TiKVError) in
                let pieces = try await sender.group(
                    targets, by: { $0.key }, chunks: { RawBatch.chunks($0, bytes: limit, size: { $0.key.count }) },
                    &call)
                if isFirstSplit { self.recorder.record { $0.regionCount += Set(pieces.map(\.region.id)).count } }
                isFirstSplit = false
                return pieces
            },
            deliver: { targets, region, call async throws(TiKVError) -> [Found]? in
                let began = self.context.clock.now
                defer {
                    let request = LockDetails.Request(
                        regionID: region.id, time: began.duration(to: self.context.clock.now))
                    self.recorder.record {
                        $0.requestTime += request.time
                        $0.note(request)
                    }
                }
                return try await self.lock(targets, forUpdate: forUpdate, region, &call)
            },
            collect: { found += $0 })
        return found
    }

    private func lock(
        _ targets: [Target], forUpdate: UInt64, _ region: CachedRegion, _ call: inout RegionCall
    ) async throws(TiKVError) -> [Found]? {
        let sender = self.context.sender
        while true {
            try self.interruption.check(start: self.start)
            var request = self.request(targets, forUpdate: forUpdate)
            request.waitTimeout = self.storeWait(call)
            self.recorder.record { $0.requestCount += 1 }
            guard
                let response = try await sender.deliver(
                    TikvpbTikvRPC.kvPessimisticLock, &request, to: region, &call)
            else { return nil }
            if response.errors.isEmpty { return try self.found(targets, response) }
            var locks: [Lock] = []
            for error in response.errors {
                switch KeyErrorReaction(error, start: self.start) {
                case .resolve(let met): locks += met
                case .fail(let error): throw error
                case .commitLater, .transactionNotFound, .primaryMismatch, .lockNotFound:
                    throw TiKVError(
                        .transactionRolledBack, "a lock of the transaction is gone", detail: "\(error)",
                        transaction: TransactionFailure(startTimestamp: self.start))
                }
            }
            try await self.wait(for: locks, &call)
        }
    }

    /// How long a store may wait for others in our place, in milliseconds.
    private func storeWait(_ call: RegionCall) -> Int64 {
        if self.waitTimeout == .zero { return -1 }
        let now = self.context.clock.now
        // So often it is looked whether the transaction was interrupted, or another has died.
        var wait = min(.seconds(1), call.deadline.remaining(at: now))
        if let patience = self.waitTimeout { wait = min(wait, patience - self.waitBegan.duration(to: now)) }
        // 0 would be the store's own default.
        return max(1, Int64(wait / .milliseconds(1)))
    }

    /// Removes locks that nobody has any more; throws where others' locks must not be waited for any longer.
    private func wait(for locks: [Lock], _ call: inout RegionCall) async throws(TiKVError) {
        self.recorder.record { $0.waitCount += 1 }
        let doubtful = locks.filter { !$0.isFresh }
        var rest: Duration? = doubtful.count < locks.count ? .zero : nil
        if !doubtful.isEmpty {
            let began = self.context.clock.now
            defer {
                let time = began.duration(to: self.context.clock.now)
                self.recorder.record { $0.resolveTime += time }
            }
            let resolution = try await self.context.resolver.resolve(
                doubtful, for: .write(start: self.start), deadline: call.deadline)
            rest = resolution.wait ?? rest
        }
        guard let wait = rest else { return }
        let failure = TransactionFailure(startTimestamp: self.start, key: locks.first.map { Key($0.key) })
        if let patience = self.waitTimeout {
            if patience == .zero {
                throw TiKVError(
                    .keyIsLocked, "another transaction has locked the key, and nobody was to wait",
                    transaction: failure)
            }
            if self.waitBegan.duration(to: self.context.clock.now) >= patience {
                throw TiKVError(
                    .lockWaitTimeout, "another transaction held the key's lock for longer than this one was to wait",
                    transaction: failure)
            }
        }
        if call.deadline.hasPassed(at: self.context.clock.now) {
            throw TiKVError(
                .deadlineExceeded, "another transaction held the key's lock until the call's time was over",
                transaction: failure)
        }
        call.record(.deadlineExceeded, "another transaction holds the key's lock")
        // The store has waited already; this only keeps a store that doesn't from being asked too often.
        try await self.context.sender.wait(
            .txnLockFast, hint: min(max(wait, .milliseconds(1)), .milliseconds(5)), &call)
    }

    private func found(_ targets: [Target], _ response: Kvrpcpb_PessimisticLockResponse) throws(TiKVError) -> [Found] {
        if self.isForced, let result = response.results.first, let target = targets.first {
            let isConflict = result.type == .lockResultLockedWithConflict
            guard result.type == .lockResultNormal || isConflict else {
                throw TiKVError(
                    .serverError, "the store could not lock a key and does not say why",
                    transaction: TransactionFailure(startTimestamp: self.start, key: Key(target.key)))
            }
            let hasValue = (self.returnsValues || isConflict) && result.existence
            return [
                Found(
                    key: target.key, value: hasValue ? [UInt8](result.value) : nil, exists: result.existence,
                    conflict: isConflict ? result.lockedWithConflictTs : 0)
            ]
        }
        return targets.enumerated().map { index, target in
            let isNotFound = index < response.notFounds.count ? response.notFounds[index] : false
            let value =
                self.returnsValues && !isNotFound && index < response.values.count
                ? [UInt8](response.values[index]) : nil
            return Found(key: target.key, value: value, exists: !isNotFound)
        }
    }

    func request(_ targets: [Target], forUpdate: UInt64) -> Kvrpcpb_PessimisticLockRequest {
        var request = Kvrpcpb_PessimisticLockRequest()
        request.mutations = targets.map { target in
            var mutation = Kvrpcpb_Mutation()
            mutation.op = self.isShared ? .sharedPessimisticLock : .pessimisticLock
            mutation.key = Data(target.key)
            if target.isInsert { mutation.assertion = .notExist }
            return mutation
        }
        request.primaryLock = Data(self.primary)
        request.startVersion = self.start
        // Each try says anew how long the lock lives: one that had to wait must not be old when it is taken.
        request.lockTtl = LockTimeToLive.managed(
            self.context.keepers.lifetime, age: self.began.duration(to: self.context.clock.now))
        if Failpoint.pessimisticLockShortTTL.value() != nil { request.lockTtl = 1 }
        request.forUpdateTs = forUpdate
        request.isFirstLock = self.isFirst
        request.returnValues = self.returnsValues
        // What is asserted of the key later is held against it.
        request.checkExistence = true
        request.lockOnlyIfExists = self.onlyIfExists
        request.minCommitTs = forUpdate &+ 1
        if self.isForced { request.wakeUpMode = .wakeUpModeForceLock }
        return request
    }

    // MARK: - Taking back

    /// Takes locks back, of which some may not be there. Where the task is cancelled, that goes on in the background.
    func rollBack(_ keys: [[UInt8]], forUpdate: UInt64) async {
        guard !keys.isEmpty else { return }
        guard !Task.isCancelled else { return self.rollBackInBackground(keys, forUpdate: forUpdate) }
        guard let failure = await self.tryToRollBack(keys, forUpdate: forUpdate) else { return }
        if failure.code == .cancelled {
            self.rollBackInBackground(keys, forUpdate: forUpdate)
        } else {
            self.context.logger.debug("pessimistic locks left behind", metadata: ["error": "\(failure)"])
        }
    }

    func rollBackInBackground(_ keys: [[UInt8]], forUpdate: UInt64) {
        guard !keys.isEmpty else { return }
        self.context.inBackground {
            if let failure = await self.tryToRollBack(keys, forUpdate: forUpdate) {
                self.context.logger.debug("pessimistic locks left behind", metadata: ["error": "\(failure)"])
            }
        }
    }

    private func tryToRollBack(_ keys: [[UInt8]], forUpdate: UInt64) async -> TiKVError? {
        if Failpoint.pessimisticRollbackSkip.value() != nil { return nil }
        let sender = self.context.sender
        let start = self.start
        do throws(TiKVError) {
            try await sender.scatter(
                keys.sorted { KeyOrder.isLess($0, $1) }, timeout: .seconds(20), isWrite: false,
                concurrency: self.context.configuration.maximumConcurrency, options: self.options.request,
                split: { keys, call async throws(TiKVError) in
                    try await sender.group(
                        keys, by: { $0 }, chunks: { RawBatch.chunks($0, bytes: 16 << 10, size: { $0.count }) }, &call)
                },
                deliver: { keys, region, call async throws(TiKVError) -> Void? in
                    var request = Kvrpcpb_PessimisticRollbackRequest()
                    request.startVersion = start
                    request.forUpdateTs = forUpdate
                    request.keys = keys.map { Data($0) }
                    let method = TikvpbTikvRPC.kvPessimisticRollback
                    return try await sender.deliver(method, &request, to: region, &call) == nil ? nil : ()
                },
                collect: { _ in })
            return nil
        } catch {
            return error
        }
    }
}
