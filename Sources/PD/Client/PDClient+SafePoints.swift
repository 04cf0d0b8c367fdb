// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Safe points in the form that older servers know, and newer ones still answer.
extension PDClient {
    /// Where garbage collection is.
    ///
    /// - Parameter keyspaceID: nil for what has no keyspace of its own.
    package nonisolated func gcSafePoint(
        keyspaceID: UInt32? = nil, deadline: Deadline
    ) async throws(PDError) -> Timestamp {
        guard let keyspaceID else {
            let response = try await self.call(
                PdpbPDRPC.getGCSafePoint, Pdpb_GetGCSafePointRequest(), deadline: deadline)
            return Timestamp(rawValue: response?.safePoint ?? 0)
        }
        var request = Pdpb_GetGCSafePointV2Request()
        request.keyspaceID = keyspaceID
        let response = try await self.call(PdpbPDRPC.getGCSafePointV2, request, deadline: deadline)
        return Timestamp(rawValue: response?.safePoint ?? 0)
    }

    /// Moves garbage collection forward; back it never goes.
    ///
    /// - Returns: where it is then.
    package nonisolated func updateGCSafePoint(
        to safePoint: Timestamp, keyspaceID: UInt32? = nil, deadline: Deadline
    ) async throws(PDError) -> Timestamp {
        guard let keyspaceID else {
            var request = Pdpb_UpdateGCSafePointRequest()
            request.safePoint = safePoint.rawValue
            let response = try await self.call(PdpbPDRPC.updateGCSafePoint, request, deadline: deadline)
            return Timestamp(rawValue: response?.newSafePoint ?? 0)
        }
        var request = Pdpb_UpdateGCSafePointV2Request()
        request.keyspaceID = keyspaceID
        request.safePoint = safePoint.rawValue
        let response = try await self.call(PdpbPDRPC.updateGCSafePointV2, request, deadline: deadline)
        return Timestamp(rawValue: response?.newSafePoint ?? 0)
    }

    /// Sets, renews or, with a time to live of zero, removes the safe point of a service: garbage collection stays behind
    /// the lowest of them.
    ///
    /// - Parameter timeToLive: in whole seconds; nil is for good.
    /// - Returns: the lowest safe point there is then. Where it is above the one asked for, that one came too late.
    package nonisolated func updateServiceSafePoint(
        _ service: String, to safePoint: Timestamp, timeToLive: Duration?, keyspaceID: UInt32? = nil,
        deadline: Deadline
    ) async throws(PDError) -> ServiceSafePoint {
        let seconds = GCTimeToLive.seconds(timeToLive)
        guard let keyspaceID else {
            var request = Pdpb_UpdateServiceGCSafePointRequest()
            request.serviceID = Data(service.utf8)
            request.ttl = seconds
            request.safePoint = safePoint.rawValue
            let response = try await self.call(PdpbPDRPC.updateServiceGCSafePoint, request, deadline: deadline)
            return ServiceSafePoint(
                serviceID: String(decoding: response?.serviceID ?? Data(), as: UTF8.self),
                safePoint: Timestamp(rawValue: response?.minSafePoint ?? 0),
                timeToLive: GCTimeToLive.duration(response?.ttl ?? 0))
        }
        var request = Pdpb_UpdateServiceSafePointV2Request()
        request.keyspaceID = keyspaceID
        request.serviceID = Data(service.utf8)
        request.ttl = seconds
        request.safePoint = safePoint.rawValue
        let response = try await self.call(PdpbPDRPC.updateServiceSafePointV2, request, deadline: deadline)
        return ServiceSafePoint(
            serviceID: String(decoding: response?.serviceID ?? Data(), as: UTF8.self),
            safePoint: Timestamp(rawValue: response?.minSafePoint ?? 0),
            timeToLive: GCTimeToLive.duration(response?.ttl ?? 0))
    }

    /// Where garbage collection is in each keyspace that is collected by itself.
    package nonisolated func gcSafePoints(deadline: Deadline) async throws(PDError) -> [UInt32: Timestamp] {
        let response = try await self.call(
            PdpbPDRPC.getAllGCSafePointV2, Pdpb_GetAllGCSafePointV2Request(), deadline: deadline)
        let pairs = (response?.gcSafePoints ?? []).map { ($0.keyspaceID, Timestamp(rawValue: $0.gcSafePoint)) }
        return Dictionary(pairs) { first, _ in first }
    }
}
