// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV
import TiKVEmbedded

/// Where a test of transactions keeps its keys, apart from those of others.
struct TransactionSpace: Sendable {
    let client: TransactionClient
    let prefix: [UInt8]

    var range: KeyRange { .prefix(Key(self.prefix)) }

    func key(_ name: String) -> Key { Key(self.prefix + Array(name.utf8)) }

    /// A range of this space; a bound without bytes is that of the space.
    func range(_ start: String, _ end: String) -> KeyRange {
        KeyRange(start: self.key(start), end: end.isEmpty ? self.range.end : self.key(end))
    }

    func name(_ key: Key) -> String { String(decoding: key.bytes.dropFirst(self.prefix.count), as: UTF8.self) }

    /// Commits some keys.
    @discardableResult
    func write(_ pairs: [String: Value]) async throws -> Timestamp {
        let transaction = try await self.client.begin()
        for (name, value) in pairs { try await transaction.put(self.key(name), value: value) }
        guard let timestamp = try await transaction.commit() else { return transaction.startTimestamp }
        return timestamp
    }

    /// What a scan gives, as text.
    func text(_ scan: TransactionScan) async throws -> [String] {
        var text: [String] = []
        for try await (key, value) in scan {
            text.append("\(self.name(key))=\(String(decoding: value.bytes, as: UTF8.self))")
        }
        return text
    }

    /// Runs a test that needs nothing but a cluster.
    ///
    /// - Parameter splits: where regions shall meet, within the test's own keys; a real cluster keeps its own bounds.
    static func with(
        splits: [String] = [], configuration: ClientConfiguration = .init(),
        _ body: (TransactionSpace) async throws -> Void
    ) async throws {
        let prefix = Array("swift-test/\(UInt64.random(in: .min ... .max))/".utf8)
        if let addresses = TestCluster.realAddresses {
            try await TransactionClient.withClient(pd: addresses, configuration: configuration) { client in
                try await body(TransactionSpace(client: client, prefix: prefix))
            }
            return
        }
        try await self.withControl(splits: splits, configuration: configuration) { space, _ in try await body(space) }
    }

    /// Runs a test that changes the cluster.
    static func withControl(
        splits: [String] = [], configuration: ClientConfiguration = .init(),
        _ body: (TransactionSpace, EmbeddedCluster) async throws -> Void
    ) async throws {
        let prefix = Array("t/".utf8)
        let keys = splits.map { TransactionSpace.encoded(prefix + Array($0.utf8)) }
        try await EmbeddedCluster.withCluster(.init(splitKeys: keys)) { cluster in
            cluster.scatterLeaders()
            try await TransactionClient.withClient(pd: cluster.pdEndpoints, configuration: configuration) { client in
                try await body(TransactionSpace(client: client, prefix: prefix), cluster)
            }
        }
    }

    /// A key as the bounds of regions have it where data are transactional: groups of eight bytes, each followed by 0xff
    /// less the number of bytes that fill the last one up.
    static func encoded(_ key: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = key[...]
        while true {
            let group = rest.prefix(8)
            rest = rest.dropFirst(8)
            bytes += group + [UInt8](repeating: 0, count: 8 - group.count)
            bytes.append(255 - UInt8(8 - group.count))
            if group.count < 8 { return bytes }
        }
    }
}
