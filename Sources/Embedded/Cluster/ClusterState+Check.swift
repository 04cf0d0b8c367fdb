// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a request says about where it should go.
struct RequestTarget: Sendable {
    var regionID: UInt64
    var peerID: UInt64
    var storeID: UInt64
    /// Nil where the request has none.
    var epoch: RegionEpoch?
}

extension ClusterState {
    /// The checks that a store makes of every request before it looks at its keys, in TiKV's order: store, region,
    /// peer, leader, epoch. For reads and writes of data only the version of the epoch counts.
    func check(_ target: RequestTarget, on storeID: UInt64) throws(RegionError) -> RegionState {
        guard target.storeID == storeID else {
            throw .storeNotMatch(requested: target.storeID, actual: storeID)
        }
        guard let region = self.region(target.regionID), let peer = region.peer(on: storeID) else {
            throw .regionNotFound(target.regionID)
        }
        guard target.peerID == peer.id else {
            throw .mismatchPeerID(requested: target.peerID, actual: peer.id)
        }
        try self.checkLeader(region, on: storeID)
        guard let epoch = target.epoch else { throw .other("missing epoch!") }
        guard epoch.version == region.epoch.version else {
            throw .epochNotMatch(
                sent: epoch, current: region,
                regions: self.regionWithSiblings(of: region, knownVersion: epoch.version, on: storeID))
        }
        return region
    }

    /// The checks of a split that was asked of a store: region, leader, version.
    func checkSplit(_ target: RequestTarget, on storeID: UInt64) throws(RegionError) -> RegionState {
        guard let region = self.region(target.regionID), region.peer(on: storeID) != nil else {
            throw .regionNotFound(target.regionID)
        }
        try self.checkLeader(region, on: storeID)
        let epoch = target.epoch ?? RegionEpoch(confVer: 0, version: 0)
        guard epoch.version == region.epoch.version else {
            throw .epochNotMatch(sent: epoch, current: region, regions: [region])
        }
        return region
    }

    private func checkLeader(_ region: RegionState, on storeID: UInt64) throws(RegionError) {
        guard region.leaderStoreID == storeID else {
            throw .notLeader(region: region.id, leader: region.leader)
        }
    }
}

extension RegionState {
    func check(_ key: [UInt8]) throws(RegionError) {
        if !self.contains(key) { throw .keyNotInRegion(key: key, region: self) }
    }
}
