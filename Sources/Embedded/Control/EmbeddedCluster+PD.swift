// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

// MARK: - Members

extension EmbeddedCluster {
    /// Stops a member of PD: its port is closed and its connections are cut before this returns.
    ///
    /// - Parameters:
    ///   - id: its number, of which the first is 1.
    ///   - electing: whether another member takes over at once where this one led and enough are running. Without, PD has
    ///     no leader until ``transferPDLeader(to:)`` or ``startPDMember(_:)``.
    /// - Throws: ``EmbeddedClusterError``; `CancellationError` when the task is cancelled while the member closes.
    public func stopPDMember(_ id: Int, electing: Bool = true) async throws {
        guard let member = self.pdMembers.first(where: { $0.id == id }) else { throw Self.unknownMember(id) }
        guard member.isRunning else { throw EmbeddedClusterError(.memberStopped, "member \(id) of PD is stopped") }
        self.changePD { $0.pd.members.stop(id, electing: electing) }
        try await self.close(.placementDriver(id))
    }

    /// Starts a stopped member of PD, at its old address. Where PD had no leader and has enough members now, one is elected.
    ///
    /// - Throws: ``EmbeddedClusterError``, also where the port was taken by someone else in the meantime.
    public func startPDMember(_ id: Int) async throws {
        guard let member = self.pdMembers.first(where: { $0.id == id }) else { throw Self.unknownMember(id) }
        guard !member.isRunning else { throw EmbeddedClusterError(.memberRunning, "member \(id) of PD is running") }
        try await self.bindPD(id, port: PeerAddress(member.address)?.port ?? 0)
        self.changePD { $0.pd.members.start(id) }
    }

    /// Makes a member lead PD. It hands out timestamps above those of the one before it, as much as 3 s ahead of the clock.
    public func transferPDLeader(to id: Int) throws(EmbeddedClusterError) {
        guard let member = self.pdMembers.first(where: { $0.id == id }) else { throw Self.unknownMember(id) }
        guard member.isRunning else { throw EmbeddedClusterError(.memberStopped, "member \(id) of PD is stopped") }
        self.changePD { $0.pd.members.transferLeader(to: id) }
    }

    /// Leaves PD without a leader, as during an election, until ``transferPDLeader(to:)``.
    public func resignPDLeader() {
        self.changePD {
            $0.pd.members.resignLeader()
            return false
        }
    }

    /// Makes one of the servers primary that hand out timestamps in PD's place.
    ///
    /// - Parameter number: of which the first is 1.
    public func moveTimestampPrimary(to number: Int) {
        self.changePD {
            $0.pd.timestampPrimary = number - 1
            return true
        }
    }

    /// - Parameter change: returns whether timestamps come from another server now.
    private func changePD(_ change: (inout ClusterModel) -> Bool) {
        let clock = self.model.milliseconds
        self.model.withLock { model in
            guard change(&model) else { return }
            model.oracle.leaderChanged(milliseconds: clock + model.clockOffsetMilliseconds)
        }
        self.model.pdChanges.add()
    }

    private static func unknownMember(_ id: Int) -> EmbeddedClusterError {
        EmbeddedClusterError(.unknownMember, "PD has no member \(id)")
    }
}

// MARK: - What PD keeps

extension EmbeddedCluster {
    /// Makes PD answer as if it belonged to another cluster; nil ends that. The stores stay as they are.
    public func answerAsCluster(_ id: UInt64?) {
        self.model.withLock { $0.pdClusterID = id ?? $0.clusterID }
    }

    /// Makes a keyspace.
    ///
    /// - Parameter hasOwnGC: whether its garbage is collected apart from that of other keyspaces.
    /// - Returns: its number.
    @discardableResult
    public func createKeyspace(_ name: String, hasOwnGC: Bool = false) throws(EmbeddedClusterError) -> UInt32 {
        let now = Int64(self.model.milliseconds / 1000)
        do throws(KeyspaceError) {
            let config = hasOwnGC ? ["gc_management_type": "keyspace_level"] : [:]
            let id = try self.model.withLock { model throws(KeyspaceError) in
                try model.pd.keyspaces.create(name, config: config, now: now).id
            }
            self.model.pdChanges.add()
            return id
        } catch {
            throw EmbeddedClusterError(.keyspaceExists, "there is a keyspace \(name)")
        }
    }

    /// Divides a region into buckets.
    ///
    /// - Parameters:
    ///   - keys: where they meet, within the region and in order; its own bounds come on their own.
    ///   - version: to be raised with each change.
    public func setBuckets(ofRegion id: UInt64, keys: [[UInt8]], version: UInt64) throws(EmbeddedClusterError) {
        guard self.region(id) != nil else { throw EmbeddedClusterError(ClusterStateError.unknownRegion(id)) }
        self.model.withLock { $0.pd.buckets[id] = RegionBuckets(version: version, keys: keys) }
    }

    /// Sets what PD says about the operator of a region, which scattering leaves behind: still at work, or done.
    public func setOperator(ofRegion id: UInt64, isRunning: Bool) {
        self.model.withLock { $0.pd.operators[id] = isRunning ? .running : .finished }
    }

    /// Sets the labels of a store, `zone` for one.
    public func setLabels(_ labels: [String: String], ofStore id: UInt64) throws(EmbeddedClusterError) {
        try self.changeStore { state throws(ClusterStateError) in try state.setLabels(labels, ofStore: id) }
    }

    /// What PD thinks of a store.
    public struct StorePhase: Hashable, Sendable {
        let wrapped: StoreState.Phase

        /// The cluster counts on it.
        public static let up = StorePhase(wrapped: .up)
        /// It is on its way out.
        public static let offline = StorePhase(wrapped: .offline)
        /// It is gone for good.
        public static let tombstone = StorePhase(wrapped: .tombstone)
    }

    /// Sets what PD says about a store. The store itself goes on as it was.
    public func setPhase(_ phase: StorePhase, ofStore id: UInt64) throws(EmbeddedClusterError) {
        try self.changeStore { state throws(ClusterStateError) in try state.setPhase(phase.wrapped, ofStore: id) }
    }

    private func changeStore(
        _ body: (inout ClusterState) throws(ClusterStateError) -> Void
    ) throws(EmbeddedClusterError) {
        do throws(ClusterStateError) {
            try self.model.withLock { model throws(ClusterStateError) in try body(&model.cluster) }
        } catch {
            throw EmbeddedClusterError(error)
        }
    }

    /// Sets how far PD says that stores are with what was committed: the lowest of all of them, and each.
    ///
    /// - Parameters:
    ///   - cluster: nil is 0, by which PD says that it doesn't know.
    ///   - stores: those that are left out are at 0.
    public func setResolvedTimestamps(cluster: UInt64?, stores: [UInt64: UInt64] = [:]) {
        self.model.withLock {
            $0.pd.resolvedTimestamps.cluster = cluster
            $0.pd.resolvedTimestamps.stores = stores
        }
    }

    /// Forgets the changes of PD's small store before a revision: who wants to watch from further back is refused.
    public func compactMetaStorage(before revision: Int64) {
        self.model.withLock { $0.pd.meta.compact(before: revision) }
        self.model.pdChanges.add()
    }
}
