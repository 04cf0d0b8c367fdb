// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

public import Logging

extension EmbeddedCluster {
    /// How a cluster starts out. Every member has a default.
    public struct Configuration: Sendable {
        /// The number of stores; at least 1. Default 3.
        public var storeCount: Int
        /// The number of peers that each region has, on as many of the stores. Default 3, or all stores if there are
        /// fewer.
        public var replicaCount: Int
        /// The keys at which regions meet in the beginning, as ``APIVersion/regionKey(forRaw:keyspaceID:)`` gives them for
        /// keys of an application; there is one region more than keys. Default none.
        public var splitKeys: [[UInt8]]
        /// The address that all servers listen on. Default 127.0.0.1.
        public var host: String
        /// The number of PD's members; at least 1. Default 1.
        public var pdMembers: Int
        /// The number of servers that hand out timestamps in PD's place, as in a cluster with microservices. Default 0: PD
        /// does it itself.
        public var timestampServers: Int
        /// The port of PD's first member. The default, 0, takes a free one; the ports of all other servers are always free
        /// ones.
        public var pdPort: Int
        /// The cluster's identifier. Default nil, which takes a random one.
        public var clusterID: UInt64?
        /// The API version of the stores. Default ``APIVersion/v1``.
        public var apiVersion: APIVersion
        /// The plugins for raw coprocessor requests that the stores have. Default none, as if they were disabled.
        public var coprocessorPlugins: [CoprocessorPlugin]
        /// How long a request for a pessimistic lock waits that names no time, and the most for those that do: the stores'
        /// `pessimistic-txn.wait-for-lock-timeout`. Counts whole milliseconds. Default 1 s.
        public var lockWaitTimeout: Duration
        /// TLS for PD and all stores. Default nil: plaintext.
        public var tls: TLS?
        /// Where the servers log, at debug level and below, and above only what became of certificate files that changed.
        /// Default: nowhere.
        public var logger: Logger

        /// A configuration; what is not named has its default.
        public init(
            storeCount: Int = 3, replicaCount: Int = 3, splitKeys: [[UInt8]] = [], host: String = "127.0.0.1",
            pdMembers: Int = 1, timestampServers: Int = 0, pdPort: Int = 0, clusterID: UInt64? = nil,
            apiVersion: APIVersion = .v1, coprocessorPlugins: [CoprocessorPlugin] = [],
            lockWaitTimeout: Duration = .seconds(1), tls: TLS? = nil,
            logger: Logger = Logger(label: "tikv.embedded") { _ in SwiftLogNoOpLogHandler() }
        ) {
            self.storeCount = storeCount
            self.replicaCount = replicaCount
            self.splitKeys = splitKeys
            self.host = host
            self.pdMembers = pdMembers
            self.timestampServers = timestampServers
            self.pdPort = pdPort
            self.clusterID = clusterID
            self.apiVersion = apiVersion
            self.coprocessorPlugins = coprocessorPlugins
            self.lockWaitTimeout = lockWaitTimeout
            self.tls = tls
            self.logger = logger
        }
    }

    /// What the stores' `storage.api-version` and `storage.enable-ttl` are set to.
    public struct APIVersion: Hashable, Sendable {
        enum Kind: Hashable, Sendable {
            case v1
            case v1ttl
            case v2
        }

        let kind: Kind

        /// Raw values live for ever, and a request with a time to live is refused.
        public static let v1 = APIVersion(kind: .v1)

        /// Raw values may have a time to live. Clients speak version V1 to such a store as well.
        public static let v1ttl = APIVersion(kind: .v1ttl)

        /// Keys belong to keyspaces: they begin with `r`, for raw data, or `x`, for transactions, and the keyspace's number
        /// in three bytes. Raw values may have a time to live; there are no column families for them.
        public static let v2 = APIVersion(kind: .v2)

        var hasTTL: Bool { self.kind != .v1 }

        /// As TiKV prints it.
        var name: String {
            switch self.kind {
            case .v1: "V1"
            case .v1ttl: "V1ttl"
            case .v2: "V2"
            }
        }

        /// Where a key of raw data is among the bounds of regions, in PD and to the methods that take such a key.
        ///
        /// - Parameters:
        ///   - key: as an application knows it.
        ///   - keyspaceID: of API V2 only; the default keyspace's number is 0.
        public func regionKey(forRaw key: [UInt8], keyspaceID: UInt32 = 0) -> [UInt8] {
            self.kind == .v2 ? MemComparable.encode(Self.prefix("r", keyspaceID) + key) : key
        }

        /// Where a key of transactional data is among the bounds of regions.
        ///
        /// - Parameters:
        ///   - key: as an application knows it.
        ///   - keyspaceID: of API V2 only; the default keyspace's number is 0.
        public func regionKey(forTransactional key: [UInt8], keyspaceID: UInt32 = 0) -> [UInt8] {
            MemComparable.encode(self.kind == .v2 ? Self.prefix("x", keyspaceID) + key : key)
        }

        private static func prefix(_ mode: Unicode.Scalar, _ id: UInt32) -> [UInt8] {
            [
                UInt8(ascii: mode), UInt8(truncatingIfNeeded: id >> 16), UInt8(truncatingIfNeeded: id >> 8),
                UInt8(truncatingIfNeeded: id),
            ]
        }
    }
}
