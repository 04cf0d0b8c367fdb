// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

/// What a store last said about itself beside its answers.
struct StoreReports: Sendable, Equatable {
    /// CPU load of the store's gRPC threads in percent of one core; 0 where it has not told.
    private(set) var transportLayerLoad: UInt64 = 0
    private(set) var health: StoreFeedback.Health?

    /// Takes a report in. Returns the store's health where that is news: reports overtake each other on several
    /// connections, and an older one says nothing any more.
    mutating func received(_ feedback: StoreFeedback) -> StoreFeedback.Health? {
        if feedback.transportLayerLoad > 0 { self.transportLayerLoad = feedback.transportLayerLoad }
        guard let health = feedback.health else { return nil }
        // Another store at the same address counts anew.
        if let known = self.health, known.storeID == health.storeID, known.sequence >= health.sequence { return nil }
        self.health = health
        return health
    }
}
