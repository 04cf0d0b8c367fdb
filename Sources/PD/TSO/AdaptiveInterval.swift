// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How often the low-resolution timestamp is fetched: as configured, more often while reads ask for data that are nearly
/// as fresh as it, and slowly back to what is configured when no such read has come for a while.
///
/// Else such reads would find their timestamp above the low-resolution one each time, and have to ask PD.
struct AdaptiveInterval: Sendable {
    enum Phase: Sendable, Equatable {
        /// As configured.
        case normal
        /// Shorter than configured, as reads need it.
        case adapting
        /// On its way back to what is configured.
        case recovering
        /// So short by configuration that there is nothing to adapt.
        case fixed
    }

    /// Reads can't make it shorter than this.
    static let shortest = Duration.milliseconds(500)
    /// How much shorter than a read's staleness it becomes, so that the next read of the kind changes nothing.
    static let margin = Duration.milliseconds(100)
    /// A read whose staleness is within this above the interval keeps it from growing.
    static let holdDistance = Duration.milliseconds(200)
    /// Growth in each second of recovery.
    static let growthPerSecond = Duration.milliseconds(20)
    /// Time without such reads after which it begins to grow.
    static let recoveryDelay = Duration.seconds(300)

    private(set) var configured: Duration
    private(set) var current: Duration
    private(set) var phase = Phase.normal
    /// The last read that asked for data nearly as fresh as the low-resolution timestamp.
    private(set) var lastShortRead: ContinuousClock.Instant?
    /// When the timestamp was fetched last.
    private(set) var lastTick: ContinuousClock.Instant

    init(_ configured: Duration, now: ContinuousClock.Instant) {
        self.configured = configured
        self.current = configured
        self.lastTick = now
        if configured <= Self.shortest { self.phase = .fixed }
    }

    /// Sets what is configured. It holds at once, unless reads keep the interval shorter than that.
    mutating func configure(_ interval: Duration) {
        guard interval != self.configured else { return }
        if self.current == self.configured || interval < self.current { self.current = interval }
        self.configured = interval
    }

    /// The timestamp was fetched.
    mutating func ticked(at now: ContinuousClock.Instant) {
        self.lastTick = now
    }

    /// A read asked for data of this age.
    ///
    /// - Returns: whether the interval has to shrink now for its sake.
    mutating func read(staleness: Duration, at now: ContinuousClock.Instant) -> Bool {
        if staleness <= self.current + Self.holdDistance {
            self.lastShortRead = self.lastShortRead.map { max($0, now) } ?? now
        }
        return staleness <= self.current && self.current > Self.shortest
    }

    /// Shrinks at once, for a read that asks for data of this age.
    mutating func shrink(for staleness: Duration, at now: ContinuousClock.Instant) {
        if self.adoptFixed() { return }
        _ = self.adapt(max(staleness, .milliseconds(1)), at: now)
    }

    /// The interval from now on; to be called before each fetch.
    mutating func next(at now: ContinuousClock.Instant) {
        if self.adoptFixed() || self.adapt(nil, at: now) { return }
        if self.current == self.configured {
            self.phase = .normal
            return
        }
        let seconds = self.lastTick.duration(to: now) / .seconds(1)
        self.current = min(self.configured, self.current + Self.growthPerSecond * max(0, seconds))
        self.phase = self.current == self.configured ? .normal : .recovering
    }

    // MARK: - Private

    private mutating func adoptFixed() -> Bool {
        guard self.configured <= Self.shortest else { return false }
        self.current = self.configured
        self.phase = .fixed
        return true
    }

    private mutating func adapt(_ staleness: Duration?, at now: ContinuousClock.Instant) -> Bool {
        if let staleness, staleness < self.current, self.current > Self.shortest {
            self.current = max(staleness - Self.margin, Self.shortest)
            self.phase = .adapting
            return true
        }
        guard self.current != self.configured, let last = self.lastShortRead,
            last.duration(to: now) < Self.recoveryDelay
        else { return false }
        self.phase = .adapting
        return true
    }
}
