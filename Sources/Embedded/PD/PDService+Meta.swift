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

/// The `meta_storagepb.MetaStorage` service, and the cluster's shared configuration, which lies in the same store.
extension PDService {
    func registerMeta(in services: inout RPCServices) {
        self.registerMeta(MetaStoragepbMetaStorageRPC.get, in: &services, header: { $0.header }) { model, request in
            let found = model.pd.meta.get([UInt8](request.key), rangeEnd: [UInt8](request.rangeEnd))
            let limit = request.limit > 0 ? Int(clamping: request.limit) : .max
            return .with {
                $0.kvs = found.prefix(limit).map { MetaStoragepb_KeyValue($0.key, $0.entry) }
                $0.count = Int64(found.count)
                $0.more = found.count > limit
            }
        } setHeader: {
            $0.header = $1
        }
        self.registerMeta(MetaStoragepbMetaStorageRPC.put, in: &services, header: { $0.header }) { model, request in
            let key = [UInt8](request.key)
            let previous = model.pd.meta.put(key, [UInt8](request.value), lease: request.lease)
            return .with {
                if request.prevKv, let previous { $0.prevKv = MetaStoragepb_KeyValue(key, previous) }
            }
        } setHeader: {
            $0.header = $1
        }
        self.registerMeta(MetaStoragepbMetaStorageRPC.delete, in: &services, header: { $0.header }) { model, request in
            let gone = model.pd.meta.delete([UInt8](request.key), rangeEnd: [UInt8](request.rangeEnd))
            return .with {
                $0.deleted = Int64(gone.count)
                if request.prevKv { $0.prevKvs = gone.map { MetaStoragepb_KeyValue($0.key, $0.entry) } }
            }
        } setHeader: {
            $0.header = $1
        }
        services.register(MetaStoragepbMetaStorageRPC.watch, stream: self.watchMeta)
    }

    private func registerMeta<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, in services: inout RPCServices,
        header: @escaping @Sendable (Request) -> MetaStoragepb_RequestHeader,
        take: @escaping @Sendable (inout ClusterModel, Request) -> Response,
        setHeader: @escaping @Sendable (inout Response, MetaStoragepb_ResponseHeader) -> Void
    ) {
        self.register(method, in: &services, changes: true) { request in
            Pdpb_RequestHeader.with { $0.clusterID = header(request).clusterID }
        } take: { model, request, _ in
            (take(&model, request), model.pd.meta.revision)
        } answer: { taken, pdHeader in
            var response = taken.0
            var header = MetaStoragepb_ResponseHeader()
            header.clusterID = pdHeader.clusterID
            header.revision = taken.1
            setHeader(&response, header)
            return response
        }
    }

    /// Tells of changes, all of one revision in one message, as etcd does.
    private func watchMeta(
        _ stream: ServerStream<MetaStoragepb_WatchRequest, MetaStoragepb_WatchResponse>, _ call: ServerCall
    ) async throws {
        let (member, fault) = try self.begin(MetaStoragepbMetaStorageRPC.watch.name, call)
        try await fault?.run(call, regionErrorAnswer: { _ in }, perform: {})
        guard let request = try await stream.next() else { return }
        let (key, rangeEnd) = ([UInt8](request.key), [UInt8](request.rangeEnd))
        var next: Int64? = request.startRevision > 0 ? request.startRevision : nil
        try await self.watch(member, call) { model -> MetaStoragepb_WatchResponse? in
            try model.checkCluster(.with { $0.clusterID = request.header.clusterID })
            let table = model.pd.meta
            let from = next ?? table.revision + 1
            next = from
            if from < table.compactRevision {
                return .with {
                    $0.header.clusterID = model.pdClusterID
                    $0.header.error.type = .dataCompacted
                    $0.header.error.message =
                        "required watch revision: \(from) is smaller than current compact/min revision "
                        + "\(table.compactRevision)."
                    $0.compactRevision = table.compactRevision
                }
            }
            let news = table.changes.filter { $0.revision >= from && MetaTable.contains($0.key, key, rangeEnd) }
            next = max(from, table.revision + 1)
            guard !news.isEmpty else { return nil }
            return .with {
                $0.header.clusterID = model.pdClusterID
                $0.header.revision = table.revision
                $0.events = news.map { MetaStoragepb_Event($0, withPrevious: request.prevKv) }
            }
        } send: { response in
            try await stream.send(response)
            guard !response.header.hasError else {
                throw RPCError(.outOfRange, response.header.error.message, delivery: .answered)
            }
        }
    }

    // MARK: - Global configuration

    func registerGlobalConfig(in services: inout RPCServices) {
        self.register(
            PdpbPDRPC.storeGlobalConfig, in: &services, access: .anyMember, changes: true, header: { _ in nil }
        ) { model, request, _ in
            for change in request.changes {
                let key = Self.configKey(request.configPath, change.name)
                switch change.kind {
                case .put, .UNRECOGNIZED:
                    let value = change.value.isEmpty ? [UInt8](change.payload) : Array(change.value.utf8)
                    _ = model.pd.meta.put(key, value)
                case .delete:
                    _ = model.pd.meta.delete(key, rangeEnd: [])
                }
            }
        } answer: { _, _ in
            .init()
        }
        self.register(
            PdpbPDRPC.loadGlobalConfig, in: &services, access: .anyMember, header: { _ in nil }
        ) { model, request, _ in
            if request.names.isEmpty {
                let prefix = Self.configKey(request.configPath, "")
                let found = model.pd.meta.get(prefix, rangeEnd: Self.prefixEnd(prefix))
                let items = found.map { key, entry in
                    Pdpb_GlobalConfigItem.with {
                        $0.name = String(decoding: key, as: UTF8.self)
                        $0.payload = Data(entry.value)
                    }
                }
                return (items, model.pd.meta.revision)
            }
            let items = request.names.map { name in
                Pdpb_GlobalConfigItem.with {
                    $0.name = name
                    let found = model.pd.meta.get(Self.configKey(request.configPath, name), rangeEnd: [])
                    if let entry = found.first?.entry {
                        $0.payload = Data(entry.value)
                    } else {
                        $0.error.type = .globalConfigNotFound
                        $0.error.message = "key \(name) not found"
                    }
                }
            }
            return (items, 0)
        } answer: { found, _ in
            .with {
                $0.items = found.0
                $0.revision = found.1
            }
        }
        services.register(PdpbPDRPC.watchGlobalConfig, stream: self.watchGlobalConfig)
    }

    private func watchGlobalConfig(
        _ stream: ServerStream<Pdpb_WatchGlobalConfigRequest, Pdpb_WatchGlobalConfigResponse>, _ call: ServerCall
    ) async throws {
        let (member, fault) = try self.begin(PdpbPDRPC.watchGlobalConfig.name, call)
        try await fault?.run(call, regionErrorAnswer: { _ in }, perform: {})
        guard let request = try await stream.next() else { return }
        let prefix = Self.configKey(request.configPath, "")
        var next: Int64? = request.revision > 0 ? request.revision : nil
        try await self.watch(member, call, access: .anyMember) { model -> Pdpb_WatchGlobalConfigResponse? in
            let table = model.pd.meta
            let from = next ?? table.revision + 1
            next = max(from, table.revision + 1)
            let news = table.changes.filter {
                $0.revision >= from && MetaTable.contains($0.key, prefix, Self.prefixEnd(prefix))
            }
            guard !news.isEmpty else { return nil }
            return .with {
                $0.header.clusterID = model.pdClusterID
                $0.revision = table.revision
                $0.changes = news.map { change in
                    .with {
                        $0.name = String(decoding: change.key, as: UTF8.self)
                        $0.kind = change.entry == nil ? .delete : .put
                        $0.payload = Data((change.entry ?? change.previous)?.value ?? [])
                    }
                }
            }
        } send: {
            try await stream.send($0)
        }
    }

    /// Below `/global/config/`, whatever a request names.
    private static func configKey(_ path: String, _ name: String) -> [UInt8] {
        let root = "/global/config/"
        let folder = path.hasPrefix(root) ? path : root + path
        return Array((folder.hasSuffix("/") ? folder + name : folder + "/" + name).utf8)
    }

    private static func prefixEnd(_ prefix: [UInt8]) -> [UInt8] {
        var end = prefix
        while let last = end.popLast() {
            if last < .max { return end + [last + 1] }
        }
        return [0]
    }
}

extension MetaStoragepb_KeyValue {
    fileprivate init(_ key: [UInt8], _ entry: MetaTable.Entry) {
        self = .with {
            $0.key = Data(key)
            $0.value = Data(entry.value)
            $0.createRevision = entry.createRevision
            $0.modRevision = entry.modRevision
            $0.version = entry.version
            $0.lease = entry.lease
        }
    }
}

extension MetaStoragepb_Event {
    fileprivate init(_ change: MetaTable.Change, withPrevious: Bool) {
        self = .with {
            if let entry = change.entry {
                $0.type = .put
                $0.kv = MetaStoragepb_KeyValue(change.key, entry)
            } else {
                $0.type = .delete
                $0.kv.key = Data(change.key)
                $0.kv.modRevision = change.revision
            }
            if withPrevious, let previous = change.previous {
                $0.prevKv = MetaStoragepb_KeyValue(change.key, previous)
            }
        }
    }
}
