// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// One of TiKV's column families: a space of keys of its own.
///
/// Raw data belong in ``default``; the other two hold TiKV's own records of transactions where a cluster serves those.
public struct ColumnFamily: Sendable, Hashable {
    public var name: String

    public init(_ name: String) {
        self.name = name
    }

    public static var `default`: ColumnFamily { ColumnFamily("default") }
    public static var write: ColumnFamily { ColumnFamily("write") }
    public static var lock: ColumnFamily { ColumnFamily("lock") }
}

extension ColumnFamily: ExpressibleByStringLiteral {
    public init(stringLiteral value: String) {
        self.name = value
    }
}

extension ColumnFamily: CustomStringConvertible {
    public var description: String { self.name }
}
