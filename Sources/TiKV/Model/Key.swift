// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// A key: any bytes, ordered bytewise with a prefix before what it is a prefix of.
///
/// ```swift
/// let name: Key = "user/\(number)"         // the UTF-8 bytes of a string
/// let binary: Key = [0x00, 0xff]
/// ```
///
/// A key is user data: ``description`` says no more than its length, ``debugDescription`` shows the bytes.
public struct Key: Sendable, Hashable {
    /// The bytes of the key.
    public var bytes: [UInt8]

    /// A key of no bytes. TiKV stores nothing under it; as the end of a ``KeyRange`` it stands for "no end".
    public init() {
        self.bytes = []
    }

    /// A key of these bytes.
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

    /// The least key after this one: the same bytes and a zero byte.
    public var next: Key { Key(self.bytes + [0]) }

    /// Whether the key begins with these bytes.
    public func hasPrefix(_ prefix: Key) -> Bool {
        self.bytes.starts(with: prefix.bytes)
    }
}

extension Key: Comparable {
    /// TiKV's order: bytewise, a prefix before what it is a prefix of.
    public static func < (lhs: Key, rhs: Key) -> Bool {
        KeyOrder.isLess(lhs.bytes, rhs.bytes)
    }
}

extension Key: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    /// The UTF-8 bytes of the literal.
    public init(stringLiteral value: String) {
        self.bytes = [UInt8](value.utf8)
    }
}

extension Key: ExpressibleByArrayLiteral {
    /// A key of these bytes.
    public init(arrayLiteral elements: UInt8...) {
        self.bytes = elements
    }
}

extension Key: CustomStringConvertible, CustomDebugStringConvertible {
    /// The length only, since keys are user data and descriptions end up in logs.
    public var description: String { "Key(\(self.bytes.count) bytes)" }

    /// The bytes: printable ASCII as it is, the rest as `\xNN`.
    public var debugDescription: String { "Key(\"\(ByteText.escape(self.bytes))\")" }
}
