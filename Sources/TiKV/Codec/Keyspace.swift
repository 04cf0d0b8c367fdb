// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// One keyspace of API V2, for raw or for transactional data: what its keys begin with, and where they end.
///
/// A class, so that a codec is one word and costs nothing to pass on.
final class Keyspace: Sendable {
    /// What the keyspace is for, which the first byte of its keys tells.
    enum Mode: UInt8, Sendable, CaseIterable {
        case raw = 0x72  // r
        case transaction = 0x78  // x
    }

    static let prefixSize = 4
    /// The keyspace that every cluster has.
    static let defaultName = "DEFAULT"
    static let maximumID: UInt32 = 0xff_ffff

    let id: UInt32
    let name: String
    let mode: Mode
    /// The mode and the number's three bytes.
    let prefix: [UInt8]
    /// The least key after all that begin with the prefix.
    let end: [UInt8]
    /// The bounds as regions have them.
    let encodedPrefix: [UInt8]
    let encodedEnd: [UInt8]

    init(_ mode: Mode, id: UInt32, name: String) throws(KeyCodecError) {
        guard id <= Self.maximumID else { throw .keyspaceIDTooLarge(id) }
        self.id = id
        self.name = name
        self.mode = mode
        self.prefix = Self.prefix(mode, id)
        // After the last keyspace comes the next mode: its byte alone, which is before all its keys. TiKV takes a range
        // for one of this mode only if it ends within the mode or right there.
        self.end = id == Self.maximumID ? [mode.rawValue + 1] : Self.prefix(mode, id + 1)
        self.encodedPrefix = MemComparable.encode(self.prefix)
        self.encodedEnd = MemComparable.encode(self.end)
    }

    private static func prefix(_ mode: Mode, _ id: UInt32) -> [UInt8] {
        [mode.rawValue, UInt8(truncatingIfNeeded: id >> 16), UInt8(truncatingIfNeeded: id >> 8), UInt8(id & 0xff)]
    }

    // MARK: - Any key of API V2

    /// The modes' first bytes, in order: those that keys outside of API V2 must not begin with where both share a cluster.
    static var modePrefixes: [[UInt8]] { Mode.allCases.map { [$0.rawValue] }.sorted { KeyOrder.isLess($0, $1) } }

    /// A key of any keyspace, cut into its prefix and the application's part.
    static func split(_ key: [UInt8]) throws(KeyCodecError) -> (prefix: [UInt8], key: [UInt8]) {
        guard key.count >= Self.prefixSize, Mode(rawValue: key[0]) != nil else { throw .notAKeyOfV2 }
        return (Array(key[..<Self.prefixSize]), Array(key[Self.prefixSize...]))
    }

    /// The number of the keyspace that a key belongs to.
    static func id(ofKey key: [UInt8]) throws(KeyCodecError) -> UInt32 {
        let prefix = try Self.split(key).prefix
        return UInt32(prefix[1]) << 16 | UInt32(prefix[2]) << 8 | UInt32(prefix[3])
    }
}
