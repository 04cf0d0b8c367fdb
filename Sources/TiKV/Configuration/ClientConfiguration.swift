// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How a client behaves. Every value has a default that suits most; change the ones you mean.
///
/// ```swift
/// var configuration = ClientConfiguration()
/// configuration.requestTimeout = .seconds(2)
/// configuration.connection.connectionsPerStore = 8
/// ```
public struct ClientConfiguration: Sendable {
    /// The time for one call, over all its attempts, where the call names none; default 20 s.
    public var requestTimeout: Duration

    /// How long calls under way may still take when the client is stopped gracefully; default 5 s.
    public var shutdownTimeout: Duration

    /// How the cluster keeps keys and values; it must be what its stores are set to. Default ``APIVersion/v1``.
    public var apiVersion: APIVersion

    /// The keyspace whose keys the client sees, by name; nil, the default, or an empty name for the one that every cluster
    /// has, `DEFAULT`. With ``APIVersion/v2`` only, where the first call asks PD for it and fails with
    /// ``TiKVError/Code/keyspaceUnavailable`` if there is none.
    public var keyspace: String?

    /// Talking to PD.
    public var pd: PD
    /// Connections, to PD and to stores.
    public var connection: Connection
    /// What is remembered of where regions are.
    public var regionCache: RegionCache
    /// Whom requests are sent to.
    public var routing: Routing
    /// Raw key-value calls.
    public var raw: Raw
    /// Transactions and snapshots.
    public var transaction: Transaction

    /// Stand around every RPC to a store, in this order; default none. See ``RPCInterceptor``.
    public var interceptors: [any RPCInterceptor] = []
    /// Is told what connections and RPCs do; nil, the default, costs nothing. See ``ClientObserver``.
    public var observer: (any ClientObserver)?
    /// What requests are made for, where ``withRequestSource(_:operation:)`` says nothing else; default unknown.
    public var requestSource = RequestSource()

    /// A configuration; what is not named has its default.
    public init(
        requestTimeout: Duration = .seconds(20), shutdownTimeout: Duration = .seconds(5),
        apiVersion: APIVersion = .v1, keyspace: String? = nil, pd: PD = .init(), connection: Connection = .init(),
        regionCache: RegionCache = .init(), routing: Routing = .init(), raw: Raw = .init(),
        transaction: Transaction = .init()
    ) {
        self.requestTimeout = requestTimeout
        self.shutdownTimeout = shutdownTimeout
        self.apiVersion = apiVersion
        self.keyspace = keyspace
        self.pd = pd
        self.connection = connection
        self.regionCache = regionCache
        self.routing = routing
        self.raw = raw
        self.transaction = transaction
    }
}

extension ClientConfiguration {
    /// Talking to PD.
    public struct PD: Sendable {
        /// How long one member of PD may take to answer before another is asked; default 3 s.
        public var requestTimeout: Duration

        /// Settings; what is not named has its default.
        public init(requestTimeout: Duration = .seconds(3)) {
            self.requestTimeout = requestTimeout
        }
    }

    /// What is remembered of where regions are.
    public struct RegionCache: Sendable {
        /// How long a region that nobody asks for is remembered; default 600 s.
        public var timeToLive: Duration

        /// Up to this much is added to each region's time, so that not all are loaded anew at once; default 60 s.
        public var timeToLiveJitter: Duration

        /// Regions asked of PD at once where many keys or a range are looked up; default 128, at least 1.
        public var loadBatchSize: Int

        /// The most regions that are remembered; default 1,000,000, 0 for no limit. Those that were not used for the
        /// longest time go first.
        public var maximumCount: Int

        /// Whether all regions are loaded as soon as the client runs; default false. Calls don't wait for it.
        public var isPreloaded: Bool

        /// How often all regions are asked of PD anew; nil, the default, for never. A round has 20 s.
        public var refreshInterval: Duration?

        /// Within this time PD is asked four times where each store is, what labels it has, and whether it is still there;
        /// default 60 s, nil for only where something is in doubt.
        public var storeRefreshInterval: Duration?

        /// Settings; what is not named has its default.
        public init(
            timeToLive: Duration = .seconds(600), timeToLiveJitter: Duration = .seconds(60), loadBatchSize: Int = 128,
            maximumCount: Int = 1_000_000, isPreloaded: Bool = false, refreshInterval: Duration? = nil,
            storeRefreshInterval: Duration? = .seconds(60)
        ) {
            self.isPreloaded = isPreloaded
            self.refreshInterval = refreshInterval
            self.storeRefreshInterval = storeRefreshInterval
            self.timeToLive = timeToLive
            self.timeToLiveJitter = timeToLiveJitter
            self.loadBatchSize = loadBatchSize
            self.maximumCount = maximumCount
        }
    }

    /// Whom requests are sent to.
    public struct Routing: Sendable {
        /// Whether a request for a leader whose store can't be reached is sent to another store, to be passed on; default
        /// false. For networks in which the stores reach each other while a client reaches only some of them.
        public var isForwardingEnabled: Bool

        /// The most requests to one store that may be under way at once; one more fails at once with
        /// ``TiKVError/Code/storeLimitReached``. Default 0, which is no limit.
        public var maximumRequestsPerStore: Int

        /// Whether all reads are leader reads, whatever they ask for: follower, stale and load-based reads become plain ones;
        /// default false. For clusters whose followers serve nothing, such as those over shared storage.
        public var readsFromLeadersOnly: Bool

        /// How long a store that does not answer may take to say that it lives; default 1 s. With zero no store is asked: one
        /// that does not answer is avoided at once by the regions concerned, until these are loaded anew.
        public var livenessTimeout: Duration

        /// The zone that this client is in, as the stores' label `zone` names it: by it ``RequestStatistics`` tells near
        /// traffic from that which crosses zones; nil by default.
        public var zone: String?

        /// Settings; what is not named has its default.
        public init(
            isForwardingEnabled: Bool = false, maximumRequestsPerStore: Int = 0, readsFromLeadersOnly: Bool = false,
            livenessTimeout: Duration = .seconds(1), zone: String? = nil
        ) {
            self.isForwardingEnabled = isForwardingEnabled
            self.maximumRequestsPerStore = maximumRequestsPerStore
            self.readsFromLeadersOnly = readsFromLeadersOnly
            self.livenessTimeout = livenessTimeout
            self.zone = zone
        }
    }

    /// Raw key-value calls.
    public struct Raw: Sendable {
        /// The column family of calls that name none; default ``ColumnFamily/default``, the only one of ``APIVersion/v2``.
        public var columnFamily: ColumnFamily

        /// Whether every write is atomic against ``RawClient/compareAndSwap(_:expected:value:ttl:columnFamily:timeout:)``,
        /// which is refused without; default false.
        ///
        /// All writers of keys that anyone compares and swaps must have this on: a write without it may be lost under a swap
        /// that goes on at the same time. It makes writes a little slower.
        public var isAtomic: Bool

        /// Longer keys are refused before anything is sent; default 8192 bytes, TiKV's own limit
        /// (`storage.max-key-size`).
        public var maximumKeySize: Int

        /// Keys in one request of `batchGet` and `batchDelete`; default 512, at least 1.
        public var batchKeyLimit: Int

        /// Bytes of keys and values in one request of `batchPut`; default 16 KiB. A larger pair goes alone.
        public var batchPutSizeLimit: Int

        /// Pairs that a scan asks for at once; default 1024, from 1 to 10240.
        public var scanPageSize: Int

        /// Requests that one call over many regions has under way at once; default 16, at least 1.
        public var maximumConcurrency: Int

        /// Settings; what is not named has its default.
        public init(
            columnFamily: ColumnFamily = .default, isAtomic: Bool = false, maximumKeySize: Int = 8192,
            batchKeyLimit: Int = 512, batchPutSizeLimit: Int = 16 * 1024, scanPageSize: Int = 1024,
            maximumConcurrency: Int = 16
        ) {
            self.columnFamily = columnFamily
            self.isAtomic = isAtomic
            self.maximumKeySize = maximumKeySize
            self.batchKeyLimit = batchKeyLimit
            self.batchPutSizeLimit = batchPutSizeLimit
            self.scanPageSize = scanPageSize
            self.maximumConcurrency = maximumConcurrency
        }
    }
}
