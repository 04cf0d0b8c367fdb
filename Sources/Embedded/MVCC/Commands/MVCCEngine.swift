// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a command brought about.
struct CommandOutcome<Value: Sendable>: Sendable {
    var value: Value
    /// Locks that are gone; those who wait for them can go on.
    var released: [ReleasedLock]
    /// Locks on keys that had none.
    var acquired: [LockDescription]
}

/// The transactional engine: TiKV's commands over its records, without I/O, clock or waiting.
///
/// A command runs as a whole or not at all, so that TiKV's latches, which keep commands on the same key apart, and its
/// table of locks that are being written (tikv `components/concurrency_manager`) have nothing to do here. What is left of
/// the latter is `maxTS`.
struct MVCCEngine: Sendable {
    private(set) var store = MVCCStore()
    /// No lower timestamp is given to a transaction that commits asynchronously or in one phase: somebody may have read
    /// at it.
    private(set) var maxTS: UInt64 = 0
    private var committed = CommittedTxns()

    func reader(_ startTS: UInt64) -> MVCCReader {
        MVCCReader(store: self.store, startTS: startTS)
    }

    mutating func raiseMaxTS(to timestamp: UInt64) {
        // Reads of the newest version, which have the highest number there is, are not at a time.
        if timestamp != .max { self.maxTS = max(self.maxTS, timestamp) }
    }

    /// Runs a command over a snapshot and makes its changes if it does not fail.
    private mutating func run<Value: Sendable>(
        _ startTS: UInt64,
        _ body: (inout MVCCTxn, MVCCReader, inout UInt64) throws(MVCCError) -> Value
    ) throws(MVCCError) -> CommandOutcome<Value> {
        var txn = MVCCTxn(startTS: startTS)
        var maxTS = self.maxTS
        // Reads count even where the command fails after them.
        defer { self.raiseMaxTS(to: maxTS) }
        let value = try body(&txn, self.reader(startTS), &maxTS)
        for change in txn.changes { self.store.apply(change) }
        return CommandOutcome(value: value, released: txn.released, acquired: txn.acquired)
    }

    // MARK: - Prewrite

    mutating func prewrite(_ command: PrewriteCommand) throws(MVCCError) -> CommandOutcome<PrewriteCommand.Result> {
        var command = command
        if command.forUpdateTS != 0 && self.committed.commitTS(of: command.startTS) != nil { command.isRetry = true }
        let outcome = try self.run(command.startTS) { txn, reader, maxTS throws(MVCCError) in
            try command.run(&txn, reader, maxTS: &maxTS)
        }
        if outcome.value.onePhaseCommitTS != 0 {
            self.committed.insert(command.startTS, commitTS: outcome.value.onePhaseCommitTS)
        }
        return outcome
    }

    mutating func flush(_ command: FlushCommand) throws(MVCCError) -> CommandOutcome<[MVCCError]> {
        try self.run(command.startTS) { txn, reader, maxTS throws(MVCCError) in
            try command.run(&txn, reader, maxTS: &maxTS)
        }
    }

    // MARK: - Pessimistic locks

    mutating func lockPessimistically(
        _ command: PessimisticLockCommand
    ) throws(MVCCError) -> CommandOutcome<PessimisticLockCommand.Result> {
        try self.run(command.parameters.startTS) { txn, reader, maxTS throws(MVCCError) in
            try command.run(&txn, reader, maxTS: &maxTS)
        }
    }

    /// Removes pessimistic locks of a transaction that are not newer than `forUpdateTS` (tikv
    /// `src/storage/txn/commands/pessimistic_rollback.rs`).
    mutating func rollBackPessimistically(
        _ keys: [TxnKey], startTS: UInt64, forUpdateTS: UInt64
    ) throws(MVCCError) -> CommandOutcome<Void> {
        try self.run(startTS) { txn, reader, _ in
            for key in keys {
                switch reader.lock(key) {
                case .exclusive(let lock)
                where lock.startTS == startTS && lock.isPessimistic && lock.forUpdateTS <= forUpdateTS:
                    txn.unlock(key, commitTS: 0)
                case .shared(var shared):
                    guard let own = shared.lock(startTS: startTS), own.isPessimistic, own.forUpdateTS <= forUpdateTS
                    else { break }
                    _ = shared.remove(startTS: startTS)
                    txn.putRemainder(key, shared, commitTS: 0)
                case .exclusive, nil: break
                }
            }
        }
    }

    // MARK: - Commit and rollback

    /// Commits keys (tikv `src/storage/txn/commands/commit.rs`).
    mutating func commit(
        _ keys: [TxnKey], startTS: UInt64, commitTS: UInt64
    ) throws(MVCCError) -> CommandOutcome<Void> {
        guard commitTS > startTS else { throw .invalidTxnTSO(startTS: startTS, commitTS: commitTS) }
        let outcome = try self.run(startTS) { txn, reader, _ throws(MVCCError) in
            for key in keys { try txn.commit(key, reader, commitTS: commitTS) }
        }
        self.committed.insert(startTS, commitTS: commitTS)
        return outcome
    }

    /// Rolls keys back, of a transaction that is known to have failed (tikv `src/storage/txn/commands/rollback.rs`).
    mutating func rollBack(_ keys: [TxnKey], startTS: UInt64) throws(MVCCError) -> CommandOutcome<Void> {
        try self.run(startTS) { txn, reader, _ throws(MVCCError) in
            for key in keys { try txn.cleanUp(key, reader, currentTS: 0, isProtected: false) }
        }
    }

    /// Rolls one key back (tikv `src/storage/txn/commands/cleanup.rs`).
    ///
    /// - Parameter currentTS: not 0 where only an expired lock is to go.
    mutating func cleanUp(_ key: TxnKey, startTS: UInt64, currentTS: UInt64) throws(MVCCError) -> CommandOutcome<Void> {
        // No commit timestamp may be made up that is this rollback's.
        self.raiseMaxTS(to: startTS)
        return try self.run(startTS) { txn, reader, _ throws(MVCCError) in
            try txn.cleanUp(key, reader, currentTS: currentTS, isProtected: true)
        }
    }

    // MARK: - Asking for a transaction

    /// What became of a transaction, by its primary (tikv `src/storage/txn/commands/check_txn_status.rs`).
    mutating func checkStatus(_ check: TxnStatusCheck) throws(MVCCError) -> CommandOutcome<TxnStatus> {
        self.raiseMaxTS(to: check.lockTS)
        self.raiseMaxTS(to: check.currentTS)
        self.raiseMaxTS(to: check.callerStartTS)
        let outcome = try self.run(check.lockTS) { txn, reader, _ throws(MVCCError) in
            var other: LockRecord?
            switch reader.lock(check.primary) {
            case .exclusive(let lock):
                if lock.startTS == check.lockTS { return try txn.status(with: lock, check, reader) }
                other = lock
            case .shared(let shared):
                // A shared key is never a primary.
                throw .primaryMismatch(LockDescription(check.primary, .shared(shared)))
            case nil: break
            }
            return try txn.statusWithoutLock(
                check.primary, reader, other: other, action: check.missingLockAction,
                isResolvingPessimistic: check.isResolvingPessimistic)
        }
        if case .committed(let commitTS) = outcome.value { self.committed.insert(check.lockTS, commitTS: commitTS) }
        return outcome
    }

    mutating func checkSecondaryLocks(
        _ keys: [TxnKey], startTS: UInt64
    ) throws(MVCCError) -> CommandOutcome<SecondaryLocksStatus> {
        self.raiseMaxTS(to: startTS)
        let outcome = try self.run(startTS) { txn, reader, _ in
            txn.checkSecondaryLocks(keys, reader)
        }
        if case .committed(let commitTS) = outcome.value { self.committed.insert(startTS, commitTS: commitTS) }
        return outcome
    }

    /// Extends the life of a transaction's primary lock (tikv `src/storage/txn/commands/txn_heart_beat.rs`).
    ///
    /// - Returns: the time to live that the lock has now, in milliseconds.
    mutating func heartBeat(
        _ key: TxnKey, startTS: UInt64, adviseTTL: UInt64, minCommitTS: UInt64
    ) throws(MVCCError) -> CommandOutcome<UInt64> {
        try self.run(startTS) { txn, reader, _ throws(MVCCError) in
            switch reader.lock(key) {
            case .exclusive(var lock) where lock.startTS == startTS:
                let before = lock
                lock.ttl = max(lock.ttl, adviseTTL)
                if !lock.usesAsyncCommit && lock.generation > 0 {
                    lock.minCommitTS = max(lock.minCommitTS, minCommitTS)
                }
                if lock != before { txn.putLock(key, lock, isNew: false) }
                return lock.ttl
            case .shared(let shared) where shared.lock(startTS: startTS) != nil:
                throw .primaryMismatch(LockDescription(key, .shared(shared)))
            case .exclusive, .shared, nil:
                throw .txnNotFound(startTS: startTS, key: key.raw)
            }
        }
    }

    // MARK: - Resolving

    /// Commits or rolls back keys of one transaction (tikv `src/storage/txn/commands/resolve_lock_lite.rs`).
    ///
    /// - Parameter commitTS: 0 rolls back.
    mutating func resolve(
        _ keys: [TxnKey], startTS: UInt64, commitTS: UInt64
    ) throws(MVCCError) -> CommandOutcome<Void> {
        let outcome = try self.run(startTS) { txn, reader, _ throws(MVCCError) in
            for key in keys {
                if commitTS == 0 {
                    try txn.cleanUp(key, reader, currentTS: 0, isProtected: false)
                } else {
                    try txn.commit(key, reader, commitTS: commitTS)
                }
            }
        }
        if commitTS != 0 { self.committed.insert(startTS, commitTS: commitTS) }
        return outcome
    }

    /// Commits or rolls back all locks of some transactions in a range (tikv
    /// `src/storage/txn/commands/resolve_lock.rs`).
    ///
    /// - Parameter fates: commit timestamps by start timestamp; 0 rolls back.
    mutating func resolve(
        _ fates: [UInt64: UInt64], in range: EncodedRange
    ) throws(MVCCError) -> CommandOutcome<Void> {
        let outcome = try self.run(0) { txn, reader, _ throws(MVCCError) in
            for (key, lock) in reader.store.locks(in: range) {
                for lock in lock.records {
                    guard let commitTS = fates[lock.startTS] else { continue }
                    let reader = MVCCReader(store: reader.store, startTS: lock.startTS)
                    txn.startTS = lock.startTS
                    if commitTS == 0 {
                        try txn.cleanUp(key, reader, currentTS: 0, isProtected: false)
                    } else if commitTS > lock.startTS {
                        do throws(MVCCError) {
                            try txn.commit(key, reader, commitTS: commitTS)
                        } catch {
                            // Left over from a statement that was tried again.
                            if case .txnLockNotFound = error, lock.isPessimistic { continue }
                            throw error
                        }
                    } else {
                        throw .invalidTxnTSO(startTS: lock.startTS, commitTS: commitTS)
                    }
                }
            }
        }
        for (startTS, commitTS) in fates where commitTS != 0 { self.committed.insert(startTS, commitTS: commitTS) }
        return outcome
    }

    // MARK: - Maintenance

    /// Removes old versions in a range. As in TiKV since version 5, no client asks for it any more; the stores do.
    mutating func collectGarbage(in range: EncodedRange, safePoint: UInt64) throws(MVCCError) -> CommandOutcome<Void> {
        try self.run(safePoint) { txn, reader, _ in
            var last: [UInt8]?
            for (version, _) in reader.store.writes(in: range) {
                let encoded = VersionKey.key(version)
                if encoded == last { continue }
                last = encoded
                if let key = TxnKey(encoded: encoded) {
                    txn.collectGarbage(key, reader, safePoint: safePoint)
                }
            }
        }
    }

    mutating func removeAll(in range: EncodedRange) {
        self.store.removeAll(from: range.start, to: range.end)
    }

    /// What somebody else knows of transactions (tikv `src/storage/txn/txn_status_cache.rs`).
    mutating func noteCommitted(_ startTS: UInt64, commitTS: UInt64) {
        self.committed.insert(startTS, commitTS: commitTS)
    }

    /// Puts a lock there, or takes one away, without any check; for tests that need a certain state.
    mutating func setLock(_ key: TxnKey, _ lock: KeyLock?) {
        self.store.apply(.lock(key, lock))
    }

    mutating func setWrite(_ key: TxnKey, commitTS: UInt64, _ write: WriteRecord?) {
        self.store.apply(.write(key, commitTS: commitTS, write))
    }
}

/// Transactions that committed of late, so that a prewrite which comes again afterwards is known for what it is.
private struct CommittedTxns: Sendable {
    private var commitTS: [UInt64: UInt64] = [:]
    private var order: [UInt64] = []
    private var oldest = 0

    private static let capacity = 10_000

    func commitTS(of startTS: UInt64) -> UInt64? { self.commitTS[startTS] }

    mutating func insert(_ startTS: UInt64, commitTS: UInt64) {
        guard self.commitTS.updateValue(commitTS, forKey: startTS) == nil else { return }
        guard self.order.count == Self.capacity else { return self.order.append(startTS) }
        self.commitTS[self.order[self.oldest]] = nil
        self.order[self.oldest] = startTS
        self.oldest = (self.oldest + 1) % Self.capacity
    }
}
