// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A value: any bytes, also none. A value of no bytes is not the same as no value.
///
/// A value is user data: ``description`` says no more than its length, ``debugDescription`` shows the bytes. Where it is
/// text, `String(decoding: value.bytes, as: UTF8.self)` gives it.
public struct Value: Sendable, Hashable {
    /// The bytes of the value.
    public var bytes: [UInt8]

    /// A value of no bytes.
    public init() {
        self.bytes = []
    }

    /// A value of these bytes.
    public init(_ bytes: some Sequence<UInt8>) {
        self.bytes = [UInt8](bytes)
    }

    /// The UTF-8 bytes of a string.
    public init(_ string: some StringProtocol) {
        self.bytes = [UInt8](string.utf8)
    }

    /// Whether there are no bytes.
    public var isEmpty: Bool { self.bytes.isEmpty }

    /// How many bytes there are.
    public var count: Int { self.bytes.count }
}

extension Value: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    /// The UTF-8 bytes of the literal.
    public init(stringLiteral value: String) {
        self.bytes = [UInt8](value.utf8)
    }
}

extension Value: ExpressibleByArrayLiteral {
    /// A value of these bytes.
    public init(arrayLiteral elements: UInt8...) {
        self.bytes = elements
    }
}

extension Value: CustomStringConvertible, CustomDebugStringConvertible {
    /// The length only, since values are user data and descriptions end up in logs.
    public var description: String { "Value(\(self.bytes.count) bytes)" }

    /// The bytes: printable ASCII as it is, the rest as `\xNN`.
    public var debugDescription: String { "Value(\"\(ByteText.escape(self.bytes))\")" }
}

/// A key and its value.
public typealias KeyValue = (key: Key, value: Value)
