// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

extension PDClient {
    /// How far garbage collection has come.
    ///
    /// - Parameter keyspaceID: nil for what has no keyspace of its own. A keyspace that is not collected by itself has the
    ///   state of those.
    package nonisolated func gcState(
        keyspaceID: UInt32? = nil, includingBarriers: Bool = true, deadline: Deadline
    ) async throws(PDError) -> GCState {
        var request = Pdpb_GetGCStateRequest()
        request.keyspaceScope = KeyspaceScope.proto(keyspaceID)
        request.excludeGcBarriers = !includingBarriers
        let response = try await self.call(PdpbPDRPC.getGCState, request, deadline: deadline)
        guard let response, response.hasGcState else { throw Self.noKeyspace }
        return GCState(response.gcState)
    }

    /// How far garbage collection has come, everywhere.
    ///
    /// - Returns: the states, and the barriers that hold for all of them.
    package nonisolated func allGCStates(
        includingBarriers: Bool = true, deadline: Deadline
    ) async throws(PDError) -> (states: [GCState], globalBarriers: [GCBarrier]) {
        var request = Pdpb_GetAllKeyspacesGCStatesRequest()
        request.excludeGcBarriers = !includingBarriers
        request.excludeGlobalGcBarriers = !includingBarriers
        let response = try await self.call(PdpbPDRPC.getAllKeyspacesGCStates, request, deadline: deadline)
        return (
            (response?.gcStates ?? []).map { GCState($0) }, (response?.globalGcBarriers ?? []).map { GCBarrier($0) }
        )
    }

    /// Keeps data from a timestamp on from being collected, as long as the barrier stands.
    ///
    /// - Parameter barrier: its time to live must be more than zero.
    /// - Throws: `server` where the transactions' safe point is beyond its timestamp already.
    package nonisolated func setGCBarrier(
        _ barrier: GCBarrier, keyspaceID: UInt32? = nil, deadline: Deadline
    ) async throws(PDError) -> GCBarrier {
        var request = Pdpb_SetGCBarrierRequest()
        request.keyspaceScope = KeyspaceScope.proto(keyspaceID)
        request.barrierID = barrier.id
        request.barrierTs = barrier.timestamp.rawValue
        request.ttlSeconds = GCTimeToLive.seconds(barrier.timeToLive)
        let response = try await self.call(PdpbPDRPC.setGCBarrier, request, deadline: deadline)
        guard let response else { throw Self.noKeyspace }
        return GCBarrier(response.newBarrierInfo)
    }

    /// Takes a barrier away.
    ///
    /// - Returns: the barrier as it was; nil where there was none.
    package nonisolated func deleteGCBarrier(
        _ id: String, keyspaceID: UInt32? = nil, deadline: Deadline
    ) async throws(PDError) -> GCBarrier? {
        var request = Pdpb_DeleteGCBarrierRequest()
        request.keyspaceScope = KeyspaceScope.proto(keyspaceID)
        request.barrierID = id
        return try await self.call(PdpbPDRPC.deleteGCBarrier, request, deadline: deadline)
            .flatMap { $0.hasDeletedBarrierInfo ? GCBarrier($0.deletedBarrierInfo) : nil }
    }

    /// Keeps data of all keyspaces from a timestamp on from being collected, as long as the barrier stands.
    ///
    /// - Throws: `server` where the transactions' safe point of a keyspace is beyond its timestamp already.
    package nonisolated func setGlobalGCBarrier(
        _ barrier: GCBarrier, deadline: Deadline
    ) async throws(PDError) -> GCBarrier {
        var request = Pdpb_SetGlobalGCBarrierRequest()
        request.barrierID = barrier.id
        request.barrierTs = barrier.timestamp.rawValue
        request.ttlSeconds = GCTimeToLive.seconds(barrier.timeToLive)
        let response = try await self.call(PdpbPDRPC.setGlobalGCBarrier, request, deadline: deadline)
        guard let response else { throw Self.noKeyspace }
        return GCBarrier(response.newBarrierInfo)
    }

    /// Takes a barrier for all keyspaces away.
    ///
    /// - Returns: the barrier as it was; nil where there was none.
    package nonisolated func deleteGlobalGCBarrier(
        _ id: String, deadline: Deadline
    ) async throws(PDError) -> GCBarrier? {
        var request = Pdpb_DeleteGlobalGCBarrierRequest()
        request.barrierID = id
        return try await self.call(PdpbPDRPC.deleteGlobalGCBarrier, request, deadline: deadline)
            .flatMap { $0.hasDeletedBarrierInfo ? GCBarrier($0.deletedBarrierInfo) : nil }
    }

    /// Moves the transactions' safe point forward, as far as the barriers let it.
    ///
    /// - Throws: `server` where it is beyond the target already.
    package nonisolated func advanceTxnSafePoint(
        to target: Timestamp, keyspaceID: UInt32? = nil, deadline: Deadline
    ) async throws(PDError) -> TxnSafePointAdvance {
        var request = Pdpb_AdvanceTxnSafePointRequest()
        request.keyspaceScope = KeyspaceScope.proto(keyspaceID)
        request.target = target.rawValue
        let response = try await self.call(PdpbPDRPC.advanceTxnSafePoint, request, deadline: deadline)
        guard let response else { throw Self.noKeyspace }
        return TxnSafePointAdvance(
            old: Timestamp(rawValue: response.oldTxnSafePoint), new: Timestamp(rawValue: response.newTxnSafePoint),
            blocker: response.blockerDescription)
    }

    /// Moves garbage collection's safe point forward, at most to that of the transactions.
    ///
    /// - Throws: `server` where it is beyond the target already, or the target beyond the transactions' safe point.
    /// - Returns: where it was, and where it is.
    package nonisolated func advanceGCSafePoint(
        to target: Timestamp, keyspaceID: UInt32? = nil, deadline: Deadline
    ) async throws(PDError) -> (old: Timestamp, new: Timestamp) {
        var request = Pdpb_AdvanceGCSafePointRequest()
        request.keyspaceScope = KeyspaceScope.proto(keyspaceID)
        request.target = target.rawValue
        let response = try await self.call(PdpbPDRPC.advanceGCSafePoint, request, deadline: deadline)
        guard let response else { throw Self.noKeyspace }
        return (Timestamp(rawValue: response.oldGcSafePoint), Timestamp(rawValue: response.newGcSafePoint))
    }

    private static var noKeyspace: PDError { PDError(.server, "PD knows no such keyspace") }
}
