// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The `grpc-message` header: text as percent-encoded UTF-8.
enum StatusMessage {
    private static let hex = Array("0123456789ABCDEF".utf8)

    static func encode(_ text: String) -> [UInt8] {
        var out: [UInt8] = []
        let last = text.utf8.count - 1
        for (index, byte) in text.utf8.enumerated() {
            // HTTP/2 allows no space at either end of a value.
            let isPlain = byte == 0x20 ? index > 0 && index < last : (0x21...0x7e).contains(byte)
            if isPlain, byte != UInt8(ascii: "%") {
                out.append(byte)
            } else {
                out += [UInt8(ascii: "%"), self.hex[Int(byte >> 4)], self.hex[Int(byte & 15)]]
            }
        }
        return out
    }

    /// Never fails: what is not a whole escape stays as it is.
    static func decode(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let high = self.digit(bytes[index + 1]), let low = self.digit(bytes[index + 2])
            {
                out.append(high << 4 | low)
                index += 3
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
