// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

// MARK: - Regions

extension EmbeddedCluster {
    /// Splits the region that contains a key, so that a region starts there.
    ///
    /// - Returns: the two parts. The right one has the old id.
    @discardableResult
    public func split(at key: [UInt8]) throws(EmbeddedClusterError) -> [RegionInfo] {
        try self.change { cluster throws(ClusterStateError) in
            guard let region = cluster.region(containing: key) else { throw .unknownRegion(0) }
            return try cluster.split(region.id, at: [key]).map(RegionInfo.init)
        }
    }

    /// Splits a region at several keys at once.
    ///
    /// - Returns: the parts from left to right. The last one has the old id.
    @discardableResult
    public func split(region id: UInt64, keys: [[UInt8]]) throws(EmbeddedClusterError) -> [RegionInfo] {
        try self.change { cluster throws(ClusterStateError) in
            try cluster.split(id, at: keys).map(RegionInfo.init)
        }
    }

    /// Merges a region into the one before or after it. The source is gone then, and its stores answer for it with
    /// `RegionNotFound`.
    ///
    /// - Returns: the target, which has both ranges.
    @discardableResult
    public func merge(_ source: UInt64, into target: UInt64) throws(EmbeddedClusterError) -> RegionInfo {
        try self.change { cluster throws(ClusterStateError) in
            RegionInfo(try cluster.merge(source, into: target))
        }
    }

    /// Makes the peer on another store the leader of a region.
    public func transferLeader(ofRegion id: UInt64, to storeID: UInt64) throws(EmbeddedClusterError) {
        try self.change { cluster throws(ClusterStateError) in try cluster.transferLeader(of: id, to: storeID) }
    }

    /// Deals the leaders of all regions out to the running stores in turn.
    public func scatterLeaders() {
        self.model.withLock { $0.cluster.scatterLeaders() }
    }

    /// Gives a region a peer on one more store.
    public func addPeer(ofRegion id: UInt64, on storeID: UInt64) throws(EmbeddedClusterError) {
        try self.change { cluster throws(ClusterStateError) in try cluster.addPeer(of: id, on: storeID) }
    }

    /// Takes a region's peer from a store, which answers for it with `RegionNotFound` from then on. The leader cannot be
    /// removed.
    public func removePeer(ofRegion id: UInt64, from storeID: UInt64) throws(EmbeddedClusterError) {
        try self.change { cluster throws(ClusterStateError) in try cluster.removePeer(of: id, on: storeID) }
    }

    private func change<Result: Sendable>(
        _ body: (inout ClusterState) throws(ClusterStateError) -> Result
    ) throws(EmbeddedClusterError) -> Result {
        do throws(ClusterStateError) {
            return try self.model.withLock { model throws(ClusterStateError) in try body(&model.cluster) }
        } catch {
            throw EmbeddedClusterError(error)
        }
    }
}

// MARK: - Stores

extension EmbeddedCluster {
    /// Stops a store: its port is closed and its connections are cut before this returns. Its data stay.
    ///
    /// - Parameters:
    ///   - id: the store.
    ///   - electingLeaders: whether other stores take over its leaders, as they would after an election timeout.
    ///     Without, its regions are as in the time before: the other peers name a leader that cannot be reached.
    /// - Throws: ``EmbeddedClusterError``; `CancellationError` when the task is cancelled while the store closes.
    public func stopStore(_ id: UInt64, electingLeaders: Bool = true) async throws {
        try self.change { cluster throws(ClusterStateError) in
            try cluster.stopStore(id, electing: electingLeaders)
        }
        try await self.close(.store(id))
    }

    /// Stops a store as its operator would: other stores take over its leaders, requests under way get their answers and
    /// clients are told to go elsewhere, and its port and connections are closed before this returns. Its data stay.
    ///
    /// - Parameters:
    ///   - id: the store.
    ///   - grace: time for the requests under way; those that are not done then are dropped.
    /// - Throws: ``EmbeddedClusterError``; `CancellationError` when the task is cancelled while the store closes.
    public func stopStore(_ id: UInt64, gracefully grace: Duration) async throws {
        try self.change { cluster throws(ClusterStateError) in try cluster.stopStore(id, electing: true) }
        try await self.close(.store(id), gracefully: grace)
    }

    /// Starts a stopped store, at its old address.
    ///
    /// - Throws: ``EmbeddedClusterError``, also where the port was taken by someone else in the meantime.
    public func startStore(_ id: UInt64) async throws {
        guard let store = self.stores.first(where: { $0.id == id }) else {
            throw EmbeddedClusterError(.unknownStore(id))
        }
        guard !store.isRunning else { throw EmbeddedClusterError(.storeRunning(id)) }
        try await self.bindStore(id, port: PeerAddress(store.address)?.port ?? 0)
        try self.change { cluster throws(ClusterStateError) in try cluster.startStore(id) }
    }

    /// Stops a running store and starts it again at another address, which PD tells from then on. Its old port is closed
    /// before this returns, and its connections are cut.
    ///
    /// - Throws: ``EmbeddedClusterError``; `CancellationError` when the task is cancelled while the store closes.
    public func moveStore(_ id: UInt64) async throws {
        try await self.stopStore(id, electingLeaders: false)
        // Not the port that is free now.
        try await self.bindStore(id)
        try self.change { cluster throws(ClusterStateError) in try cluster.startStore(id) }
    }

    /// Adds a store, which has no peers yet.
    ///
    /// - Returns: its id.
    public func addStore() async throws -> UInt64 {
        let id = self.model.withLock { $0.cluster.addStore() }
        do {
            try await self.bindStore(id)
        } catch {
            self.model.withLock { $0.cluster.removeStore(id) }
            throw error
        }
        return id
    }
}

// MARK: - Time

extension EmbeddedCluster {
    /// Sets the clock forward, by which timestamps are made and raw values expire. Counts whole milliseconds; a negative
    /// duration counts as none.
    public func advanceClock(by duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let milliseconds =
            seconds.multipliedReportingOverflow(by: 1000).partialValue + attoseconds / 1_000_000_000_000_000
        self.model.withLock { $0.clockOffsetMilliseconds += UInt64(max(0, milliseconds)) }
    }
}

// MARK: - Faults

extension EmbeddedCluster {
    /// Lets something go wrong with the next requests that a scope matches. Where several faults match, the one that
    /// was injected first happens.
    ///
    /// - Parameters:
    ///   - fault: what goes wrong.
    ///   - scope: with which requests. The default is all of them.
    ///   - times: with how many of them; nil means until it is removed. Default 1.
    /// - Returns: a name to remove the fault by.
    @discardableResult
    public func inject(_ fault: Fault, into scope: FaultScope = .init(), times: Int? = 1) -> FaultID {
        self.model.withLock { $0.faults.add(fault, scope: scope, times: times) }
    }

    /// Lets something go wrong with some of the requests that a scope matches, until it is removed.
    ///
    /// - Parameters:
    ///   - faults: one of these happens, each as often as the others.
    ///   - scope: with which requests. The default is all of them; region errors never happen to PD.
    ///   - probability: how many of them: 0.1 for one in ten.
    ///   - seed: the same seed draws the same numbers.
    /// - Returns: a name to remove them by.
    @discardableResult
    public func injectAtRandom(
        _ faults: [Fault], into scope: FaultScope = .init(), probability: Double, seed: UInt64
    ) -> FaultID {
        self.model.withLock {
            $0.faults.add(FaultChance(faults, probability: probability, seed: seed), scope: scope)
        }
    }

    /// How often a fault has happened, also after it was taken back or used up.
    public func count(of id: FaultID) -> Int {
        self.model.withLock { $0.faults.count(of: id) }
    }

    /// Takes a fault back. Requests that it has already happened to are not helped by that.
    ///
    /// - Returns: how often it would still have happened; nil where it had no end, or was used up.
    @discardableResult
    public func remove(_ id: FaultID) -> Int? {
        self.model.withLock { $0.faults.remove(id) }
    }

    /// Takes all faults back.
    public func removeAllFaults() {
        self.model.withLock { $0.faults.removeAll() }
    }
}
