// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

extension TransactionService {
    func registerStatus(in services: inout RPCServices) {
        let storeID = self.storeID
        self.register(TikvpbTikvRPC.kvCheckTxnStatus, in: &services) { model, request, now throws(TxnFailure) in
            Kvrpcpb_CheckTxnStatusResponse(try model.txnCheckStatus(request, on: storeID, now: now))
        }
        self.register(TikvpbTikvRPC.kvCheckSecondaryLocks, in: &services) { model, request, now throws(TxnFailure) in
            Kvrpcpb_CheckSecondaryLocksResponse(
                try model.txnCheckSecondaryLocks(request, on: storeID, now: now))
        }
        self.register(TikvpbTikvRPC.kvTxnHeartBeat, in: &services) { model, request, now throws(TxnFailure) in
            let ttl = try model.txnHeartBeat(request, on: storeID, now: now)
            return .with { $0.lockTtl = ttl }
        }
        self.register(TikvpbTikvRPC.getLockWaitInfo, in: &services) { model, _, now throws(TxnFailure) in
            let entries = model.transactions.waitForEntries(now: now)
            return .with { $0.entries = entries.map(\.proto) }
        }
    }

    /// The calls that are about the store and name no region.
    func registerStoreCalls(in services: inout RPCServices) {
        services.register(
            TikvpbTikvRPC.getStoreSafeTS,
            unary: {
                (_: Kvrpcpb_StoreSafeTSRequest, call: ServerCall) async throws -> Kvrpcpb_StoreSafeTSResponse in
                try await self.answer(TikvpbTikvRPC.getStoreSafeTS.name, call) { model, milliseconds in
                    let safeTS = model.safeTS(on: self.storeID, milliseconds: milliseconds)
                    return .with { $0.safeTs = safeTS }
                }
            })
        services.register(
            TikvpbTikvRPC.broadcastTxnStatus,
            unary: {
                (
                    request: Kvrpcpb_BroadcastTxnStatusRequest, call: ServerCall
                ) async throws -> Kvrpcpb_BroadcastTxnStatusResponse in
                try await self.answer(TikvpbTikvRPC.broadcastTxnStatus.name, call) { model, _ in
                    for status in request.txnStatus where status.commitTs != 0 {
                        model.transactions.changeEngine {
                            $0.noteCommitted(status.startTs, commitTS: status.commitTs)
                        }
                    }
                    return Kvrpcpb_BroadcastTxnStatusResponse()
                }
            })
    }

    private func answer<Response: Message>(
        _ name: String, _ call: ServerCall, _ body: @Sendable (inout ClusterModel, UInt64) -> Response
    ) async throws -> Response {
        let fault = self.model.withLock { $0.begin(name, on: .store(self.storeID), regionID: nil) }
        guard let fault else { return self.perform(body) }
        // Without a region there is nothing that a region error could say.
        return try await fault.run(call) { _ in
            Response()
        } perform: {
            self.perform(body)
        }
    }

    private func perform<Response: Message>(_ body: (inout ClusterModel, UInt64) -> Response) -> Response {
        let milliseconds = self.model.milliseconds
        return self.model.withLock { body(&$0, milliseconds) }
    }
}
