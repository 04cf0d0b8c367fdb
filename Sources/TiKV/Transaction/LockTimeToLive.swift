// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How long locks live without a sign of life. Pure.
enum LockTimeToLive {
    /// The least, in milliseconds, and what a transaction that keeps its locks alive asks for.
    static let minimum: UInt64 = 3_000
    static let managed: UInt64 = 20_000
    static let maximum: UInt64 = 20_000
    /// From this size on a transaction needs longer.
    static let largeSize = 16 << 10

    /// The time to live of a commit's locks in milliseconds, from the transaction's start: the larger the transaction, the
    /// longer it takes, as the square root of its size.
    ///
    /// - Parameters:
    ///   - size: of keys and values, in bytes.
    ///   - age: how old the transaction is, by a clock that does not jump.
    static func commit(size: Int, age: Duration) -> UInt64 {
        var time = Self.minimum
        if size >= Self.largeSize {
            let mebibytes = Double(size) / Double(1 << 20)
            time = UInt64(6_000 * mebibytes.squareRoot())
            time = min(Self.maximum, max(Self.minimum, time))
        }
        return time + self.milliseconds(age)
    }

    /// The time to live of locks that are kept alive.
    ///
    /// - Parameter base: how long they live after a sign of life.
    static func managed(_ base: Duration = .milliseconds(Int64(Self.managed)), age: Duration) -> UInt64 {
        self.milliseconds(base) + self.milliseconds(age)
    }

    static func milliseconds(_ duration: Duration) -> UInt64 {
        UInt64(max(0, duration / .milliseconds(1)))
    }
}

/// When a transaction gives a sign of life, and when it stops. Pure.
struct Heartbeat: Sendable {
    enum Step: Sendable, Hashable {
        /// Wait so long, then tell the store that the lock lives for so many milliseconds from the start.
        case beat(after: Duration)
        case stop
    }

    /// The longest that a transaction is kept alive by default.
    static let longest = Duration.seconds(3_600)
    /// So many failures in a row end it.
    static let allowedFailures = 10

    /// How long after one sign of life the next one follows.
    let interval: Duration
    /// How long a transaction is kept alive.
    let longest: Duration
    private var failures = 0

    /// - Parameter lifetime: how long the lock lives after a sign of life.
    init(
        lifetime: Duration = .milliseconds(Int64(LockTimeToLive.managed)), longest: Duration = Heartbeat.longest
    ) {
        self.interval = lifetime / 2
        self.longest = longest
    }

    /// What to do next.
    mutating func next(age: Duration) -> Step {
        if age >= self.longest || self.failures >= Self.allowedFailures { return .stop }
        return .beat(after: self.interval)
    }

    mutating func succeeded() { self.failures = 0 }

    mutating func failed() { self.failures += 1 }

    /// Whether a transaction needs heartbeats while it commits.
    static func isNeeded(size: Int, isPessimistic: Bool, threshold: Int = 32 << 20) -> Bool {
        isPessimistic || size >= threshold
    }
}
