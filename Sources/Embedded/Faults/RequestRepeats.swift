// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Requests that are done a second time when others have come meanwhile.
final class RequestRepeats: Sendable {
    private struct State {
        var count = 0
        var waiting: [(due: Int, perform: @Sendable () -> Void)] = []
    }

    private let state = Mutex(State())
    /// Read without the lock, since nearly always nothing waits.
    private let isEmpty = Atomic(true)

    /// Does it when so many requests have come from now on.
    func add(after requests: Int, _ perform: @escaping @Sendable () -> Void) {
        self.state.withLock { state in
            state.waiting.append((state.count + max(1, requests), perform))
            self.isEmpty.store(false, ordering: .relaxed)
        }
    }

    /// To be called for each request before it is looked at.
    func requestCame() {
        guard !self.isEmpty.load(ordering: .relaxed) else { return }
        let due = self.state.withLock { state in
            state.count += 1
            let due = state.waiting.filter { $0.due <= state.count }
            state.waiting.removeAll { $0.due <= state.count }
            self.isEmpty.store(state.waiting.isEmpty, ordering: .relaxed)
            return due
        }
        for one in due { one.perform() }
    }
}
