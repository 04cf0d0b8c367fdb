// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import TiKVProto

extension RegionDescription {
    /// - Parameter leader: a leader without an id counts as none.
    package init(
        _ region: Metapb_Region, leader: Metapb_Peer? = nil, downPeers: [Pdpb_PeerStats] = [],
        pendingPeers: [Metapb_Peer] = [], buckets: Metapb_Buckets? = nil
    ) {
        self.init(
            id: region.id,
            startKey: [UInt8](region.startKey),
            endKey: [UInt8](region.endKey),
            epoch: RegionEpoch(confVer: region.regionEpoch.confVer, version: region.regionEpoch.version),
            peers: region.peers.map { PeerDescription($0) },
            leader: leader.flatMap { $0.id == 0 ? nil : PeerDescription($0) },
            downPeers: downPeers.map { PeerDescription($0.peer) },
            pendingPeers: pendingPeers.map { PeerDescription($0) },
            buckets: buckets.flatMap { BucketsDescription($0) })
    }

    init(_ region: Pdpb_Region) {
        self.init(
            region.region, leader: region.leader, downPeers: region.downPeers, pendingPeers: region.pendingPeers,
            buckets: region.hasBuckets ? region.buckets : nil)
    }

    /// Nil where PD knows no such region.
    init?(_ response: Pdpb_GetRegionResponse) {
        guard response.hasRegion, response.region.id != 0 else { return nil }
        self.init(
            response.region, leader: response.leader, downPeers: response.downPeers,
            pendingPeers: response.pendingPeers, buckets: response.hasBuckets ? response.buckets : nil)
    }

    /// What a `ScanRegions` says, in the form of newer servers or of older ones, which list leaders apart.
    static func list(_ response: Pdpb_ScanRegionsResponse) -> [RegionDescription] {
        if !response.regions.isEmpty { return response.regions.map { RegionDescription($0) } }
        return response.regionMetas.enumerated().map { index, region in
            RegionDescription(region, leader: index < response.leaders.count ? response.leaders[index] : nil)
        }
    }
}

extension BucketsDescription {
    /// Nil where there are none: a region that was never divided has a list without keys.
    package init?(_ buckets: Metapb_Buckets) {
        guard !buckets.keys.isEmpty else { return nil }
        self.init(regionID: buckets.regionID, version: buckets.version, keys: buckets.keys.map { [UInt8]($0) })
    }
}

extension PeerDescription {
    package init(_ peer: Metapb_Peer) {
        let role: Role =
            switch peer.role {
            case .voter: .voter
            case .learner: .learner
            case .incomingVoter: .incomingVoter
            case .demotingVoter: .demotingVoter
            // A role of later servers: never send it what a leader must answer.
            case .UNRECOGNIZED: .learner
            }
        self.init(id: peer.id, storeID: peer.storeID, role: role, isWitness: peer.isWitness)
    }
}

extension StoreDescription {
    init(_ store: Metapb_Store) {
        let state: State =
            switch store.state {
            case .up, .UNRECOGNIZED: .up
            case .offline: .offline
            case .tombstone: .tombstone
            }
        self.init(
            id: store.id,
            address: store.address,
            state: state,
            labels: Dictionary(store.labels.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first }),
            version: store.version,
            peerAddress: store.peerAddress,
            statusAddress: store.statusAddress)
    }
}
