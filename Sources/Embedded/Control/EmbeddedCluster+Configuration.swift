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
        /// The keys at which regions meet in the beginning; there is one region more than keys. Default none.
        public var splitKeys: [[UInt8]]
        /// The address that all servers listen on. Default 127.0.0.1.
        public var host: String
        /// PD's port. The default, 0, takes a free one; the stores' ports are always free ones.
        public var pdPort: Int
        /// The cluster's identifier. Default nil, which takes a random one.
        public var clusterID: UInt64?
        /// The API version of the stores. Default ``APIVersion/v1``.
        public var apiVersion: APIVersion
        /// TLS for PD and all stores. Default nil: plaintext.
        public var tls: TLS?
        /// Where the servers log, at debug level and below, and above only what became of certificate files that changed.
        /// Default: nowhere.
        public var logger: Logger

        /// A configuration; what is not named has its default.
        public init(
            storeCount: Int = 3, replicaCount: Int = 3, splitKeys: [[UInt8]] = [], host: String = "127.0.0.1",
            pdPort: Int = 0, clusterID: UInt64? = nil, apiVersion: APIVersion = .v1, tls: TLS? = nil,
            logger: Logger = Logger(label: "tikv.embedded") { _ in SwiftLogNoOpLogHandler() }
        ) {
            self.storeCount = storeCount
            self.replicaCount = replicaCount
            self.splitKeys = splitKeys
            self.host = host
            self.pdPort = pdPort
            self.clusterID = clusterID
            self.apiVersion = apiVersion
            self.tls = tls
            self.logger = logger
        }
    }

    /// What the stores' `storage.api-version` and `storage.enable-ttl` are set to.
    public struct APIVersion: Hashable, Sendable {
        let hasTTL: Bool

        /// Raw values live for ever, and a request with a time to live is refused.
        public static let v1 = APIVersion(hasTTL: false)

        /// Raw values may have a time to live. Clients speak version V1 to such a store as well.
        public static let v1ttl = APIVersion(hasTTL: true)

        /// As TiKV prints it.
        var name: String { self.hasTTL ? "V1ttl" : "V1" }
    }
}
