// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How far stores are: every transaction that committed before its timestamp is visible there.
package struct MinimumResolvedTimestamps: Sendable, Hashable {
    /// Of the stores asked for, or of the whole cluster; zero where PD doesn't know, and the greatest there is where a store
    /// has nothing to tell.
    package var minimum: Timestamp
    /// Of each store asked for.
    package var stores: [UInt64: Timestamp]

    package init(minimum: Timestamp, stores: [UInt64: Timestamp]) {
        self.minimum = minimum
        self.stores = stores
    }
}

/// What PD knows of a store's load.
package struct StoreStatus: Sendable, Hashable {
    package var id: UInt64
    package var address: String
    /// `Up`, `Disconnected`, `Down`, `Offline` or `Tombstone`.
    package var state: String
    package var version: String
    package var labels: [String: String]
    package var leaderCount: Int
    package var regionCount: Int
}

/// What PD knows of a region's load.
package struct RegionStatus: Sendable, Hashable {
    package var id: UInt64
    /// In hexadecimal, as PD writes it.
    package var startKey: String
    package var endKey: String
    package var leaderStoreID: UInt64?
    package var peerStoreIDs: [UInt64]
    /// In MiB.
    package var approximateSize: Int64
    package var approximateKeys: Int64
}
