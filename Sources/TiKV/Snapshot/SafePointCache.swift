// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// How far garbage collection has come, as PD said last. Pure.
struct SafePointCache: Sendable {
    enum Verdict: Sendable, Hashable {
        case visible
        /// Versions of that time may be gone; this is from when on they are there.
        case collected(UInt64)
        /// PD must be asked first.
        case unknown
    }

    /// Collection never comes this close to the present: its life time is at least minutes.
    static let youngest: UInt64 = 30_000
    /// How long PD's word is taken for good.
    static let lifetime = Duration.seconds(10)

    private var safePoint: UInt64 = 0
    private var receivedAt: ContinuousClock.Instant?

    /// - Parameter latest: the latest timestamp that this client has seen; nil where there is none.
    func verdict(of timestamp: UInt64, latest: UInt64?, now: ContinuousClock.Instant) -> Verdict {
        if let latest, (timestamp >> 18) + Self.youngest > latest >> 18 { return .visible }
        // It never goes back.
        if timestamp < self.safePoint { return .collected(self.safePoint) }
        guard let receivedAt, receivedAt.advanced(by: Self.lifetime) > now else { return .unknown }
        return .visible
    }

    mutating func received(_ safePoint: UInt64, at now: ContinuousClock.Instant) {
        self.safePoint = max(self.safePoint, safePoint)
        self.receivedAt = now
    }
}
