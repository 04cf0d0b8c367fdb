// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A request of HTTP/1.1, with all of its body.
package struct HTTP1Request: Sendable, Hashable {
    package var method: String
    /// Path and query.
    package var target: String
    package var body: [UInt8]

    package init(method: String = "GET", target: String, body: [UInt8] = []) {
        self.method = method
        self.target = target
        self.body = body
    }

    /// The target up to its query.
    package var path: Substring { self.target.prefix { $0 != "?" } }

    /// The value of a query's parameter, decoded; nil where it is not there.
    package func query(_ name: String) -> String? {
        for field in self.target.dropFirst(self.path.count + 1).split(separator: "&") {
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.first.map({ Self.decode($0) }) == [UInt8](name.utf8) else { continue }
            return parts.count == 2 ? String(decoding: Self.decode(parts[1]), as: UTF8.self) : ""
        }
        return nil
    }

    /// Writes bytes as a part of a target.
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                text.append(byte)
            default:
                text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads a part of a target; what is no escape stands for itself.
    package static func decode(_ text: some StringProtocol) -> [UInt8] {
        var rest = Array(text.utf8)[...]
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return bytes
    }
}

/// A response of HTTP/1.1, with all of its body.
package struct HTTP1Response: Sendable, Hashable {
    package var status: Int
    package var body: [UInt8]
    package var contentType: String

    package init(status: Int = 200, body: [UInt8] = [], contentType: String = "application/json; charset=UTF-8") {
        self.status = status
        self.body = body
        self.contentType = contentType
    }
}
