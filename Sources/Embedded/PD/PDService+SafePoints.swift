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

extension PDService {
    /// The forms that older clients use.
    func registerSafePoints(in services: inout RPCServices) {
        self.register(PdpbPDRPC.getGCSafePoint, in: &services, header: { $0.header }) { model, _, _ in
            model.gcSafePoint
        } answer: { safePoint, header in
            .with {
                $0.header = header
                $0.safePoint = safePoint
            }
        }
        self.register(PdpbPDRPC.updateGCSafePoint, in: &services, header: { $0.header }) { model, request, _ in
            try Self.refusing { () throws(GCRefusal) in
                try model.pd.gc.updateGCSafePoint(nil, to: request.safePoint)
            }
        } answer: { safePoint, header in
            .with {
                $0.header = header
                $0.newSafePoint = safePoint
            }
        }
        self.register(PdpbPDRPC.updateServiceGCSafePoint, in: &services, header: { $0.header }) { model, request, now in
            try Self.refusing { () throws(GCRefusal) in
                try model.pd.gc.updateServiceSafePoint(
                    String(decoding: request.serviceID, as: UTF8.self), nil, to: request.safePoint,
                    seconds: request.ttl, now: now)
            }
        } answer: { lowest, header in
            .with {
                $0.header = header
                $0.serviceID = Data(lowest.service.utf8)
                $0.minSafePoint = lowest.safePoint
                $0.ttl = lowest.seconds
            }
        }
        self.registerSafePointsOfKeyspaces(in: &services)
    }

    private func registerSafePointsOfKeyspaces(in services: inout RPCServices) {
        self.register(PdpbPDRPC.getGCSafePointV2, in: &services, header: { $0.header }) { model, request, _ in
            model.pd.gc.scope(try model.gcKeyspace(request.keyspaceID)).gcSafePoint
        } answer: { safePoint, header in
            .with {
                $0.header = header
                $0.safePoint = safePoint
            }
        }
        self.register(PdpbPDRPC.updateGCSafePointV2, in: &services, header: { $0.header }) { model, request, _ in
            let keyspace = try model.gcKeyspace(request.keyspaceID)
            return try Self.refusing { () throws(GCRefusal) in
                try model.pd.gc.updateGCSafePoint(keyspace, to: request.safePoint)
            }
        } answer: { safePoint, header in
            .with {
                $0.header = header
                $0.newSafePoint = safePoint
            }
        }
        self.register(PdpbPDRPC.updateServiceSafePointV2, in: &services, header: { $0.header }) { model, request, now in
            let keyspace = try model.gcKeyspace(request.keyspaceID)
            return try Self.refusing { () throws(GCRefusal) in
                try model.pd.gc.updateServiceSafePoint(
                    String(decoding: request.serviceID, as: UTF8.self), keyspace, to: request.safePoint,
                    seconds: request.ttl, now: now)
            }
        } answer: { lowest, header in
            .with {
                $0.header = header
                $0.serviceID = Data(lowest.service.utf8)
                $0.minSafePoint = lowest.safePoint
                $0.ttl = lowest.seconds
            }
        }
        self.register(PdpbPDRPC.getAllGCSafePointV2, in: &services, header: { $0.header }) { model, _, _ in
            model.pd.keyspaces.all.filter(\.hasOwnGC).map { ($0.id, model.pd.gc.scope($0.id).gcSafePoint) }
        } answer: { safePoints, header in
            .with {
                $0.header = header
                $0.gcSafePoints = safePoints.map { keyspace, safePoint in
                    .with {
                        $0.keyspaceID = keyspace
                        $0.gcSafePoint = safePoint
                    }
                }
            }
        }
    }

    /// The older calls have no place for an error but the status.
    private static func refusing<Result>(_ body: () throws(GCRefusal) -> Result) throws(RPCError) -> Result {
        do throws(GCRefusal) {
            return try body()
        } catch {
            throw RPCError(.unknown, error.message, delivery: .answered)
        }
    }
}

extension ClusterModel {
    /// Which state of garbage collection a keyspace has: its own, or the one of all others.
    func gcKeyspace(_ id: UInt32) throws(RPCError) -> UInt32? {
        guard id <= 0xff_ffff else { return nil }
        guard let keyspace = self.pd.keyspaces.byID[id] else {
            throw RPCError(
                .unknown, "[PD:keyspace:ErrKeyspaceNotFound]keyspace does not exist", delivery: .answered)
        }
        return keyspace.hasOwnGC ? id : nil
    }
}
