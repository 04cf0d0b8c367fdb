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
    @usableFromInline
    package static func compare(_ lhs: [UInt8], _ rhs: [UInt8]) -> Int {
        let order = self.compareBytes(lhs, rhs, min(lhs.count, rhs.count))
        return order != 0 ? order : lhs.count - rhs.count
    }

    /// Whether `lhs` comes before `rhs`.
    package static func isLess(_ lhs: [UInt8], _ rhs: [UInt8]) -> Bool {
        self.compare(lhs, rhs) < 0
    }

    /// How a key compares to the first `length` bytes of another, which has as many; 0 where it begins with them.
    static func compare(_ key: [UInt8], _ other: [UInt8], upTo length: Int) -> Int {
        if length == 0 { return 0 }
        let order = self.compareBytes(key, other, min(key.count, length))
        return order != 0 ? order : min(key.count - length, 0)
    }

    /// The eight bytes from `start` on as a number, with zeros where the key ends. Of two keys that are alike up to
    /// there, the one with the lower number comes first.
    static func head(of key: [UInt8], from start: Int) -> UInt64 {
        if key.count - start >= 8 {
            return unsafe key.withUnsafeBytes {
                unsafe UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt64.self))
            }
        }
        var head: UInt64 = 0
        var shift: UInt64 = 64
        for index in min(start, key.count)..<key.count {
            shift -= 8
            head |= UInt64(key[index]) << shift
        }
        return head
    }

    /// How many bytes at their beginning two keys have in common.
    static func sharedPrefix(_ lhs: [UInt8], _ rhs: [UInt8]) -> Int {
        let limit = min(lhs.count, rhs.count)
        var length = 0
        while length < limit && lhs[length] == rhs[length] { length += 1 }
        return length
    }

    /// Compares the first `length` bytes, which both keys have.
    private static func compareBytes(_ lhs: [UInt8], _ rhs: [UInt8], _ length: Int) -> Int {
        unsafe lhs.withUnsafeBufferPointer { left in
            unsafe rhs.withUnsafeBufferPointer { right -> Int in
                // An empty array need not have an address, and memcmp wants one even for a length of 0.
                guard let leftBase = left.baseAddress, let rightBase = right.baseAddress else { return 0 }
                return Int(unsafe memcmp(leftBase, rightBase, length))
            }
        }
    }
}
