// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A lock that is being looked into. See ``TransactionClient/locksBeingResolved()``.
public struct ResolvingLock: Sendable, Hashable {
    /// The locked key.
    public var key: Key
    /// The key that decides about the transaction which holds the lock.
    public var primary: Key
    /// When that transaction began.
    public var holder: Timestamp
    /// The moment of the read, or the beginning of the transaction, that the lock is in the way of.
    public var waiter: Timestamp

    init(_ lock: Lock, _ purpose: LockPurpose) {
        self.key = Key(lock.key)
        self.primary = Key(lock.primary)
        self.holder = Timestamp(rawValue: lock.start)
        switch purpose {
        case .read(let timestamp): self.waiter = Timestamp(rawValue: timestamp)
        case .write(let start): self.waiter = Timestamp(rawValue: start)
        }
    }
}

extension TransactionClient {
    /// The locks of other transactions that this client is looking into at present, to find out what holds up reads and
    /// writes. Asks nobody.
    public func locksBeingResolved() async -> [ResolvingLock] { await self.context.resolver.resolvingLocks }
}
