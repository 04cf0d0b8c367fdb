// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Hands out timestamps: milliseconds and a counter of 18 bits within each of them, always above all earlier ones.
struct TimestampOracle: Sendable {
    private var physical: UInt64 = 0
    private var logical: UInt64 = 0
    /// Up to which time the leader may hand out timestamps, as it has put down for its successor.
    private var window: UInt64 = 0
    /// How far ahead that is.
    private static let windowSize: UInt64 = 3_000

    /// The bits of the counter, and so the place of the milliseconds in the 64-bit form.
    static let logicalBits: UInt64 = 18

    /// Takes `count` timestamps and gives the last one of them, or nil where so many do not fit into a millisecond.
    ///
    /// A clock that stands still or goes back does not hold the timestamps up: when the counter is used up, the oracle
    /// goes a millisecond ahead of the clock.
    mutating func allocate(count: UInt32, milliseconds: UInt64) -> (physical: UInt64, logical: UInt64)? {
        let limit: UInt64 = 1 << Self.logicalBits
        guard count > 0, UInt64(count) < limit else { return nil }
        if milliseconds > self.physical {
            self.physical = milliseconds
            self.logical = 0
        }
        if self.logical + UInt64(count) >= limit {
            self.physical += 1
            self.logical = 0
        }
        self.logical += UInt64(count)
        if self.physical >= self.window { self.window = self.physical + Self.windowSize }
        return (self.physical, self.logical)
    }

    /// Another member leads: it knows not what its predecessor gave, only up to where it might have, and begins behind that.
    mutating func leaderChanged(milliseconds: UInt64) {
        guard self.window > 0 else { return }
        self.physical = max(milliseconds, self.window + 1)
        self.logical = 0
        self.window = self.physical + Self.windowSize
    }
}
