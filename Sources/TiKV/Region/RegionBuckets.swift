// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap
import TiKVPD

/// How a store divides a region for parallel work: the keys between its buckets, the region's own ends included.
///
/// They change without the region's epoch, and may be older than it: keys outside the region are met with.
struct RegionBuckets: Sendable, Hashable {
    var version: UInt64
    /// In order. The last may be empty, which is the end of all keys.
    var keys: [[UInt8]]

    /// The bucket of a key, as far as it lies in the region.
    ///
    /// Where the keys leave out an end of the region, the part up to there counts as a bucket. A bucket that has nothing in
    /// common with the region any more says nothing: then the region itself is the answer.
    ///
    /// - Returns: nil where the key is not in the region.
    func bucket(of key: [UInt8], in region: KeySpan) -> KeySpan? {
        guard region.contains(key) else { return nil }
        guard let first = self.keys.first, let last = self.keys.last, self.keys.count > 1 else {
            return self.around(key, in: region)
        }
        if KeyOrder.isLess(key, first) { return Self.clamp(KeySpan(start: region.start, end: first), to: region) }
        if !last.isEmpty, KeyOrder.compare(key, last) >= 0 {
            return Self.clamp(KeySpan(start: last, end: region.end), to: region)
        }
        // The greatest key that is not after the one sought begins its bucket.
        var (low, high) = (0, self.keys.count - 1)
        while high - low > 1 {
            let middle = (low + high) / 2
            if KeyOrder.compare(self.keys[middle], key) <= 0 { low = middle } else { high = middle }
        }
        return Self.clamp(KeySpan(start: self.keys[low], end: self.keys[high]), to: region)
    }

    /// With one key or none there are no buckets, only where one ends.
    private func around(_ key: [UInt8], in region: KeySpan) -> KeySpan {
        guard let only = self.keys.first, !only.isEmpty else { return region }
        let isBefore = KeyOrder.isLess(key, only)
        return Self.clamp(
            KeySpan(start: isBefore ? region.start : only, end: isBefore ? only : region.end), to: region)
    }

    /// The part of a bucket that is in the region; the region where there is none.
    static func clamp(_ bucket: KeySpan, to region: KeySpan) -> KeySpan {
        let start = KeyOrder.isLess(bucket.start, region.start) ? region.start : bucket.start
        var end = bucket.end
        if !region.end.isEmpty, end.isEmpty || KeyOrder.isLess(region.end, end) { end = region.end }
        guard end.isEmpty || KeyOrder.isLess(start, end) else { return region }
        return KeySpan(start: start, end: end)
    }
}

extension KeySpan {
    /// Whether a key is in the span.
    func contains(_ key: [UInt8]) -> Bool {
        KeyOrder.compare(self.start, key) <= 0 && (self.end.isEmpty || KeyOrder.isLess(key, self.end))
    }
}
