// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

extension PDClient {
    /// A store, also one that is gone for good; nil where there never was one of this id.
    package nonisolated func store(id: UInt64, deadline: Deadline) async throws(PDError) -> StoreDescription? {
        var request = Pdpb_GetStoreRequest()
        request.storeID = id
        let response = try await self.call(PdpbPDRPC.getStore, request, deadline: deadline)
        guard let response, response.hasStore, response.store.id != 0 else { return nil }
        return StoreDescription(response.store)
    }

    /// All stores of the cluster.
    package nonisolated func allStores(
        excludingTombstones: Bool = true, deadline: Deadline
    ) async throws(PDError) -> [StoreDescription] {
        var request = Pdpb_GetAllStoresRequest()
        request.excludeTombstoneStores = excludingTombstones
        return try await self.call(PdpbPDRPC.getAllStores, request, deadline: deadline)
            .map { $0.stores.map { StoreDescription($0) } } ?? []
    }
}
