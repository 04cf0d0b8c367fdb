// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Why what was known of a region is not used any more.
enum RegionInvalidation: UInt8, Sendable {
    /// Nobody led it, or nobody knew who does; the next one starts with another peer.
    case noLeader = 1
    /// The store has no such region.
    case regionNotFound
    /// It was split, merged, or has other peers.
    case epochNotMatch
    /// A store that should hold it is gone, or is not one of its stores.
    case storeNotFound
    /// All its peers were tried.
    case exhausted
    /// Anything else that a store says against it.
    case refused
}
