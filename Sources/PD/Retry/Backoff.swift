// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Counts the waits of one call and says how long the next one is. Reads no clock and draws no random number itself.
package struct Backoff: Sendable {
    /// The waits so far, by kind. A call rarely meets more than two kinds, so a list is enough.
    private var counts: [(kind: BackoffKind, attempts: Int, total: Duration)] = []
    private var isLastChance = false

    /// The time waited in all.
    package private(set) var total: Duration = .zero

    package init() {}

    /// How many waits there were of any kind.
    package var attempts: Int { self.counts.reduce(0) { $0 + $1.attempts } }

    /// The kind that took the longest, which is the best single reason for a failure in the end.
    package var longest: BackoffKind? {
        self.counts.max { $0.total < $1.total }?.kind
    }

    /// The next wait, or nil where what is left of the time doesn't allow one more attempt.
    ///
    /// A wait that would outlast the deadline is cut once, to leave a quarter of the time for one last attempt.
    ///
    /// - Parameters:
    ///   - remaining: what is left until the call's deadline.
    ///   - random: from 0 up to 1, for the jitter.
    ///   - hint: what the server asks for, in place of the kind's own length.
    package mutating func next(
        _ kind: BackoffKind, remaining: Duration, random: Double, hint: Duration? = nil
    ) -> Duration? {
        guard remaining > .zero, !self.isLastChance else { return nil }
        let index: Int
        if let known = self.counts.firstIndex(where: { $0.kind == kind }) {
            index = known
        } else {
            index = self.counts.count
            self.counts.append((kind, 0, .zero))
        }
        var delay = hint ?? kind.delay(attempt: self.counts[index].attempts, random: random)
        if delay >= remaining {
            delay = remaining / 4 * 3
            self.isLastChance = true
        }
        self.counts[index].attempts += 1
        self.counts[index].total += delay
        self.total += delay
        return delay
    }
}
