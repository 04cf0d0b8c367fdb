// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// A transaction that waits at a store for another one's lock. See ``TransactionClient/lockWaits(timeout:)``.
public struct LockWait: Sendable, Hashable {
    /// The store.
    public var storeID: UInt64
    /// Who waits, by when it began.
    public var waiter: Timestamp
    /// Who holds the lock, by when it began.
    public var holder: Timestamp
    /// The key.
    public var key: Key
    /// What the request that waits was tagged with; see ``LockOptions/resourceGroupTag``.
    public var resourceGroupTag: [UInt8]

    init(_ entry: Deadlock_WaitForEntry, on storeID: UInt64) {
        self.storeID = storeID
        self.waiter = Timestamp(rawValue: entry.txn)
        self.holder = Timestamp(rawValue: entry.waitForTxn)
        self.key = Key(entry.key)
        self.resourceGroupTag = [UInt8](entry.resourceGroupTag)
    }
}
