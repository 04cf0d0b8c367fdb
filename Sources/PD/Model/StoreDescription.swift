// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A store as PD knows it.
package struct StoreDescription: Sendable, Hashable {
    package enum State: Sendable {
        case up
        case offline
        /// Gone for good; its id is never used again.
        case tombstone
    }

    package var id: UInt64
    /// Where it serves clients, as `host:port`.
    package var address: String
    package var state: State
    package var labels: [String: String]
    package var version: String
    /// Where other stores reach it; empty where that is the same address.
    package var peerAddress: String
    /// Where it serves HTTP; empty where it doesn't.
    package var statusAddress: String

    package init(
        id: UInt64, address: String, state: State = .up, labels: [String: String] = [:], version: String = "",
        peerAddress: String = "", statusAddress: String = ""
    ) {
        self.id = id
        self.address = address
        self.state = state
        self.labels = labels
        self.version = version
        self.peerAddress = peerAddress
        self.statusAddress = statusAddress
    }
}
