// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The time by which requests wait for locks.
protocol WaitClock: Sendable {
    /// Never goes back.
    var milliseconds: UInt64 { get }

    /// Returns at a time, or throws as soon as the task is cancelled.
    func sleep(until milliseconds: UInt64) async throws
}

/// The machine's clock.
struct SystemWaitClock: WaitClock {
    private let start = ContinuousClock.now

    var milliseconds: UInt64 {
        let (seconds, attoseconds) = self.start.duration(to: .now).components
        return UInt64(max(0, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    }

    func sleep(until milliseconds: UInt64) async throws {
        let end = self.start.advanced(by: .milliseconds(Int64(clamping: milliseconds)))
        // The one wait for a time in the embedded cluster, and a cancellable one; tests put another clock here.
        try await Task.sleep(until: end, clock: .continuous)
    }
}
