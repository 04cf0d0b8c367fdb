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
        /// Between the shortest wait and three times the last one.
        case decorrelated
    }

    package let name: String
    package let base: Duration
    package let cap: Duration
    package let jitter: Jitter
    /// How much of these waits does not count against a budget; zero for most kinds.
    package let excludedUpTo: Duration

    package init(
        _ name: String, base: Duration, cap: Duration, jitter: Jitter, excludedUpTo: Duration = .zero
    ) {
        self.name = name
        self.base = base
        self.cap = cap
        self.jitter = jitter
        self.excludedUpTo = excludedUpTo
    }

    package static func == (lhs: BackoffKind, rhs: BackoffKind) -> Bool { lhs.name == rhs.name }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.name) }

    // MARK: - Kinds

    /// PD or its leader can't be reached.
    package static let pdRPC = BackoffKind("pdRPC", base: .milliseconds(500), cap: .seconds(3), jitter: .equal)
    /// A store can't be reached, or the connection broke.
    package static let tikvRPC = BackoffKind("tikvRPC", base: .milliseconds(100), cap: .seconds(2), jitter: .equal)
    /// The same for a store of the columnar engine.
    package static let tiflashRPC = BackoffKind(
        "tiflashRPC", base: .milliseconds(100), cap: .seconds(2), jitter: .equal)
    /// What is known of a region turned out wrong, or PD knows no region.
    package static let regionMiss = BackoffKind(
        "regionMiss", base: .milliseconds(2), cap: .milliseconds(500), jitter: .none)
    /// A region is between two leaders, or about to merge.
    package static let regionScheduling = BackoffKind(
        "regionScheduling", base: .milliseconds(2), cap: .milliseconds(500), jitter: .none)
    /// A store has more to do than it can. Asking for patience is no failure, so that these waits count apart: see
    /// ``Backoff``.
    package static let serverBusy = BackoffKind(
        "serverBusy", base: .seconds(2), cap: .seconds(10), jitter: .equal, excludedUpTo: .seconds(600))
    /// The same for a store of the columnar engine, whose waits count in full.
    package static let tiflashServerBusy = BackoffKind(
        "tiflashServerBusy", base: .seconds(2), cap: .seconds(10), jitter: .equal)
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
    /// A key is locked by another transaction that may take its time.
    package static let txnLock = BackoffKind("txnLock", base: .milliseconds(100), cap: .seconds(3), jitter: .equal)
    /// A key is locked by another transaction that is about to finish.
    package static let txnLockFast = BackoffKind(
        "txnLockFast", base: .milliseconds(10), cap: .seconds(3), jitter: .equal)
    /// The primary key of a transaction has no lock yet, nor a trace of one.
    package static let txnNotFound = BackoffKind(
        "txnNotFound", base: .milliseconds(2), cap: .milliseconds(500), jitter: .none)
    /// The timestamps of PD lag behind the one that a commit must have.
    package static let commitTSLag = BackoffKind(
        "commitTSLag", base: .milliseconds(2), cap: .milliseconds(500), jitter: .none)

    // MARK: - Lengths

    /// The wait after so many earlier ones of this kind.
    ///
    /// - Parameters:
    ///   - random: from 0 up to 1; where the wait lies within its jitter.
    ///   - last: the wait before; nil where this is the first.
    package func delay(attempt: Int, random: Double, last: Duration? = nil) -> Duration {
        var nominal = min(self.base, self.cap)
        // Doubling step by step, as far as the cap, can't overflow.
        for _ in 0..<max(0, attempt) where nominal < self.cap { nominal = min(self.cap, nominal * 2) }
        switch self.jitter {
        case .none: return nominal
        case .equal: return nominal / 2 + nominal / 2 * random
        case .full: return nominal * random
        case .decorrelated:
            let longest = max(self.base, (last ?? self.base) * 3)
            return min(self.cap, self.base + (longest - self.base) * random)
        }
    }
}
