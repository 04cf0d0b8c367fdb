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
    public var bytes: [UInt8]

    /// A key of no bytes. TiKV stores nothing under it; as the end of a ``KeyRange`` it stands for "no end".
    public init() {
        self.bytes = []
    }

    public init(_ bytes: some Sequence<UInt8>) {
        self.bytes = [UInt8](bytes)
    }

    /// The UTF-8 bytes of a string.
    public init(_ string: some StringProtocol) {
        self.bytes = [UInt8](string.utf8)
    }

    public var isEmpty: Bool { self.bytes.isEmpty }

    public var count: Int { self.bytes.count }

    /// The least key after this one: the same bytes and a zero byte.
    public var next: Key { Key(self.bytes + [0]) }

    /// Whether the key begins with these bytes.
    public func hasPrefix(_ prefix: Key) -> Bool {
        self.bytes.starts(with: prefix.bytes)
    }
}

extension Key: Comparable {
    public static func < (lhs: Key, rhs: Key) -> Bool {
        KeyOrder.isLess(lhs.bytes, rhs.bytes)
    }
}

extension Key: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    public init(stringLiteral value: String) {
        self.bytes = [UInt8](value.utf8)
    }
}

extension Key: ExpressibleByArrayLiteral {
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
