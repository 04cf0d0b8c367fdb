// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How well a store does, as seen by this client and as told by the store itself. Pure: times are given to it.
struct StoreHealth: Sendable {
    /// From this score on a store is slow, on either scale: 1 is healthy, 100 the worst.
    static let slowThreshold = 80.0

    private(set) var client = ClientSlowScore()
    private(set) var server = ServerSlowScore()
    private var load: (wait: Duration, since: ContinuousClock.Instant)?

    /// Slow while either side says so.
    var isSlow: Bool { self.client.score >= Self.slowThreshold || self.server.score >= Self.slowThreshold }

    /// Something happened after which the store should be avoided for a while.
    mutating func markSlow() {
        self.client.markSlow()
    }

    /// What the store says of itself beside its answers, or asked for it.
    mutating func feedback(score: Int32, sequence: UInt64, at now: ContinuousClock.Instant) {
        self.server.update(score: score, sequence: sequence, at: now)
    }

    /// To be called about once a second, with the requests of that time.
    ///
    /// - Returns: whether the store should be asked how it does: it was slow, and has said nothing for a while.
    mutating func tick(count: Int, latency: Duration, at now: ContinuousClock.Instant) -> Bool {
        self.client.tick(count: count, latency: latency)
        return self.server.tick(at: now)
    }

    // MARK: - Load

    /// The store has told how long a request would wait in its queue.
    mutating func noteEstimatedWait(_ wait: Duration, at now: ContinuousClock.Instant) {
        self.load = (wait, now)
    }

    /// How long a request would wait there, at best: what the store said, less the time since.
    func estimatedWait(at now: ContinuousClock.Instant) -> Duration {
        guard let load = self.load else { return .zero }
        return max(.zero, load.wait - load.since.duration(to: now))
    }
}

/// A store's slow score by the times that its answers take.
///
/// A store gets slow when answers take longer while fewer of them come: load alone makes both grow, and a change of what is
/// asked for alone changes the times but not the count for long.
struct ClientSlowScore: Sendable {
    /// Seconds that are compared.
    private static let window = 10
    /// A change below a tenth is noise.
    private static let noise = 0.1
    private static let steepestRise = 5.0
    /// An answer that took this long makes a store slow by itself.
    static let worstLatency = Duration.seconds(30)

    private(set) var score = 1.0
    private var latencies: [Double] = []
    private var counts: [Double] = []

    mutating func markSlow() { self.score = 100 }

    /// - Parameters:
    ///   - count: requests answered since the last tick.
    ///   - latency: the time they took, all together.
    mutating func tick(count: Int, latency: Duration) {
        guard count > 0 else {
            self.sink(by: 2)
            return
        }
        let mean = latency / .seconds(1) / Double(count)
        let slower = Self.change(of: mean, against: self.latencies)
        let more = Self.change(of: Double(count), against: self.counts)
        Self.append(mean, to: &self.latencies)
        Self.append(Double(count), to: &self.counts)
        if slower >= Self.noise, more <= -Self.noise {
            self.score = min(100, self.score * min(Self.steepestRise, max(1, slower / -more)) + 1)
        } else {
            self.sink(by: min(2.7, 1 + abs(more)))
        }
    }

    private mutating func sink(by amount: Double) {
        self.score = max(1, self.score - amount)
    }

    private static func change(of value: Double, against history: [Double]) -> Double {
        guard !history.isEmpty else { return 0 }
        let mean = history.reduce(0, +) / Double(history.count)
        return mean > 0 ? (value - mean) / mean : 0
    }

    private static func append(_ value: Double, to history: inout [Double]) {
        history.append(value)
        if history.count > Self.window { history.removeFirst() }
    }
}

/// A store's slow score by its own word.
struct ServerSlowScore: Sendable {
    /// Reports that come faster than this are not looked at.
    private static let shortestInterval = Duration.milliseconds(100)
    /// A slow store that says nothing for so long is asked.
    private static let longestSilence = Duration.seconds(15)
    /// Points that a score loses in a second without news: 20 in a minute.
    private static let decay = 20.0 / 60

    /// 1 where the store has said nothing.
    private(set) var score = 1.0
    private var sequence: UInt64 = 0
    private var lastReport: ContinuousClock.Instant?
    /// When the score last changed, by a report or by silence.
    private var lastChange: ContinuousClock.Instant?

    mutating func update(score: Int32, sequence: UInt64, at now: ContinuousClock.Instant) {
        // 0 is a store that counts nothing.
        if sequence != 0, sequence < self.sequence { return }
        if let last = self.lastReport, last.duration(to: now) < Self.shortestInterval { return }
        self.score = min(100, max(1, Double(score)))
        self.sequence = sequence
        self.lastReport = now
        self.lastChange = now
    }

    /// - Returns: whether the store should be asked.
    mutating func tick(at now: ContinuousClock.Instant) -> Bool {
        guard self.score > 1, let last = self.lastChange else { return false }
        let silence = last.duration(to: now)
        guard silence >= Self.longestSilence else { return false }
        self.score = max(1, self.score - Self.decay * (silence / .seconds(1)))
        self.lastChange = now
        return true
    }
}
