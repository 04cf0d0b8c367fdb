// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVOrderedMap
import TiKVPD
import TiKVProto

/// A region as requests use it: its range, the peer to send to, and the part of each request that names it.
///
/// Immutable but for the time of its last use. A class, so that the cache's snapshots share it and a look-up is one retain.
final class CachedRegion: Sendable {
    let description: RegionDescription
    /// The peer that leads, as far as known.
    let leader: PeerDescription
    /// What every request to this region carries; made once.
    let context: Kvrpcpb_Context

    private let loadedAt: ContinuousClock.Instant
    private let secondsToLive: Int64
    /// Counted from `loadedAt`. Every use moves it; it is kept in seconds since a finer time would be written far too often.
    private let expiry: Atomic<Int64>

    /// Nil where no peer of the region can be sent anything.
    ///
    /// A region without a known leader gets its first peer that may lead: that one knows better.
    init?(_ description: RegionDescription, now: ContinuousClock.Instant, timeToLive: Duration) {
        let guess =
            description.peers.first { peer in peer.canLead && !description.downPeers.contains { $0.id == peer.id } }
            ?? description.peers.first { $0.canLead }
        guard let leader = description.leader ?? guess else { return nil }
        self.description = description
        self.leader = leader
        self.loadedAt = now
        self.secondsToLive = timeToLive.components.seconds
        self.expiry = Atomic(self.secondsToLive)

        var context = Kvrpcpb_Context()
        context.regionID = description.id
        context.regionEpoch.confVer = description.epoch.confVer
        context.regionEpoch.version = description.epoch.version
        context.peer.id = leader.id
        context.peer.storeID = leader.storeID
        context.peer.role = leader.role.proto
        context.peer.isWitness = leader.isWitness
        self.context = context
    }

    var id: UInt64 { self.description.id }
    var startKey: [UInt8] { self.description.startKey }
    var endKey: [UInt8] { self.description.endKey }
    var epoch: RegionEpoch { self.description.epoch }

    func contains(_ key: [UInt8]) -> Bool {
        KeyOrder.compare(self.startKey, key) <= 0 && (self.endKey.isEmpty || KeyOrder.isLess(key, self.endKey))
    }

    /// Whether the keys just before `key` are in this region; an empty key stands for the end of all keys.
    func containsBefore(_ key: [UInt8]) -> Bool {
        if key.isEmpty { return self.endKey.isEmpty }
        return KeyOrder.isLess(self.startKey, key) && (self.endKey.isEmpty || KeyOrder.compare(key, self.endKey) <= 0)
    }

    /// The same region, with another peer as its leader.
    func withLeader(
        _ peer: PeerDescription, now: ContinuousClock.Instant, timeToLive: Duration
    ) -> CachedRegion? {
        var description = self.description
        description.leader = peer
        return CachedRegion(description, now: now, timeToLive: timeToLive)
    }

    /// The peer to try where those of the given ids have failed.
    func nextPeer(excluding tried: [UInt64]) -> PeerDescription? {
        let candidates = self.description.peers.filter { $0.canLead && !tried.contains($0.id) }
        return candidates.first { peer in !self.description.downPeers.contains { $0.id == peer.id } }
            ?? candidates.first
    }

    // MARK: - Age

    /// Whether the region was used lately enough; using it makes it live on.
    func use(at now: ContinuousClock.Instant) -> Bool {
        let age = self.loadedAt.duration(to: now).components.seconds
        let expiry = self.expiry.load(ordering: .relaxed)
        guard age < expiry else { return false }
        let next = age + self.secondsToLive
        if next > expiry { self.expiry.store(next, ordering: .relaxed) }
        return true
    }
}

extension PeerDescription.Role {
    var proto: Metapb_PeerRole {
        switch self {
        case .voter: .voter
        case .learner: .learner
        case .incomingVoter: .incomingVoter
        case .demotingVoter: .demotingVoter
        }
    }
}
