// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A reason to wait before trying again, with the lengths of its waits: they double from `base` up to `cap`.
///
/// The lengths are those that TiKV's clients have in common, so that a cluster under pressure sees the same manners from
/// all of them.
package struct BackoffKind: Sendable, Hashable {
    /// How a wait is drawn from its nominal length.
    package enum Jitter: Sendable {
        /// The length itself.
        case none
        /// Between half of the length and all of it.
        case equal
        /// Between nothing and the length.
        case full
    }

    package let name: String
    package let base: Duration
    package let cap: Duration
    package let jitter: Jitter

    package init(_ name: String, base: Duration, cap: Duration, jitter: Jitter) {
        self.name = name
        self.base = base
        self.cap = cap
        self.jitter = jitter
    }

    package static func == (lhs: BackoffKind, rhs: BackoffKind) -> Bool { lhs.name == rhs.name }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.name) }

    // MARK: - Kinds

    /// PD or its leader can't be reached.
    package static let pdRPC = BackoffKind("pdRPC", base: .milliseconds(500), cap: .seconds(3), jitter: .equal)
    /// A store can't be reached, or the connection broke.
    package static let tikvRPC = BackoffKind("tikvRPC", base: .milliseconds(100), cap: .seconds(2), jitter: .equal)
    /// What is known of a region turned out wrong, or PD knows no region.
    package static let regionMiss = BackoffKind(
        "regionMiss", base: .milliseconds(2), cap: .milliseconds(500), jitter: .none)
    /// A region is between two leaders, or about to merge.
    package static let regionScheduling = BackoffKind(
        "regionScheduling", base: .milliseconds(2), cap: .milliseconds(500), jitter: .none)
    package static let serverBusy = BackoffKind("serverBusy", base: .seconds(2), cap: .seconds(10), jitter: .equal)
    package static let diskFull = BackoffKind("diskFull", base: .milliseconds(500), cap: .seconds(5), jitter: .none)
    package static let recoveryInProgress = BackoffKind(
        "recoveryInProgress", base: .milliseconds(100), cap: .seconds(10), jitter: .equal)
    package static let isWitness = BackoffKind("isWitness", base: .seconds(1), cap: .seconds(10), jitter: .equal)
    package static let maxTimestampNotSynced = BackoffKind(
        "maxTimestampNotSynced", base: .milliseconds(2), cap: .milliseconds(500), jitter: .none)
    package static let staleCommand = BackoffKind(
        "staleCommand", base: .milliseconds(2), cap: .seconds(1), jitter: .none)
    package static let regionNotInitialized = BackoffKind(
        "regionNotInitialized", base: .milliseconds(2), cap: .seconds(1), jitter: .none)

    // MARK: - Lengths

    /// The wait after so many earlier ones of this kind.
    ///
    /// - Parameter random: from 0 up to 1; where the wait lies within its jitter.
    package func delay(attempt: Int, random: Double) -> Duration {
        var nominal = min(self.base, self.cap)
        // Doubling step by step, as far as the cap, can't overflow.
        for _ in 0..<max(0, attempt) where nominal < self.cap { nominal = min(self.cap, nominal * 2) }
        switch self.jitter {
        case .none: return nominal
        case .equal: return nominal / 2 + nominal / 2 * random
        case .full: return nominal * random
        }
    }
}
