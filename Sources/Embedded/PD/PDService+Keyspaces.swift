// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

extension PDService {
    func registerKeyspaces(in services: inout RPCServices) {
        self.register(KeyspacepbKeyspaceRPC.loadKeyspace, in: &services, header: { $0.header }) { model, request, _ in
            model.pd.keyspaces.named(request.name)
        } answer: {
            Self.answer($0, $1)
        }
        self.register(
            KeyspacepbKeyspaceRPC.loadKeyspaceByID, in: &services, header: { $0.header }
        ) { model, request, _ in
            model.pd.keyspaces.byID[request.id]
        } answer: {
            Self.answer($0, $1)
        }
        self.register(
            KeyspacepbKeyspaceRPC.getAllKeyspaces, in: &services, header: { $0.header }
        ) { model, request, _ in
            let limit = request.limit > 0 ? Int(request.limit) : .max
            return Array(model.pd.keyspaces.all.filter { $0.id >= request.startID }.prefix(limit))
        } answer: { keyspaces, header in
            .with {
                $0.header = header
                $0.keyspaces = keyspaces.map(\.proto)
            }
        }
        self.register(
            KeyspacepbKeyspaceRPC.updateKeyspaceState, in: &services, changes: true, header: { $0.header }
        ) { model, request, now in
            let phase = KeyspaceState.Phase(request.state)
            return Result { () throws(KeyspaceError) in
                try model.pd.keyspaces.change(request.id, to: phase, now: Int64(now / 1000))
            }
        } answer: { result, header in
            .with {
                switch result {
                case .success(let keyspace):
                    $0.header = header
                    $0.keyspace = keyspace.proto
                case .failure(let error):
                    $0.header = Self.failed(header, error)
                }
            }
        }
        services.register(KeyspacepbKeyspaceRPC.watchKeyspaces, stream: self.watchKeyspaces)
    }

    /// All keyspaces first, then each change.
    private func watchKeyspaces(
        _ stream: ServerStream<Keyspacepb_WatchKeyspacesRequest, Keyspacepb_WatchKeyspacesResponse>, _ call: ServerCall
    ) async throws {
        let (member, fault) = try self.begin(KeyspacepbKeyspaceRPC.watchKeyspaces.name, call)
        try await fault?.run(call, regionErrorAnswer: { _ in }, perform: {})
        guard let request = try await stream.next() else { return }
        var told = -1
        try await self.watch(member, call) { model -> Keyspacepb_WatchKeyspacesResponse? in
            try model.checkCluster(request.header)
            let table = model.pd.keyspaces
            defer { told = table.changes.count }
            let news = told < 0 ? table.all : Array(table.changes[told...])
            return news.isEmpty
                ? nil
                : .with {
                    $0.header.clusterID = model.pdClusterID
                    $0.keyspaces = news.map(\.proto)
                }
        } send: {
            try await stream.send($0)
        }
    }

    private static func answer(
        _ keyspace: KeyspaceState?, _ header: Pdpb_ResponseHeader
    ) -> Keyspacepb_LoadKeyspaceResponse {
        .with {
            if let keyspace {
                $0.header = header
                $0.keyspace = keyspace.proto
            } else {
                $0.header = Self.failed(header, .notFound)
            }
        }
    }

    private static func failed(_ header: Pdpb_ResponseHeader, _ error: KeyspaceError) -> Pdpb_ResponseHeader {
        switch error {
        case .notFound:
            header.failed(.entryNotFound, "[PD:keyspace:ErrKeyspaceNotFound]keyspace does not exist")
        case .exists:
            header.failed(.duplicatedEntry, "[PD:keyspace:ErrKeyspaceExists]keyspace already exists")
        case .illegalChange(let reason):
            header.failed(.unknown, reason)
        }
    }
}

extension KeyspaceState {
    fileprivate var proto: Keyspacepb_KeyspaceMeta {
        .with {
            $0.id = self.id
            $0.name = self.name
            $0.state =
                switch self.phase {
                case .enabled: .enabled
                case .disabled: .disabled
                case .archived: .archived
                case .tombstone: .tombstone
                }
            $0.createdAt = self.createdAt
            $0.stateChangedAt = self.changedAt
            $0.config = self.config
        }
    }
}

extension KeyspaceState.Phase {
    fileprivate init(_ state: Keyspacepb_KeyspaceState) {
        switch state {
        case .enabled: self = .enabled
        case .disabled: self = .disabled
        case .archived: self = .archived
        case .tombstone, .UNRECOGNIZED: self = .tombstone
        }
    }
}
