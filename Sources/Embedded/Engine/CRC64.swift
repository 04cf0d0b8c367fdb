// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// CRC-64/XZ: the ECMA-182 polynomial, reflected, with all bits inverted before and after.
struct CRC64: Sendable {
    private static let table: [UInt64] = (0..<256).map { byte in
        (0..<8).reduce(UInt64(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xC96C_5795_D787_0F42 : crc >> 1 }
    }

    private var state = UInt64.max

    var value: UInt64 { ~self.state }

    mutating func update(_ bytes: some Sequence<UInt8>) {
        let table = Self.table
        for byte in bytes {
            self.state = table[Int(truncatingIfNeeded: self.state ^ UInt64(byte)) & 255] ^ self.state >> 8
        }
    }
}
