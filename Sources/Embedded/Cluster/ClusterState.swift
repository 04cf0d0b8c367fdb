// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// Stores and regions, and the rules by which they change. It stands for what PD and every store agree on: changes are
/// seen by all of them at once.
struct ClusterState: Sendable {
    private(set) var stores: [UInt64: StoreState] = [:]
    private var regionsByID: [UInt64: RegionState] = [:]
    /// Region ids by start key. The regions cover all keys without a gap.
    private var regionIDs = OrderedMap<UInt64>()
    private var nextID: UInt64 = 1

    /// A cluster of stores that are running but have no address yet, with its regions' leaders spread over them.
    ///
    /// - Parameters:
    ///   - replicaCount: peers of each region; at most one a store.
    ///   - splitKeys: where the regions meet, in any order; empty keys and repetitions do not count.
    init(storeCount: Int, replicaCount: Int, splitKeys: [[UInt8]]) {
        for _ in 0..<max(1, storeCount) {
            let id = self.allocateID()
            self.stores[id] = StoreState(id: id, address: "", isRunning: true)
        }
        var region = RegionState(
            id: self.allocateID(), startKey: [], endKey: [], epoch: RegionEpoch(confVer: 1, version: 1), peers: [])
        for storeID in self.storeIDs.prefix(max(1, replicaCount)) {
            region.peers.append(RegionPeer(id: self.allocateID(), storeID: storeID))
        }
        region.epoch.confVer = UInt64(region.peers.count)
        region.leaderStoreID = region.peers.first?.storeID
        self.insert(region)
        // The one region contains every key, so that only the lack of usable keys can stop the split.
        _ = try? self.split(region.id, at: splitKeys)
        self.scatterLeaders()
    }

    // MARK: - Looking up

    var storeIDs: [UInt64] { self.stores.keys.sorted() }

    var regionCount: Int { self.regionsByID.count }

    /// All regions in the order of their keys.
    var regions: [RegionState] { self.regions(from: [], to: nil) }

    func region(_ id: UInt64) -> RegionState? { self.regionsByID[id] }

    func region(containing key: [UInt8]) -> RegionState? {
        self.regionIDs.floor(key).flatMap { self.regionsByID[$0.value] }
    }

    /// The region that ends where the one with this key begins.
    func region(before key: [UInt8]) -> RegionState? {
        guard let current = self.regionIDs.floor(key) else { return nil }
        return self.regionIDs.lower(current.key).flatMap { self.regionsByID[$0.value] }
    }

    /// The regions that have keys in `start ..< end`, in order; an empty or missing `end` is the end of everything.
    func regions(from start: [UInt8], to end: [UInt8]?, limit: Int = .max) -> [RegionState] {
        guard let first = self.regionIDs.floor(start) else { return [] }
        var found: [RegionState] = []
        for (key, id) in self.regionIDs.ascending(from: first.key) {
            if found.count >= limit { break }
            // The region of `start` itself belongs to the answer even where the range is empty, as in PD.
            if let end, !end.isEmpty, key != first.key, KeyOrder.compare(key, end) >= 0 { break }
            if let region = self.regionsByID[id] { found.append(region) }
        }
        return found
    }

    /// The region and, where the client knows an older version of it, its left neighbours that came from it since:
    /// a split leaves the region its right end and makes new regions of the rest.
    func regionWithSiblings(of region: RegionState, knownVersion: UInt64, on storeID: UInt64) -> [RegionState] {
        var found = [region]
        guard knownVersion < region.epoch.version else { return found }
        var newest = region.epoch.version
        var missing = newest - knownVersion
        for (_, id) in self.regionIDs.descending(before: region.startKey).prefix(Self.maximumSiblings) {
            guard missing > 0, let sibling = self.regionsByID[id] else { break }
            if sibling.peer(on: storeID) == nil { continue }
            missing -= 1
            if sibling.epoch.version > newest {
                missing += sibling.epoch.version - newest
                newest = sibling.epoch.version
            }
            found.append(sibling)
        }
        return found
    }

    /// TiKV's own limit on the neighbours it names in an error.
    static let maximumSiblings = 10

    // MARK: - Identifiers

    mutating func allocateID(count: UInt64 = 1) -> UInt64 {
        defer { self.nextID += count }
        return self.nextID
    }

    // MARK: - Leaders

    /// Makes the peer on a store the leader. Epochs do not change.
    mutating func transferLeader(of regionID: UInt64, to storeID: UInt64) throws(ClusterStateError) {
        guard var region = self.regionsByID[regionID] else { throw .unknownRegion(regionID) }
        guard let store = self.stores[storeID] else { throw .unknownStore(storeID) }
        guard region.peer(on: storeID) != nil else { throw .noPeer(region: regionID, store: storeID) }
        guard store.isRunning else { throw .storeStopped(storeID) }
        region.leaderStoreID = storeID
        self.regionsByID[regionID] = region
    }

    /// Deals the leaders out to the running stores in turn, in the order of the regions' keys.
    mutating func scatterLeaders() {
        for (index, region) in self.regions.enumerated() {
            let candidates = region.peers.filter { self.isRunning($0.storeID) }
            guard !candidates.isEmpty else { continue }
            self.regionsByID[region.id]?.leaderStoreID = candidates[index % candidates.count].storeID
        }
    }

    /// Gives every region a leader that is up, where a majority of its peers is, and none elsewhere.
    mutating func electLeaders() {
        for region in self.regionsByID.values {
            let running = region.peers.filter { self.isRunning($0.storeID) }
            guard running.count * 2 > region.peers.count else {
                self.regionsByID[region.id]?.leaderStoreID = nil
                continue
            }
            if let leader = region.leaderStoreID, self.isRunning(leader) { continue }
            self.regionsByID[region.id]?.leaderStoreID = running[Int(region.id) % running.count].storeID
        }
    }

    private func isRunning(_ storeID: UInt64) -> Bool {
        self.stores[storeID]?.isRunning ?? false
    }

    // MARK: - Stores

    mutating func addStore() -> UInt64 {
        let id = self.allocateID()
        self.stores[id] = StoreState(id: id, address: "", isRunning: true)
        return id
    }

    mutating func removeStore(_ id: UInt64) {
        self.stores[id] = nil
    }

    mutating func setAddress(_ address: String, ofStore id: UInt64) {
        self.stores[id]?.address = address
    }

    mutating func setPhase(_ phase: StoreState.Phase, ofStore id: UInt64) throws(ClusterStateError) {
        guard self.stores[id] != nil else { throw .unknownStore(id) }
        self.stores[id]?.phase = phase
    }

    mutating func setLabels(_ labels: [String: String], ofStore id: UInt64) throws(ClusterStateError) {
        guard self.stores[id] != nil else { throw .unknownStore(id) }
        self.stores[id]?.labels = labels
    }

    /// - Parameter electing: whether other stores take over its leaders at once.
    mutating func stopStore(_ id: UInt64, electing: Bool) throws(ClusterStateError) {
        guard let store = self.stores[id] else { throw .unknownStore(id) }
        guard store.isRunning else { throw .storeStopped(id) }
        self.stores[id]?.isRunning = false
        if electing { self.electLeaders() }
    }

    /// Regions that had to do without a leader get one where the store completes a majority.
    mutating func startStore(_ id: UInt64) throws(ClusterStateError) {
        guard let store = self.stores[id] else { throw .unknownStore(id) }
        guard !store.isRunning else { throw .storeRunning(id) }
        self.stores[id]?.isRunning = true
        self.electLeaders()
    }

    // MARK: - Peers

    mutating func addPeer(of regionID: UInt64, on storeID: UInt64) throws(ClusterStateError) {
        guard var region = self.regionsByID[regionID] else { throw .unknownRegion(regionID) }
        guard self.stores[storeID] != nil else { throw .unknownStore(storeID) }
        guard region.peer(on: storeID) == nil else { throw .peerExists(region: regionID, store: storeID) }
        region.peers.append(RegionPeer(id: self.allocateID(), storeID: storeID))
        region.epoch.confVer += 1
        self.regionsByID[regionID] = region
    }

    mutating func removePeer(of regionID: UInt64, on storeID: UInt64) throws(ClusterStateError) {
        guard var region = self.regionsByID[regionID] else { throw .unknownRegion(regionID) }
        guard region.peer(on: storeID) != nil else { throw .noPeer(region: regionID, store: storeID) }
        guard region.peers.count > 1 else { throw .lastPeer(region: regionID) }
        guard region.leaderStoreID != storeID else { throw .leaderOfRegion(region: regionID, store: storeID) }
        region.peers.removeAll { $0.storeID == storeID }
        region.epoch.confVer += 1
        self.regionsByID[regionID] = region
    }

    // MARK: - Splitting and merging

    /// Splits a region. Keys at its start and repetitions are left out, as TiKV does.
    ///
    /// The region keeps its id for the rightmost part; the others are new regions with new peers. All of them have the
    /// old version plus one for each new region, and the same leader.
    ///
    /// - Returns: the parts from left to right.
    @discardableResult
    mutating func split(_ regionID: UInt64, at keys: [[UInt8]]) throws(ClusterStateError) -> [RegionState] {
        guard var right = self.regionsByID[regionID] else { throw .unknownRegion(regionID) }
        guard keys.allSatisfy({ right.contains($0) || $0.isEmpty }) else { throw .keyOutsideRegion(region: regionID) }
        var cuts: [[UInt8]] = []
        for key in keys.sorted(by: KeyOrder.isLess) where key != right.startKey && key != cuts.last && !key.isEmpty {
            cuts.append(key)
        }
        guard !cuts.isEmpty else { throw .noSplitKey(region: regionID) }
        right.epoch.version += UInt64(cuts.count)
        var parts: [RegionState] = []
        var start = right.startKey
        for cut in cuts {
            var part = right
            part.id = self.allocateID()
            part.startKey = start
            part.endKey = cut
            for index in part.peers.indices { part.peers[index].id = self.allocateID() }
            parts.append(part)
            start = cut
        }
        right.startKey = start
        parts.append(right)
        for part in parts { self.insert(part) }
        return parts
    }

    /// Joins a region to its neighbour, which keeps its id, peers and leader and gets a version above both.
    @discardableResult
    mutating func merge(_ sourceID: UInt64, into targetID: UInt64) throws(ClusterStateError) -> RegionState {
        guard let source = self.regionsByID[sourceID] else { throw .unknownRegion(sourceID) }
        guard var target = self.regionsByID[targetID] else { throw .unknownRegion(targetID) }
        let isLeft = !source.endKey.isEmpty && source.endKey == target.startKey
        let isRight = !target.endKey.isEmpty && target.endKey == source.startKey
        guard isLeft || isRight else { throw .notNeighbours(sourceID, targetID) }
        guard Set(source.peers.map(\.storeID)) == Set(target.peers.map(\.storeID)) else {
            throw .peersDiffer(sourceID, targetID)
        }
        // Preparing the merge raises the source's version once, committing it raises the target above both.
        target.epoch.version = max(source.epoch.version + 1, target.epoch.version) + 1
        self.regionIDs[source.startKey] = nil
        self.regionIDs[target.startKey] = nil
        self.regionsByID[sourceID] = nil
        if isLeft { target.startKey = source.startKey } else { target.endKey = source.endKey }
        self.insert(target)
        return target
    }

    private mutating func insert(_ region: RegionState) {
        self.regionsByID[region.id] = region
        self.regionIDs[region.startKey] = region.id
    }
}
