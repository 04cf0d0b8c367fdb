// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension EmbeddedCluster {
    /// A region as it was when it was asked for.
    public struct RegionInfo: Hashable, Sendable {
        /// The identifier; the right part of a split keeps it.
        public var id: UInt64
        /// The first key.
        public var startKey: [UInt8]
        /// The key behind the last one; empty where the region is the last.
        public var endKey: [UInt8]
        /// How often peers came or went.
        public var confVer: UInt64
        /// How often the range changed.
        public var version: UInt64
        /// The peers' ids by store.
        public var peers: [UInt64: UInt64]
        /// The store that leads the region; nil while too few peers are up.
        public var leaderStoreID: UInt64?

        init(_ region: RegionState) {
            self.id = region.id
            self.startKey = region.startKey
            self.endKey = region.endKey
            self.confVer = region.epoch.confVer
            self.version = region.epoch.version
            self.peers = Dictionary(region.peers.map { ($0.storeID, $0.id) }) { first, _ in first }
            self.leaderStoreID = region.leaderStoreID
        }
    }

    /// A store as it was when it was asked for.
    public struct StoreInfo: Hashable, Sendable {
        /// The identifier; never given to another store.
        public var id: UInt64
        /// `host:port`; the same after a restart.
        public var address: String
        /// Whether it serves; see ``EmbeddedCluster/stopStore(_:electingLeaders:)``.
        public var isRunning: Bool
    }

    /// A member of PD as it was when it was asked for.
    public struct PDMemberInfo: Hashable, Sendable {
        /// The number, of which the first is 1.
        public var id: Int
        /// `host:port`; the same after a restart.
        public var address: String
        /// Whether it serves; see ``EmbeddedCluster/stopPDMember(_:electing:)``.
        public var isRunning: Bool
        /// Whether it leads.
        public var isLeader: Bool
    }

    /// What a client is given to find the cluster: `host:port` of each of PD's members, running or not.
    public var pdEndpoints: [String] { self.model.withLock { $0.pd.members.list.map(\.address) } }

    /// PD's members in the order of their numbers.
    public var pdMembers: [PDMemberInfo] {
        self.model.withLock { model in
            let members = model.pd.members
            return members.list.map {
                PDMemberInfo(
                    id: $0.id, address: $0.address, isRunning: $0.isRunning, isLeader: $0.id == members.leaderID)
            }
        }
    }

    /// The number of the member of PD that leads; nil while there is none.
    public var pdLeader: Int? { self.model.withLock { $0.pd.members.leaderID } }

    /// The identifier of the cluster.
    public var clusterID: UInt64 { self.model.withLock { $0.clusterID } }

    /// All regions in the order of their keys.
    public var regions: [RegionInfo] { self.model.withLock { $0.cluster.regions.map(RegionInfo.init) } }

    /// All stores in the order of their ids.
    public var stores: [StoreInfo] {
        self.model.withLock { model in
            model.cluster.storeIDs.compactMap { model.cluster.stores[$0] }.map {
                StoreInfo(id: $0.id, address: $0.address, isRunning: $0.isRunning)
            }
        }
    }

    /// The region with this id; nil where there is none, or no longer.
    public func region(_ id: UInt64) -> RegionInfo? {
        self.model.withLock { $0.cluster.region(id).map(RegionInfo.init) }
    }

    /// The region that a key is in.
    ///
    /// - Parameter key: as it is on the wire. Raw keys of API V1 are not encoded.
    public func region(containing key: [UInt8]) -> RegionInfo? {
        self.model.withLock { $0.cluster.region(containing: key).map(RegionInfo.init) }
    }

    /// How many requests of a kind have come so far, faults and refusals included. Every message of a stream counts.
    ///
    /// - Parameters:
    ///   - rpc: the RPC's name without its service, such as `RawGet`.
    ///   - server: nil counts those of all servers.
    public func requestCount(_ rpc: String, on server: Server? = nil) -> Int {
        self.model.withLock { $0.counters.count(of: rpc, on: server) }
    }

    /// How many requests to stores have named a resource group so far.
    public func requestCount(resourceGroup name: String) -> Int {
        self.model.withLock { $0.counters.groups[name] ?? 0 }
    }

    /// How many requests to stores have carried a resource group tag so far.
    ///
    /// - Parameter tag: nil counts those of any tag.
    public func requestCount(resourceGroupTag tag: [UInt8]?) -> Int {
        self.model.withLock { model in
            tag.map { model.counters.tags[$0] ?? 0 } ?? model.counters.tags.values.reduce(0, +)
        }
    }
}
