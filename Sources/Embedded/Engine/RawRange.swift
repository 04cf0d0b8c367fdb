// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Keys in `start ..< end`; an empty end is the end of everything.
struct RawRange: Sendable {
    var start: [UInt8]
    var end: [UInt8]

    /// The part of the range that a region has.
    func clamped(to region: RegionState) -> RawRange {
        var range = self
        if KeyOrder.isLess(range.start, region.startKey) { range.start = region.startKey }
        if !region.endKey.isEmpty && (range.end.isEmpty || KeyOrder.isLess(region.endKey, range.end)) {
            range.end = region.endKey
        }
        return range
    }
}

extension RawEngine.Entries {
    typealias Pair = (key: [UInt8], bytes: Data)

    /// The entries of a range from its start on.
    func scan(_ range: RawRange, limit: Int, now: UInt64) -> [Pair] {
        var pairs: [Pair] = []
        guard limit > 0 else { return pairs }
        for (key, value) in self.ascending(from: range.start) {
            if !range.end.isEmpty && KeyOrder.compare(key, range.end) >= 0 { break }
            if !value.isLive(at: now) { continue }
            pairs.append((key, value.bytes))
            if pairs.count == limit { break }
        }
        return pairs
    }

    /// The entries of a range from its end on. Unlike elsewhere an empty end is before everything, as in TiKV, where
    /// a reverse scan seeks to its start key and goes back from there.
    func reverseScan(_ range: RawRange, limit: Int, now: UInt64) -> [Pair] {
        var pairs: [Pair] = []
        guard limit > 0 else { return pairs }
        for (key, value) in self.descending(before: range.end) {
            if KeyOrder.isLess(key, range.start) { break }
            if !value.isLive(at: now) { continue }
            pairs.append((key, value.bytes))
            if pairs.count == limit { break }
        }
        return pairs
    }

    /// The checksum that TiKV calls `Crc64Xor`: the CRC of each key with its value behind it, all of them xor'ed.
    ///
    /// - Parameter userKey: the key as clients know it.
    func checksum(
        _ ranges: [RawRange], now: UInt64, userKey: ([UInt8]) -> [UInt8] = { $0 }
    ) -> (checksum: UInt64, entries: UInt64, bytes: UInt64) {
        var result: (checksum: UInt64, entries: UInt64, bytes: UInt64) = (0, 0, 0)
        for range in ranges {
            for (stored, bytes) in self.scan(range, limit: .max, now: now) {
                let key = userKey(stored)
                var crc = CRC64()
                crc.update(key)
                crc.update(bytes)
                result.checksum ^= crc.value
                result.entries += 1
                result.bytes += UInt64(key.count + bytes.count)
            }
        }
        return result
    }
}
