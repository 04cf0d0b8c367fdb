// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How a snapshot reads.
public struct SnapshotOptions: Sendable, Hashable {
    /// Which requests a store does first; default ``TransactionOptions/Priority/normal``.
    public var priority: TransactionOptions.Priority
    /// Whether what is read is kept, so that reading it again asks nobody; default true. A snapshot of the latest state
    /// keeps nothing.
    public var isCached: Bool
    /// Whether what is read may stay out of the stores' cache, as a scan of everything should; default false.
    public var bypassesStoreCache: Bool
    /// By what stores sum up what statements cost; empty by default.
    public var resourceGroupTag: [UInt8]

    /// Options; what is not named has its default.
    public init(
        priority: TransactionOptions.Priority = .normal, isCached: Bool = true, bypassesStoreCache: Bool = false,
        resourceGroupTag: [UInt8] = []
    ) {
        self.priority = priority
        self.isCached = isCached
        self.bypassesStoreCache = bypassesStoreCache
        self.resourceGroupTag = resourceGroupTag
    }
}
