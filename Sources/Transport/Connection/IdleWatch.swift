// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Decides whether a connection is idle, from what is seen of it at each look, an idle time apart.
struct IdleWatch: Sendable {
    /// Calls and commands that were started so far.
    private var started: UInt64 = 0
    /// Nil before the first look.
    private var startedAtLastLook: UInt64?

    mutating func began() {
        self.started &+= 1
    }

    /// Whether nothing was started since the last look, and nothing is under way.
    mutating func look(underWay: Int) -> Bool {
        defer { self.startedAtLastLook = self.started }
        return underWay == 0 && self.started == self.startedAtLastLook
    }
}
