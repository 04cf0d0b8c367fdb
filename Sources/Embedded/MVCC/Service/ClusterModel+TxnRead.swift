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

/// What the reading requests need of the model. The reads themselves run over a snapshot, outside its lock.
extension ClusterModel {
    struct TxnScanPlan: Sendable {
        var read: SnapshotRead
        var range: EncodedRange
    }

    private var snapshot: MVCCStore { self.transactions.engine.store }

    mutating func txnGet(
        _ request: Kvrpcpb_GetRequest, on storeID: UInt64, milliseconds: UInt64
    ) throws(TxnFailure) -> (read: SnapshotRead, key: TxnKey) {
        let key = TxnKey([UInt8](request.key))
        try self.checkTxnVersion(request.context, "get", [key])
        let region = try self.readRegion(
            request.context, on: storeID, at: request.version, milliseconds: milliseconds)
        try region.checkKey(key)
        return (SnapshotRead(self.snapshot, at: request.version, request.context), key)
    }

    mutating func txnBatchGet(
        _ request: Kvrpcpb_BatchGetRequest, on storeID: UInt64, milliseconds: UInt64
    ) throws(TxnFailure) -> (read: SnapshotRead, keys: [TxnKey]) {
        let keys = request.keys.map { TxnKey([UInt8]($0)) }
        try self.checkTxnVersion(request.context, "batch_get", keys)
        let region = try self.readRegion(
            request.context, on: storeID, at: request.version, milliseconds: milliseconds)
        try region.checkKeys(keys)
        return (SnapshotRead(self.snapshot, at: request.version, request.context), keys)
    }

    /// The range goes from `startKey` up, or, reversed, from `startKey`, which is not part of it, down to `endKey`, which is.
    mutating func txnScan(
        _ request: Kvrpcpb_ScanRequest, on storeID: UInt64, milliseconds: UInt64
    ) throws(TxnFailure) -> TxnScanPlan {
        let start = TxnKey([UInt8](request.startKey))
        try self.checkTxnVersion(request.context, "scan", [start])
        let region = try self.readRegion(
            request.context, on: storeID, at: request.version, milliseconds: milliseconds)
        let end = request.endKey.isEmpty ? nil : MemComparable.encode([UInt8](request.endKey))
        let range =
            request.reverse
            ? try region.checkRange(start: end, end: start.encoded)
            : try region.checkRange(start: start.encoded, end: end)
        return TxnScanPlan(read: SnapshotRead(self.snapshot, at: request.version, request.context), range: range)
    }

    /// The values that a pipelined transaction has flushed. Deleted keys are there, with an empty value (tikv
    /// `src/storage/mod.rs`, `buffer_batch_get`).
    mutating func txnBufferBatchGet(
        _ request: Kvrpcpb_BufferBatchGetRequest, on storeID: UInt64
    ) throws(TxnFailure) -> [SnapshotRead.Entry] {
        let keys = request.keys.map { TxnKey([UInt8]($0)) }
        try self.checkTxnVersion(request.context, "buffer_batch_get", keys)
        let region = try self.leaderRegion(request.context, on: storeID)
        try region.checkKeys(keys)
        self.transactions.raiseMaxTS(to: request.version)
        let reader = MVCCReader(store: self.snapshot, startTS: request.version)
        return keys.compactMap { key in
            guard case .exclusive(let lock) = reader.lock(key), lock.startTS == request.version else { return nil }
            switch lock.kind {
            case .put: return SnapshotRead.Entry(key: key.raw, value: reader.value(of: lock, key), commitTS: 0)
            case .delete: return SnapshotRead.Entry(key: key.raw, value: Data(), commitTS: 0)
            case .lock, .pessimistic: return nil
            }
        }
    }

    /// The locks of a range that are not newer than a timestamp. Those who look for them are about to resolve them, so
    /// that no commit may come in below afterwards.
    mutating func txnScanLock(
        _ request: Kvrpcpb_ScanLockRequest, on storeID: UInt64
    ) throws(TxnFailure) -> [LockDescription] {
        let region = try self.leaderRegion(request.context, on: storeID)
        self.transactions.raiseMaxTS(to: request.maxVersion)
        let range = EncodedRange(rawStart: [UInt8](request.startKey), rawEnd: [UInt8](request.endKey))
            .clamped(start: region.startKey, end: region.endKey)
        var found: [LockDescription] = []
        for (key, lock) in self.snapshot.locks(in: range) {
            switch lock {
            case .exclusive(let record):
                if record.startTS > request.maxVersion { continue }
                found.append(LockDescription(key, lock))
            case .shared(let shared):
                var old = SharedLocks(isShrinkOnly: shared.isShrinkOnly)
                for record in shared.locks where record.startTS <= request.maxVersion { old.set(record) }
                if old.isEmpty { continue }
                found.append(LockDescription(key, .shared(old)))
            }
            if request.limit > 0 && found.count == Int(request.limit) { break }
        }
        return found
    }

    // MARK: - Looking behind the scenes

    func mvccGetByKey(
        _ request: Kvrpcpb_MvccGetByKeyRequest, on storeID: UInt64
    ) throws(TxnFailure) -> Kvrpcpb_MvccInfo {
        let region = try self.leaderRegion(request.context, on: storeID)
        let key = TxnKey([UInt8](request.key))
        try region.checkKey(key)
        return self.snapshot.info(key)
    }

    /// - Returns: nil where the transaction has written nothing in the region.
    func mvccGetByStartTS(
        _ request: Kvrpcpb_MvccGetByStartTsRequest, on storeID: UInt64
    ) throws(TxnFailure) -> (key: TxnKey, info: Kvrpcpb_MvccInfo)? {
        let region = try self.leaderRegion(request.context, on: storeID)
        let range = EncodedRange(start: region.startKey, end: region.endKey)
        guard let key = self.snapshot.firstKey(writtenBy: request.startTs, in: range) else { return nil }
        return (key, self.snapshot.info(key))
    }
}
