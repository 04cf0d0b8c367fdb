// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Numbers as people read them.
enum Readable {
    /// `34924` → `34,924`
    static func count(_ value: Int) -> String {
        var digits = String(value.magnitude)
        var groups: [Substring] = []
        while digits.count > 3 {
            groups.append(digits.suffix(3))
            digits = String(digits.dropLast(3))
        }
        return (value < 0 ? "-" : "") + ([Substring(digits)] + groups.reversed()).joined(separator: ",")
    }

    /// In the unit that leaves one to three digits before the point: `870 µs`, `1.3 ms`, `12.0 s`
    static func duration(_ duration: Duration) -> String {
        let nanoseconds = self.nanoseconds(duration)
        return switch nanoseconds {
        case ..<1000: "\(nanoseconds) ns"
        case ..<1_000_000: self.tenths(nanoseconds, per: 1000) + " µs"
        case ..<1_000_000_000: self.tenths(nanoseconds, per: 1_000_000) + " ms"
        default: self.tenths(nanoseconds, per: 1_000_000_000) + " s"
        }
    }

    /// How many in a second: `27,000/s`
    static func rate(_ count: Int, in duration: Duration) -> String {
        self.count(self.perSecond(count, in: duration)) + "/s"
    }

    static func perSecond(_ count: Int, in duration: Duration) -> Int {
        Int((Double(count) / max(duration / .seconds(1), 1e-9)).rounded())
    }

    /// `1.8 MB`
    static func bytes(_ count: Int) -> String {
        switch count {
        case ..<1000: "\(count) B"
        case ..<1_000_000: self.tenths(Int64(count), per: 1000) + " kB"
        default: self.tenths(Int64(count), per: 1_000_000) + " MB"
        }
    }

    static func nanoseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    private static func tenths(_ value: Int64, per unit: Int64) -> String {
        let tenths = (value * 10 + unit / 2) / unit
        return "\(tenths / 10).\(tenths % 10)"
    }
}
