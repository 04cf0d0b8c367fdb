// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Everything that the embedded servers share. A value without clock and sockets; `SharedModel` guards the one that is
/// in use.
struct ClusterModel: Sendable {
    /// The version that PD and the stores say they have.
    static let version = "8.5.0"

    var cluster: ClusterState
    var engine = RawEngine()
    var transactions = TxnStorage()
    var oracle = TimestampOracle()
    var faults = FaultPlan()
    var counters = RequestCounters()

    /// The cluster that the stores belong to.
    let clusterID: UInt64
    /// The cluster that PD says it is; another one only where a test wants that.
    var pdClusterID: UInt64
    let apiVersion: EmbeddedCluster.APIVersion
    /// What the URLs of PD begin with: `http`, or `https` where it serves TLS.
    let pdScheme: String
    /// What stores have for raw coprocessor requests.
    var coprocessorPlugins: [EmbeddedCluster.CoprocessorPlugin] = []
    /// What PD keeps beside regions and stores.
    var pd = PDState()
    /// What a test added to the clock.
    var clockOffsetMilliseconds: UInt64 = 0
    /// Timestamps that a test holds the replicas of a store back at; 0 stands for all stores.
    var heldSafeTS: [UInt64: UInt64] = [:]
    /// Stores whose disks are full, or almost so.
    var fullDisks: [UInt64: EmbeddedCluster.DiskUsage] = [:]
    /// What transactional requests said of themselves; nil where nobody wants to know.
    var transactionLog: [EmbeddedCluster.TransactionRequest]?
    /// Regions that someone asked PD to scatter.
    var scatteredRegions: Set<UInt64> = []
    /// Where garbage collection is for what has no keyspace of its own.
    var gcSafePoint: UInt64 { self.pd.gc.scope(nil).gcSafePoint }

    init(
        cluster: ClusterState, clusterID: UInt64, apiVersion: EmbeddedCluster.APIVersion = .v1,
        pdScheme: String = "http"
    ) {
        self.cluster = cluster
        self.clusterID = clusterID
        self.pdClusterID = clusterID
        self.apiVersion = apiVersion
        self.pdScheme = pdScheme
    }

    /// Notes a request, and says what is to go wrong with it.
    mutating func begin(
        _ rpc: String, on server: EmbeddedCluster.Server, regionID: UInt64?
    ) -> EmbeddedCluster.Fault? {
        self.counters.count(rpc, on: server)
        return self.faults.isEmpty ? nil : self.faults.take(rpc: rpc, server: server, regionID: regionID)
    }
}
