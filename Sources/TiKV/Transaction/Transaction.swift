// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVFailpoints
import TiKVPD
import TiKVWriteBuffer

/// Reads and writes that take effect together or not at all.
///
/// Reads see the state at ``startTimestamp`` with the transaction's own writes over it. Writes are kept in memory until
/// ``commit(timeout:)``. ``TransactionClient/withTransaction(_:timeout:_:)`` makes transactions, commits them and runs them
/// again after a conflict; ``TransactionClient/begin(_:timeout:)`` is for those who drive them by themselves.
///
/// A pessimistic transaction locks keys as it writes them, and with ``getForUpdate(_:timeout:)`` and
/// ``lock(_:timeout:)``; an optimistic one finds conflicts when it commits.
///
/// Once it has ended, every call throws ``TiKVError/Code/transactionFinished``. A transaction that is dropped without an end
/// leaves nothing, or locks that others remove when they have expired.
public actor Transaction {
    /// Where a transaction stands.
    enum Phase {
        case active
        case ending
        case ended
    }

    /// When it began: what it reads is the state of this moment.
    public nonisolated let startTimestamp: Timestamp
    /// How it behaves.
    public nonisolated let options: TransactionOptions
    nonisolated let context: TransactionContext
    nonisolated let snapshot: Snapshot
    nonisolated let began: ContinuousClock.Instant
    nonisolated let interruption = Interruption()
    /// Calls that lock go one after the other until it is known who the primary is, and in fair locking.
    nonisolated let turnstile = Turnstile()

    var buffer: WriteBuffer
    /// The writes while they are committed.
    private var sealed: SealedWrites?
    var phase = Phase.active
    var book = LockBook()
    var keeper: LockKeeper?
    /// Where commit timestamps come from, in place of PD.
    var commitTimestamps: (@Sendable () async throws(TiKVError) -> UInt64)?
    private var isUnnecessary: (@Sendable (Key, Value) -> Bool)?
    private var hooks = CommitHooks()
    private var recorder: CommitRecorder?
    nonisolated let lockRecorder = LockRecorder()

    init(_ context: TransactionContext, start: UInt64, options: TransactionOptions) {
        self.context = context
        self.startTimestamp = Timestamp(rawValue: start)
        self.options = options
        self.snapshot = Snapshot(
            context, at: Timestamp(rawValue: start),
            SnapshotOptions(priority: options.priority, resourceGroupTag: options.resourceGroupTag))
        self.began = context.clock.now
        self.buffer = WriteBuffer(
            limits: WriteBuffer.Limits(entrySize: options.maximumEntrySize, totalSize: options.maximumSize))
    }

    deinit {
        // One that nobody can end any more is not kept alive: its locks expire.
        self.keeper?.stop()
    }

    /// How many keys it has written so far.
    public var keyCount: Int { self.sealed?.count ?? self.buffer.count }

    /// The bytes of the keys and values that it has written so far.
    public var size: Int { self.sealed?.size ?? self.buffer.size }

    // MARK: - Reading

    /// The value of a key.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: what the transaction has written, or else the value at ``startTimestamp``; nil where there is none.
    /// - Throws: ``TiKVError``.
    public func get(_ key: Key, timeout: Duration? = nil) async throws(TiKVError) -> Value? {
        try self.check(key)
        if let buffered = self.buffer.value(of: key.bytes) { return buffered.bytes.map { Value($0) } }
        return try await self.snapshot.get(key.bytes, deadline: self.context.deadline(timeout)).map { Value($0) }
    }

    /// The values of keys.
    ///
    /// - Parameters:
    ///   - keys: none of them empty; one named twice is read once.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: the keys that have a value, with their values.
    /// - Throws: ``TiKVError``.
    public func batchGet(
        _ keys: some Sequence<Key> & Sendable, timeout: Duration? = nil
    ) async throws(TiKVError) -> [Key: Value] {
        var values: [Key: Value] = [:]
        var rest: [[UInt8]] = []
        for key in RawBatch.sorted(keys) {
            try self.check(Key(key))
            switch self.buffer.value(of: key) {
            case .put(let value): values[Key(key)] = Value(value)
            case .delete: break
            case nil: rest.append(key)
            }
        }
        guard !rest.isEmpty else { return values }
        for (key, value) in try await self.snapshot.batchGet(rest, deadline: self.context.deadline(timeout)) {
            values[Key(key)] = Value(value)
        }
        return values
    }

    /// The value of a key, and when it was written.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: nil where the key has no value. What the transaction has written itself is not committed yet: its
    ///   timestamp is ``Timestamp/uncommitted``.
    /// - Throws: ``TiKVError``, as ``Snapshot/version(of:timeout:)`` does.
    public func version(of key: Key, timeout: Duration? = nil) async throws(TiKVError) -> Snapshot.Version? {
        try await self.versions(of: CollectionOfOne(key), timeout: timeout)[key]
    }

    /// The values of keys, and when they were written. See ``version(of:timeout:)``.
    ///
    /// - Parameters:
    ///   - keys: none of them empty; one named twice is read once.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: the keys that have a value, with their values.
    /// - Throws: ``TiKVError``, as ``Snapshot/versions(of:timeout:)`` does.
    public func versions(
        of keys: some Sequence<Key> & Sendable, timeout: Duration? = nil
    ) async throws(TiKVError) -> [Key: Snapshot.Version] {
        var versions: [Key: Snapshot.Version] = [:]
        var rest: [Key] = []
        for key in keys {
            try self.check(key)
            switch self.buffer.value(of: key.bytes) {
            case .put(let value):
                versions[key] = Snapshot.Version(value: Value(value), commitTimestamp: .uncommitted)
            case .delete: break
            case nil: rest.append(key)
            }
        }
        guard !rest.isEmpty else { return versions }
        versions.merge(try await self.snapshot.versions(of: rest, timeout: timeout)) { own, _ in own }
        return versions
    }

    /// The pairs of a range, in order, with what the transaction has written.
    ///
    /// What the transaction writes while the iteration goes on is in it where it is still to come.
    ///
    /// - Parameters:
    ///   - range: the keys. An empty range gives nothing; one whose end lies before its start is an error.
    ///   - limit: how many pairs at most; nil for all of them, 0 for none; less is an error.
    ///   - reversed: from the end of the range to its start.
    ///   - keysOnly: leaves the values empty and unread.
    ///   - timeout: the time for each page; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: a sequence that throws ``TiKVError``; an error of the arguments comes with the first pair asked for.
    public nonisolated func scan(
        _ range: KeyRange, limit: Int? = nil, reversed: Bool = false, keysOnly: Bool = false, timeout: Duration? = nil
    ) -> TransactionScan {
        TransactionScan(
            snapshot: self.snapshot, transaction: self, range: range, limit: limit, isReversed: reversed,
            isKeysOnly: keysOnly, timeout: timeout)
    }

    /// The latest value of a key, which is locked until the transaction ends: nobody else changes it meanwhile. In an
    /// optimistic transaction it is the value at ``startTimestamp``, and the commit fails where the key has changed since.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: what the transaction has written, or else the value; nil where there is none.
    /// - Throws: ``TiKVError``, as ``lock(_:timeout:)`` does.
    public func getForUpdate(_ key: Key, timeout: Duration? = nil) async throws(TiKVError) -> Value? {
        try self.check(key)
        guard self.options.kind.isPessimistic else {
            try self.change { buffer throws(WriteBufferError) in
                try buffer.updateFlags(key.bytes, .set(.locked))
            }
            return try await self.get(key, timeout: timeout)
        }
        let found = try await self.acquire(
            [PessimisticLocker.Target(key: key.bytes, isInsert: false)], LockOptions(returnsValues: true),
            deadline: self.context.deadline(timeout), isRepeated: true)
        if let buffered = self.buffer.value(of: key.bytes) { return buffered.bytes.map { Value($0) } }
        return found[key]?.value
    }

    // MARK: - Writing

    /// Sets the value of a key.
    ///
    /// - Parameters:
    ///   - key: not empty, at most 65,535 bytes.
    ///   - value: may have no bytes.
    ///   - timeout: the time for taking the lock, in a pessimistic transaction; ``ClientConfiguration/requestTimeout`` by
    ///     default.
    /// - Throws: ``TiKVError``: ``TiKVError/Code/entryTooLarge`` and ``TiKVError/Code/transactionTooLarge`` over the limits;
    ///   in a pessimistic transaction also as ``lock(_:timeout:)`` does. Nothing is written then.
    public func put(_ key: Key, value: Value, timeout: Duration? = nil) async throws(TiKVError) {
        try self.check(key)
        try await self.lockToWrite(key.bytes, isInsert: false, timeout)
        try self.change { buffer throws(WriteBufferError) in try buffer.put(key.bytes, value: value.bytes) }
    }

    /// Sets the value of a key that must not exist.
    ///
    /// Whether it does is checked when a pessimistic transaction locks it here, or else when the transaction commits.
    ///
    /// - Parameters:
    ///   - key: not empty, at most 65,535 bytes.
    ///   - value: may have no bytes.
    ///   - timeout: the time for taking the lock, in a pessimistic transaction; ``ClientConfiguration/requestTimeout`` by
    ///     default.
    /// - Throws: ``TiKVError``: ``TiKVError/Code/keyAlreadyExists`` where the key is known to exist, else as
    ///   ``put(_:value:timeout:)``.
    public func insert(_ key: Key, value: Value, timeout: Duration? = nil) async throws(TiKVError) {
        try self.check(key)
        let before = self.buffer.value(of: key.bytes)
        if case .put = before {
            throw TiKVError(
                .keyAlreadyExists, "the transaction has written the key that is to be inserted",
                transaction: TransactionFailure(startTimestamp: self.startTimestamp.rawValue, key: key))
        }
        // After a delete of its own the key is known not to exist: what the store has of it does not count.
        let isInsert = before == nil
        try await self.lockToWrite(key.bytes, isInsert: isInsert, timeout)
        try self.change { buffer throws(WriteBufferError) in
            try buffer.put(key.bytes, value: value.bytes, flags: isInsert ? .set(.presumeNotExists) : .none)
        }
    }

    /// Removes a key; where it has no value, nothing happens.
    ///
    /// - Parameters:
    ///   - key: not empty, at most 65,535 bytes.
    ///   - timeout: the time for taking the lock, in a pessimistic transaction; ``ClientConfiguration/requestTimeout`` by
    ///     default.
    /// - Throws: ``TiKVError``, as ``put(_:value:timeout:)`` does.
    public func delete(_ key: Key, timeout: Duration? = nil) async throws(TiKVError) {
        try self.check(key)
        try await self.lockToWrite(key.bytes, isInsert: false, timeout)
        try self.change { buffer throws(WriteBufferError) in try buffer.delete(key.bytes) }
    }

    /// Tells stores what must be true of a key that the transaction writes; where it is not, the commit fails with
    /// ``TiKVError/Code/assertionFailed``. How much is checked is ``TransactionOptions/assertionLevel``'s to say.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - exists: whether the key has a value; nil takes back what was asserted.
    /// - Throws: ``TiKVError``.
    public func assert(_ key: Key, exists: Bool?) throws(TiKVError) {
        try self.check(key)
        try self.change { buffer throws(WriteBufferError) in
            try buffer.updateFlags(key.bytes, .assert(exists: exists))
        }
    }

    // MARK: - Savepoints

    /// A point to which the writes of a transaction can be taken back.
    public struct Savepoint: Sendable, Hashable {
        let checkpoint: WriteBuffer.Checkpoint
    }

    /// Marks the present state of the writes.
    ///
    /// - Throws: ``TiKVError/Code/transactionFinished``.
    public func savepoint() throws(TiKVError) -> Savepoint {
        try self.checkActive()
        return Savepoint(checkpoint: self.buffer.checkpoint())
    }

    /// Takes back all that was written since a savepoint, which stays. Locks that were taken stay too.
    ///
    /// - Throws: ``TiKVError/Code/invalidArgument`` where the writes were taken back to an earlier one, or it was released.
    public func rollback(to savepoint: Savepoint) throws(TiKVError) {
        try self.change { buffer throws(WriteBufferError) in try buffer.revert(to: savepoint.checkpoint) }
    }

    /// Gives a savepoint up, and the memory that it holds.
    ///
    /// - Throws: ``TiKVError/Code/transactionFinished``.
    public func release(_ savepoint: Savepoint) throws(TiKVError) {
        try self.checkActive()
        self.buffer.drop(savepoint.checkpoint)
    }

    // MARK: - Ending

    /// Makes the writes take effect, all together.
    ///
    /// Fair locking that is going on is finished first.
    ///
    /// - Parameter timeout: the time until the outcome is known; ``ClientConfiguration/Transaction/commitTimeout`` by
    ///   default.
    /// - Returns: when they take effect; nil where there is nothing to commit.
    /// - Throws: ``TiKVError``: ``TiKVError/Code/writeConflict`` and others that are ``TiKVError/isRetryable`` where the
    ///   transaction had no effect and can be run again; ``TiKVError/Code/undetermined``, with the start timestamp, where
    ///   it may or may not have taken effect. Cancelling the task before the outcome is decided gives up the commit; after
    ///   the decision was sent, the outcome is unknown.
    @discardableResult
    public func commit(timeout: Duration? = nil) async throws(TiKVError) -> Timestamp? {
        try self.checkActive()
        if self.book.isFair { try await self.finishFairLocking() }
        try self.checkActive()
        let isPessimistic = self.options.kind.isPessimistic
        let plan = self.seal()
        self.phase = .ending
        defer { self.end() }
        guard !plan.isEmpty else { return nil }
        let committer = self.committer(plan)
        self.recorder = committer.recorder
        let threshold = self.context.configuration.keepAliveSize
        if !plan.primary.isEmpty,
            Heartbeat.isNeeded(size: plan.size, isPessimistic: isPessimistic, threshold: threshold)
        {
            self.keep(plan.primary)
        }
        let result: Result<Timestamp?, TiKVError>
        do throws(TiKVError) {
            let limit = timeout ?? self.context.configuration.commitTimeout
            result = .success(try await committer.commit(timeout: limit).map { Timestamp(rawValue: $0) })
        } catch {
            result = .failure(error)
        }
        await self.report(result, committer.recorder.value)
        return try result.get()
    }

    /// Tells log and application how a commit has ended.
    private func report(_ result: Result<Timestamp?, TiKVError>, _ details: CommitDetails) async {
        var report = CommitReport(startTimestamp: self.startTimestamp, details: details, scope: self.options.scope)
        switch result {
        case .success(let timestamp): report.commitTimestamp = timestamp
        case .failure(let error): report.error = error
        }
        if details.isNotable { self.context.logger.log(report, session: self.options.sessionID) }
        await self.hooks.after?(report)
    }

    /// Takes no more writes, and says what is to be committed of them.
    private func seal() -> CommitPlan {
        let isUnnecessary = self.isUnnecessary
        var buffer = WriteBuffer()
        swap(&buffer, &self.buffer)
        let writes = MutationList.Writes(
            buffer, isPessimistic: self.options.kind.isPessimistic, constraints: self.book.constraints
        ) { key, value in
            isUnnecessary?(Key(key), Value(value)) ?? false
        }
        self.sealed = writes.writes
        return CommitPlan(writes, primary: self.book.primary)
    }

    /// What would be committed now.
    func plan() throws(TiKVError) -> CommitPlan {
        let isUnnecessary = self.isUnnecessary
        do throws(WriteBufferError) {
            return try CommitPlan(
                self.buffer, isPessimistic: self.options.kind.isPessimistic, primary: self.book.primary,
                constraints: self.book.constraints
            ) { key, value in
                isUnnecessary?(Key(key), Value(value)) ?? false
            }
        } catch {
            throw TiKVError(error)
        }
    }

    func committer(_ plan: CommitPlan) -> Committer {
        var committer = Committer(
            context: self.context, start: self.startTimestamp.rawValue, plan: plan, options: self.options,
            began: self.began, forUpdate: self.book.forUpdate, interruption: self.interruption)
        committer.hooks = self.hooks
        committer.timestamps = self.commitTimestamps
        return committer
    }

    /// What the commit took; nil before it was tried, and where there was nothing to commit.
    public var commitDetails: CommitDetails? { self.recorder?.value }

    /// Whether its signs of life have ended before it did: it is older than ``ClientConfiguration/Transaction/maximumLifetime``,
    /// its primary's lock is gone, or stores could not be reached for long. Others may take its locks away then, and a
    /// commit will probably fail.
    public var mayHaveLostLocks: Bool {
        guard let keeper = self.keeper, self.phase != .ended else { return false }
        return !keeper.isRunning
    }

    /// What taking pessimistic locks took so far.
    public nonisolated var lockDetails: LockDetails { self.lockRecorder.value }

    /// Gives the transaction up. Nothing of it takes effect, and its locks are taken back.
    ///
    /// A transaction that has ended already is left alone. Where the task is cancelled, the locks are taken back in the
    /// background.
    public func rollback() async {
        guard self.phase == .active else { return }
        self.phase = .ending
        defer { self.end() }
        let locked = self.lockedKeys
        guard self.options.kind.isPessimistic, let first = locked.first else { return }
        let wish = try? await Failpoint.onRollback.hit()
        if wish?.text == "skipRollbackPessimisticLock" { return }
        await self.locker(primary: self.book.primary ?? first)
            .rollBack(locked, forUpdate: self.book.releaseTimestamp)
    }

    /// Asks the transaction to stop: taking locks, also where it waits for others, and a commit that is not decided yet fail
    /// with ``TiKVError/Code/interrupted``, within a second or so. What must not be given up half way goes on: a commit
    /// whose keys are all locked, and taking locks back.
    ///
    /// Unlike cancelling a task, it leaves no outcome unknown.
    ///
    /// - Parameter signal: comes back with the error.
    public nonisolated func interrupt(signal: Int = 1) {
        self.interruption.set(signal)
    }

    /// Takes an interruption back, so that the transaction goes on.
    public nonisolated func clearInterruption() {
        self.interruption.clear()
    }

    /// Leaves out writes that change nothing: a value for which `isUnnecessary` returns true is not written when the
    /// transaction commits. Where its key is locked, the lock alone takes part.
    public func skipWrites(where isUnnecessary: @escaping @Sendable (Key, Value) -> Bool) {
        self.isUnnecessary = isUnnecessary
    }

    /// Has `check` look at the commit timestamp when all keys are locked and nothing is decided yet. Where it throws, the
    /// commit fails: with its error if that is a ``TiKVError``, else with ``TiKVError/Code/commitRefused``.
    public func checkBeforeCommit(_ check: @escaping @Sendable (Timestamp) async throws -> Void) {
        self.hooks.check = check
    }

    /// Has `prepare` do something that must be done before the commit is decided, such as writing it to a log of changes.
    /// It runs while keys are being locked and is told the key that decides (empty where none does); the decision waits for it. Where it throws, the commit fails:
    /// with its error if that is a ``TiKVError``, else with ``TiKVError/Code/commitRefused``. Such a transaction is
    /// always committed in two phases.
    public func prepareCommit(_ prepare: @escaping @Sendable (Key) async throws -> Void) {
        self.hooks.prepare = prepare
    }

    /// Has `report` told how the commit has ended, before ``commit(timeout:)`` returns: with success, with a failure, or with
    /// nobody knowing. It is not told of commits of nothing, nor of transactions that are rolled back without one.
    public func afterCommit(_ report: @escaping @Sendable (CommitReport) async -> Void) {
        self.hooks.after = report
    }

    /// Has `observe` told how much memory is held for what was written, in bytes, each time that this has changed, from the
    /// next write on.
    public func observeMemory(_ observe: @escaping @Sendable (Int) -> Void) {
        self.buffer.onFootprint = observe
    }

    /// The memory that is held for what was written, in bytes, but for the index of keys, which takes some 10 bytes a key.
    public var memoryFootprint: Int { self.buffer.memoryFootprint }

    /// What is remembered of a key beside its value; nil where nothing is.
    func flags(of key: Key) -> KeyFlags? { self.buffer.flags(of: key.bytes) }

    /// Sets the value of a key that a pessimistic transaction does not lock: what locking checks is left to the commit.
    func putWithoutLock(_ key: Key, value: Value) throws(TiKVError) {
        try self.check(key)
        try self.change { buffer throws(WriteBufferError) in try buffer.put(key.bytes, value: value.bytes) }
    }

    /// Takes commit timestamps from elsewhere than PD.
    func takeCommitTimestamps(from source: @escaping @Sendable () async throws(TiKVError) -> UInt64) {
        self.commitTimestamps = source
    }

    private func end() {
        self.phase = .ended
        self.sealed = nil
        self.stopKeeper()
        self.buffer.removeAll()
    }

    // MARK: - Scans

    enum MergeState: Sendable {
        case more
        case needsPage
        case finished
    }

    /// The next pairs of a scan, as far as they are known.
    func merge(
        _ union: UnionCursor
    ) throws(TiKVError) -> (UnionCursor, [UnionCursor.Pair], MergeState) {
        try self.checkActive()
        var union = union
        var pairs: [UnionCursor.Pair] = []
        do throws(WriteBufferError) {
            while pairs.count < self.context.configuration.scanPageSize {
                switch try union.next(self.buffer) {
                case .pair(let pair): pairs.append(pair)
                case .needsPage: return (union, pairs, .needsPage)
                case .finished: return (union, pairs, .finished)
                }
            }
        } catch {
            throw TiKVError(error)
        }
        return (union, pairs, .more)
    }

    // MARK: - Checks

    var finished: TiKVError {
        TiKVError(
            .transactionFinished, "the transaction has ended",
            transaction: TransactionFailure(startTimestamp: self.startTimestamp.rawValue))
    }

    func checkActive() throws(TiKVError) {
        guard self.phase == .active else { throw self.finished }
    }

    func check(_ key: Key) throws(TiKVError) {
        try self.checkActive()
        try TransactionArguments.check(key)
    }

    func change(
        _ body: (inout WriteBuffer) throws(WriteBufferError) -> Void
    ) throws(TiKVError) {
        try self.checkActive()
        do throws(WriteBufferError) {
            try body(&self.buffer)
        } catch {
            throw TiKVError(error)
        }
    }
}
