// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap
import TiKVPD

/// The regions known at one moment, for reading.
struct RegionSnapshot: Sendable {
    fileprivate(set) var regions = RegionIndex()

    /// The region that holds a key.
    func region(containing key: [UInt8]) -> CachedRegion? {
        self.regions.region(containing: key)
    }

    /// The region that holds the keys just before `key`; an empty key stands for the end of all keys.
    func region(before key: [UInt8]) -> CachedRegion? {
        let candidate = key.isEmpty ? self.regions.last : self.regions.last(before: key, orEqual: false)
        guard let region = candidate, region.containsBefore(key) else { return nil }
        return region
    }

    /// The regions that are known one after the other from a key on, up to the first gap or region that is not believed.
    func run(from start: [UInt8], to end: [UInt8], limit: Int, now: ContinuousClock.Instant) -> [CachedRegion] {
        var found: [CachedRegion] = []
        var next = start
        guard let first = self.regions.last(before: start, orEqual: true) else { return [] }
        for region in self.regions.ascending(from: first.startKey) {
            guard found.count < limit, region.contains(next), !region.isDead(at: now) else { break }
            found.append(region)
            next = region.endKey
            if next.isEmpty || !end.isEmpty && KeyOrder.compare(end, next) <= 0 { break }
        }
        return found
    }
}

/// What is known of the regions. No two of them overlap: what is put in pushes out what it overlaps, unless that is newer.
struct RegionMap: Sendable {
    enum Insertion: Sendable, Equatable {
        case inserted
        /// A region that overlaps this one, or is the same, is known in a later state; nothing was changed.
        case stale
    }

    private(set) var snapshot = RegionSnapshot()
    private var byID: [UInt64: CachedRegion] = [:]
    /// Where the next round of collection, and the next choice of whom to push out, go on.
    private var collectionCursor: [UInt8] = []
    private var evictionCursor: [UInt8] = []

    var count: Int { self.byID.count }

    func region(id: UInt64) -> CachedRegion? { self.byID[id] }

    /// - Parameter now: regions that nobody has asked for in their time don't stand in the way of older ones.
    mutating func insert(_ region: CachedRegion, now: ContinuousClock.Instant) -> Insertion {
        var replaced = self.overlapping(region)
        let first = replaced.first
        if let same = self.byID[region.id], !replaced.contains(where: { $0 === same }) { replaced.append(same) }
        for known in replaced where !known.hasExpired(at: now) {
            // A split or merge raises the version beyond those of all regions involved, so that of two regions that
            // share keys the one of the higher version is the later.
            if known.epoch.version > region.epoch.version { return .stale }
            if known.id == region.id, region.epoch.isOlder(than: known.epoch) { return .stale }
        }
        if let first { Self.inherit(from: first, to: region) }
        for known in replaced {
            // Whoever is about to use it learns that it is over; of the same epoch it may be as good.
            if known.id != region.id || known.epoch != region.epoch { known.invalidate(.epochNotMatch) }
            // Where both begin at the same key, the one takes the other's place.
            self.drop(known, keepsItsPlace: known.startKey == region.startKey)
        }
        self.snapshot.regions.insert(region)
        self.byID[region.id] = region
        return .inserted
    }

    /// What is known of a region goes over to the one that takes its place.
    private static func inherit(from old: CachedRegion, to region: CachedRegion) {
        if let buckets = old.buckets { region.update(buckets) }
        // Nobody led when the old one was asked, and what PD says may be as old: another peer may know better, and a group
        // that sleeps is woken by it.
        if old.invalidation == .noLeader {
            let others = (1...region.replicas.count).map { (old.leaderIndex + $0) % region.replicas.count }
            if let next = others.first(where: { region.replicas[$0].peer.canLead }) { region.switchLeader(to: next) }
        }
    }

    /// Forgets a region; one that has taken its place stays.
    mutating func remove(_ region: CachedRegion) -> Bool {
        guard self.byID[region.id] === region else { return false }
        self.drop(region)
        return true
    }

    // MARK: - Keeping it small

    /// Looks at the next few regions, drops those that are dead and reviews the others.
    ///
    /// - Returns: how many were dropped.
    mutating func collect(_ count: Int, now: ContinuousClock.Instant) -> Int {
        let (batch, cursor) = self.next(count, from: self.collectionCursor)
        self.collectionCursor = cursor
        let dead = batch.filter { $0.isDead(at: now) }
        for region in dead { self.drop(region) }
        for region in batch where !region.isDead(at: now) { region.review(at: now) }
        return dead.count
    }

    /// Drops regions until no more than `limit` are left: of each few in the order of their keys, the one that was not used
    /// for the longest time.
    mutating func shrink(to limit: Int, now: ContinuousClock.Instant) {
        while self.count > max(1, limit) {
            let (sample, cursor) = self.next(Self.evictionSample, from: self.evictionCursor)
            self.evictionCursor = cursor
            let oldest = sample.min { $0.evictionRank(at: now) < $1.evictionRank(at: now) }
            guard let oldest else { return }
            self.drop(oldest)
        }
    }

    private static let evictionSample = 8

    /// The next regions from a key on, and the key to go on from; the beginning, where there are no more.
    private func next(_ count: Int, from cursor: [UInt8]) -> (regions: [CachedRegion], cursor: [UInt8]) {
        var found: [CachedRegion] = []
        for region in self.snapshot.regions.ascending(from: cursor) {
            guard found.count < count else { return (found, region.startKey) }
            found.append(region)
        }
        return (found, [])
    }

    // MARK: - Private

    private func overlapping(_ region: CachedRegion) -> [CachedRegion] {
        var found: [CachedRegion] = []
        let before = self.snapshot.regions.last(before: region.startKey, orEqual: false)
        if let before, before.contains(region.startKey) { found.append(before) }
        for known in self.snapshot.regions.ascending(from: region.startKey) {
            guard region.endKey.isEmpty || KeyOrder.isLess(known.startKey, region.endKey) else { break }
            found.append(known)
        }
        return found
    }

    private mutating func drop(_ region: CachedRegion, keepsItsPlace: Bool = false) {
        if !keepsItsPlace { self.snapshot.regions.remove(region) }
        if self.byID[region.id] === region { self.byID[region.id] = nil }
    }
}

extension CachedRegion {
    /// Dead ones first, then by when they would expire.
    fileprivate func evictionRank(at now: ContinuousClock.Instant) -> Int64 {
        self.isDead(at: now) ? .min : self.expiry(since: now)
    }
}
