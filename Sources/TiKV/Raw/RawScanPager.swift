// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// Where a scan stands: which keys are still to come, and what to ask of the next region. Pure.
struct RawScanPager: Sendable {
    /// What to ask of one region.
    struct Page: Sendable, Equatable {
        /// As the wire has it: where the scan begins, which is the upper bound of a reversed one.
        var startKey: [UInt8]
        var endKey: [UInt8]
        var limit: Int
    }

    let isReversed: Bool
    private let pageSize: Int
    /// Stands for the end of all keys where a key must be named.
    private let lastProbe: [UInt8]
    /// The keys not looked at yet.
    private(set) var start: [UInt8]
    private(set) var end: [UInt8]
    /// How many pairs may still come; nil for all.
    private var remaining: Int?
    private(set) var isFinished: Bool

    init(range: KeyRange, limit: Int?, isReversed: Bool, pageSize: Int, lastProbe: [UInt8]) {
        self.start = range.start.bytes
        self.end = range.end.bytes
        self.remaining = limit
        self.isReversed = isReversed
        self.pageSize = min(10_240, max(1, pageSize))
        self.lastProbe = lastProbe
        self.isFinished = range.isEmpty || limit.map { $0 <= 0 } ?? false
    }

    /// What to ask of the region of the next keys: the one that holds `start`, or, reversed, the keys before `end`.
    func page(from region: CachedRegion) -> Page {
        let lower = KeyOrder.isLess(self.start, region.startKey) ? region.startKey : self.start
        let upper: [UInt8]
        if region.endKey.isEmpty {
            upper = self.end
        } else if self.end.isEmpty || KeyOrder.isLess(region.endKey, self.end) {
            upper = region.endKey
        } else {
            upper = self.end
        }
        let limit = min(self.pageSize, self.remaining ?? self.pageSize)
        guard self.isReversed else { return Page(startKey: lower, endKey: upper, limit: limit) }
        // A reversed scan from no key at all finds nothing.
        return Page(startKey: upper.isEmpty ? self.lastProbe : upper, endKey: lower, limit: limit)
    }

    /// Takes note of an answer.
    ///
    /// - Parameters:
    ///   - count: how many pairs came.
    ///   - lastKey: the last of them.
    mutating func received(count: Int, lastKey: [UInt8]?, page: Page, region: CachedRegion) {
        if let remaining = self.remaining {
            self.remaining = max(0, remaining - count)
            if remaining <= count { self.isFinished = true }
        }
        if count >= page.limit, let lastKey {
            // There may be more in this region.
            if self.isReversed { self.end = lastKey } else { self.start = lastKey + [0] }
            if !self.end.isEmpty, KeyOrder.compare(self.end, self.start) <= 0 { self.isFinished = true }
        } else if self.isReversed {
            self.end = region.startKey
            if region.startKey.isEmpty || KeyOrder.compare(region.startKey, self.start) <= 0 { self.isFinished = true }
        } else {
            self.start = region.endKey
            if region.endKey.isEmpty || !self.end.isEmpty && KeyOrder.compare(self.end, region.endKey) <= 0 {
                self.isFinished = true
            }
        }
    }
}
