// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension LockResolver {
    /// Ends the transactions of locks, whether or not their time is over, and removes all their locks of a region.
    ///
    /// - Returns: false where the region has changed, so that the locks must be listed anew.
    func removeAll(_ locks: [Lock], in region: CachedRegion, deadline: Deadline) async throws(TiKVError) -> Bool {
        var fates: [UInt64: UInt64] = [:]
        // Pessimistic locks decide nothing: one that is left of a failed statement may point to a primary that its transaction
        // has given up, and which knows nothing of the commit.
        for lock in locks where !lock.isPessimistic && fates[lock.start] == nil {
            let status = try await self.final(lock, deadline: deadline)
            if case .committed(let commit) = status { fates[lock.start] = commit } else { fates[lock.start] = 0 }
        }
        for start in Set(locks.filter(\.isPessimistic).map(\.start)).sorted() {
            guard try await self.rollBackAllPessimistic(of: start, in: region, deadline: deadline) else { return false }
        }
        guard !fates.isEmpty else { return true }
        var request = Kvrpcpb_ResolveLockRequest()
        request.txnInfos = fates.sorted { $0.key < $1.key }.map { start, commit in
            var info = Kvrpcpb_TxnInfo()
            info.txn = start
            info.status = commit
            return info
        }
        let remaining = deadline.remaining(at: self.sender.clock.now)
        var call = try await self.sender.begin(timeout: remaining, isWrite: false)
        defer { self.sender.lifecycle.end() }
        let response = try await self.sender.deliver(TikvpbTikvRPC.kvResolveLock, &request, to: region, &call)
        guard let response else { return false }
        if response.hasError {
            throw TiKVError(.serverError, "the store could not remove locks", detail: "\(response.error)")
        }
        return true
    }

    /// Takes back all pessimistic locks that a transaction has in a region, which the store looks for. Not for one that may
    /// go on: it would lose those that it counts on.
    ///
    /// - Returns: false where the region has changed.
    private func rollBackAllPessimistic(
        of start: UInt64, in region: CachedRegion, deadline: Deadline
    ) async throws(TiKVError) -> Bool {
        var request = Kvrpcpb_PessimisticRollbackRequest()
        request.startVersion = start
        request.forUpdateTs = .max
        var call = try await self.sender.begin(
            timeout: deadline.remaining(at: self.sender.clock.now), isWrite: false)
        defer { self.sender.lifecycle.end() }
        let method = TikvpbTikvRPC.kvPessimisticRollback
        guard let response = try await self.sender.deliver(method, &request, to: region, &call) else { return false }
        if let error = response.errors.first {
            throw TiKVError(.serverError, "the store could not take pessimistic locks back", detail: "\(error)")
        }
        return true
    }

    /// How a transaction ended; where it goes on, it is ended now.
    private func final(_ lock: Lock, deadline: Deadline) async throws(TiKVError) -> TransactionStatus {
        let purpose = LockPurpose.write(start: 0)
        let (status, _) = try await self.status(
            of: lock.expired, purpose, isSyncForced: false, deadline: deadline)
        guard case .alive(_, _, let primary?) = status, primary.isAsyncCommit else {
            if case .alive = status {
                throw TiKVError(
                    .keyIsLocked, "a transaction could not be ended",
                    transaction: TransactionFailure(startTimestamp: lock.start, key: Key(lock.key)))
            }
            return status
        }
        // The store does not decide about a commit that may have happened: the other keys do.
        return try await self.outcome(of: lock.expired, primary: primary, purpose, deadline: deadline).status
    }
}
