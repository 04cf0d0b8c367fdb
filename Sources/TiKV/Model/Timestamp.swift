// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A moment in the order of all transactions: PD's clock in milliseconds, and a count within each of them.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// As TiKV has it: the milliseconds since the beginning of 1970 in the upper 46 bits, the count in the lower 18.
    public let rawValue: UInt64

    /// A timestamp that TiKV has named.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Stands for "the latest" where a read names it. A read at it needs no timestamp of PD, and two reads at it may see
    /// different states.
    public static var latest: Timestamp { Timestamp(rawValue: .max) }

    /// Stands for the moment of what is not committed yet, where a transaction reads what it has written itself.
    public static var uncommitted: Timestamp { Timestamp(rawValue: 0) }

    /// Milliseconds since the beginning of 1970, by PD's clock.
    public var physical: UInt64 { self.rawValue >> 18 }

    /// The count within the millisecond.
    public var logical: UInt64 { self.rawValue & 0x3_ffff }

    /// Whether the first comes before the second.
    public static func < (lhs: Timestamp, rhs: Timestamp) -> Bool { lhs.rawValue < rhs.rawValue }
}

extension Timestamp: CustomStringConvertible {
    /// The raw value.
    public var description: String { String(self.rawValue) }
}
