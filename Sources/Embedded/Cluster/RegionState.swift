// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// Which configuration of a region a request was made for.
struct RegionEpoch: Hashable, Sendable {
    /// Raised by each change of the peers.
    var confVer: UInt64
    /// Raised by each split and merge.
    var version: UInt64
}

/// A replica of a region on a store.
struct RegionPeer: Hashable, Sendable {
    var id: UInt64
    var storeID: UInt64
}

/// A contiguous range of keys, its replicas, and which of them leads.
struct RegionState: Sendable {
    var id: UInt64
    var startKey: [UInt8]
    /// Exclusive; empty means up to the end.
    var endKey: [UInt8]
    var epoch: RegionEpoch
    var peers: [RegionPeer]
    /// The store whose peer leads; nil while too few peers are up to elect one.
    var leaderStoreID: UInt64?

    var leader: RegionPeer? { self.leaderStoreID.flatMap { self.peer(on: $0) } }

    func peer(on storeID: UInt64) -> RegionPeer? {
        self.peers.first { $0.storeID == storeID }
    }

    func contains(_ key: [UInt8]) -> Bool {
        KeyOrder.compare(self.startKey, key) <= 0 && (self.endKey.isEmpty || KeyOrder.isLess(key, self.endKey))
    }

    /// Whether `key` is inside or right at the end, where a scan may still start.
    func containsInclusively(_ key: [UInt8]) -> Bool {
        self.contains(key) || (!self.endKey.isEmpty && key == self.endKey)
    }

    /// Whether a range that ends before `end` stays inside; an empty `end` is the end of everything.
    func reaches(end: [UInt8]) -> Bool {
        self.endKey.isEmpty || (!end.isEmpty && KeyOrder.compare(end, self.endKey) <= 0)
    }
}
