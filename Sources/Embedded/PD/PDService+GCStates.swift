// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

extension PDService {
    /// Garbage collection as newer clients know it.
    func registerGCStates(in services: inout RPCServices) {
        self.register(PdpbPDRPC.getGCState, in: &services, header: { $0.header }) { model, request, now in
            let keyspace = try model.gcKeyspace(request.keyspaceScope.number)
            return model.gcState(keyspace, excludingBarriers: request.excludeGcBarriers, now: now)
        } answer: { state, header in
            .with {
                $0.header = header
                $0.gcState = state
            }
        }
        self.register(PdpbPDRPC.getAllKeyspacesGCStates, in: &services, header: { $0.header }) { model, request, now in
            let keyspaces: [UInt32?] = [nil] + model.pd.keyspaces.all.filter(\.hasOwnGC).map(\.id)
            let globals = request.excludeGlobalGcBarriers ? [] : Array(model.pd.gc.globalBarriers.values)
            return (
                keyspaces.map { model.gcState($0, excludingBarriers: request.excludeGcBarriers, now: now) },
                globals.sorted { $0.id < $1.id }.map { $0.globalProto(now: now) }
            )
        } answer: { states, header in
            .with {
                $0.header = header
                $0.gcStates = states.0
                $0.globalGcBarriers = states.1
            }
        }
        self.registerSafePointAdvances(in: &services)
        self.registerBarriers(in: &services)
        self.registerGlobalBarriers(in: &services)
    }

    private func registerSafePointAdvances(in services: inout RPCServices) {
        self.register(PdpbPDRPC.advanceTxnSafePoint, in: &services, header: { $0.header }) { model, request, now in
            let keyspace = try model.gcKeyspace(request.keyspaceScope.number)
            return Result { () throws(GCRefusal) in
                try model.pd.gc.advanceTxnSafePoint(keyspace, to: request.target, now: now)
            }
        } answer: { result, header in
            .with {
                $0.header = header.failed(result)
                guard case .success(let advance) = result else { return }
                $0.oldTxnSafePoint = advance.old
                $0.newTxnSafePoint = advance.new
                $0.blockerDescription = advance.blocker
            }
        }
        self.register(PdpbPDRPC.advanceGCSafePoint, in: &services, header: { $0.header }) { model, request, _ in
            let keyspace = try model.gcKeyspace(request.keyspaceScope.number)
            return Result { () throws(GCRefusal) in
                try model.pd.gc.advanceGCSafePoint(keyspace, to: request.target)
            }
        } answer: { result, header in
            .with {
                $0.header = header.failed(result)
                guard case .success(let advance) = result else { return }
                $0.oldGcSafePoint = advance.old
                $0.newGcSafePoint = advance.new
            }
        }
    }

    private func registerBarriers(in services: inout RPCServices) {
        self.register(PdpbPDRPC.setGCBarrier, in: &services, header: { $0.header }) { model, request, now in
            let keyspace = try model.gcKeyspace(request.keyspaceScope.number)
            return Result { () throws(GCRefusal) in
                try model.pd.gc.setBarrier(
                    request.barrierID, keyspace, at: request.barrierTs, seconds: request.ttlSeconds, now: now
                ).proto(now: now)
            }
        } answer: { result, header in
            .with {
                $0.header = header.failed(result)
                if case .success(let barrier) = result { $0.newBarrierInfo = barrier }
            }
        }
        self.register(PdpbPDRPC.deleteGCBarrier, in: &services, header: { $0.header }) { model, request, now in
            let keyspace = try model.gcKeyspace(request.keyspaceScope.number)
            return Result { () throws(GCRefusal) in
                try model.pd.gc.deleteBarrier(request.barrierID, keyspace)?.proto(now: now)
            }
        } answer: { result, header in
            .with {
                $0.header = header.failed(result)
                if case .success(let barrier?) = result { $0.deletedBarrierInfo = barrier }
            }
        }
    }

    private func registerGlobalBarriers(in services: inout RPCServices) {
        self.register(PdpbPDRPC.setGlobalGCBarrier, in: &services, header: { $0.header }) { model, request, now in
            Result { () throws(GCRefusal) in
                try model.pd.gc.setGlobalBarrier(
                    request.barrierID, at: request.barrierTs, seconds: request.ttlSeconds, now: now
                ).globalProto(now: now)
            }
        } answer: { result, header in
            .with {
                $0.header = header.failed(result)
                if case .success(let barrier) = result { $0.newBarrierInfo = barrier }
            }
        }
        self.register(PdpbPDRPC.deleteGlobalGCBarrier, in: &services, header: { $0.header }) { model, request, now in
            Result { () throws(GCRefusal) in
                try model.pd.gc.deleteGlobalBarrier(request.barrierID)?.globalProto(now: now)
            }
        } answer: { result, header in
            .with {
                $0.header = header.failed(result)
                if case .success(let barrier?) = result { $0.deletedBarrierInfo = barrier }
            }
        }
    }
}

extension ClusterModel {
    fileprivate func gcState(_ keyspace: UInt32?, excludingBarriers: Bool, now: UInt64) -> Pdpb_GCState {
        let scope = self.pd.gc.scope(keyspace)
        return .with {
            $0.keyspaceScope.keyspaceID = keyspace ?? .max
            $0.isKeyspaceLevelGc = keyspace != nil
            $0.txnSafePoint = scope.txnSafePoint
            $0.gcSafePoint = scope.gcSafePoint
            guard !excludingBarriers else { return }
            $0.gcBarriers = scope.barriers.values.sorted { $0.id < $1.id }.map { $0.proto(now: now) }
        }
    }
}

extension GCTable.Barrier {
    fileprivate func proto(now: UInt64) -> Pdpb_GCBarrierInfo {
        .with {
            $0.barrierID = self.id
            $0.barrierTs = self.timestamp
            $0.ttlSeconds = self.timeToLive(now: now)
        }
    }

    fileprivate func globalProto(now: UInt64) -> Pdpb_GlobalGCBarrierInfo {
        .with {
            $0.barrierID = self.id
            $0.barrierTs = self.timestamp
            $0.ttlSeconds = self.timeToLive(now: now)
        }
    }
}

extension Pdpb_KeyspaceScope {
    /// Without one, the request is for what has no keyspace of its own.
    fileprivate var number: UInt32 {
        if case .keyspaceID(let id)? = self.keyspace { id } else { .max }
    }
}

extension Pdpb_ResponseHeader {
    /// The same header, with the error of a refusal.
    fileprivate func failed<Success>(_ result: Result<Success, GCRefusal>) -> Pdpb_ResponseHeader {
        guard case .failure(let refusal) = result else { return self }
        return self.failed(.unknown, refusal.message)
    }
}
