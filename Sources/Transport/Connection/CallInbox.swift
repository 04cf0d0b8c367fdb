// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Calls on their way from their tasks' threads to the connection's event loop. What arrives before the loop has woken up
/// costs no further wake-up.
struct CallInbox: ~Copyable, Sendable {
    private let calls = Mutex<[ClientCall]>([])

    /// Returns whether the loop must be woken to take it.
    func put(_ call: ClientCall) -> Bool {
        self.calls.withLock { calls in
            calls.append(call)
            return calls.count == 1
        }
    }

    func takeAll() -> [ClientCall] {
        self.calls.withLock { calls in
            var taken: [ClientCall] = []
            swap(&taken, &calls)
            // As many may come again: room for them is made once, not step by step.
            calls.reserveCapacity(taken.count)
            return taken
        }
    }
}
