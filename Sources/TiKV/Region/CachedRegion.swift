// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVOrderedMap
import TiKVPD
import TiKVProto

/// A region as requests use it: its range, its replicas and which of them leads, and the part of each request that names it.
///
/// Range and replicas never change: another epoch is another object. Who leads, whether all this is still believed, and
/// when it was last used, changes in place, so that it is seen by whoever holds the region. A class, so that the cache's
/// snapshots share it and a look-up is one retain.
final class CachedRegion: Sendable {
    /// A peer that can be sent requests, and its store.
    struct Replica: Sendable {
        let peer: PeerDescription
        let store: StoreRecord
        /// The store's epoch when the region was loaded: where it is another by now, the store has failed since.
        let epoch: UInt64

        var isEpochStale: Bool { self.store.epoch != self.epoch }
    }

    private struct Flags: OptionSet {
        let rawValue: UInt8
        /// The next use loads it anew.
        static let reloadOnAccess = Flags(rawValue: 1)
        /// Use does not make it live on.
        static let mustExpire = Flags(rawValue: 2)
        /// To be loaded anew, but not by many requests at once: the next collection turns this into `reloadOnAccess`.
        static let reloadLater = Flags(rawValue: 4)
    }

    private struct Routing {
        var context: (leader: Int, value: Kvrpcpb_Context)?
        /// The replica over which the leader was reached that could not be reached itself.
        var proxy: Int?
        var buckets: RegionBuckets?
    }

    // What every look-up reads comes first, in one line of the processor's cache.

    /// Zero as long as it is believed.
    private let invalidationValue = Atomic<UInt8>(0)
    private let flags: Atomic<UInt8>
    private let loadedAt: ContinuousClock.Instant
    private let secondsToLive: Int64
    /// Counted from `loadedAt`. Every use moves it; it is kept in seconds since a finer time would be written far too often.
    private let expiry: Atomic<Int64>
    private let leaderValue: Atomic<Int>
    /// Not loaded anew before, in seconds from `loadedAt`: PD was asked in vain.
    private let reloadPause = Atomic<Int64>(0)

    let id: UInt64
    let startKey: [UInt8]
    let endKey: [UInt8]
    let epoch: RegionEpoch
    /// The peers that can be sent anything, never empty: not those that PD calls down, that are on stores which are gone, or
    /// that hold no data.
    let replicas: [Replica]
    /// The leader was not known when the region was loaded, and a peer that may lead stands for it.
    let isLeaderGuessed: Bool

    private let routing: Mutex<Routing>
    private let base: Kvrpcpb_Context

    /// Nil where no peer of the region can be sent anything.
    ///
    /// - Parameters:
    ///   - leaderStoreID: where no leader is known, its peer on this store is taken for it.
    ///   - stores: gives the record of a store.
    ///   - base: what every request of this client carries.
    init?(
        _ description: RegionDescription, leaderOn leaderStoreID: UInt64? = nil, stores: (UInt64) -> StoreRecord,
        base: Kvrpcpb_Context = .init(), now: ContinuousClock.Instant, timeToLive: Duration
    ) {
        var replicas: [Replica] = []
        replicas.reserveCapacity(description.peers.count)
        for peer in description.peers {
            let isLeader = peer.id == description.leader?.id
            if peer.isWitness && !isLeader { continue }
            if !description.downPeers.isEmpty, description.downPeers.contains(where: { $0.id == peer.id }) { continue }
            let store = stores(peer.storeID)
            store.isNamedAgain()
            if store.resolveState.isGone { continue }
            replicas.append(Replica(peer: peer, store: store, epoch: store.epoch))
        }
        guard !replicas.isEmpty else { return nil }
        let known = replicas.firstIndex { $0.peer.id == description.leader?.id }
        let likely = leaderStoreID.flatMap { id in replicas.firstIndex { $0.peer.storeID == id && $0.peer.canLead } }
        self.replicas = replicas
        self.leaderValue = Atomic(known ?? likely ?? replicas.firstIndex { $0.peer.canLead } ?? 0)
        self.isLeaderGuessed = known == nil && likely == nil
        self.id = description.id
        self.startKey = description.startKey
        self.endKey = description.endKey
        self.epoch = description.epoch
        self.loadedAt = now
        self.secondsToLive = timeToLive.wholeSeconds
        self.expiry = Atomic(self.secondsToLive)
        // A peer that is down may come back without a change of the epoch, which only PD will say.
        self.flags = Atomic(description.downPeers.isEmpty ? 0 : Flags.mustExpire.rawValue)
        self.routing = Mutex(Routing(buckets: description.cachedBuckets))
        self.base = base
    }

    var span: KeySpan { KeySpan(start: self.startKey, end: self.endKey) }

    func contains(_ key: [UInt8]) -> Bool {
        KeyOrder.compare(self.startKey, key) <= 0 && (self.endKey.isEmpty || KeyOrder.isLess(key, self.endKey))
    }

    /// Whether the keys just before `key` are in this region; an empty key stands for the end of all keys.
    func containsBefore(_ key: [UInt8]) -> Bool {
        if key.isEmpty { return self.endKey.isEmpty }
        return KeyOrder.isLess(self.startKey, key) && (self.endKey.isEmpty || KeyOrder.compare(key, self.endKey) <= 0)
    }

    // MARK: - Leader

    /// Which of the replicas leads, as far as known.
    var leaderIndex: Int { self.leaderValue.load(ordering: .relaxed) }

    var leader: PeerDescription { self.replicas[self.leaderIndex].peer }

    /// The replica on a store.
    func index(ofPeer id: UInt64) -> Int? { self.replicas.firstIndex { $0.peer.id == id } }

    func switchLeader(to index: Int) {
        guard self.replicas.indices.contains(index) else { return }
        self.leaderValue.store(index, ordering: .relaxed)
    }

    /// The replica over which the leader was reached last; nil where it is reached itself.
    var proxy: Int? {
        get { self.routing.withLock { $0.proxy } }
        set { self.routing.withLock { $0.proxy = newValue } }
    }

    // MARK: - Requests

    /// What every request to the replica carries.
    func context(for index: Int) -> Kvrpcpb_Context {
        self.routing.withLock { routing in
            if let known = routing.context, known.leader == index { return known.value }
            let context = self.makeContext(index)
            routing.context = (index, context)
            return context
        }
    }

    private func makeContext(_ index: Int) -> Kvrpcpb_Context {
        let peer = self.replicas[index].peer
        var context = self.base
        context.regionID = self.id
        context.regionEpoch.confVer = self.epoch.confVer
        context.regionEpoch.version = self.epoch.version
        context.peer.id = peer.id
        context.peer.storeID = peer.storeID
        context.peer.role = peer.role.proto
        context.peer.isWitness = peer.isWitness
        return context
    }

    // MARK: - Buckets

    var buckets: RegionBuckets? { self.routing.withLock { $0.buckets } }

    /// Takes in buckets unless newer ones are known.
    func update(_ buckets: RegionBuckets) {
        self.routing.withLock { routing in
            if routing.buckets.map({ $0.version < buckets.version }) ?? true { routing.buckets = buckets }
        }
    }

    /// The bucket of a key; nil where the key is not in the region or nothing is known of its buckets.
    func bucket(of key: [UInt8]) -> KeySpan? {
        self.buckets?.bucket(of: key, in: self.span)
    }

    // MARK: - Age and belief

    /// Whether it is believed and was used lately enough; using it makes it live on.
    func use(at now: ContinuousClock.Instant) -> Bool {
        guard self.invalidationValue.load(ordering: .relaxed) == 0 else { return false }
        let age = self.age(at: now)
        let expiry = self.expiry.load(ordering: .relaxed)
        guard age < expiry else { return false }
        let next = age + self.secondsToLive
        if next > expiry, !self.has(.mustExpire) { self.expiry.store(next, ordering: .relaxed) }
        return true
    }

    /// Whether its time is over, or it is not believed any more.
    func isDead(at now: ContinuousClock.Instant) -> Bool {
        self.invalidationValue.load(ordering: .relaxed) != 0 || self.hasExpired(at: now)
    }

    func hasExpired(at now: ContinuousClock.Instant) -> Bool {
        self.age(at: now) >= self.expiry.load(ordering: .relaxed)
    }

    /// When it would expire, in seconds from a moment all regions can be compared by.
    func expiry(since start: ContinuousClock.Instant) -> Int64 {
        start.duration(to: self.loadedAt).wholeSeconds + self.expiry.load(ordering: .relaxed)
    }

    private func age(at now: ContinuousClock.Instant) -> Int64 { self.loadedAt.duration(to: now).wholeSeconds }

    /// Why it is not believed any more; nil as long as it is.
    var invalidation: RegionInvalidation? {
        RegionInvalidation(rawValue: self.invalidationValue.load(ordering: .relaxed))
    }

    /// From now on it is loaded anew by whoever needs it. The first reason stays.
    ///
    /// - Returns: whether it was believed until now.
    @discardableResult
    func invalidate(_ reason: RegionInvalidation) -> Bool {
        self.invalidationValue.compareExchange(expected: 0, desired: reason.rawValue, ordering: .relaxed).exchanged
    }

    /// Whether it should be loaded anew although it may be right.
    var needsReload: Bool { self.has(.reloadOnAccess) }

    func reloadOnAccess() { self.set(.reloadOnAccess) }

    /// Some of its replicas are avoided, since their stores have failed: it works, but should be loaded anew some time.
    func reloadLater() { self.set(.reloadLater) }

    var isToBeReloaded: Bool { self.has(.reloadLater) || self.needsReload }

    /// How long a region that could not be loaded anew is used as it is.
    static let reloadPauseSeconds: Int64 = 10

    /// PD has nothing better to say, or does not answer: it is used as it is for a while, and loaded anew after that.
    func postponeReload(at now: ContinuousClock.Instant) {
        self.reloadPause.store(self.age(at: now) + Self.reloadPauseSeconds, ordering: .relaxed)
        self.set(.reloadLater)
        self.flags.bitwiseAnd(~Flags.reloadOnAccess.rawValue, ordering: .relaxed)
    }

    /// To be called now and then: what can wait has waited, and a region of which a store is in trouble does not live for
    /// ever by being used.
    func review(at now: ContinuousClock.Instant) {
        if self.has(.reloadLater) {
            if self.age(at: now) >= self.reloadPause.load(ordering: .relaxed) { self.set(.reloadOnAccess) }
        } else if self.replicas.contains(where: { $0.isEpochStale || $0.store.liveness != .reachable }) {
            self.set(.mustExpire)
        }
    }

    private func has(_ flag: Flags) -> Bool {
        self.flags.load(ordering: .relaxed) & flag.rawValue != 0
    }

    private func set(_ flag: Flags) {
        self.flags.bitwiseOr(flag.rawValue, ordering: .relaxed)
    }
}

extension RegionDescription {
    /// Its buckets, where PD told them.
    var cachedBuckets: RegionBuckets? {
        self.buckets.map { RegionBuckets(version: $0.version, keys: $0.keys) }
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
