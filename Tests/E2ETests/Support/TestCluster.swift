// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TiKV
import TiKVEmbedded

/// The cluster under test: a real one where `TIKV_PD_ADDRS` names it (`host:port,host:port`), else an embedded one.
enum TestCluster {
    static let realAddresses: [String]? = {
        guard let text = ProcessInfo.processInfo.environment["TIKV_PD_ADDRS"], !text.isEmpty else { return nil }
        return text.split(separator: ",").map(String.init)
    }()

    /// The API version of a real cluster: `v1`, `v1ttl` or `v2`.
    static let realVersion =
        ProcessInfo.processInfo.environment["TIKV_API_VERSION"].flatMap { APIVersion($0) } ?? APIVersion.v1

    /// The versions that tests of all of them can run with.
    static var versions: [APIVersion] { self.hasControl ? [.v1, .v1ttl, .v2] : [self.realVersion] }

    /// Those in which values may have a time to live.
    static var versionsWithTimeToLive: [APIVersion] { self.versions.filter(\.hasTimeToLive) }

    /// Whether tests may change the cluster itself; where not, those that must are skipped.
    static var hasControl: Bool { self.realAddresses == nil }

    /// Where a test keeps its keys, apart from those of others, and the client to do it with.
    struct Space: Sendable {
        let client: RawClient
        let prefix: [UInt8]

        var range: KeyRange { .prefix(Key(self.prefix)) }

        func key(_ name: String) -> Key { Key(self.prefix + Array(name.utf8)) }

        func key(_ bytes: [UInt8]) -> Key { Key(self.prefix + bytes) }

        /// A range of this space; a bound without bytes is that of the space.
        func range(_ start: [UInt8], _ end: [UInt8]) -> KeyRange {
            KeyRange(start: self.key(start), end: end.isEmpty ? self.range.end : self.key(end))
        }

        /// A key's own part.
        func name(_ key: Key) -> [UInt8] { Array(key.bytes.dropFirst(self.prefix.count)) }

        func pairs(_ scan: RawScan) async throws -> [[UInt8]: [UInt8]] {
            var pairs: [[UInt8]: [UInt8]] = [:]
            for try await (key, value) in scan { pairs[self.name(key)] = value.bytes }
            return pairs
        }
    }

    /// Runs a test that needs nothing but a cluster.
    ///
    /// - Parameters:
    ///   - splits: where regions shall meet, within the test's own keys; a real cluster keeps its own bounds.
    ///   - configuration: its API version is the cluster's; a real one has its own.
    static func withSpace(
        splits: [[UInt8]] = [], configuration: ClientConfiguration = .init(), _ body: (Space) async throws -> Void
    ) async throws {
        let prefix = Array("swift-test/\(UInt64.random(in: .min ... .max))/".utf8)
        if let addresses = self.realAddresses {
            var configuration = configuration
            configuration.apiVersion = self.realVersion
            try await RawClient.withClient(pd: addresses, configuration: configuration) { client in
                let space = Space(client: client, prefix: prefix)
                do {
                    try await body(space)
                } catch {
                    try? await client.deleteRange(space.range)
                    throw error
                }
                try await client.deleteRange(space.range)
            }
            return
        }
        let version = EmbeddedCluster.APIVersion(configuration.apiVersion)
        let embedded = EmbeddedCluster.Configuration(
            splitKeys: splits.map { version.regionKey(forRaw: prefix + $0) }, apiVersion: version)
        try await EmbeddedCluster.withCluster(embedded) { cluster in
            cluster.scatterLeaders()
            try await RawClient.withClient(pd: cluster.pdEndpoints, configuration: configuration) { client in
                try await body(Space(client: client, prefix: prefix))
            }
        }
    }

    /// Runs a test that changes the cluster.
    static func withControl(
        _ cluster: EmbeddedCluster.Configuration = .init(), configuration: ClientConfiguration = .init(),
        _ body: (RawClient, EmbeddedCluster) async throws -> Void
    ) async throws {
        try await EmbeddedCluster.withCluster(cluster) { cluster in
            try await RawClient.withClient(pd: cluster.pdEndpoints, configuration: configuration) { client in
                try await body(client, cluster)
            }
        }
    }
}

extension EmbeddedCluster.APIVersion {
    /// What a cluster for clients of this version is set to.
    init(_ version: TiKV.APIVersion) {
        self = version == .v2 ? .v2 : version == .v1ttl ? .v1ttl : .v1
    }
}

extension ClientConfiguration {
    /// For raw data, with all that a version has.
    static func raw(
        _ version: APIVersion, isAtomic: Bool = false, keyspace: String? = nil
    ) -> ClientConfiguration {
        ClientConfiguration(apiVersion: version, keyspace: keyspace, raw: .init(isAtomic: isAtomic))
    }
}

/// The error that a call fails with; nil where it doesn't.
func failure<Result>(_ body: () async throws -> Result) async -> TiKVError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? TiKVError
    }
}

/// The same numbers for the same seed.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
