// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

extension TransactionService {
    func registerWrites(in services: inout RPCServices) {
        let storeID = self.storeID
        self.register(TikvpbTikvRPC.kvPrewrite, in: &services) { model, request, now throws(TxnFailure) in
            let result = try model.txnPrewrite(request, on: storeID, now: now)
            return .with {
                $0.errors = result.locks.map(\.keyError)
                $0.minCommitTs = result.minCommitTS
                $0.onePcCommitTs = result.onePhaseCommitTS
            }
        }
        self.register(TikvpbTikvRPC.kvFlush, in: &services) { model, request, now throws(TxnFailure) in
            let locks = try model.txnFlush(request, on: storeID, now: now)
            return .with { $0.errors = locks.map(\.keyError) }
        }
        self.register(TikvpbTikvRPC.kvPessimisticRollback, in: &services) { model, request, now throws(TxnFailure) in
            try model.txnPessimisticRollback(request, on: storeID, now: now)
            return Kvrpcpb_PessimisticRollbackResponse()
        }
        self.register(TikvpbTikvRPC.kvCommit, in: &services) { model, request, now throws(TxnFailure) in
            try model.txnCommit(request, on: storeID, now: now)
            return .with { $0.commitVersion = request.commitVersion }
        }
        self.register(TikvpbTikvRPC.kvCleanup, in: &services) { model, request, now throws(TxnFailure) in
            let commitTS = try model.txnCleanup(request, on: storeID, now: now)
            return .with { $0.commitVersion = commitTS }
        }
        self.register(TikvpbTikvRPC.kvBatchRollback, in: &services) { model, request, now throws(TxnFailure) in
            try model.txnBatchRollback(request, on: storeID, now: now)
            return Kvrpcpb_BatchRollbackResponse()
        }
        self.register(TikvpbTikvRPC.kvResolveLock, in: &services) { model, request, now throws(TxnFailure) in
            try model.txnResolveLock(request, on: storeID, now: now)
            return Kvrpcpb_ResolveLockResponse()
        }
        self.register(TikvpbTikvRPC.kvDeleteRange, in: &services) { model, request, _ throws(TxnFailure) in
            try model.txnDeleteRange(request, on: storeID)
            return Kvrpcpb_DeleteRangeResponse()
        }
        self.register(TikvpbTikvRPC.unsafeDestroyRange, in: &services) { model, request, _ throws(TxnFailure) in
            try model.unsafeDestroyRange(request)
            return Kvrpcpb_UnsafeDestroyRangeResponse()
        }
    }
}
