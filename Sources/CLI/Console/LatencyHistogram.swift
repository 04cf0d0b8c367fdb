// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Counts durations in buckets that are at most 1/128 apart, so a percentile is off by less than 1 %, in constant memory.
struct LatencyHistogram: Sendable {
    /// Values below 2^7 have a bucket each; above, each power of two has 2^7 of them.
    private static let bits = 7
    private var counts = [Int](repeating: 0, count: (64 - Self.bits) << Self.bits)
    private(set) var count = 0
    private(set) var maximum: Duration = .zero
    private(set) var total: Duration = .zero

    mutating func record(_ duration: Duration) {
        self.counts[Self.bucket(UInt64(max(0, Readable.nanoseconds(duration))))] += 1
        self.count += 1
        self.total += duration
        self.maximum = max(self.maximum, duration)
    }

    mutating func merge(_ other: Self) {
        for index in self.counts.indices {
            self.counts[index] += other.counts[index]
        }
        self.count += other.count
        self.total += other.total
        self.maximum = max(self.maximum, other.maximum)
    }

    /// The duration that this share of the recorded ones (0 to 1) does not exceed; zero when there are none.
    func percentile(_ share: Double) -> Duration {
        let rank = max(1, Int((Double(self.count) * share).rounded(.up)))
        var seen = 0
        for (index, count) in self.counts.enumerated() where count > 0 {
            seen += count
            if seen >= rank {
                return min(.nanoseconds(Self.upperEnd(of: index)), self.maximum)
            }
        }
        return .zero
    }

    private static func bucket(_ value: UInt64) -> Int {
        let shift = max(0, 63 - value.leadingZeroBitCount - Self.bits)
        return value < 1 << Self.bits ? Int(value) : (shift << Self.bits) + Int(value >> UInt64(shift))
    }

    private static func upperEnd(of bucket: Int) -> Int64 {
        guard bucket >= 2 << Self.bits else { return Int64(bucket) }
        let shift = (bucket >> Self.bits) - 1
        let base = Int64(bucket - (shift << Self.bits))
        return ((base + 1) << Int64(shift)) - 1
    }
}
