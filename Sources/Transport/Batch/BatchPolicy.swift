// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Whether the first command of a message waits for more: what client-go calls `batch-policy`.
package struct BatchPolicy: Sendable, Equatable {
    package enum Rule: Int, Sendable {
        /// Always, for as long as the wait is; which may be no time at all.
        case always = 0
        /// Where commands have come at short intervals lately.
        case byInterval = 1
        /// Where most commands have come soon after each other lately.
        case byProbability = 2
    }

    package var rule: Rule
    /// The longest wait, in seconds.
    package var wait: Double
    /// Intervals count as no longer than so many waits.
    package var longestInterval: Int
    /// How much the last arrival counts against those before it, from 0 to 1.
    package var weight: Double
    /// Waits where the interval is less than this part of the wait, or the probability greater than it.
    package var threshold: Double
    /// The part of a command from which on an average size is rounded up.
    package var rounding: Double

    package init(
        _ rule: Rule, wait: Double, longestInterval: Int = 0, weight: Double = 0, threshold: Double = 0,
        rounding: Double = 0
    ) {
        self.rule = rule
        self.wait = wait
        self.longestInterval = longestInterval
        self.weight = weight
        self.threshold = threshold
        self.rounding = rounding
    }

    /// Nothing waits: what is asked for in one turn of the event loop goes together all the same.
    package static let basic = BatchPolicy(.always, wait: 0)
    /// Everything waits up to 100 µs.
    package static let positive = BatchPolicy(.always, wait: 0.0001)
    /// Waits up to 100 µs under load.
    package static let standard = BatchPolicy(
        .byInterval, wait: 0.0001, longestInterval: 5, weight: 0.2, threshold: 0.8, rounding: 0.8)

    /// Reads client-go's names `basic`, `standard`, `positive`, or `custom` with parameters as `{"v":1,"t":0.0001,…}`,
    /// whose letters stand for the properties in order; nil where it is none of them.
    package init?(_ text: String) {
        switch text {
        case "basic": self = .basic
        case "standard": self = .standard
        case "positive": self = .positive
        default:
            guard let custom = Self.parse(text.hasPrefix("custom") ? text.dropFirst(6) : text[...]) else { return nil }
            self = custom
        }
    }

    /// Reads one flat object of numbers.
    private static func parse(_ text: Substring) -> BatchPolicy? {
        let text = text.filter { !$0.isWhitespace }
        guard text.hasPrefix("{"), text.hasSuffix("}"), text.count >= 2 else { return nil }
        var policy = BatchPolicy.basic
        for field in text.dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: true) {
            let parts = field.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, let value = Double(parts[1]), value.isFinite, value >= 0, value < 1e9 else {
                return nil
            }
            switch parts[0] {
            case "\"v\"":
                guard let rule = Rule(rawValue: Int(value)) else { return nil }
                policy.rule = rule
            case "\"t\"": policy.wait = value
            case "\"n\"": policy.longestInterval = Int(value)
            case "\"w\"": policy.weight = value
            case "\"p\"": policy.threshold = value
            case "\"q\"": policy.rounding = value
            default: return nil
            }
        }
        return policy
    }
}
