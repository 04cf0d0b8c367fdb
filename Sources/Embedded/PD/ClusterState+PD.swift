// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// Ranges that PD does not accept.
enum RangeError: String, Error {
    case overlapping = "invalid key range, ranges overlapped"
    case backwards = "invalid key range, start key > end key"
}

extension ClusterState {
    /// The regions of several ranges, each region once.
    ///
    /// - Parameter limit: of regions in all; 0 or less means none.
    func regions(in ranges: [RawRange], limit: Int) throws(RangeError) -> [RegionState] {
        for (index, range) in ranges.enumerated() {
            if index > 0 && KeyOrder.isLess(range.start, ranges[index - 1].end) { throw .overlapping }
            if !range.end.isEmpty && KeyOrder.isLess(range.end, range.start) { throw .backwards }
        }
        let limit = limit > 0 ? limit : Int.max
        var found: [RegionState] = []
        for range in ranges where found.count < limit {
            // One more, as the first may be the last one of the range before.
            let more = limit - found.count
            let regions = self.regions(from: range.start, to: range.end, limit: more == .max ? more : more + 1)
            let isKnown = found.last != nil && found.last?.id == regions.first?.id
            found.append(contentsOf: regions.dropFirst(isKnown ? 1 : 0).prefix(more))
        }
        return found
    }

    /// Splits whatever regions contain these keys.
    ///
    /// - Returns: the ids of the new regions. Keys at which there is a border already make none.
    mutating func split(at keys: [[UInt8]]) -> [UInt64] {
        var created: [UInt64] = []
        for key in keys {
            guard let region = self.region(containing: key) else { continue }
            // A key at which nothing can be split is no reason to leave the others out.
            let parts = (try? self.split(region.id, at: [key])) ?? []
            created.append(contentsOf: parts.dropLast().map(\.id))
        }
        return created
    }

    /// Moves the leader of a region to the next of its peers that is up, as scattering would in the end.
    mutating func scatter(_ regionID: UInt64) {
        guard let region = self.region(regionID) else { return }
        let candidates = region.peers.filter { self.stores[$0.storeID]?.isRunning == true }.map(\.storeID)
        guard !candidates.isEmpty else { return }
        let next = region.leaderStoreID.flatMap { candidates.firstIndex(of: $0) }.map { $0 + 1 } ?? 0
        // Both ids were looked up a moment ago, and the store is running.
        try? self.transferLeader(of: regionID, to: candidates[next % candidates.count])
    }
}
