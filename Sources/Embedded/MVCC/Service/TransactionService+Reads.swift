// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension TransactionService {
    func registerReads(in services: inout RPCServices) {
        let storeID = self.storeID
        let shared = self.model
        self.register(TikvpbTikvRPC.kvGet, in: &services) { model, request, _ throws(TxnFailure) in
            try model.txnGet(request, on: storeID, milliseconds: shared.milliseconds)
        } answer: { plan, request throws(MVCCError) in
            var response = Kvrpcpb_GetResponse()
            let entry = try plan.read.get(plan.key, needsCommitTS: request.needCommitTs)
            if let entry {
                response.value = entry.value
                if request.needCommitTs { response.commitTs = entry.commitTS }
            } else {
                response.notFound = true
            }
            response.execDetailsV2 = Kvrpcpb_ExecDetailsV2(entry.map { [$0] } ?? [])
            return response
        }
        self.register(TikvpbTikvRPC.kvBatchGet, in: &services) { model, request, _ throws(TxnFailure) in
            try model.txnBatchGet(request, on: storeID, milliseconds: shared.milliseconds)
        } answer: { plan, request in
            var response = Kvrpcpb_BatchGetResponse()
            var found: [SnapshotRead.Entry] = []
            for key in plan.keys {
                do throws(MVCCError) {
                    guard let entry = try plan.read.get(key, needsCommitTS: request.needCommitTs) else { continue }
                    found.append(entry)
                    response.pairs.append(Kvrpcpb_KvPair(.success(entry), needsCommitTS: request.needCommitTs))
                } catch {
                    response.pairs.append(Kvrpcpb_KvPair(.failure(error)))
                }
            }
            response.execDetailsV2 = Kvrpcpb_ExecDetailsV2(found)
            return response
        }
        self.register(TikvpbTikvRPC.kvScan, in: &services) { model, request, _ throws(TxnFailure) in
            try model.txnScan(request, on: storeID, milliseconds: shared.milliseconds)
        } answer: { plan, request throws(MVCCError) in
            var response = Kvrpcpb_ScanResponse()
            let found = try plan.read.scan(
                plan.range, limit: Int(request.limit), isReversed: request.reverse, isKeyOnly: request.keyOnly,
                sampleStep: Int(request.sampleStep))
            response.pairs = found.map { Kvrpcpb_KvPair($0) }
            return response
        }
        self.register(TikvpbTikvRPC.kvBufferBatchGet, in: &services) { model, request, _ throws(TxnFailure) in
            try model.txnBufferBatchGet(request, on: storeID)
        } answer: { found, _ in
            .with {
                $0.pairs = found.map { Kvrpcpb_KvPair(.success($0)) }
                $0.execDetailsV2 = Kvrpcpb_ExecDetailsV2(found)
            }
        }
        self.register(TikvpbTikvRPC.kvScanLock, in: &services) { model, request, _ throws(TxnFailure) in
            try model.txnScanLock(request, on: storeID)
        } answer: { locks, _ in
            .with { $0.locks = locks.map(\.lockInfo) }
        }
        self.register(TikvpbTikvRPC.mvccGetByKey, in: &services) { model, request, _ throws(TxnFailure) in
            let info = try model.mvccGetByKey(request, on: storeID)
            return .with { $0.info = info }
        }
        self.register(TikvpbTikvRPC.mvccGetByStartTs, in: &services) { model, request, _ throws(TxnFailure) in
            var response = Kvrpcpb_MvccGetByStartTsResponse()
            if let found = try model.mvccGetByStartTS(request, on: storeID) {
                response.key = Data(found.key.raw)
                response.info = found.info
            } else {
                response.info = Kvrpcpb_MvccInfo()
            }
            return response
        }
    }
}
