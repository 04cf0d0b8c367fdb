// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// Where a scan of several ranges stands, and how its next pages go into requests. Pure.
///
/// It goes on in rounds: each asks, for every range that isn't done, the region of its next keys, all ranges of a region in
/// one request.
struct RawBatchScanPlan: Sendable {
    /// The next page of one range.
    struct Part: Sendable, Equatable {
        /// Which of the ranges.
        var index: Int
        var page: RawScanPager.Page
    }

    let isReversed: Bool
    private(set) var pagers: [RawScanPager]

    init(ranges: [KeyRange], limit: Int, isReversed: Bool, pageSize: Int, lastProbe: [UInt8]) {
        self.isReversed = isReversed
        self.pagers = ranges.map {
            RawScanPager(range: $0, limit: limit, isReversed: isReversed, pageSize: pageSize, lastProbe: lastProbe)
        }
    }

    /// The ranges that aren't done.
    var unfinished: [Int] { self.pagers.indices.filter { !self.pagers[$0].isFinished } }

    /// Sorts the pages that one region is asked for into requests. In the answer to each, every pair belongs to one page,
    /// since pages that overlap go into different requests. They are in the order of the scan, in which TiKV takes a page
    /// without an end to go as far as the next one.
    func requests(_ parts: [Part]) -> [[Part]] {
        let sorted = parts.sorted { self.isBefore($0.page.startKey, $1.page.startKey) }
        var requests: [[Part]] = []
        for part in sorted {
            let free = requests.firstIndex { request in
                guard let end = request.last?.page.endKey else { return true }
                return !end.isEmpty && !self.isBefore(part.page.startKey, end)
            }
            if let free { requests[free].append(part) } else { requests.append([part]) }
        }
        return requests
    }

    /// Deals an answer's pairs out to the pages of its request.
    func deal<Pair>(_ pairs: [Pair], to parts: [Part], key: (Pair) -> [UInt8]) -> [[Pair]] {
        var dealt = [[Pair]](repeating: [], count: parts.count)
        var position = 0
        for pair in pairs {
            let key = key(pair)
            while position + 1 < parts.count, self.isAtOrBehind(key, parts[position].page.endKey) { position += 1 }
            guard position < parts.count else { break }
            // A store may be asked for more than one of the pages wants.
            if dealt[position].count < parts[position].page.limit { dealt[position].append(pair) }
        }
        return dealt
    }

    mutating func received(_ part: Part, count: Int, lastKey: [UInt8]?, region: CachedRegion) {
        self.pagers[part.index].received(count: count, lastKey: lastKey, page: part.page, region: region)
    }

    // MARK: - The order of the scan

    private func isBefore(_ lhs: [UInt8], _ rhs: [UInt8]) -> Bool {
        self.isReversed ? KeyOrder.isLess(rhs, lhs) : KeyOrder.isLess(lhs, rhs)
    }

    /// Whether a key comes after a page that ends so. A reversed scan's end is part of it.
    private func isAtOrBehind(_ key: [UInt8], _ end: [UInt8]) -> Bool {
        guard !end.isEmpty else { return false }
        return self.isReversed ? KeyOrder.isLess(key, end) : KeyOrder.compare(key, end) >= 0
    }
}
