// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVTransport

/// Where the connections to one address leave what the store there says about itself, and where it is read.
final class StoreReportBoard: Sendable {
    private let state = Mutex(StoreReports())
    private let onHealth: @Sendable (StoreFeedback.Health) -> Void

    init(onHealth: @escaping @Sendable (StoreFeedback.Health) -> Void = { _ in }) {
        self.onHealth = onHealth
    }

    var last: StoreReports { self.state.withLock { $0 } }

    /// Called on a connection's event loop.
    func received(_ feedback: StoreFeedback) {
        guard let news = self.state.withLock({ $0.received(feedback) }) else { return }
        self.onHealth(news)
    }
}
