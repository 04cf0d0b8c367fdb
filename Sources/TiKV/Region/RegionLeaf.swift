// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// Some regions that follow each other: the lowest level of a `RegionIndex`. Never changes, so that snapshots share it.
final class RegionLeaf: RegionNode {
    static let maximumWidth = 32

    /// In the order of their keys; never empty.
    let regions: [CachedRegion]
    /// Where all but the first begin, and where all end. That a key is not before the first one is known from above.
    private let digest: KeyDigest

    init(_ regions: [CachedRegion]) {
        self.regions = regions
        var digest = KeyDigest(regions.dropFirst().map(\.startKey))
        for (index, region) in regions.enumerated() { digest.insertOther(region.endKey, at: index) }
        self.digest = digest
    }

    private init(_ regions: [CachedRegion], _ digest: KeyDigest) {
        self.regions = regions
        self.digest = digest
    }

    var width: Int { self.regions.count }

    var firstKey: [UInt8] { self.regions[0].startKey }

    /// The region that holds a key, which is not before the first.
    func find(_ key: [UInt8]) -> CachedRegion? {
        let place = self.digest.place(of: key)
        if place.isDecided, place.upper > 0 {
            let end = self.digest.other(place.upper)
            if place.head < end { return self.regions[place.upper] }
            if place.head > end { return nil }
        }
        // Numbers don't tell.
        let region = self.regions[self.index(of: key)]
        return region.contains(key) ? region : nil
    }

    /// The last region that begins at a key or before it; the first where none does.
    func index(of key: [UInt8]) -> Int {
        self.digest.count(before: key, orEqual: true) { self.regions[$0 + 1].startKey }
    }

    // MARK: - Changing

    /// With one more region, in place of the one that begins where it does; in two parts where it has grown too wide.
    func inserting(_ region: CachedRegion) -> (left: RegionLeaf, right: RegionLeaf?) {
        let place = self.index(of: region.startKey)
        let order = KeyOrder.compare(self.regions[place].startKey, region.startKey)
        var regions = self.regions
        var digest = self.digest
        if order == 0 {
            regions[place] = region
            digest.removeOther(at: place)
            digest.insertOther(region.endKey, at: place)
            return (RegionLeaf(regions, digest), nil)
        }
        // Before the first only where there is nothing further left.
        let index = order < 0 ? place + 1 : 0
        regions.insert(region, at: index)
        if regions.count > Self.maximumWidth {
            // Regions that come in order leave full leaves behind them.
            let middle = index == regions.count - 1 ? index : regions.count / 2
            return (RegionLeaf(Array(regions[..<middle])), RegionLeaf(Array(regions[middle...])))
        }
        let separator = index == 0 ? self.regions[0].startKey : region.startKey
        guard digest.insert(separator, at: max(0, index - 1)) else { return (RegionLeaf(regions), nil) }
        digest.insertOther(region.endKey, at: index)
        return (RegionLeaf(regions, digest), nil)
    }

    /// Without one region; nil where nothing is left.
    func removing(at index: Int) -> RegionLeaf? {
        if self.regions.count == 1 { return nil }
        var regions = self.regions
        var digest = self.digest
        regions.remove(at: index)
        digest.removeOther(at: index)
        digest.remove(at: max(0, index - 1))
        return RegionLeaf(regions, digest)
    }

    func joined(with right: RegionLeaf) -> RegionLeaf { RegionLeaf(self.regions + right.regions) }
}
