// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// How many operations may still begin, when their number ends the measurement.
final class BenchBudget: Sendable {
    private let left: Atomic<Int>

    init(_ count: Int) {
        self.left = Atomic(count)
    }

    func take() -> Bool {
        self.left.subtract(1, ordering: .relaxed).newValue >= 0
    }
}
