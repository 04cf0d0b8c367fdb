// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVFailpoints
import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Committer {
    /// Mutations for one request.
    struct Batch: Sendable {
        /// Made when the request's turn comes.
        var mutations: MutationList
        /// How many keys the transaction has in the region; the largest number where that is not known, since the region
        /// has changed: then nobody removes locks key by key because they look few.
        var regionCount: UInt64
        /// Whether the mutations were cut for a region before.
        var isCut = true
    }

    /// The bytes from which on a request takes no further key.
    var batchLimit: Int { Failpoint.prewriteBatchSizeLimit.value()?.integer ?? self.sizeLimit }

    /// Locks all keys. The first failure cancels what is under way.
    func prewrite(deadline: Deadline) async throws(TiKVError) {
        let sender = self.context.sender
        let limit = self.batchLimit
        let began = self.clock.now
        defer { self.recorder.record { $0.prewriteTime = began.duration(to: self.clock.now) } }
        let mutations = self.plan.mutations
        await PreSplitter(context: self.context).prepare(
            count: mutations.count, key: { mutations.key(at: $0) }, size: { mutations.size(at: $0) },
            deadline: deadline)
        let (recorder, progress) = (self.recorder, self.progress)
        try await sender.scatter(
            Batch(mutations: mutations, regionCount: 0, isCut: false),
            timeout: deadline.remaining(at: self.clock.now), isWrite: false,
            concurrency: self.context.configuration.maximumConcurrency, options: self.options.request,
            split: { batch, call async throws(TiKVError) in
                let part = batch.mutations
                let regions = try await sender.group(part.indices, key: { part.key(at: $0) }, &call)
                if !batch.isCut { recorder.record { $0.regionCount = regions.count } }
                let batches = regions.flatMap { region, places in
                    let count = batch.isCut ? .max : UInt64(places.count)
                    return part[places].pieces(bytes: limit, size: { part.size(at: $0) }).map {
                        (region, Batch(mutations: $0, regionCount: count))
                    }
                }
                if batches.count > 1 { progress.change { $0.cut() } }
                return batches
            },
            deliver: { batch, region, call async throws(TiKVError) -> Void? in
                let began = self.clock.now
                defer {
                    let time = began.duration(to: self.clock.now)
                    recorder.record {
                        $0.prewriteCount += 1
                        $0.slowestPrewrite = max($0.slowestPrewrite, time)
                    }
                }
                return try await self.prewriteNoting(batch, region, &call)
            },
            collect: { _ in })
    }

    /// Prewrites, and takes note of keys that may be locked though nobody has said so.
    private func prewriteNoting(
        _ batch: Batch, _ region: CachedRegion, _ call: inout RegionCall
    ) async throws(TiKVError) -> Void? {
        // Where prewrite decides, the same done twice is the same, and the second answer tells what became of the first.
        if self.progress.value.isActive { call.asksAgainIfUndetermined = true }
        do throws(TiKVError) {
            if let done = try await self.prewrite(batch, region, &call) { return done }
        } catch {
            if call.isOutcomeUnknown { self.progress.change { $0.mayHaveLocked(batch.mutations.lazyKeys) } }
            throw error
        }
        if call.isOutcomeUnknown { self.progress.change { $0.mayHaveLocked(batch.mutations.lazyKeys) } }
        return nil
    }

    private func prewrite(
        _ batch: Batch, _ region: CachedRegion, _ call: inout RegionCall
    ) async throws(TiKVError) -> Void? {
        let sender = self.context.sender
        let isPrimary = batch.mutations.place(of: self.plan.primary) != nil
        if !isPrimary { try await Failpoint.prewriteSecondary.hit() }
        var waits = LockWaitBackoff()
        while true {
            try self.interruption.check(start: self.start)
            var request = self.request(batch)
            self.progress.change { $0.sends() }
            guard let response = try await sender.deliver(TikvpbTikvRPC.kvPrewrite, &request, to: region, &call) else {
                return nil
            }
            if response.errors.isEmpty {
                self.progress.change {
                    $0.locked(
                        batch.mutations.lazyKeys, minimumCommit: response.minCommitTs,
                        onePhaseCommit: response.onePcCommitTs)
                }
                if isPrimary { try await Failpoint.prewritePrimary.hit() }
                return ()
            }
            var locks: [Lock] = []
            var fallsBack = false
            for error in response.errors {
                if error.hasCommitTsTooLarge, request.maxCommitTs > 0 {
                    // Stores of today make a plain lock of it by themselves.
                    fallsBack = true
                    continue
                }
                switch KeyErrorReaction(error, start: self.start) {
                case .resolve(let found): locks += found
                case .fail(let error):
                    if error.refusesForGood { self.progress.change { $0.refused() } }
                    throw error
                case .commitLater, .transactionNotFound, .primaryMismatch, .lockNotFound:
                    // A pessimistic lock that should be there is not: others have taken it for abandoned.
                    throw TiKVError(
                        .transactionRolledBack, "a lock of the transaction is gone", detail: "\(error)",
                        transaction: TransactionFailure(startTimestamp: self.start))
                }
            }
            if fallsBack {
                self.progress.change { $0.fallBack() }
                if locks.isEmpty { continue }
            }
            self.recorder.record { $0.lockCount += locks.count }
            try self.checkOrder(locks)
            if !self.options.waitsForLocks, let lock = locks.first {
                throw TiKVError(
                    .keyIsLocked, "another transaction's lock is in the way",
                    transaction: TransactionFailure(startTimestamp: self.start, key: Key(lock.key)))
            }
            let resolution = try await self.context.resolver.resolve(
                locks, for: .write(start: self.start), deadline: call.deadline)
            guard let wait = resolution.wait else { continue }
            call.record(.keyIsLocked, "another transaction's lock is in the way")
            waits.met(locks.map(\.start))
            try await self.context.wait(
                .writeLock, atMost: wait > .zero ? wait : nil, &waits.backoff, deadline: call.deadline,
                recorder: call.recorder, failure: call.expired())
        }
    }

    /// An optimistic transaction that meets the lock of one that began later gives way at once: if that one commits, this
    /// one can't; and of two that wait for each other crosswise one must give way.
    private func checkOrder(_ locks: [Lock]) throws(TiKVError) {
        guard !self.options.kind.isPessimistic, let lock = locks.first(where: { $0.start > self.start }) else { return }
        var conflict = TransactionFailure.Conflict(
            reason: .optimistic, key: Key(lock.key), startTimestamp: lock.start)
        conflict.lock = lock
        throw TiKVError(
            .writeConflict, "a transaction that began later has locked one of the keys",
            transaction: TransactionFailure(startTimestamp: self.start, conflict: conflict))
    }

    func request(_ batch: Batch) -> Kvrpcpb_PrewriteRequest {
        let isPessimistic = self.options.kind.isPessimistic
        let transaction = self.context.configuration
        var request = Kvrpcpb_PrewriteRequest()
        request.mutations = batch.mutations.map(\.proto)
        let first = batch.mutations.startIndex
        request.primaryLock = Data(self.plan.primary.isEmpty ? batch.mutations.key(at: first) : self.plan.primary)
        request.startVersion = self.start
        let age = self.began.duration(to: self.clock.now)
        let isKeptAlive = Heartbeat.isNeeded(
            size: self.plan.size, isPessimistic: isPessimistic, threshold: transaction.keepAliveSize)
        request.lockTtl =
            isKeptAlive
            ? LockTimeToLive.managed(transaction.lockTimeToLive, age: age)
            : LockTimeToLive.commit(size: self.plan.size, age: age)
        request.txnSize = batch.regionCount
        if isPessimistic {
            request.forUpdateTs = self.forUpdate
            request.pessimisticActions = batch.mutations.map(\.pessimisticAction)
            for (index, mutation) in batch.mutations.enumerated() where mutation.expectedForUpdate > 0 {
                var constraint = Kvrpcpb_PrewriteRequest.ForUpdateTSConstraint()
                constraint.index = UInt32(index)
                constraint.expectedForUpdateTs = mutation.expectedForUpdate
                request.forUpdateTsConstraints.append(constraint)
            }
        }
        if Failpoint.assertionSkipCheckFromPrewrite.value() == nil {
            switch self.options.assertionLevel.level {
            case .off: break
            case .fast: request.assertionLevel = .fast
            case .strict: request.assertionLevel = .strict
            }
        }
        self.apply(
            self.progress.value, to: &request, hasPrimary: batch.mutations.place(of: self.plan.primary) != nil)
        if Failpoint.prewriteShortLockTTL.value() != nil { request.lockTtl = 1 }
        return request
    }
}

extension TiKVError {
    /// Whether what a store says of a prewrite stays true, however often the prewrite is sent: others have written the key.
    fileprivate var refusesForGood: Bool {
        switch self.code {
        case .keyAlreadyExists, .assertionFailed: true
        case .writeConflict: self.transaction?.conflict.map { $0.reason != .unknown } ?? false
        default: false
        }
    }
}
