// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// TiKV's encoding of keys outside the raw API, under which encoded keys sort like the plain ones and none is a prefix
/// of another: groups of eight bytes, each followed by 255 minus the number of padding bytes in it.
enum MemComparable {
    static func encode(_ key: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity((key.count / 8 + 1) * 9)
        for start in stride(from: 0, through: key.count, by: 8) {
            let group = key[start..<min(start + 8, key.count)]
            out.append(contentsOf: group)
            out.append(contentsOf: repeatElement(0, count: 8 - group.count))
            out.append(255 - UInt8(8 - group.count))
        }
        return out
    }

    /// - Returns: nil where these bytes are no encoded key.
    static func decode(_ encoded: [UInt8]) -> [UInt8]? {
        var key: [UInt8] = []
        var rest = encoded[...]
        while rest.count >= 9 {
            let group = rest.prefix(8)
            let padding = 255 - Int(rest[rest.startIndex + 8])
            rest = rest.dropFirst(9)
            guard padding <= 8, group.suffix(padding).allSatisfy({ $0 == 0 }) else { return nil }
            key += group.dropLast(padding)
            if padding > 0 { return rest.isEmpty ? key : nil }
        }
        return nil
    }
}
