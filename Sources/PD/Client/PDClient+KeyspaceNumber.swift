// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

extension PDClient {
    /// The number of a keyspace, by name; nil where there is none of this name.
    package nonisolated func keyspaceNumber(
        named name: String, deadline: Deadline
    ) async throws(PDError) -> (id: UInt32, isEnabled: Bool, isOfV3: Bool)? {
        var request = Keyspacepb_LoadKeyspaceRequest()
        request.name = name
        let response = try await self.call(KeyspacepbKeyspaceRPC.loadKeyspace, request, deadline: deadline)
        guard let response, response.hasKeyspace else { return nil }
        let isOfV3 = if case .keyspaceIdentity? = response.keyspace.keyspace { true } else { false }
        return (response.keyspace.id, response.keyspace.state == .enabled, isOfV3)
    }
}

extension Keyspacepb_LoadKeyspaceRequest: PDRequest {}
extension Keyspacepb_LoadKeyspaceResponse: PDResponse {}
