// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets calls of one transaction go one after the other where they decide something together.
final class Turnstile: Sendable {
    private struct State {
        var isTaken = false
        var waiting: [(id: Int, continuation: CheckedContinuation<Bool, Never>)] = []
        var nextID = 0
    }

    private let state = Mutex(State())

    /// Waits for its turn, which ends with `leave()`. Throws where the task is cancelled before.
    func enter() async throws(TiKVError) {
        let id: Int? = self.state.withLock { state in
            if !state.isTaken {
                state.isTaken = true
                return nil
            }
            state.nextID += 1
            return state.nextID
        }
        guard let id else { return }
        let isIn = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Bool? = self.state.withLock { state in
                    // A cancellation from here on finds the waiter; one from before has set this flag already.
                    if Task.isCancelled { return false }
                    if !state.isTaken {
                        state.isTaken = true
                        return true
                    }
                    state.waiting.append((id, continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let continuation: CheckedContinuation<Bool, Never>? = self.state.withLock { state in
                guard let index = state.waiting.firstIndex(where: { $0.id == id }) else { return nil }
                return state.waiting.remove(at: index).continuation
            }
            continuation?.resume(returning: false)
        }
        guard isIn else { throw TiKVError(.cancelled, "the task was cancelled") }
    }

    /// Lets the next one in.
    func leave() {
        let next: CheckedContinuation<Bool, Never>? = self.state.withLock { state in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst().continuation }
            state.isTaken = false
            return nil
        }
        next?.resume(returning: true)
    }
}
