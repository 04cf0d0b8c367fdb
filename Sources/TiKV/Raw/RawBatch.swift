// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// Cuts work on many keys into what one request may carry. Pure; the regions are found by the caller.
enum RawBatch {
    /// A pair to write, as bytes.
    struct Entry: Sendable, Hashable {
        var key: [UInt8]
        var value: [UInt8]
        /// How long it lives; 0 is for ever.
        var seconds: UInt64 = 0
    }

    /// Distinct keys in order.
    static func sorted(_ keys: some Sequence<Key>) -> [[UInt8]] {
        Set(keys.lazy.map(\.bytes)).sorted { KeyOrder.isLess($0, $1) }
    }

    /// Pairs in order of their keys; of several for one key the last.
    static func sorted(_ entries: some Sequence<Entry>) -> [Entry] {
        var last: [[UInt8]: Entry] = [:]
        for entry in entries { last[entry.key] = entry }
        return last.values.sorted { KeyOrder.isLess($0.key, $1.key) }
    }

    /// Pieces of at most `count` elements.
    static func chunks<Element>(_ items: ArraySlice<Element>, count: Int) -> [[Element]] {
        self.chunks(items, limit: max(1, count), size: { _ in 1 })
    }

    /// Pieces whose keys and values have at most `bytes` bytes; a pair over the limit goes alone.
    static func chunks(_ pairs: ArraySlice<Entry>, bytes: Int) -> [[Entry]] {
        self.chunks(pairs, limit: bytes, size: { $0.key.count + $0.value.count })
    }

    /// Pieces of at most so many bytes; an element over the limit goes alone.
    static func chunks<Element>(
        _ items: ArraySlice<Element>, bytes: Int, size: (Element) -> Int
    ) -> [[Element]] {
        self.chunks(items, limit: bytes, size: size)
    }

    private static func chunks<Element>(
        _ items: ArraySlice<Element>, limit: Int, size: (Element) -> Int
    ) -> [[Element]] {
        var chunks: [[Element]] = []
        var start = items.startIndex
        var total = 0
        for index in items.indices {
            let next = size(items[index])
            if index > start, total + next > limit {
                chunks.append(Array(items[start..<index]))
                start = index
                total = 0
            }
            total += next
        }
        if start < items.endIndex { chunks.append(Array(items[start...])) }
        return chunks
    }
}
