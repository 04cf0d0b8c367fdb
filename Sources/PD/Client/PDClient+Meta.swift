// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import SwiftProtobuf
internal import Synchronization
import TiKVProto
import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// PD's own small store of keys, in which resource groups and the like are kept.
extension PDClient {
    /// Reads an entry, or those of a range.
    ///
    /// - Parameters:
    ///   - rangeEnd: the key behind the last; nil reads one entry. `MetaKey.prefixEnd` makes one of a prefix.
    ///   - limit: at most so many; 0 stands for all.
    ///   - revision: as the store was then; 0 is now.
    package nonisolated func metaEntries(
        _ key: [UInt8], rangeEnd: [UInt8]? = nil, limit: Int = 0, revision: Int64 = 0, deadline: Deadline
    ) async throws(PDError) -> MetaEntries {
        var request = MetaStoragepb_GetRequest()
        request.key = Data(key)
        request.rangeEnd = Data(rangeEnd ?? [])
        request.limit = Int64(clamping: limit)
        request.revision = revision
        let response = try await self.askMeta(MetaStoragepbMetaStorageRPC.get, request, deadline: deadline)
        return MetaEntries(
            entries: response.kvs.map { MetaEntry($0) }, count: Int(clamping: response.count),
            revision: response.header.revision)
    }

    /// Writes an entry.
    ///
    /// - Returns: what was there before; nil where nothing was.
    @discardableResult
    package nonisolated func putMetaEntry(
        _ key: [UInt8], value: [UInt8], lease: Int64 = 0, deadline: Deadline
    ) async throws(PDError) -> MetaEntry? {
        var request = MetaStoragepb_PutRequest()
        request.key = Data(key)
        request.value = Data(value)
        request.lease = lease
        request.prevKv = true
        let response = try await self.askMeta(MetaStoragepbMetaStorageRPC.put, request, deadline: deadline)
        return response.hasPrevKv ? MetaEntry(response.prevKv) : nil
    }

    /// Deletes an entry, or those of a range.
    ///
    /// - Parameter rangeEnd: the key behind the last; nil deletes one entry.
    /// - Returns: how many there were.
    @discardableResult
    package nonisolated func deleteMetaEntries(
        _ key: [UInt8], rangeEnd: [UInt8]? = nil, deadline: Deadline
    ) async throws(PDError) -> Int {
        var request = MetaStoragepb_DeleteRequest()
        request.key = Data(key)
        request.rangeEnd = Data(rangeEnd ?? [])
        let response = try await self.askMeta(MetaStoragepbMetaStorageRPC.delete, request, deadline: deadline)
        return Int(clamping: response.deleted)
    }

    /// Tells of changes of an entry or a range, in their order and each once, until the task is cancelled or `onChange`
    /// throws. It goes on where it was when a connection breaks or PD's leader changes.
    ///
    /// - Parameters:
    ///   - revision: the first change to tell of; 0 begins with the next one.
    /// - Throws: `server` where the changes asked for are so old that PD no longer has them.
    package nonisolated func watchMetaEntries(
        _ key: [UInt8], rangeEnd: [UInt8]? = nil, from revision: Int64 = 0,
        _ onChange: ([MetaChange]) async throws -> Void
    ) async throws {
        var next = revision
        try await self.watch(MetaStoragepbMetaStorageRPC.watch) { clusterID in
            var request = MetaStoragepb_WatchRequest()
            request.header.clusterID = clusterID
            request.key = Data(key)
            request.rangeEnd = Data(rangeEnd ?? [])
            request.startRevision = next
            request.prevKv = true
            return request
        } onResponse: { response, clusterID in
            let verdict = Self.verdict(response.header, clusterID)
            guard case .answered = verdict else { return verdict }
            // The store may be further on than what it has told so far.
            let told = response.events.map(\.kv.modRevision).max() ?? response.header.revision
            next = max(next, Self.revision(after: told))
            if !response.events.isEmpty { try await onChange(response.events.map { MetaChange($0) }) }
            return .answered
        }
    }

    // MARK: - Global configuration

    /// Reads configuration that all of the cluster shares.
    ///
    /// - Parameters:
    ///   - names: which pieces; nil reads all below the path.
    ///   - path: where they are kept.
    /// - Returns: the pieces, those that are not there without a payload; and the revision to watch from.
    package nonisolated func globalConfig(
        _ names: [String]? = nil, path: String, deadline: Deadline
    ) async throws(PDError) -> (items: [GlobalConfigItem], revision: Int64) {
        var request = Pdpb_LoadGlobalConfigRequest()
        request.names = names ?? []
        request.configPath = path
        let response = try await self.ask(PdpbPDRPC.loadGlobalConfig, request, deadline: deadline) { _, _ in
        } verdict: { _, _ in
            .answered
        }
        let items = (response?.items ?? []).map { item in
            GlobalConfigItem(name: item.name, payload: item.hasError ? nil : [UInt8](item.payload))
        }
        return (items, response?.revision ?? 0)
    }

    /// Changes configuration that all of the cluster shares, all pieces at once.
    package nonisolated func storeGlobalConfig(
        _ items: [GlobalConfigItem], path: String, deadline: Deadline
    ) async throws(PDError) {
        var request = Pdpb_StoreGlobalConfigRequest()
        request.configPath = path
        request.changes = items.map { item in
            var change = Pdpb_GlobalConfigItem()
            change.name = item.name
            change.kind = item.payload == nil ? .delete : .put
            change.payload = Data(item.payload ?? [])
            return change
        }
        _ = try await self.ask(PdpbPDRPC.storeGlobalConfig, request, deadline: deadline) { _, _ in
        } verdict: { response, _ in
            guard response.hasError, response.error.type != .ok else { return .answered }
            return .fail(PDError(.server, "PD refused the configuration", detail: response.error.message))
        }
    }

    /// Tells of changes of configuration, until the task is cancelled or `onChange` throws.
    ///
    /// - Parameter revision: the first change to tell of; 0 begins with the next one.
    package nonisolated func watchGlobalConfig(
        path: String, from revision: Int64 = 0, _ onChange: ([GlobalConfigItem]) async throws -> Void
    ) async throws {
        var next = revision
        try await self.watch(PdpbPDRPC.watchGlobalConfig) { _ in
            var request = Pdpb_WatchGlobalConfigRequest()
            request.configPath = path
            request.revision = next
            return request
        } onResponse: { response, clusterID in
            let verdict = PDVerdict(response.header, expectedClusterID: clusterID)
            guard case .answered = verdict else { return verdict }
            next = max(next, Self.revision(after: response.revision))
            try await onChange(
                response.changes.map { change in
                    GlobalConfigItem(
                        name: change.name, payload: change.kind == .delete ? nil : [UInt8](change.payload))
                })
            return .answered
        }
    }

    // MARK: - Private

    /// The revision to go on with.
    private nonisolated static func revision(after told: Int64) -> Int64 {
        told == .max ? told : told + 1
    }

    private nonisolated func askMeta<Request: MetaRequest, Response: MetaResponse>(
        _ method: RPCMethod<Request, Response>, _ request: Request, deadline: Deadline
    ) async throws(PDError) -> Response {
        let response = try await self.ask(method, request, deadline: deadline) { request, clusterID in
            request.header.clusterID = clusterID
            request.header.source = self.configuration.callerID
        } verdict: { response, clusterID in
            Self.verdict(response.header, clusterID)
        }
        return response ?? Response()
    }

    private nonisolated static func verdict(_ header: MetaStoragepb_ResponseHeader, _ clusterID: UInt64) -> PDVerdict {
        if header.clusterID != 0, header.clusterID != clusterID {
            return .fail(.clusterIDMismatch(expected: clusterID, actual: header.clusterID))
        }
        guard header.hasError, header.error.type != .ok else { return .answered }
        return .fail(PDError(.server, "PD answered with error \(header.error.type)", detail: header.error.message))
    }
}

/// A question to the small store.
protocol MetaRequest: Message {
    var header: MetaStoragepb_RequestHeader { get set }
}

/// An answer from it.
protocol MetaResponse: Message {
    var header: MetaStoragepb_ResponseHeader { get }
}

extension MetaStoragepb_GetRequest: MetaRequest {}
extension MetaStoragepb_GetResponse: MetaResponse {}
extension MetaStoragepb_PutRequest: MetaRequest {}
extension MetaStoragepb_PutResponse: MetaResponse {}
extension MetaStoragepb_DeleteRequest: MetaRequest {}
extension MetaStoragepb_DeleteResponse: MetaResponse {}

extension MetaEntry {
    init(_ pair: MetaStoragepb_KeyValue) {
        self.init(
            key: [UInt8](pair.key), value: [UInt8](pair.value), createRevision: pair.createRevision,
            revision: pair.modRevision, version: pair.version)
    }
}

extension MetaChange {
    init(_ event: MetaStoragepb_Event) {
        let kind: Kind =
            switch event.type {
            case .put, .UNRECOGNIZED: .put
            case .delete: .delete
            }
        self.init(
            kind: kind, entry: MetaEntry(event.kv), previous: event.hasPrevKv ? MetaEntry(event.prevKv) : nil)
    }
}

/// Keys of PD's own small store.
package enum MetaKey {
    /// The key behind all that begin with a prefix; nil where there is none.
    package static func prefixEnd(_ prefix: [UInt8]) -> [UInt8]? {
        var end = prefix
        while let last = end.popLast() {
            if last < .max { return end + [last + 1] }
        }
        return nil
    }
}
