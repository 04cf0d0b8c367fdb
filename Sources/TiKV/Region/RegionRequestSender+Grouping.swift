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
}
