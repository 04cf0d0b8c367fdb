// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The form in which TiKV orders keys that others may follow: encoded keys sort as the plain ones do, and none is a prefix
/// of another.
///
/// Groups of eight bytes, the last one padded with zeros, each with a marker behind it: 0xff less the number of padding
/// bytes. A key whose length is a multiple of eight ends with a group of nothing but padding.
enum MemComparable {
    static let groupSize = 8

    static func encodedSize(of size: Int) -> Int { (size / Self.groupSize + 1) * (Self.groupSize + 1) }

    static func encode(_ key: [UInt8]) -> [UInt8] {
        var encoded: [UInt8] = []
        encoded.reserveCapacity(Self.encodedSize(of: key.count))
        var start = 0
        repeat {
            let end = min(start + Self.groupSize, key.count)
            let padding = Self.groupSize - (end - start)
            encoded.append(contentsOf: key[start..<end])
            encoded.append(contentsOf: repeatElement(0, count: padding))
            encoded.append(0xff - UInt8(padding))
            start += Self.groupSize
        } while start <= key.count
        return encoded
    }

    /// The key of which these bytes are the encoding.
    ///
    /// - Returns: nil where they are the encoding of no key.
    static func decode(_ encoded: [UInt8]) -> [UInt8]? {
        guard !encoded.isEmpty, encoded.count.isMultiple(of: Self.groupSize + 1) else { return nil }
        var key: [UInt8] = []
        key.reserveCapacity(encoded.count / (Self.groupSize + 1) * Self.groupSize)
        var start = 0
        while start < encoded.count {
            let end = start + Self.groupSize
            let padding = Int(0xff - encoded[end])
            let isLast = end + 1 == encoded.count
            // All groups but the last are full, and the last is not.
            guard padding <= Self.groupSize, (padding > 0) == isLast else { return nil }
            guard encoded[(end - padding)..<end].allSatisfy({ $0 == 0 }) else { return nil }
            key.append(contentsOf: encoded[start..<(end - padding)])
            start = end + 1
        }
        return key
    }
}
