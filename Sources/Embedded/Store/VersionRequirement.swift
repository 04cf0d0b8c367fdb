// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Which versions will do, in Cargo's notation: `*`, `1.2`, `^1.2.3`, `~1.2`, `=1.2.3`, `>=1, <3`. Without pre-releases.
struct VersionRequirement: Sendable {
    private enum Operator: String, CaseIterable {
        // Longer ones first, as they begin alike.
        case atLeast = ">="
        case atMost = "<="
        case above = ">"
        case below = "<"
        case exact = "="
        case tilde = "~"
        case caret = "^"
    }

    private struct Comparator {
        var kind: Operator
        /// From one to three numbers.
        var numbers: [UInt64]
    }

    private let comparators: [Comparator]

    /// Nil where the text is no requirement.
    init?(_ text: String) {
        var comparators: [Comparator] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            var part = part.filter { $0 != " " }
            if part == "*" { continue }
            let kind = Operator.allCases.first { part.hasPrefix($0.rawValue) }
            part.removeFirst(kind?.rawValue.count ?? 0)
            guard let numbers = Self.numbers(part) else { return nil }
            comparators.append(Comparator(kind: kind ?? .caret, numbers: numbers))
        }
        self.comparators = comparators
    }

    func isMet(by version: String) -> Bool {
        guard let version = Self.numbers(version), version.count == 3 else { return false }
        return self.comparators.allSatisfy { Self.isMet($0, by: version) }
    }

    private static func numbers(_ text: String) -> [UInt64]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { UInt64($0) }
        return numbers.count == parts.count && (1...3).contains(numbers.count) ? numbers : nil
    }

    private static func isMet(_ comparator: Comparator, by version: [UInt64]) -> Bool {
        let named = comparator.numbers
        let start = Array(version.prefix(named.count))
        switch comparator.kind {
        case .exact: return start == named
        case .atLeast: return !start.lexicographicallyPrecedes(named)
        case .atMost: return !named.lexicographicallyPrecedes(start)
        case .above: return named.lexicographicallyPrecedes(start)
        case .below: return start.lexicographicallyPrecedes(named)
        case .tilde:
            let fixed = min(2, named.count)
            return !start.lexicographicallyPrecedes(named) && Array(version.prefix(fixed)) == Array(named.prefix(fixed))
        case .caret:
            // Up to and including the first number that isn't zero, nothing may change.
            let fixed = (named.firstIndex { $0 > 0 } ?? named.count - 1) + 1
            return !start.lexicographicallyPrecedes(named) && Array(version.prefix(fixed)) == Array(named.prefix(fixed))
        }
    }
}
