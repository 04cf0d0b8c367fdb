// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A key of the transactional API: as its client sends it, and in the memcomparable form in which it is stored and in
/// which regions are cut (tikv `components/txn_types/src/types.rs`).
struct TxnKey: Hashable, Sendable {
    let raw: [UInt8]
    let encoded: [UInt8]

    init(_ raw: [UInt8]) {
        self.raw = raw
        self.encoded = MemComparable.encode(raw)
    }

    /// Nil where `encoded` is no encoded key.
    init?(encoded: [UInt8]) {
        guard let raw = MemComparable.decode(encoded) else { return nil }
        self.raw = raw
        self.encoded = encoded
    }
}

/// The keys under which versions are stored: the encoded key and behind it the timestamp, inverted so that the newest
/// version comes first.
enum VersionKey {
    static func encode(_ key: [UInt8], _ timestamp: UInt64) -> [UInt8] {
        var bytes = key
        bytes.reserveCapacity(key.count + 8)
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: ~timestamp >> UInt64(shift)))
        }
        return bytes
    }

    /// The timestamp of a version.
    static func timestamp(_ bytes: [UInt8]) -> UInt64 {
        ~bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The encoded key of a version.
    static func key(_ bytes: [UInt8]) -> [UInt8] {
        Array(bytes.dropLast(8))
    }

    static func isVersion(_ bytes: [UInt8], of key: [UInt8]) -> Bool {
        bytes.count == key.count + 8 && bytes.starts(with: key)
    }
}
