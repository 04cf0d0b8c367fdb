// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

// MARK: - Transactions

extension EmbeddedCluster {
    /// What the stores hold of a key of the transactional API.
    ///
    /// - Parameter key: as clients of the protocol send it, with the prefix of its keyspace in API V2, but not encoded as
    ///   regions' bounds are.
    public func transactionalState(of key: [UInt8]) -> KeyState {
        let store = self.model.withLock { $0.transactions.engine.store }
        return KeyState(store, TxnKey(key))
    }

    /// All keys that are locked, in order.
    public var lockedKeys: [[UInt8]] {
        let store = self.model.withLock { $0.transactions.engine.store }
        return store.locks(in: EncodedRange()).map(\.key.raw)
    }

    /// Puts a lock on a key, in place of what is there, as a transaction would leave it that nobody hears of any more.
    public func putLock(_ lock: KeyState.Lock, on key: [UInt8]) {
        self.model.withLock { model in
            model.transactions.changeEngine { $0.setLock(TxnKey(key), .exclusive(LockRecord(lock))) }
        }
    }

    /// Takes the lock of a key away, without rolling anything back. Requests that wait for it are not told.
    public func removeLock(of key: [UInt8]) {
        self.model.withLock { model in model.transactions.changeEngine { $0.setLock(TxnKey(key), nil) } }
    }

    /// Has stores take it that somebody has read at this timestamp: no commit timestamp that they make up for asynchronous or
    /// one-phase commits lies below it. The highest number there is is no such timestamp.
    public func raiseMaxTS(to timestamp: UInt64) {
        self.model.withLock { $0.transactions.raiseMaxTS(to: timestamp) }
    }

    /// How many requests for pessimistic locks wait at a key.
    public func lockWaiterCount(at key: [UInt8]) -> Int {
        self.model.withLock { $0.transactions.waiterCount(TxnKey(key)) }
    }

    /// Returns when at least so many requests for pessimistic locks wait at a key, at once where they do already.
    ///
    /// Throws `CancellationError` when the task is cancelled before.
    public func waitForLockWaiters(_ count: Int = 1, at key: [UInt8]) async throws {
        while true {
            let seen = self.model.lockWaits.changes.count
            if self.lockWaiterCount(at: key) >= count { return }
            try await self.model.lockWaits.changes.wait(for: seen + 1)
        }
    }

    /// Holds back how far the replicas of a store have come, by which stale reads are judged: those above it are refused
    /// with `DataIsNotReady`.
    ///
    /// - Parameters:
    ///   - timestamp: nil lets them go on with the time again, which is the default.
    ///   - storeID: nil is for all stores.
    public func holdSafeTS(at timestamp: UInt64?, onStore storeID: UInt64? = nil) {
        // There is no store 0.
        self.model.withLock { $0.heldSafeTS[storeID ?? 0] = timestamp }
    }

    /// Removes the versions that nobody can see who reads at a safe point or later, as TiKV does in the background.
    public func collectGarbage(safePoint: UInt64) {
        self.model.withTransactions { model, now in
            // Nothing that GC removes could stand in anyone's way, so there is nothing that could fail.
            try? model.transactions.run(now: now, regions: model.cluster) { engine throws(MVCCError) in
                try engine.collectGarbage(in: EncodedRange(), safePoint: safePoint)
            }
        }
    }
}
