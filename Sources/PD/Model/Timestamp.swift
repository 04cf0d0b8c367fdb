// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A moment in the order of all transactions: PD's clock in milliseconds, and a count within each of them.
package struct Timestamp: Sendable, Hashable {
    /// The bits of the count, and so the place of the milliseconds in the 64-bit form.
    package static let logicalBits = 18
    /// The first timestamp of all.
    package static let zero = Timestamp(rawValue: 0)
    /// Stands for "the latest" where a read names it.
    package static let max = Timestamp(rawValue: .max)

    /// As it is on the wire: the milliseconds, then the count in the lowest 18 bits.
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// - Parameters:
    ///   - physical: milliseconds since the beginning of 1970, up to 46 bits; more are cut off.
    ///   - logical: a count of more than 18 bits carries over into the milliseconds, as in every client of TiKV.
    package init(physical: UInt64, logical: UInt64) {
        self.rawValue = (physical << Self.logicalBits) &+ logical
    }

    /// Milliseconds since the beginning of 1970, by PD's clock.
    package var physical: UInt64 { self.rawValue >> Self.logicalBits }

    /// The count within the millisecond.
    package var logical: UInt64 { self.rawValue & ((1 << Self.logicalBits) - 1) }

    /// The time from an earlier timestamp to this one, in whole milliseconds; negative where that one is later.
    package func duration(since earlier: Timestamp) -> Duration {
        .milliseconds(Int64(self.physical) - Int64(earlier.physical))
    }
}

extension Timestamp: Comparable {
    package static func < (lhs: Timestamp, rhs: Timestamp) -> Bool { lhs.rawValue < rhs.rawValue }
}

extension Timestamp: CustomStringConvertible {
    package var description: String { String(self.rawValue) }
}
