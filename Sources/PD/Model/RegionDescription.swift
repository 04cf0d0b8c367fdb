// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A region as PD knows it: the keys it holds, and the peers that hold them.
package struct RegionDescription: Sendable, Hashable {
    package var id: UInt64
    /// The first key; empty from the beginning on.
    package var startKey: [UInt8]
    /// The key after the last; empty up to the end.
    package var endKey: [UInt8]
    package var epoch: RegionEpoch
    package var peers: [PeerDescription]
    /// Nil while there is none, or PD doesn't know it.
    package var leader: PeerDescription?
    /// Peers that PD has not heard of for a while.
    package var downPeers: [PeerDescription]
    /// Peers that are still catching up with the leader.
    package var pendingPeers: [PeerDescription]
    /// Where the region could be divided for work side by side; nil where that was not asked for, or PD doesn't know.
    package var buckets: BucketsDescription?

    package init(
        id: UInt64, startKey: [UInt8], endKey: [UInt8], epoch: RegionEpoch, peers: [PeerDescription],
        leader: PeerDescription? = nil, downPeers: [PeerDescription] = [], pendingPeers: [PeerDescription] = [],
        buckets: BucketsDescription? = nil
    ) {
        self.id = id
        self.startKey = startKey
        self.endKey = endKey
        self.epoch = epoch
        self.peers = peers
        self.leader = leader
        self.downPeers = downPeers
        self.pendingPeers = pendingPeers
        self.buckets = buckets
    }
}

/// The parts of a region, about equal in size.
package struct BucketsDescription: Sendable, Hashable {
    package var regionID: UInt64
    /// Grows with every change.
    package var version: UInt64
    /// Where the parts meet, the region's own bounds included.
    package var keys: [[UInt8]]

    package init(regionID: UInt64, version: UInt64, keys: [[UInt8]]) {
        self.regionID = regionID
        self.version = version
        self.keys = keys
    }
}

/// Counts a region's changes: of its peers, and of its range.
package struct RegionEpoch: Sendable, Hashable {
    /// Grows with every change of the peers.
    package var confVer: UInt64
    /// Grows with every split and merge.
    package var version: UInt64

    package init(confVer: UInt64, version: UInt64) {
        self.confVer = confVer
        self.version = version
    }

    /// Whether this epoch is behind the other in at least one of the two counts.
    package func isOlder(than other: RegionEpoch) -> Bool {
        self.version < other.version || self.confVer < other.confVer
    }
}

/// One copy of a region, on a store.
package struct PeerDescription: Sendable, Hashable {
    package enum Role: Sendable {
        case voter
        case learner
        case incomingVoter
        case demotingVoter
    }

    package var id: UInt64
    package var storeID: UInt64
    package var role: Role
    package var isWitness: Bool

    package init(id: UInt64, storeID: UInt64, role: Role = .voter, isWitness: Bool = false) {
        self.id = id
        self.storeID = storeID
        self.role = role
        self.isWitness = isWitness
    }

    /// Whether this peer may become leader.
    package var canLead: Bool { self.role != .learner && !self.isWitness }
}
