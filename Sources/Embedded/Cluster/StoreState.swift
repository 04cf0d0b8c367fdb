// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A store as PD knows it.
struct StoreState: Sendable {
    /// Whether the cluster counts on the store.
    enum Phase: Sendable {
        case up
        /// On its way out.
        case offline
        /// Gone for good.
        case tombstone
    }

    var id: UInt64
    /// `host:port`.
    var address: String
    var isRunning: Bool
    var phase = Phase.up
    var labels: [String: String] = [:]
}
