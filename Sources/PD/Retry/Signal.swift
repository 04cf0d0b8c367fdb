// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Something that one task waits for and others tell it: raised before it is waited for, it is not lost.
package final class Signal: Sendable {
    private struct State {
        var isRaised = false
        var waiter: CheckedContinuation<Bool, Never>?
    }

    private let state = Mutex(State())

    package init() {}

    package func raise() {
        let waiter = self.state.withLock { state in
            guard let waiter = state.waiter.take() else {
                state.isRaised = true
                return nil as CheckedContinuation<Bool, Never>?
            }
            return waiter
        }
        waiter?.resume(returning: true)
    }

    /// Returns true once the signal was raised, and lowers it; nil when the task is cancelled.
    package func wait() async -> Bool? {
        let isRaised = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early: Bool? = self.state.withLock { state in
                    if state.isRaised {
                        state.isRaised = false
                        return true
                    }
                    if Task.isCancelled { return false }
                    state.waiter = continuation
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            let waiter = self.state.withLock { $0.waiter.take() }
            waiter?.resume(returning: false)
        }
        return isRaised ? true : nil
    }
}
