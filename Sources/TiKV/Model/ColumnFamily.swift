// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// One of TiKV's column families: a space of keys of its own.
///
/// Raw data belong in ``default``; the other two hold TiKV's own records of transactions where a cluster serves those.
public struct ColumnFamily: Sendable, Hashable {
    /// As TiKV calls it.
    public var name: String

    /// The family that TiKV calls so.
    public init(_ name: String) {
        self.name = name
    }

    /// Where raw data belong.
    public static var `default`: ColumnFamily { ColumnFamily("default") }
    /// Where TiKV keeps the commit records of transactions.
    public static var write: ColumnFamily { ColumnFamily("write") }
    /// Where TiKV keeps the locks of transactions.
    public static var lock: ColumnFamily { ColumnFamily("lock") }
}

extension ColumnFamily: ExpressibleByStringLiteral {
    /// The family that TiKV calls so.
    public init(stringLiteral value: String) {
        self.name = value
    }
}

extension ColumnFamily: CustomStringConvertible {
    /// The ``name``.
    public var description: String { self.name }
}
