// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What stores say about all keys and values of a range.
public struct RawChecksum: Sendable, Hashable {
    /// The CRC-64 (the ECMA polynomial, reflected, as in XZ) of each key with its value behind it, all of them xor'ed.
    ///
    /// With ``APIVersion/v2`` the keys are those that stores have, with the four bytes of the keyspace before each.
    public var crc64Xor: UInt64
    /// How many pairs there are.
    public var pairCount: UInt64
    /// How many bytes all keys and values have; with ``APIVersion/v2``, four more for each key.
    public var byteCount: UInt64

    /// A checksum of nothing, or of these.
    public init(crc64Xor: UInt64 = 0, pairCount: UInt64 = 0, byteCount: UInt64 = 0) {
        self.crc64Xor = crc64Xor
        self.pairCount = pairCount
        self.byteCount = byteCount
    }

    /// Takes in the checksum of other keys.
    mutating func add(_ other: RawChecksum) {
        self.crc64Xor ^= other.crc64Xor
        self.pairCount &+= other.pairCount
        self.byteCount &+= other.byteCount
    }
}
