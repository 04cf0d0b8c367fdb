// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto
import TiKVTransport

/// Safe timestamps of a real cluster.
struct ClusterSafeTimestampSource: SafeTimestampSource {
    let pd: PDClient
    let connections: StoreConnections

    func stores(deadline: Deadline) async throws(PDError) -> [StoreDescription] {
        try await self.pd.allStores(deadline: deadline)
    }

    func minimumResolvedTimestamps(
        ofStores stores: [UInt64], deadline: Deadline
    ) async throws(PDError) -> MinimumResolvedTimestamps {
        try await self.pd.minimumResolvedTimestamps(ofStores: stores, deadline: deadline)
    }

    func safeTimestamp(ofStore id: UInt64, deadline: Deadline) async -> TiKVPD.Timestamp? {
        guard let handle = try? await self.connections.resolve(id, deadline: deadline) else { return nil }
        var request = Kvrpcpb_StoreSafeTSRequest()
        request.keyRange = Kvrpcpb_KeyRange()
        let options = CallOptions(timeout: deadline.remaining(at: self.pd.clock.now))
        let response = try? await handle.channel.unary(TikvpbTikvRPC.getStoreSafeTS, request, options: options)
        return response.map { TiKVPD.Timestamp(rawValue: $0.safeTs) }
    }
}
