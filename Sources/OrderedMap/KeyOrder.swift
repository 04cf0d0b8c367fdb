// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The order of keys in TiKV: bytewise, a prefix before what it is a prefix of.
@usableFromInline
package enum KeyOrder {
    /// Negative where `lhs` comes first, positive where `rhs` does, 0 where they are equal.
    @inline(__always)
    @usableFromInline
    package static func compare(_ lhs: [UInt8], _ rhs: [UInt8]) -> Int {
        let order = unsafe lhs.withUnsafeBufferPointer { left in
            unsafe rhs.withUnsafeBufferPointer { right -> Int32 in
                // An empty array need not have an address, and memcmp wants one even for a length of 0.
                guard let leftBase = left.baseAddress, let rightBase = right.baseAddress else { return 0 }
                return unsafe memcmp(leftBase, rightBase, min(left.count, right.count))
            }
        }
        return order != 0 ? Int(order) : lhs.count - rhs.count
    }

    /// Whether `lhs` comes before `rhs`.
    package static func isLess(_ lhs: [UInt8], _ rhs: [UInt8]) -> Bool {
        self.compare(lhs, rhs) < 0
    }

    /// The index of the first of these sorted keys that is not before `key`; their count where all are.
    @usableFromInline
    package static func lowerBound(_ keys: [[UInt8]], _ key: [UInt8]) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if self.compare(keys[middle], key) < 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The index of the first of these sorted keys that comes after `key`; their count where none does.
    @usableFromInline
    package static func upperBound(_ keys: [[UInt8]], _ key: [UInt8]) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if self.compare(keys[middle], key) <= 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Where `key` is among these sorted keys, or where it would have to go.
    @usableFromInline
    package static func find(_ keys: [[UInt8]], _ key: [UInt8]) -> (index: Int, found: Bool) {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            let order = self.compare(keys[middle], key)
            if order == 0 { return (middle, true) }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }
}
