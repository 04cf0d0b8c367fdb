// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Bytes as text for people: printable ASCII as it is, everything else as `\xNN`.
enum ByteText {
    static func escape(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\\"), UInt8(ascii: "\""):
                text.append(UInt8(ascii: "\\"))
                text.append(byte)
            case 0x20..<0x7f:
                text.append(byte)
            default:
                text.append(contentsOf: [
                    UInt8(ascii: "\\"), UInt8(ascii: "x"), Self.hex(byte >> 4), Self.hex(byte & 15),
                ])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func hex(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
}
