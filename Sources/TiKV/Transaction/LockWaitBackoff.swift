// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// How long a commit waits for other transactions' locks: longer and longer for the same one, and anew for each that takes its
/// place. Else who has waited the longest would look the least often, and be overtaken by all who have just come. Pure.
struct LockWaitBackoff: Sendable {
    /// The waits for those that are in the way now.
    var backoff = Backoff()
    private var holders: Set<UInt64> = []

    /// Locks of these transactions are in the way.
    mutating func met(_ starts: [UInt64]) {
        let starts = Set(starts)
        if self.holders.isDisjoint(with: starts) { self.backoff = Backoff() }
        self.holders = starts
    }
}
