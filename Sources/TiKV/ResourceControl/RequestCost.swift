// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto

/// What a request will cost, as far as that is known before it is sent.
struct RequestCost: Sendable, Hashable {
    /// Sources that end like this are the system's own, and nobody is charged for them.
    private static let freeSource = "internal_others"

    var isWrite: Bool
    /// Of keys and values that a write has, before it is multiplied by the replicas.
    var writeBytes: UInt64 = 0
    /// Where it goes; 0 where nobody is named.
    var storeID: UInt64 = 0
    /// Replicas that a write goes to.
    var replicas = 1
    /// Whether it is one of the coprocessor's, which read more than they answer.
    var isCoprocessor = false
    /// What its caller expects it to read; 0 where it says nothing.
    var predictedReadBytes: UInt64 = 0
    /// Whether it is free.
    var isFree = false

    init(isWrite: Bool) {
        self.isWrite = isWrite
    }

    init(_ request: some RegionRequest, replicas: Int = 1, predictedReadBytes: UInt64 = 0) {
        let written = Self.writeBytes(of: request)
        self.isWrite = written != nil
        self.writeBytes = written ?? 0
        let context = request.context
        self.storeID = context.peer.storeID
        self.replicas = max(1, replicas)
        self.isCoprocessor = request is Coprocessor_Request
        self.predictedReadBytes = predictedReadBytes
        self.isFree = context.requestSource.contains(Self.freeSource)
    }

    /// What a write has; nil of requests that write nothing.
    private static func writeBytes(of request: some RegionRequest) -> UInt64? {
        switch request {
        case let request as Kvrpcpb_PrewriteRequest:
            let keys = request.mutations.reduce(0) { $0 + $1.key.count + $1.value.count }
            let secondaries = request.secondaries.reduce(0) { $0 + $1.count }
            return UInt64(keys + secondaries + request.primaryLock.count)
        case let request as Kvrpcpb_FlushRequest:
            return UInt64(request.mutations.reduce(request.primaryKey.count) { $0 + $1.key.count + $1.value.count })
        case let request as Kvrpcpb_CommitRequest:
            return UInt64(request.keys.reduce(0) { $0 + $1.count })
        case let request as Kvrpcpb_RawPutRequest:
            return UInt64(request.key.count + request.value.count)
        case let request as Kvrpcpb_RawBatchPutRequest:
            return UInt64(request.pairs.reduce(0) { $0 + $1.key.count + $1.value.count })
        case let request as Kvrpcpb_RawDeleteRequest:
            return UInt64(request.key.count)
        case let request as Kvrpcpb_RawBatchDeleteRequest:
            return UInt64(request.keys.reduce(0) { $0 + $1.count })
        case let request as Kvrpcpb_RawCASRequest:
            return UInt64(request.key.count + request.value.count)
        case is Kvrpcpb_PessimisticLockRequest, is Kvrpcpb_PessimisticRollbackRequest, is Kvrpcpb_BatchRollbackRequest,
            is Kvrpcpb_CleanupRequest, is Kvrpcpb_ResolveLockRequest, is Kvrpcpb_RawDeleteRangeRequest,
            is Kvrpcpb_DeleteRangeRequest, is Kvrpcpb_CheckTxnStatusRequest, is Kvrpcpb_CheckSecondaryLocksRequest,
            is Kvrpcpb_TxnHeartBeatRequest:
            return 0
        default:
            return nil
        }
    }
}
