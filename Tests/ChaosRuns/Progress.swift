// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// How far the workers of a run have come: what disturbs them keeps step with it, so that no time need be waited for.
final class Progress: Sendable {
    private struct State {
        var count = 0
        var isOver = false
        var waiters: [(target: Int, continuation: CheckedContinuation<Bool, Never>)] = []
    }

    private let state = Mutex(State())

    var count: Int { self.state.withLock { $0.count } }
    var isOver: Bool { self.state.withLock { $0.isOver } }

    /// A worker has ended something.
    func step() {
        let woken = self.state.withLock { state in
            state.count += 1
            let woken = state.waiters.filter { $0.target <= state.count }
            if !woken.isEmpty { state.waiters.removeAll { $0.target <= state.count } }
            return woken
        }
        for waiter in woken { waiter.continuation.resume(returning: true) }
    }

    /// There will be no more.
    func end() {
        let woken = self.state.withLock { state in
            state.isOver = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in woken { waiter.continuation.resume(returning: false) }
    }

    /// Returns when so many more steps were made; false where there will be none.
    func waitForMore(_ count: Int) async -> Bool { await self.wait(until: self.count + count) }

    /// Returns when so many steps were made in all; false where there will not be so many.
    func wait(until target: Int) async -> Bool {
        await withCheckedContinuation { continuation in
            let early: Bool? = self.state.withLock { state in
                if state.count >= target { return true }
                if state.isOver { return false }
                state.waiters.append((target, continuation))
                return nil
            }
            if let early { continuation.resume(returning: early) }
        }
    }
}
