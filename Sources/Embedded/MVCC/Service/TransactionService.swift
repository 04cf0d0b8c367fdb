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

/// The transactional part of the `tikvpb.Tikv` service of one store. A request takes the model's lock once, for its checks
/// and its command or, if it reads, for a snapshot.
struct TransactionService: Sendable {
    let storeID: UInt64
    let model: SharedModel

    func register(in services: inout RPCServices) {
        self.registerReads(in: &services)
        self.registerWrites(in: &services)
        self.registerStatus(in: &services)
        self.registerStoreCalls(in: &services)
        services.register(TikvpbTikvRPC.kvPessimisticLock, unary: self.pessimisticLock)
    }

    // MARK: - Serving

    /// Registers a call that is answered at once.
    ///
    /// - Parameters:
    ///   - take: runs under the model's lock, with the time of the waits in milliseconds.
    ///   - answer: runs outside of it.
    func register<Request: RegionRequest, Response: RegionResponse, Taken: Sendable>(
        _ method: RPCMethod<Request, Response>, in services: inout RPCServices,
        take: @escaping @Sendable (inout ClusterModel, Request, UInt64) throws(TxnFailure) -> Taken,
        answer: @escaping @Sendable (Taken, Request) throws(MVCCError) -> Response
    ) {
        services.register(
            method,
            unary: { (request: Request, call: ServerCall) async throws -> Response in
                let taken = try await self.take(method.name, request, call) { model, now throws(TxnFailure) in
                    try take(&model, request, now)
                }
                switch taken {
                case .failure(let failure): return Response(failure: failure)
                case .success(let taken):
                    do throws(MVCCError) {
                        return try answer(taken, request)
                    } catch {
                        return Response(failure: .key(error))
                    }
                }
            })
    }

    /// The same for a call that has nothing more to say than the command itself.
    func register<Request: RegionRequest, Response: RegionResponse>(
        _ method: RPCMethod<Request, Response>, in services: inout RPCServices,
        _ run: @escaping @Sendable (inout ClusterModel, Request, UInt64) throws(TxnFailure) -> Response
    ) {
        self.register(method, in: &services, take: run, answer: { response, _ in response })
    }

    /// Notes a request, lets faults happen to it, and works on the model for it.
    private func take<Request: RegionRequest, Taken: Sendable>(
        _ name: String, _ request: Request, _ call: ServerCall,
        _ body: @escaping @Sendable (inout ClusterModel, UInt64) throws(TxnFailure) -> Taken
    ) async throws -> Result<Taken, TxnFailure> {
        let context = request.context
        self.model.repeats.requestCame()
        let first = try self.model.withTransactions {
            model, now throws(RPCError) -> Result<Result<Taken, TxnFailure>, FaultToRun> in
            model.transactionLog?.append(
                EmbeddedCluster.TransactionRequest(
                    rpc: name, storeID: self.storeID, regionID: context.regionID, isRetry: context.isRetryRequest))
            let fault = model.begin(name, on: .store(self.storeID), regionID: context.regionID)
            if let fault { return .failure(FaultToRun(fault: fault)) }
            if let error = model.diskError(of: name, context, on: self.storeID) { return .success(.failure(error)) }
            return .success(try model.take(context, now, body))
        }
        let fault: EmbeddedCluster.Fault
        switch first {
        case .success(let taken): return taken
        case .failure(let toRun): fault = toRun.fault
        }
        if case .repeatLater(let count) = fault.kind {
            self.model.repeats.add(after: count) { [model] in
                // Nobody is there to hear that it was refused.
                let answer = try? model.withTransactions { state, now throws(RPCError) in
                    try state.take(context, now, body)
                }
                // Nor to wait for a lock.
                guard case .success(let taken) = answer, let lock = taken as? TxnStorage.LockAnswer,
                    case .waiting(let token) = lock
                else { return }
                model.withTransactions { state, _ in state.transactions.cancel(token) }
                model.lockWaits.forget(token)
            }
        }
        if let error = fault.keyError { return .failure(.key(error.make(context))) }
        return try await fault.run(call) { kind in
            let target = RequestTarget(context)
            let region = self.model.withLock { $0.cluster.region(target.regionID) }
            return .failure(.region(kind.error(for: region, target: target, on: self.storeID)))
        } perform: {
            try self.model.withTransactions { model, now throws(RPCError) in try model.take(context, now, body) }
        }
    }

    private struct FaultToRun: Error {
        var fault: EmbeddedCluster.Fault
    }

    // MARK: - Waiting

    /// Takes locks, and waits for those that others hold. The task waits, and nothing else: other calls of the connection
    /// and other commands of its stream go on.
    private func pessimisticLock(
        _ request: Kvrpcpb_PessimisticLockRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_PessimisticLockResponse {
        let name = TikvpbTikvRPC.kvPessimisticLock.name
        let taken = try await self.take(name, request, call) { model, now throws(TxnFailure) in
            try model.txnPessimisticLock(request, on: self.storeID, now: now)
        }
        let isPerKey = request.wakeUpMode == .wakeUpModeForceLock
        switch taken {
        case .failure(let failure): return Kvrpcpb_PessimisticLockResponse(failure: failure)
        case .success(.finished(let result)):
            return Kvrpcpb_PessimisticLockResponse(result, isPerKey: isPerKey)
        case .success(.waiting(let token)):
            do {
                let result = try await self.model.lockWaits.result(of: token)
                return Kvrpcpb_PessimisticLockResponse(result, isPerKey: isPerKey)
            } catch {
                self.model.withTransactions { model, _ in model.transactions.cancel(token) }
                self.model.lockWaits.forget(token)
                throw error
            }
        }
    }
}

extension ClusterModel {
    fileprivate mutating func take<Taken>(
        _ context: Kvrpcpb_Context, _ now: UInt64,
        _ body: (inout ClusterModel, UInt64) throws(TxnFailure) -> Taken
    ) throws(RPCError) -> Result<Taken, TxnFailure> {
        if context.clusterID != 0 && context.clusterID != self.clusterID {
            throw RPCError(
                .invalidArgument, "the cluster id of the request does not match the TiKV cluster", delivery: .answered)
        }
        do throws(TxnFailure) {
            return .success(try body(&self, now))
        } catch {
            return .failure(error)
        }
    }
}
