// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Holds calls back where too many of the last ones failed by overload, and lets a few through after a while to see
/// whether that has passed.
package struct CircuitBreaker: Sendable {
    package struct Configuration: Sendable {
        /// The time over which calls are counted; default 30 s.
        package var window: Duration
        /// Fewer calls a second than this open nothing; default 10.
        package var minimumRate: Int
        /// The part of the calls, in percent, whose failure opens it; the default, 0, is never.
        package var errorPercentage: Int
        /// How long it stays open; default 10 s.
        package var coolDown: Duration
        /// Calls that are let through after that, all of which must succeed; default 1.
        package var trials: Int

        package init(
            window: Duration = .seconds(30), minimumRate: Int = 10, errorPercentage: Int = 0,
            coolDown: Duration = .seconds(10), trials: Int = 1
        ) {
            self.window = window
            self.minimumRate = minimumRate
            self.errorPercentage = errorPercentage
            self.coolDown = coolDown
            self.trials = trials
        }
    }

    private enum State {
        case closed(until: ContinuousClock.Instant, calls: Int, failures: Int)
        case open(until: ContinuousClock.Instant)
        case halfOpen(begun: Int, succeeded: Int)
    }

    private let configuration: Configuration
    private var state: State

    init(_ configuration: Configuration, now: ContinuousClock.Instant) {
        self.configuration = configuration
        self.state = .closed(until: now.advanced(by: configuration.window), calls: 0, failures: 0)
    }

    var isOff: Bool { self.configuration.errorPercentage <= 0 }

    /// Whether a call may go. One that went must be reported by `ended`.
    mutating func admits(at now: ContinuousClock.Instant) -> Bool {
        guard !self.isOff else { return true }
        switch self.state {
        case .closed:
            return true
        case .open(let until):
            guard now >= until else { return false }
            self.state = .halfOpen(begun: 1, succeeded: 0)
            return true
        case .halfOpen(let begun, let succeeded):
            guard begun < self.configuration.trials else { return false }
            self.state = .halfOpen(begun: begun + 1, succeeded: succeeded)
            return true
        }
    }

    /// A call that was admitted ended for reasons of its caller's: it says nothing about PD, and somebody else may go.
    mutating func abandoned() {
        guard case .halfOpen(let begun, let succeeded) = self.state else { return }
        self.state = .halfOpen(begun: begun - 1, succeeded: succeeded)
    }

    /// A call that was admitted has ended.
    mutating func ended(overloaded: Bool, at now: ContinuousClock.Instant) {
        guard !self.isOff else { return }
        switch self.state {
        case .closed(let until, let calls, let failures):
            let calls = calls + 1
            let failures = failures + (overloaded ? 1 : 0)
            guard now >= until else {
                self.state = .closed(until: until, calls: calls, failures: failures)
                return
            }
            let needed = Double(self.configuration.minimumRate) * (self.configuration.window / .seconds(1))
            if Double(calls) >= needed, failures * 100 >= calls * self.configuration.errorPercentage {
                self.state = .open(until: now.advanced(by: self.configuration.coolDown))
            } else {
                self.state = .closed(until: now.advanced(by: self.configuration.window), calls: 0, failures: 0)
            }
        case .open:
            break
        case .halfOpen(let begun, let succeeded):
            if overloaded {
                self.state = .open(until: now.advanced(by: self.configuration.coolDown))
            } else if succeeded + 1 >= self.configuration.trials {
                self.state = .closed(until: now.advanced(by: self.configuration.window), calls: 0, failures: 0)
            } else {
                self.state = .halfOpen(begun: begun, succeeded: succeeded + 1)
            }
        }
    }
}
