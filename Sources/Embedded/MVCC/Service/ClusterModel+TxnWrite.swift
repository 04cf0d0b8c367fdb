// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVOrderedMap
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The writing requests. `now` is the time of the waits for locks, in milliseconds.
extension ClusterModel {
    private mutating func run<Value: Sendable>(
        now: UInt64, _ command: (inout MVCCEngine) throws(MVCCError) -> CommandOutcome<Value>
    ) throws(TxnFailure) -> Value {
        do throws(MVCCError) {
            return try self.transactions.run(now: now, regions: self.cluster, command)
        } catch {
            throw .key(error)
        }
    }

    /// The checks that a request has to pass before its command runs.
    private func check(
        _ context: Kvrpcpb_Context, _ keys: [TxnKey], on storeID: UInt64
    ) throws(TxnFailure) -> RegionState {
        let region = try self.leaderRegion(context, on: storeID)
        try region.checkKeys(keys)
        return region
    }

    mutating func expireLockWaits(now: UInt64) {
        self.transactions.expire(now: now, regions: self.cluster)
    }

    // MARK: - Prewrite

    mutating func txnPrewrite(
        _ request: Kvrpcpb_PrewriteRequest, on storeID: UInt64, now: UInt64
    ) throws(TxnFailure) -> PrewriteCommand.Result {
        let command = try Self.command { () throws(MVCCError) in try PrewriteCommand(request) }
        try self.check(request.context, command.mutations, "prewrite", on: storeID)
        return try self.run(now: now) { engine throws(MVCCError) in try engine.prewrite(command) }
    }

    mutating func txnFlush(
        _ request: Kvrpcpb_FlushRequest, on storeID: UInt64, now: UInt64
    ) throws(TxnFailure) -> [MVCCError] {
        let command = try Self.command { () throws(MVCCError) in try FlushCommand(request) }
        try self.check(request.context, command.mutations, "flush", on: storeID)
        return try self.run(now: now) { engine throws(MVCCError) in try engine.flush(command) }
    }

    private func check(
        _ context: Kvrpcpb_Context, _ mutations: [Mutation], _ command: String, on storeID: UInt64
    ) throws(TxnFailure) {
        let keys = mutations.map(\.key)
        try self.checkTxnVersion(context, command, keys)
        let region = try self.check(context, keys, on: storeID)
        let size = mutations.reduce(0) { $0 + $1.key.encoded.count + $1.value.count }
        do throws(StorageError) {
            try Self.checkSize(ofEntry: size, in: region)
        } catch {
            throw TxnFailure(error)
        }
    }

    private static func command<Command>(
        _ body: () throws(MVCCError) -> Command
    ) throws(TxnFailure) -> Command {
        do throws(MVCCError) {
            return try body()
        } catch {
            throw .key(error)
        }
    }

    // MARK: - Pessimistic locks

    mutating func txnPessimisticLock(
        _ request: Kvrpcpb_PessimisticLockRequest, on storeID: UInt64, now: UInt64
    ) throws(TxnFailure) -> TxnStorage.LockAnswer {
        let command = try Self.command { () throws(MVCCError) in try PessimisticLockCommand(request) }
        let keys = command.items.map(\.key)
        try self.checkTxnVersion(request.context, "acquire_pessimistic_lock", keys)
        _ = try self.check(request.context, keys, on: storeID)
        let origin = RequestOrigin(storeID: storeID, target: RequestTarget(request.context))
        return self.transactions.lock(command, waitTimeout: request.waitTimeout, from: origin, now: now)
    }

    /// Without keys, all pessimistic locks that the transaction has in the region.
    mutating func txnPessimisticRollback(
        _ request: Kvrpcpb_PessimisticRollbackRequest, on storeID: UInt64, now: UInt64
    ) throws(TxnFailure) {
        var keys = request.keys.map { TxnKey([UInt8]($0)) }
        let region = try self.check(request.context, keys, on: storeID)
        if keys.isEmpty {
            let range = EncodedRange(start: region.startKey, end: region.endKey)
            keys = self.transactions.engine.store.locks(in: range)
                .filter { $0.lock.records.contains { $0.startTS == request.startVersion } }.map(\.key)
        }
        try self.run(now: now) { engine throws(MVCCError) in
            try engine.rollBackPessimistically(
                keys, startTS: request.startVersion, forUpdateTS: request.forUpdateTs)
        }
    }

    // MARK: - Commit and rollback

    mutating func txnCommit(
        _ request: Kvrpcpb_CommitRequest, on storeID: UInt64, now: UInt64
    ) throws(TxnFailure) {
        let keys = request.keys.map { TxnKey([UInt8]($0)) }
        _ = try self.check(request.context, keys, on: storeID)
        try self.run(now: now) { engine throws(MVCCError) in
            try engine.commit(keys, startTS: request.startVersion, commitTS: request.commitVersion)
        }
    }

    /// - Returns: the commit timestamp where the transaction is committed, else 0.
    mutating func txnCleanup(
        _ request: Kvrpcpb_CleanupRequest, on storeID: UInt64, now: UInt64
    ) throws(TxnFailure) -> UInt64 {
        let key = TxnKey([UInt8](request.key))
        _ = try self.check(request.context, [key], on: storeID)
        do throws(TxnFailure) {
            try self.run(now: now) { engine throws(MVCCError) in
                try engine.cleanUp(key, startTS: request.startVersion, currentTS: request.currentTs)
            }
            return 0
        } catch {
            if case .key(.committed(_, let commitTS, _)) = error { return commitTS }
            throw error
        }
    }

    mutating func txnBatchRollback(
        _ request: Kvrpcpb_BatchRollbackRequest, on storeID: UInt64, now: UInt64
    ) throws(TxnFailure) {
        let keys = request.keys.map { TxnKey([UInt8]($0)) }
        _ = try self.check(request.context, keys, on: storeID)
        try self.run(now: now) { engine throws(MVCCError) in
            try engine.rollBack(keys, startTS: request.startVersion)
        }
    }

    // MARK: - Asking for a transaction

    mutating func txnCheckStatus(
        _ request: Kvrpcpb_CheckTxnStatusRequest, on storeID: UInt64, now: UInt64
    ) throws(TxnFailure) -> TxnStatus {
        let check = TxnStatusCheck(request)
        _ = try self.check(request.context, [check.primary], on: storeID)
        return try self.run(now: now) { engine throws(MVCCError) in try engine.checkStatus(check) }
    }

    mutating func txnCheckSecondaryLocks(
        _ request: Kvrpcpb_CheckSecondaryLocksRequest, on storeID: UInt64, now: UInt64
    ) throws(TxnFailure) -> SecondaryLocksStatus {
        let keys = request.keys.map { TxnKey([UInt8]($0)) }
        _ = try self.check(request.context, keys, on: storeID)
        return try self.run(now: now) { engine throws(MVCCError) in
            try engine.checkSecondaryLocks(keys, startTS: request.startVersion)
        }
    }

    mutating func txnHeartBeat(
        _ request: Kvrpcpb_TxnHeartBeatRequest, on storeID: UInt64, now: UInt64
    ) throws(TxnFailure) -> UInt64 {
        let key = TxnKey([UInt8](request.primaryLock))
        _ = try self.check(request.context, [key], on: storeID)
        return try self.run(now: now) { engine throws(MVCCError) in
            try engine.heartBeat(
                key, startTS: request.startVersion, adviseTTL: request.adviseLockTtl,
                minCommitTS: request.minCommitTs)
        }
    }

    // MARK: - Resolving and removing

    /// With keys: those of one transaction. Without: all locks in the region, of one transaction or of several.
    mutating func txnResolveLock(
        _ request: Kvrpcpb_ResolveLockRequest, on storeID: UInt64, now: UInt64
    ) throws(TxnFailure) {
        let keys = request.keys.map { TxnKey([UInt8]($0)) }
        let region = try self.check(request.context, keys, on: storeID)
        if !keys.isEmpty {
            return try self.run(now: now) { engine throws(MVCCError) in
                try engine.resolve(keys, startTS: request.startVersion, commitTS: request.commitVersion)
            }
        }
        var fates: [UInt64: UInt64] = [:]
        if request.startVersion > 0 {
            fates[request.startVersion] = request.commitVersion
        } else {
            for info in request.txnInfos { fates[info.txn] = info.status }
        }
        let range = EncodedRange(start: region.startKey, end: region.endKey)
        try self.run(now: now) { engine throws(MVCCError) in try engine.resolve(fates, in: range) }
    }

    /// Removes a range at once, past all transactions; nothing at all where it is only announced.
    mutating func txnDeleteRange(
        _ request: Kvrpcpb_DeleteRangeRequest, on storeID: UInt64
    ) throws(TxnFailure) {
        let start = TxnKey([UInt8](request.startKey)).encoded
        let end = TxnKey([UInt8](request.endKey)).encoded
        let region = try self.leaderRegion(request.context, on: storeID)
        guard KeyOrder.isLess(start, end) else {
            throw .region(.other("invalid delete range command, start_key: \(start.hex), end_key: \(end.hex)"))
        }
        guard region.contains(start) else { throw .region(.keyNotInRegion(key: start, region: region)) }
        guard region.reaches(end: end) else { throw .region(.keyNotInRegion(key: end, region: region)) }
        if request.notifyOnly { return }
        self.transactions.changeEngine { $0.removeAll(in: EncodedRange(start: start, end: end)) }
    }

    /// Removes a range from the whole store, whatever its regions are.
    mutating func unsafeDestroyRange(_ request: Kvrpcpb_UnsafeDestroyRangeRequest) throws(TxnFailure) {
        // A real store does not survive a request without bounds.
        guard !request.startKey.isEmpty && !request.endKey.isEmpty else {
            throw .text("unsafe destroy range needs a start and an end")
        }
        let range = EncodedRange(rawStart: [UInt8](request.startKey), rawEnd: [UInt8](request.endKey))
        self.transactions.changeEngine { $0.removeAll(in: range) }
    }
}
