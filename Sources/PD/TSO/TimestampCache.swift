// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The highest timestamp seen, and when it came: what is known of PD's clock without asking.
struct TimestampCache: Sendable {
    private(set) var last: Timestamp?
    /// When `last` came, by our clock.
    private(set) var arrival: ContinuousClock.Instant

    init(now: ContinuousClock.Instant) {
        self.arrival = now
    }

    /// Takes in a timestamp that came just now; one that is not above the last changes nothing.
    mutating func received(_ timestamp: Timestamp, at now: ContinuousClock.Instant) {
        if let last = self.last, timestamp <= last { return }
        self.last = timestamp
        self.arrival = max(self.arrival, now)
    }

    /// PD's clock as it should be now, less some time; nil where nothing is known, or that much time has not gone by
    /// since 1970.
    func estimate(_ age: Duration, at now: ContinuousClock.Instant) -> Timestamp? {
        guard let last = self.last, age < .milliseconds(Int64(clamping: last.physical)) else { return nil }
        let moment = .milliseconds(Int64(clamping: last.physical)) + self.arrival.duration(to: now) - age
        let (seconds, attoseconds) = moment.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        return Timestamp(physical: UInt64(max(0, milliseconds)), logical: 0)
    }
}
