// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Counts the waits of one call and says how long the next one is. Reads no clock and draws no random number itself.
///
/// A value: a copy goes on from where the original was, which is how the parts of a call that go side by side share what
/// was waited so far; `merge(_:)` takes back what a part has waited.
package struct Backoff: Sendable {
    /// The waits of one kind.
    package struct Count: Sendable, Hashable {
        package var kind: BackoffKind
        package var waits: Int
        package var total: Duration
        fileprivate var last: Duration?
    }

    /// How many of the reasons for waiting are kept.
    package static let keptReasons = 3

    /// The waits so far, by kind. A call rarely meets more than two kinds, so a list is enough.
    package private(set) var counts: [Count] = []
    /// Why the last waits were taken, the latest last.
    package private(set) var reasons: [String] = []
    /// The time waited in all.
    package private(set) var total: Duration = .zero
    /// The part of it that does not count against the budget.
    package private(set) var excluded: Duration = .zero
    /// The most that may be waited in all; nil where only the deadline ends a call.
    package let budget: Duration?
    private var isLastChance = false

    package init(budget: Duration? = nil) {
        self.budget = budget
    }

    /// How many waits there were of any kind.
    package var attempts: Int { self.counts.reduce(0) { $0 + $1.waits } }

    /// How many waits there were of one kind.
    package func waits(_ kind: BackoffKind) -> Int {
        self.counts.first { $0.kind == kind }?.waits ?? 0
    }

    /// The kind that took the longest, which is the best single reason for a failure in the end.
    package var longest: BackoffKind? {
        self.counts.max { $0.total < $1.total }?.kind
    }

    // MARK: - Waiting

    /// The next wait, or nil where what is left of the time or of the budget doesn't allow one more attempt.
    ///
    /// A wait that would outlast the deadline is cut once, to leave a quarter of the time for one last attempt.
    ///
    /// - Parameters:
    ///   - remaining: what is left until the call's deadline.
    ///   - random: from 0 up to 1, for the jitter.
    ///   - hint: what the server asks for, in place of the kind's own length.
    ///   - longest: the most that this wait may take.
    ///   - reason: why, for the report.
    package mutating func next(
        _ kind: BackoffKind, remaining: Duration, random: Double, hint: Duration? = nil,
        atMost longest: Duration? = nil,
        reason: String? = nil
    ) -> Duration? {
        guard remaining > .zero, !self.isLastChance, !self.isSpent(kind) else { return nil }
        let index: Int
        if let known = self.counts.firstIndex(where: { $0.kind == kind }) {
            index = known
        } else {
            index = self.counts.count
            self.counts.append(Count(kind: kind, waits: 0, total: .zero, last: nil))
        }
        let count = self.counts[index]
        var delay = hint ?? kind.delay(attempt: count.waits, random: random, last: count.last)
        if let longest { delay = min(delay, longest) }
        if delay >= remaining {
            delay = remaining / 4 * 3
            self.isLastChance = true
        }
        self.counts[index].waits += 1
        self.counts[index].total += delay
        self.counts[index].last = delay
        self.total += delay
        if kind.excludedUpTo > .zero { self.excluded += delay }
        if let reason { self.keep(reason) }
        return delay
    }

    /// Whether the budget allows no wait of this kind any more.
    private func isSpent(_ kind: BackoffKind) -> Bool {
        guard let budget = self.budget else { return false }
        if self.total - self.excluded >= budget { return true }
        return kind.excludedUpTo > .zero && self.excluded >= max(kind.excludedUpTo, budget)
    }

    private mutating func keep(_ reason: String) {
        self.reasons.append(reason)
        if self.reasons.count > Self.keptReasons { self.reasons.removeFirst() }
    }

    // MARK: - Parts

    /// Takes back what a copy of this has waited since it was made, in place of what it was then.
    package mutating func merge(_ part: Backoff) {
        self.counts = part.counts
        self.reasons = part.reasons
        self.total = part.total
        self.excluded = part.excluded
        self.isLastChance = part.isLastChance
    }

    /// What was waited, in words: `waited 4.2s: tikvRPC 2 times (225ms), regionMiss 14 times (3.9s)`; empty where nothing was.
    package var report: String {
        guard !self.counts.isEmpty else { return "" }
        let parts = self.counts.map { "\($0.kind.name) \($0.waits) times (\(Self.words($0.total)))" }
        return "waited \(Self.words(self.total)): \(parts.joined(separator: ", "))"
    }

    private static func words(_ duration: Duration) -> String {
        let milliseconds = duration / .milliseconds(1)
        if milliseconds < 1000 { return "\(Int(milliseconds.rounded()))ms" }
        return "\((milliseconds / 100).rounded() / 10)s"
    }
}
