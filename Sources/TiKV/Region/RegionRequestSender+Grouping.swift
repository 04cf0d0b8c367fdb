// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap
import TiKVPD

extension RegionRequestSender {
    /// Groups sorted items by the regions of their keys, and cuts each group into pieces.
    func group<Item: Sendable>(
        _ items: [Item], by key: (Item) -> [UInt8], chunks: (ArraySlice<Item>) -> [[Item]], _ call: inout RegionCall
    ) async throws(TiKVError) -> [(region: CachedRegion, work: [Item])] {
        var pieces: [(region: CachedRegion, work: [Item])] = []
        var start = items.startIndex
        guard let last = items.last else { return [] }
        // Up to and including the last key, for what must be loaded.
        let end = key(last) + [0]
        while start < items.endIndex {
            let region = try await self.locate(startOf: KeySpan(start: key(items[start]), end: end), &call)
            var next = start + 1
            while next < items.endIndex, region.endKey.isEmpty || KeyOrder.isLess(key(items[next]), region.endKey) {
                next += 1
            }
            for chunk in chunks(items[start..<next]) { pieces.append((region, chunk)) }
            start = next
        }
        return pieces
    }

    /// Groups sorted keys, which are named by their places, by region. Of a region's keys it looks at few.
    func group(
        _ places: Range<Int>, key: (Int) -> [UInt8], _ call: inout RegionCall
    ) async throws(TiKVError) -> [(region: CachedRegion, work: Range<Int>)] {
        var pieces: [(region: CachedRegion, work: Range<Int>)] = []
        guard let last = places.last else { return [] }
        // Up to and including the last key, for what must be loaded.
        let end = key(last) + [0]
        var start = places.lowerBound
        while start < places.upperBound {
            let region = try await self.locate(startOf: KeySpan(start: key(start), end: end), &call)
            var (low, high) = (start + 1, places.upperBound)
            while !region.endKey.isEmpty, low < high {
                let middle = (low + high) / 2
                if KeyOrder.isLess(key(middle), region.endKey) { low = middle + 1 } else { high = middle }
            }
            pieces.append((region, start..<high))
            start = high
        }
        return pieces
    }

    /// The regions of a span, each with its part of it.
    func regions(
        of span: KeySpan, _ call: inout RegionCall
    ) async throws(TiKVError) -> [(region: CachedRegion, work: KeySpan)] {
        var pieces: [(region: CachedRegion, work: KeySpan)] = []
        var rest = span
        while true {
            let region = try await self.locate(startOf: rest, &call)
            let isLast =
                region.endKey.isEmpty || !span.end.isEmpty && KeyOrder.compare(span.end, region.endKey) <= 0
            pieces.append((region, KeySpan(start: rest.start, end: isLast ? span.end : region.endKey)))
            if isLast { return pieces }
            rest.start = region.endKey
        }
    }

    /// The regions of many spans, which are sorted and apart from each other, each with its part of one of them. What is not
    /// known is asked of PD all together.
    func regions(
        of spans: [KeySpan], _ call: inout RegionCall
    ) async throws(TiKVError) -> [(region: CachedRegion, work: KeySpan)] {
        let spans = spans.filter { $0.end.isEmpty || KeyOrder.isLess($0.start, $0.end) }
        let now = self.clock.now
        var unknown: [KeySpan] = []
        for span in spans {
            let known = self.cache.known(from: span.start, to: span.end, now: now)
            unknown += KeySpan.rest(of: [span], after: known.last?.endKey ?? span.start)
        }
        // Those that will do are loaded anew one by one, which need not wait for PD.
        unknown.removeAll { self.cache.usable(containing: $0.start, now: now) != nil }
        if unknown.count > 1 {
            do throws(TiKVError) {
                try await self.cache.load(spans: unknown, deadline: call.deadline)
            } catch {
                throw call.failed(toAskPD: error, hasDeadlinePassed: call.deadline.hasPassed(at: self.clock.now))
            }
        }
        // What PD did not tell is asked for again, span by span.
        var pieces: [(region: CachedRegion, work: KeySpan)] = []
        for span in spans { pieces += try await self.regions(of: span, &call) }
        return pieces
    }
}
