// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// One read of a snapshot, over all its tries: at which moment, past which locks, and what it has waited. Pure.
struct SnapshotReading: Sendable {
    /// `UInt64.max` for the latest state.
    let timestamp: UInt64
    let deadline: Deadline
    var passed: PassedLocks
    var backoff = Backoff()
    private(set) var hasMetLock = false
    /// Of a read of one key in its latest state: the transaction whose lock was met first.
    private var first: UInt64?

    init(at timestamp: UInt64, passing passed: PassedLocks, deadline: Deadline) {
        self.timestamp = timestamp
        self.passed = passed
        self.deadline = deadline
    }

    var isOfLatest: Bool { self.timestamp == .max }

    /// Takes note of locks that were met.
    ///
    /// - Returns: those that something must be done about. A read of the latest state has done its duty by waiting for the
    ///   first transaction that it met: whoever holds the lock after that began later than the read, which need not see it.
    mutating func meet(_ locks: [Lock]) -> [Lock] {
        self.hasMetLock = true
        guard self.isOfLatest else { return locks }
        if self.first == nil { self.first = locks.first?.start }
        let later = locks.filter { $0.start != self.first }
        self.passed.add(ignored: later.map(\.start))
        return locks.filter { $0.start == self.first }
    }
}
