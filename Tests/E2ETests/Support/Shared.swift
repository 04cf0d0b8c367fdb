// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What the tasks of a test write down together. A `Mutex` itself cannot be captured by the closure of a task.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    init(_ value: Value) {
        self.mutex = Mutex(value)
    }

    func withLock<Result: Sendable>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        try self.mutex.withLock { value in try body(&value) }
    }
}
