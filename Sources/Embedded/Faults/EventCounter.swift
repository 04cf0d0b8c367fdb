// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Counts events, and lets tasks wait until there were enough of them.
final class EventCounter: Sendable {
    private struct Waiter {
        var target: Int
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var count = 0
        var nextID = 0
        var waiters: [Int: Waiter] = [:]
    }

    private let state = Mutex(State())

    var count: Int { self.state.withLock { $0.count } }

    func add() {
        let ready = self.state.withLock { state in
            state.count += 1
            let ready = state.waiters.filter { $0.value.target <= state.count }
            for id in ready.keys { state.waiters[id] = nil }
            return ready.values.map(\.continuation)
        }
        for continuation in ready { continuation.resume() }
    }

    /// Returns when there were `target` events, at once where they are past. Throws `CancellationError`.
    func wait(for target: Int) async throws {
        let id = self.state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<Void, any Error>? = self.state.withLock { state in
                    if state.count >= target { return .success(()) }
                    // A cancellation from here on finds the waiter; one from before has set this flag already.
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiters[id] = Waiter(target: target, continuation: continuation)
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            self.state.withLock { $0.waiters.removeValue(forKey: id) }?
                .continuation.resume(throwing: CancellationError())
        }
    }
}
