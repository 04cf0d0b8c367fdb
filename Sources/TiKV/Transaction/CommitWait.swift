// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Waits until PD's clock has come as far as a commit must. Pure: timestamps and the time that has passed go in.
struct CommitWait: Sendable {
    enum Step: Sendable, Hashable {
        /// Commit at this timestamp.
        case commit(UInt64)
        /// Ask again after a wait, no longer than this.
        case wait(atMost: Duration)
        case fail
    }

    /// The commit must come after this.
    let target: UInt64
    /// How long to wait for that.
    let patience: Duration
    /// The first timestamp that was too early; 0 where none was.
    private(set) var firstLag: UInt64 = 0
    /// How often a timestamp was too early.
    private(set) var lags = 0

    init(target: UInt64, patience: Duration) {
        self.target = target
        self.patience = patience
    }

    /// PD has answered.
    mutating func received(_ timestamp: UInt64, after passed: Duration) -> Step {
        if timestamp > self.target { return .commit(timestamp) }
        if self.lags == 0 { self.firstLag = timestamp }
        self.lags += 1
        let rest = self.patience - passed
        // PD's clock goes as ours does: what it lags behind is the least that must be waited.
        let gap = Duration.milliseconds(Int64(clamping: (self.target >> 18) - (timestamp >> 18)))
        return rest > .zero && gap <= rest ? .wait(atMost: rest) : .fail
    }
}
