// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Where garbage collection is, as far as known: what began before it may find its data gone. Pure.
struct SafePointCache: Sendable {
    /// How long what is known is trusted.
    static let lifetime = Duration.seconds(100)
    /// So much earlier it is not trusted any more: the safe point may move right after the check.
    static let margin = Duration.seconds(10)
    /// How often it is asked for.
    static let interval = Duration.seconds(10)
    /// How soon again where that failed.
    static let retryInterval = Duration.seconds(1)

    /// Collection never comes this close to the present, in milliseconds: its life time is at least minutes.
    static let youngest: UInt64 = 30_000

    /// What a look at a timestamp finds.
    enum Verdict: Sendable, Equatable {
        /// Its data are there.
        case visible
        /// They may be gone.
        case collected(safePoint: UInt64)
        /// What is known is too old to say.
        case outdated
        /// Nothing is known so far.
        case unknown
    }

    private(set) var safePoint: UInt64 = 0
    /// When it was asked for last.
    private var fetched: ContinuousClock.Instant?

    /// Takes in what PD said. It never goes back.
    ///
    /// - Parameter now: when PD was asked, and not when the answer came.
    mutating func received(_ safePoint: UInt64, at now: ContinuousClock.Instant) {
        self.safePoint = max(self.safePoint, safePoint)
        self.fetched = self.fetched.map { max($0, now) } ?? now
    }

    /// Whether data are still there as they were at a timestamp.
    ///
    /// - Parameter latest: the latest timestamp that this client has seen; nil where there is none.
    func verdict(on timestamp: UInt64, latest: UInt64? = nil, now: ContinuousClock.Instant) -> Verdict {
        if timestamp < self.safePoint { return .collected(safePoint: self.safePoint) }
        // Nobody need be asked about young moments.
        if let latest, (timestamp >> 18) + Self.youngest > latest >> 18 { return .visible }
        guard let fetched = self.fetched else { return .unknown }
        return fetched.duration(to: now) > Self.lifetime - Self.margin ? .outdated : .visible
    }
}
