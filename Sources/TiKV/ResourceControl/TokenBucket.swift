// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Tokens that come in at a rate and may be taken in advance, so that whoever takes them waits. Pure.
struct TokenBucket: Sendable, Hashable {
    enum Reservation: Sendable, Equatable {
        /// Taken; to be used after this wait.
        case taken(wait: Duration)
        /// Not taken: it would take longer than allowed until they are there.
        case refused
    }

    private(set) var tokens: Double
    /// Tokens that come in each second.
    private(set) var fillRate: Double
    /// At most so many are kept; 0 keeps all of them, and with less than 0 nobody ever waits.
    private(set) var burstLimit: Int64
    private var last: ContinuousClock.Instant

    init(tokens: Double, fillRate: Double, burstLimit: Int64, now: ContinuousClock.Instant) {
        self.tokens = tokens
        self.fillRate = fillRate
        self.burstLimit = burstLimit
        self.last = now
    }

    var isUnlimited: Bool { self.burstLimit < 0 }

    /// How many there are; less than 0 where some were taken in advance.
    func available(at now: ContinuousClock.Instant) -> Double {
        let seconds = max(0, self.last.duration(to: now) / .seconds(1))
        let filled = self.tokens + self.fillRate * seconds
        guard self.burstLimit > 0 else { return filled }
        return max(min(filled, Double(self.burstLimit)), min(self.tokens, filled))
    }

    /// Takes tokens, in advance where need be.
    mutating func reserve(_ count: Double, at now: ContinuousClock.Instant, atMost limit: Duration) -> Reservation {
        guard !self.isUnlimited, count > 0 else { return .taken(wait: .zero) }
        let rest = self.available(at: now) - count
        var wait = Duration.zero
        if rest < 0 {
            guard self.fillRate > 0 else { return .refused }
            let seconds = -rest / self.fillRate
            guard seconds <= limit / .seconds(1) else { return .refused }
            wait = .nanoseconds(Int64((seconds * 1e9).rounded(.up)))
        }
        self.tokens = rest
        self.last = max(self.last, now)
        return .taken(wait: wait)
    }

    /// Takes tokens without asking whether they are there, or gives some back.
    mutating func charge(_ count: Double, at now: ContinuousClock.Instant) {
        guard !self.isUnlimited else { return }
        self.tokens = self.available(at: now) - count
        self.last = max(self.last, now)
    }

    /// PD gave tokens, and says how they come in from now on.
    mutating func refill(
        _ granted: Double, fillRate: Double, burstLimit: Int64, at now: ContinuousClock.Instant
    ) {
        self.tokens = self.available(at: now) + granted
        self.fillRate = fillRate
        self.burstLimit = burstLimit
        self.last = max(self.last, now)
    }
}
