// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The moment at which a call must have ended, over all its parts and attempts.
package struct Deadline: Sendable, Hashable {
    /// Longer timeouts count as this one, so that adding them to the time can't overflow.
    private static let longest = Duration.seconds(10 * 365 * 86_400)

    package let instant: ContinuousClock.Instant

    package init(at instant: ContinuousClock.Instant) {
        self.instant = instant
    }

    /// - Parameter timeout: counted from `now`; a negative one has passed already.
    package init(after timeout: Duration, from now: ContinuousClock.Instant) {
        self.instant = now.advanced(by: max(.zero, min(timeout, Self.longest)))
    }

    /// What is left of the time; zero once it has passed.
    package func remaining(at now: ContinuousClock.Instant) -> Duration {
        max(.zero, now.duration(to: self.instant))
    }

    package func hasPassed(at now: ContinuousClock.Instant) -> Bool {
        now >= self.instant
    }
}

extension TimeSource {
    /// Runs `operation` for at most as long as the deadline allows.
    ///
    /// - Returns: nil where the deadline passed first or the task was cancelled; `operation` is cancelled then.
    package func run<Result: Sendable>(
        before deadline: Deadline, _ operation: @escaping @Sendable () async -> Result?
    ) async -> Result? {
        await withTaskGroup(of: Result?.self) { group in
            group.addTask { await operation() }
            group.addTask {
                try? await self.guardUntil(deadline.instant)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            if let first { return first }
            // The answer may have come while the timer's child was first in line.
            return await group.next() ?? nil
        }
    }
}
