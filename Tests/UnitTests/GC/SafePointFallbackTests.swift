// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Testing
import TiKVEmbedded
import TiKVPD
import TiKVTransport

@testable import TiKV

/// The safe point of an embedded cluster whose PD knows no states of garbage collection.
@Suite(.timeLimit(.minutes(1))) struct SafePointFallbackTests {
    private static let entry = "/tidb/store/gcworker/saved_safe_point"

    private func deadline() -> Deadline { Deadline(after: .seconds(30), from: .now) }

    @Test func theEntryOfOlderClustersIsReadAndPDAskedOnce() async throws {
        try await EmbeddedCluster.withCluster(.init(storeCount: 1)) { cluster in
            let unified = try cluster.createKeyspace("unified")
            let own = try cluster.createKeyspace("own", hasOwnGC: true)
            cluster.inject(.status(code: 12, message: "unknown method"), into: .init(rpc: "GetGCState"), times: nil)
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let core = try ClientCore(
                .transaction, pd: cluster.pdEndpoints.compactMap { PeerAddress($0) }, configuration: .init(),
                logger: logger)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await core.run() }
                defer { group.cancelAll() }
                let pd = core.pd
                let keyspaces: [(id: UInt32?, name: String)] = [(nil, ""), (unified, "unified"), (own, "own")]
                let loaders = keyspaces.map { _ in SafePointLoader(store: pd) }
                func load() async throws -> [UInt64] {
                    var loaded: [UInt64] = []
                    for (loader, keyspace) in zip(loaders, keyspaces) {
                        let found = try await loader.load(keyspaceID: keyspace.id, deadline: self.deadline()) {
                            () async throws(PDError) in
                            try await pd.keyspace(named: keyspace.name, deadline: self.deadline())?.hasOwnGC ?? false
                        }
                        loaded.append(found)
                    }
                    return loaded
                }
                #expect(try await load() == [0, 0, 0])
                _ = try await pd.putMetaEntry(
                    Array(Self.entry.utf8), value: Array("1001".utf8), deadline: self.deadline())
                #expect(try await load() == [1001, 1001, 0])
                _ = try await pd.putMetaEntry(
                    Array("/keyspaces/tidb/\(own)\(Self.entry)".utf8), value: Array("1002".utf8),
                    deadline: self.deadline())
                #expect(try await load() == [1001, 1001, 1002])
                // Once by each of the three, whatever they load.
                #expect(cluster.requestCount("GetGCState") == 3)
            }
        }
    }
}
