// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Puts details together as text: `name: value`, without what is zero.
struct DetailText {
    private var parts: [String] = []

    /// What was put together.
    var text: String { self.parts.joined(separator: ", ") }

    mutating func add(_ name: String, _ duration: Duration) {
        if duration != .zero { self.parts.append("\(name): \(Self.words(duration))") }
    }

    mutating func add(_ name: String, _ count: UInt64) {
        if count != 0 { self.parts.append("\(name): \(count)") }
    }

    mutating func add(_ name: String, text: String) {
        if !text.isEmpty { self.parts.append("\(name): {\(text)}") }
    }

    mutating func add(always name: String, _ value: String) {
        self.parts.append("\(name): \(value)")
    }

    /// A time in the largest unit of which it has one, with up to three digits behind the point.
    static func words(_ duration: Duration) -> String {
        let nanoseconds = duration / .nanoseconds(1)
        for (unit, size) in [("s", 1e9), ("ms", 1e6), ("µs", 1e3)] where abs(nanoseconds) >= size {
            return Self.words(nanoseconds / size) + unit
        }
        return Self.words(nanoseconds) + "ns"
    }

    /// A number with up to three digits behind the point.
    static func words(_ number: Double) -> String {
        let thousandths = Int64((number * 1000).rounded())
        var digits = "\(abs(thousandths) % 1000 + 1000)".dropFirst()
        while digits.last == "0" { digits.removeLast() }
        let sign = thousandths < 0 ? "-" : ""
        let whole = "\(sign)\(abs(thousandths) / 1000)"
        return digits.isEmpty ? whole : "\(whole).\(digits)"
    }
}

extension Duration {
    /// From a count of a message, which may be any.
    static func nanoseconds(_ count: UInt64) -> Duration { .nanoseconds(Int64(clamping: count)) }
}
