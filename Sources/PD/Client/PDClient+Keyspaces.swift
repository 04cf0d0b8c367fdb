// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto
import TiKVTransport

extension PDClient {
    /// A keyspace by its name; nil where there is none, or its regions are not ready yet.
    package nonisolated func keyspace(
        named name: String, deadline: Deadline
    ) async throws(PDError) -> KeyspaceDescription? {
        var request = Keyspacepb_LoadKeyspaceRequest()
        request.name = name
        return try await self.call(KeyspacepbKeyspaceRPC.loadKeyspace, request, deadline: deadline)
            .flatMap { $0.hasKeyspace ? KeyspaceDescription($0.keyspace) : nil }
    }

    /// A keyspace by its number; nil where there is none.
    package nonisolated func keyspace(id: UInt32, deadline: Deadline) async throws(PDError) -> KeyspaceDescription? {
        var request = Keyspacepb_LoadKeyspaceByIDRequest()
        request.id = id
        return try await self.call(KeyspacepbKeyspaceRPC.loadKeyspaceByID, request, deadline: deadline)
            .flatMap { $0.hasKeyspace ? KeyspaceDescription($0.keyspace) : nil }
    }

    /// Keyspaces in the order of their numbers.
    ///
    /// - Parameters:
    ///   - first: where to begin.
    ///   - limit: at most so many; 0 stands for all.
    package nonisolated func keyspaces(
        from first: UInt32 = 0, limit: Int = 0, deadline: Deadline
    ) async throws(PDError) -> [KeyspaceDescription] {
        var request = Keyspacepb_GetAllKeyspacesRequest()
        request.startID = first
        request.limit = UInt32(clamping: limit)
        return try await self.call(KeyspacepbKeyspaceRPC.getAllKeyspaces, request, deadline: deadline)
            .map { $0.keyspaces.map { KeyspaceDescription($0) } } ?? []
    }

    /// Changes a keyspace's state. PD allows enabled and disabled in turn, from there archived, and from there tombstone.
    ///
    /// - Returns: the keyspace as it is then; nil where there is none.
    package nonisolated func updateKeyspace(
        id: UInt32, state: KeyspaceDescription.State, deadline: Deadline
    ) async throws(PDError) -> KeyspaceDescription? {
        var request = Keyspacepb_UpdateKeyspaceStateRequest()
        request.id = id
        request.state = state.proto
        return try await self.call(KeyspacepbKeyspaceRPC.updateKeyspaceState, request, deadline: deadline)
            .flatMap { $0.hasKeyspace ? KeyspaceDescription($0.keyspace) : nil }
    }

    /// Tells of all keyspaces first, and then of those that changed, until the task is cancelled or `onChange` throws.
    /// After a change of PD's leader it tells of all of them again.
    package nonisolated func watchKeyspaces(
        _ onChange: ([KeyspaceDescription]) async throws -> Void
    ) async throws {
        try await self.watch(KeyspacepbKeyspaceRPC.watchKeyspaces) { clusterID in
            var request = Keyspacepb_WatchKeyspacesRequest()
            request.header = self.header(clusterID)
            return request
        } onResponse: { response, clusterID in
            guard case .answered = PDVerdict(response.header, expectedClusterID: clusterID) else {
                return PDVerdict(response.header, expectedClusterID: clusterID)
            }
            try await onChange(response.keyspaces.map { KeyspaceDescription($0) })
            return .answered
        }
    }
}
