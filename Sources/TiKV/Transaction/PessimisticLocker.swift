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
    }

    let context: TransactionContext
    let start: UInt64
    let primary: [UInt8]
    /// Whether the primary's lock is among those to take, so that no lock of the transaction is there yet.
    let isFirst: Bool
    let options: TransactionOptions
    let began: ContinuousClock.Instant
    let returnsValues: Bool

    // MARK: - Locking

    /// Takes the locks, as of a timestamp.
    ///
    /// - Throws: ``TiKVError``: `writeConflict` where a key was committed after the timestamp, so that the call can be made
    ///   again with a later one. Some of the locks may have been taken.
    func lock(_ targets: [Target], forUpdate: UInt64, deadline: Deadline) async throws(TiKVError) -> [Found] {
        let sender = self.context.sender
        let limit = self.context.configuration.batchSizeLimit
        var found: [Found] = []
        // The primary first and alone where it is new: a lock must not point to one that may never be there.
        var rest = targets
        if self.isFirst, let index = rest.firstIndex(where: { $0.key == self.primary }) {
            let first = rest.remove(at: index)
            found += try await self.scatter([first], forUpdate: forUpdate, limit: limit, deadline: deadline, sender)
        }
        if !rest.isEmpty {
            found += try await self.scatter(rest, forUpdate: forUpdate, limit: limit, deadline: deadline, sender)
        }
        return found
    }

    private func scatter(
        _ targets: [Target], forUpdate: UInt64, limit: Int, deadline: Deadline, _ sender: RegionRequestSender
    ) async throws(TiKVError) -> [Found] {
        var found: [Found] = []
        try await sender.scatter(
            targets, timeout: deadline.remaining(at: self.context.clock.now), isWrite: false,
            concurrency: self.context.configuration.maximumConcurrency, options: self.requestOptions,
            split: { targets, call async throws(TiKVError) in
                try await sender.group(
                    targets, by: { $0.key }, chunks: { RawBatch.chunks($0, count: max(1, limit / 64)) }, &call)
            },
            deliver: { targets, region, call async throws(TiKVError) -> [Found]? in
                try await self.lock(targets, forUpdate: forUpdate, region, &call)
            },
            collect: { found += $0 })
        return found
    }

    private func lock(
        _ targets: [Target], forUpdate: UInt64, _ region: CachedRegion, _ call: inout RegionCall
    ) async throws(TiKVError) -> [Found]? {
        let sender = self.context.sender
        let clock = self.context.clock
        let patience = self.options.lockWaitTimeout.map { Deadline(after: $0, from: clock.now) }
        while true {
            var request = self.request(targets, forUpdate: forUpdate)
            let end = min(patience?.instant ?? call.deadline.instant, call.deadline.instant)
            if self.options.lockWaitTimeout == .zero {
                request.waitTimeout = -1
            } else {
                // A store waits for others in our place, no longer than this; 0 would be its own default.
                let rest = min(clock.now.duration(to: end), .seconds(1))
                request.waitTimeout = max(1, Int64(rest / .milliseconds(1)))
            }
            guard
                let response = try await sender.deliver(
                    TikvpbTikvRPC.kvPessimisticLock, &request, to: region, &call)
            else { return nil }
            if response.errors.isEmpty { return self.found(targets, response) }

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
            let failure = TransactionFailure(startTimestamp: self.start, key: locks.first.map { Key($0.key) })
            let resolution = try await self.context.resolver.resolve(
                locks, for: .write(start: self.start), deadline: call.deadline)
            guard let wait = resolution.wait else { continue }
            if self.options.lockWaitTimeout == .zero {
                throw TiKVError(
                    .keyIsLocked, "another transaction has locked the key, and nobody was to wait",
                    transaction: failure)
            }
            if clock.now >= end {
                throw TiKVError(
                    .lockWaitTimeout, "another transaction held the key's lock for longer than this one was to wait",
                    transaction: failure)
            }
            call.record(.lockWaitTimeout, "another transaction holds the key's lock")
            // The store has waited already; this only keeps a store that doesn't from being asked too often.
            try await sender.wait(.txnLockFast, hint: min(max(wait, .milliseconds(1)), .milliseconds(5)), &call)
        }
    }

    private func found(_ targets: [Target], _ response: Kvrpcpb_PessimisticLockResponse) -> [Found] {
        targets.enumerated().map { index, target in
            let isNotFound = index < response.notFounds.count ? response.notFounds[index] : false
            let value =
                self.returnsValues && !isNotFound && index < response.values.count
                ? [UInt8](response.values[index]) : nil
            return Found(key: target.key, value: value, exists: !isNotFound)
        }
    }

    private func request(_ targets: [Target], forUpdate: UInt64) -> Kvrpcpb_PessimisticLockRequest {
        var request = Kvrpcpb_PessimisticLockRequest()
        request.mutations = targets.map { target in
            var mutation = Kvrpcpb_Mutation()
            mutation.op = .pessimisticLock
            mutation.key = Data(target.key)
            if target.isInsert { mutation.assertion = .notExist }
            return mutation
        }
        request.primaryLock = Data(self.primary)
        request.startVersion = self.start
        request.lockTtl = LockTimeToLive.managed(age: self.began.duration(to: self.context.clock.now))
        request.forUpdateTs = forUpdate
        request.isFirstLock = self.isFirst
        request.returnValues = self.returnsValues
        request.checkExistence = true
        request.minCommitTs = forUpdate &+ 1
        return request
    }

    // MARK: - Taking back

    /// Takes locks back, of which some may not be there.
    func rollBack(_ keys: [[UInt8]], forUpdate: UInt64) async {
        let sender = self.context.sender
        let start = self.start
        do throws(TiKVError) {
            try await sender.scatter(
                keys, timeout: .seconds(20), isWrite: false,
                concurrency: self.context.configuration.maximumConcurrency, options: self.requestOptions,
                split: { keys, call async throws(TiKVError) in
                    try await sender.group(keys, by: { $0 }, chunks: { RawBatch.chunks($0, count: 512) }, &call)
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
        } catch {
            self.context.logger.debug("pessimistic locks left behind", metadata: ["error": "\(error)"])
        }
    }

    private var requestOptions: RequestOptions {
        var options = RequestOptions()
        options.apply(self.options.priority)
        options.resourceGroupTag = self.options.resourceGroupTag
        return options
    }
}
