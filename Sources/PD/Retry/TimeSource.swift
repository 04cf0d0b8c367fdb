// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Where the client gets the time from, and how it waits: tests put a clock of their own here.
package protocol TimeSource: Sendable {
    /// A time that never goes backwards.
    var now: ContinuousClock.Instant { get }

    /// Waits until `instant`; throws as soon as the task is cancelled.
    func sleep(until instant: ContinuousClock.Instant) async throws(CancellationError)

    /// Waits until `instant` beside work that is given up then; throws as soon as the task is cancelled.
    ///
    /// The same as `sleep(until:)` but for clocks that cut pauses short: those must not end other work with them.
    func guardUntil(_ instant: ContinuousClock.Instant) async throws(CancellationError)
}

extension TimeSource {
    package func guardUntil(_ instant: ContinuousClock.Instant) async throws(CancellationError) {
        try await self.sleep(until: instant)
    }
}

/// The machine's clock.
package struct SystemTimeSource: TimeSource {
    package init() {}

    package var now: ContinuousClock.Instant { .now }

    package func sleep(until instant: ContinuousClock.Instant) async throws(CancellationError) {
        do {
            // The one wait in the library, and a cancellable one; everything else waits through a `TimeSource`.
            try await Task.sleep(until: instant, clock: .continuous)
        } catch {
            throw CancellationError()
        }
    }
}
