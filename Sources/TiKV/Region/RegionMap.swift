// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap
import TiKVPD

/// The regions known at one moment, for reading.
struct RegionSnapshot: Sendable {
    fileprivate(set) var regions = OrderedMap<CachedRegion>()

    /// The region that holds a key.
    func region(containing key: [UInt8]) -> CachedRegion? {
        guard let region = self.regions.floor(key)?.value, region.contains(key) else { return nil }
        return region
    }

    /// The region that holds the keys just before `key`; an empty key stands for the end of all keys.
    func region(before key: [UInt8]) -> CachedRegion? {
        let candidate = key.isEmpty ? self.regions.last : self.regions.lower(key)
        guard let region = candidate?.value, region.containsBefore(key) else { return nil }
        return region
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

    var count: Int { self.byID.count }

    func region(id: UInt64) -> CachedRegion? { self.byID[id] }

    mutating func insert(_ region: CachedRegion) -> Insertion {
        var replaced = self.overlapping(region)
        if let same = self.byID[region.id], !replaced.contains(where: { $0 === same }) { replaced.append(same) }
        for known in replaced {
            // A split or merge raises the version beyond those of all regions involved, so that of two regions that
            // share keys the one of the higher version is the later.
            if known.epoch.version > region.epoch.version { return .stale }
            if known.id == region.id, region.epoch.isOlder(than: known.epoch) { return .stale }
        }
        for known in replaced { self.drop(known) }
        self.snapshot.regions.updateValue(region, forKey: region.startKey)
        self.byID[region.id] = region
        return .inserted
    }

    /// Puts a region in the place of another with the same range.
    ///
    /// - Returns: false where the other isn't there any more.
    mutating func replace(_ region: CachedRegion, with successor: CachedRegion) -> Bool {
        guard self.byID[region.id] === region else { return false }
        self.snapshot.regions.updateValue(successor, forKey: successor.startKey)
        self.byID[successor.id] = successor
        return true
    }

    /// Forgets a region; one that has taken its place stays.
    mutating func remove(_ region: CachedRegion) -> Bool {
        guard self.byID[region.id] === region else { return false }
        self.drop(region)
        return true
    }

    // MARK: - Private

    private func overlapping(_ region: CachedRegion) -> [CachedRegion] {
        var found: [CachedRegion] = []
        if let first = self.snapshot.regions.lower(region.startKey)?.value, first.contains(region.startKey) {
            found.append(first)
        }
        for (start, known) in self.snapshot.regions.ascending(from: region.startKey) {
            guard region.endKey.isEmpty || KeyOrder.isLess(start, region.endKey) else { break }
            found.append(known)
        }
        return found
    }

    private mutating func drop(_ region: CachedRegion) {
        self.snapshot.regions.removeValue(forKey: region.startKey)
        self.byID[region.id] = nil
    }
}
