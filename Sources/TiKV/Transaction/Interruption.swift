// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Whether somebody wants a transaction to stop. Only what has decided nothing yet looks at it: taking locks and prewrite.
final class Interruption: Sendable {
    private let signal = Mutex<Int?>(nil)

    func set(_ signal: Int) {
        self.signal.withLock { $0 = signal }
    }

    func clear() {
        self.signal.withLock { $0 = nil }
    }

    func check(start: UInt64) throws(TiKVError) {
        guard let signal = self.signal.withLock({ $0 }) else { return }
        throw TiKVError(
            .interrupted, "the transaction was interrupted with signal \(signal)",
            transaction: TransactionFailure(startTimestamp: start, signal: signal))
    }
}
