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

/// The `tikvpb.Tikv` service of one store. It takes the model's lock once a request, for the checks and the entry or
/// snapshot, and makes the answer outside.
struct StoreService: Sendable {
    let storeID: UInt64
    let model: SharedModel

    func register(in services: inout RPCServices) {
        services.register(HealthRPC.check, unary: self.health)
        services.register(TikvpbTikvRPC.rawGet, unary: self.rawGet)
        services.register(TikvpbTikvRPC.rawBatchGet, unary: self.rawBatchGet)
        services.register(TikvpbTikvRPC.rawPut, unary: self.rawPut)
        services.register(TikvpbTikvRPC.rawBatchPut, unary: self.rawBatchPut)
        services.register(TikvpbTikvRPC.rawDelete, unary: self.rawDelete)
        services.register(TikvpbTikvRPC.rawBatchDelete, unary: self.rawBatchDelete)
        services.register(TikvpbTikvRPC.rawScan, unary: self.rawScan)
        services.register(TikvpbTikvRPC.rawBatchScan, unary: self.rawBatchScan)
        services.register(TikvpbTikvRPC.rawDeleteRange, unary: self.rawDeleteRange)
        services.register(TikvpbTikvRPC.rawGetKeyTTL, unary: self.rawGetKeyTTL)
        services.register(TikvpbTikvRPC.rawCompareAndSwap, unary: self.rawCompareAndSwap)
        services.register(TikvpbTikvRPC.rawChecksum, unary: self.rawChecksum)
        services.register(TikvpbTikvRPC.rawCoprocessor, unary: self.rawCoprocessor)
        services.register(TikvpbTikvRPC.splitRegion, unary: self.splitRegion)
        TransactionService(storeID: self.storeID, model: self.model).register(in: &services)
        services.registerBatchCommands()
    }

    /// Whether the store serves: it does as long as it answers.
    func health(_ request: HealthRPC.Request, _ call: ServerCall) async throws -> HealthRPC.Response {
        HealthRPC.Response(HealthRPC.serving)
    }

    /// Runs one request: notes it, lets faults happen to it, takes what it needs from the model, and answers.
    ///
    /// - Parameters:
    ///   - take: runs under the lock. The last argument is the time in seconds, 0 where nothing can expire.
    ///   - answer: runs outside of it.
    private func serve<Request: RegionRequest, Response: RegionResponse, Taken: Sendable>(
        _ method: RPCMethod<Request, Response>, _ request: Request, _ call: ServerCall,
        take: (inout ClusterModel, UInt64) throws(StorageError) -> Taken,
        answer: (Taken) -> Response
    ) async throws -> Response {
        let context = request.context
        let clock = self.model.secondsForTTL
        let first = try self.model.withLock { model in
            model.counters.note(context)
            let fault = model.begin(method.name, on: .store(self.storeID), regionID: context.regionID)
            if let fault { return First<Taken>.fault(fault) }
            return First<Taken>.taken(try Self.take(from: &model, context, clock, take))
        }
        switch first {
        case .taken(.success(let taken)):
            return answer(taken)
        case .taken(.failure(let error)):
            return Response(error)
        case .fault(let fault):
            return try await fault.run(call) { kind in
                let target = RequestTarget(context)
                let region = self.model.withLock { $0.cluster.region(target.regionID) }
                return Response(.region(kind.error(for: region, target: target, on: self.storeID)))
            } perform: {
                let clock = self.model.secondsForTTL
                switch try self.model.withLock({ try Self.take(from: &$0, context, clock, take) }) {
                case .success(let taken): return answer(taken)
                case .failure(let error): return Response(error)
                }
            }
        }
    }

    private enum First<Taken: Sendable>: Sendable {
        case taken(Result<Taken, StorageError>)
        case fault(EmbeddedCluster.Fault)
    }

    private static func take<Taken: Sendable>(
        from model: inout ClusterModel, _ context: Kvrpcpb_Context, _ clock: UInt64,
        _ take: (inout ClusterModel, UInt64) throws(StorageError) -> Taken
    ) throws(RPCError) -> Result<Taken, StorageError> {
        if context.clusterID != 0 && context.clusterID != model.clusterID {
            throw RPCError(
                .invalidArgument, "the cluster id of the request does not match the TiKV cluster", delivery: .answered)
        }
        let now = clock + model.clockOffsetMilliseconds / 1000
        do throws(StorageError) {
            return .success(try take(&model, now))
        } catch {
            return .failure(error)
        }
    }
}

// MARK: - Reading

extension StoreService {
    func rawGet(_ request: Kvrpcpb_RawGetRequest, _ call: ServerCall) async throws -> Kvrpcpb_RawGetResponse {
        try await self.serve(TikvpbTikvRPC.rawGet, request, call) { model, now throws(StorageError) in
            try model.rawGet(request, on: self.storeID, now: now)
        } answer: { value in
            var response = Kvrpcpb_RawGetResponse()
            if let value { response.value = value } else { response.notFound = true }
            return response
        }
    }

    func rawBatchGet(
        _ request: Kvrpcpb_RawBatchGetRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_RawBatchGetResponse {
        try await self.serve(TikvpbTikvRPC.rawBatchGet, request, call) { model, now throws(StorageError) in
            try model.rawBatchGet(request, on: self.storeID, now: now)
        } answer: { pairs in
            Kvrpcpb_RawBatchGetResponse(
                pairs: pairs.map { key, value in
                    var pair = Kvrpcpb_KvPair()
                    pair.key = key
                    pair.value = value
                    return pair
                })
        }
    }

    func rawScan(_ request: Kvrpcpb_RawScanRequest, _ call: ServerCall) async throws -> Kvrpcpb_RawScanResponse {
        try await self.serve(TikvpbTikvRPC.rawScan, request, call) { model, now throws(StorageError) in
            (try model.rawScan(request, on: self.storeID), now)
        } answer: { plan, now in
            Kvrpcpb_RawScanResponse(pairs: plan.run(now: now))
        }
    }

    func rawBatchScan(
        _ request: Kvrpcpb_RawBatchScanRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_RawBatchScanResponse {
        try await self.serve(TikvpbTikvRPC.rawBatchScan, request, call) { model, now throws(StorageError) in
            (try model.rawBatchScan(request, on: self.storeID), now)
        } answer: { plan, now in
            Kvrpcpb_RawBatchScanResponse(pairs: plan.run(now: now))
        }
    }

    func rawGetKeyTTL(
        _ request: Kvrpcpb_RawGetKeyTTLRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_RawGetKeyTTLResponse {
        try await self.serve(TikvpbTikvRPC.rawGetKeyTTL, request, call) { model, now throws(StorageError) in
            try model.rawGetKeyTTL(request, on: self.storeID, now: now)
        } answer: { ttl in
            var response = Kvrpcpb_RawGetKeyTTLResponse()
            if let ttl { response.ttl = ttl } else { response.notFound = true }
            return response
        }
    }

    func rawChecksum(
        _ request: Kvrpcpb_RawChecksumRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_RawChecksumResponse {
        try await self.serve(TikvpbTikvRPC.rawChecksum, request, call) { model, now throws(StorageError) in
            (try model.rawChecksum(request, on: self.storeID), now)
        } answer: { plan, now in
            let result = plan.run(now: now)
            return .with {
                $0.checksum = result.checksum
                $0.totalKvs = result.entries
                $0.totalBytes = result.bytes
            }
        }
    }

    /// TiKV says what is wrong with the plugin before it looks at the region.
    func rawCoprocessor(
        _ request: Kvrpcpb_RawCoprocessorRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_RawCoprocessorResponse {
        try await self.serve(TikvpbTikvRPC.rawCoprocessor, request, call) { model, now throws(StorageError) in
            try model.rawCoprocessor(request, on: self.storeID, now: now)
        } answer: { plan in
            var response = Kvrpcpb_RawCoprocessorResponse()
            do {
                response.data = Data(try plan.plugin.handle(plan.request))
            } catch {
                response.error = "\(error)"
            }
            return response
        }
    }
}

// MARK: - Writing

extension StoreService {
    func rawPut(_ request: Kvrpcpb_RawPutRequest, _ call: ServerCall) async throws -> Kvrpcpb_RawPutResponse {
        try await self.serve(TikvpbTikvRPC.rawPut, request, call) { model, now throws(StorageError) in
            try model.rawPut(request, on: self.storeID, now: now)
        } answer: {
            Kvrpcpb_RawPutResponse()
        }
    }

    func rawBatchPut(
        _ request: Kvrpcpb_RawBatchPutRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_RawBatchPutResponse {
        try await self.serve(TikvpbTikvRPC.rawBatchPut, request, call) { model, now throws(StorageError) in
            try model.rawBatchPut(request, on: self.storeID, now: now)
        } answer: {
            Kvrpcpb_RawBatchPutResponse()
        }
    }

    func rawDelete(
        _ request: Kvrpcpb_RawDeleteRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_RawDeleteResponse {
        try await self.serve(TikvpbTikvRPC.rawDelete, request, call) { model, _ throws(StorageError) in
            try model.rawDelete(request, on: self.storeID)
        } answer: {
            Kvrpcpb_RawDeleteResponse()
        }
    }

    func rawBatchDelete(
        _ request: Kvrpcpb_RawBatchDeleteRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_RawBatchDeleteResponse {
        try await self.serve(TikvpbTikvRPC.rawBatchDelete, request, call) { model, _ throws(StorageError) in
            try model.rawBatchDelete(request, on: self.storeID)
        } answer: {
            Kvrpcpb_RawBatchDeleteResponse()
        }
    }

    func rawDeleteRange(
        _ request: Kvrpcpb_RawDeleteRangeRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_RawDeleteRangeResponse {
        try await self.serve(TikvpbTikvRPC.rawDeleteRange, request, call) { model, _ throws(StorageError) in
            try model.rawDeleteRange(request, on: self.storeID)
        } answer: {
            Kvrpcpb_RawDeleteRangeResponse()
        }
    }

    func rawCompareAndSwap(
        _ request: Kvrpcpb_RawCASRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_RawCASResponse {
        try await self.serve(TikvpbTikvRPC.rawCompareAndSwap, request, call) { model, now throws(StorageError) in
            try model.rawCompareAndSwap(request, on: self.storeID, now: now)
        } answer: { result in
            var response = Kvrpcpb_RawCASResponse()
            response.succeed = result.succeeded
            if let previous = result.previous {
                response.previousValue = previous
            } else {
                response.previousNotExist = true
            }
            return response
        }
    }

    func splitRegion(
        _ request: Kvrpcpb_SplitRegionRequest, _ call: ServerCall
    ) async throws -> Kvrpcpb_SplitRegionResponse {
        try await self.serve(TikvpbTikvRPC.splitRegion, request, call) { model, _ throws(StorageError) in
            try model.splitRegion(request, on: self.storeID)
        } answer: { parts in
            var response = Kvrpcpb_SplitRegionResponse()
            response.regions = parts.map(\.proto)
            if parts.count == 2 {
                response.left = response.regions[0]
                response.right = response.regions[1]
            }
            return response
        }
    }
}
