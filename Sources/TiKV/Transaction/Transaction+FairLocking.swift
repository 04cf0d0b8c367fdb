// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVWriteBuffer

// MARK: - Fair locking

extension Transaction {
    /// Whether fair locking is going on.
    public var isFairLocking: Bool { self.book.isFair }

    /// Whether the present attempt in fair locking has locked a key.
    public func isLockedFairly(_ key: Key) -> Bool { self.book.isInStage(key.bytes) }

    /// Begins fair locking, for statements that find keys, lock them one by one, and run again when a key has changed.
    ///
    /// A key is locked then although it was committed after the timestamp of the call, and the call says so
    /// (``LockedKey/conflict``): who has waited for a key the longest gets it, and need not stand in line again. The
    /// statement begins anew with ``retryFairLocking()`` and a later timestamp, and keeps the locks that it asks for again.
    ///
    /// ```swift
    /// try await transaction.startFairLocking()
    /// while true {
    ///     let timestamp = try await client.currentTimestamp()
    ///     let key = try await find(client.snapshot(at: timestamp))
    ///     let found = try await transaction.lock(
    ///         [key], options: .init(returnsValues: true, forUpdateTimestamp: timestamp))
    ///     if found[key]?.conflict == nil { break }
    ///     try await transaction.retryFairLocking()
    /// }
    /// try await transaction.finishFairLocking()
    /// ```
    ///
    /// - Throws: ``TiKVError/Code/invalidArgument`` in an optimistic transaction, and where it has begun already.
    public func startFairLocking() async throws(TiKVError) {
        try self.checkActive()
        guard self.options.kind.isPessimistic else {
            throw TiKVError(.invalidArgument, "an optimistic transaction has no fair locking")
        }
        try await self.turnstile.enter()
        defer { self.turnstile.leave() }
        try self.checkActive()
        guard self.book.start(at: self.context.clock.now) else {
            throw TiKVError(.invalidArgument, "fair locking has begun already")
        }
    }

    /// Begins the statement anew. Its locks stay for now; those that the attempt before the present one took, and the
    /// present one did not ask for again, are given back.
    ///
    /// - Throws: ``TiKVError/Code/invalidArgument`` where fair locking has not begun.
    public func retryFairLocking() async throws(TiKVError) {
        try await self.inFairLocking { now in self.book.retry(at: now) }
    }

    /// Ends fair locking and gives back all locks that it took.
    ///
    /// - Throws: ``TiKVError/Code/invalidArgument`` where fair locking has not begun.
    public func cancelFairLocking() async throws(TiKVError) {
        try await self.inFairLocking { _ in self.book.cancel() }
    }

    /// Ends fair locking and keeps the locks of the present attempt as if they had been taken without it.
    ///
    /// - Throws: ``TiKVError/Code/invalidArgument`` where fair locking has not begun.
    public func finishFairLocking() async throws(TiKVError) {
        try await self.inFairLocking { _ in self.keepStage() }
    }

    private func inFairLocking(
        _ step: (ContinuousClock.Instant) -> LockBook.Release
    ) async throws(TiKVError) {
        try await self.turnstile.enter()
        defer { self.turnstile.leave() }
        try self.checkActive()
        guard self.book.isFair else { throw TiKVError(.invalidArgument, "fair locking has not begun") }
        let primary = self.book.primary
        await self.release(step(self.context.clock.now), primary)
    }

    /// Ends fair locking within a call that has its turn.
    func endFairLocking() async {
        let primary = self.book.primary
        await self.release(self.keepStage(), primary)
    }

    private func keepStage() -> LockBook.Release {
        let (release, kept) = self.book.done()
        for (key, entry) in kept {
            var flags: KeyFlags = .locked
            if entry.exists { flags.insert(.lockedValueExists) }
            let change = KeyFlagChange(set: flags, cleared: [.lockedValueExists, .needCheckExists])
            // Keys that a store has locked are not too long.
            try? self.change { buffer throws(WriteBufferError) in try buffer.updateFlags(key, change) }
        }
        return release
    }

    private func release(_ release: LockBook.Release, _ primary: [UInt8]?) async {
        if release.stopsHeartbeat { self.stopKeeper() }
        // A key that was locked before fair locking stays so.
        let keys = release.keys.filter { !(self.buffer.flags(of: $0)?.contains(.locked) ?? false) }
        guard let first = keys.first else { return }
        await self.locker(primary: primary ?? first).rollBack(keys, forUpdate: self.book.releaseTimestamp)
    }
}
