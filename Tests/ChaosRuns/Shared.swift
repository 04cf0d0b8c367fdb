// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What several tasks change. A `Mutex` itself cannot be captured by the closure of a task.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    init(_ value: Value) {
        self.mutex = Mutex(value)
    }

    var value: Value { self.mutex.withLock { $0 } }

    func change(_ body: (inout Value) -> Void) {
        self.mutex.withLock { body(&$0) }
    }
}
