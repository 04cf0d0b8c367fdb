// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVWriteBuffer

extension Transaction {
    /// Locks keys without changing them: nobody else changes them before the transaction has ended. An optimistic
    /// transaction fails to commit instead where one of them has changed since it began.
    ///
    /// - Parameters:
    ///   - keys: none of them empty.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Throws: ``TiKVError``, as ``lock(_:options:timeout:)`` does.
    public func lock(_ keys: some Sequence<Key> & Sendable, timeout: Duration? = nil) async throws(TiKVError) {
        _ = try await self.lock(keys, options: LockOptions(), timeout: timeout)
    }

    /// Locks keys without changing them, and says what is there.
    ///
    /// In an optimistic transaction nothing is sent: that the keys are not changed by others is checked when it commits, and
    /// the options and the result say nothing.
    ///
    /// - Parameters:
    ///   - keys: none of them empty; one named twice is locked once. More than one finishes fair locking.
    ///   - options: how.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: what became of each key.
    /// - Throws: ``TiKVError``: ``TiKVError/Code/keyIsLocked`` where another transaction has one and nobody was to wait,
    ///   ``TiKVError/Code/lockWaitTimeout`` and ``TiKVError/Code/deadlineExceeded`` where it was waited for in vain,
    ///   ``TiKVError/Code/deadlock``, ``TiKVError/Code/writeConflict`` where the options name a timestamp,
    ///   ``TiKVError/Code/invalidArgument`` where the options can't be met. The locks that this call took are taken back
    ///   then; those of earlier calls stay, but for fair locking, where those of the present attempt on the same keys go.
    @discardableResult
    public func lock(
        _ keys: some Sequence<Key> & Sendable, options: LockOptions, timeout: Duration? = nil
    ) async throws(TiKVError) -> [Key: LockedKey] {
        let sorted = RawBatch.sorted(keys)
        for key in sorted { try self.check(Key(key)) }
        guard self.options.kind.isPessimistic else {
            for key in sorted {
                try self.change { buffer throws(WriteBufferError) in try buffer.updateFlags(key, .set(.locked)) }
            }
            return Dictionary(
                uniqueKeysWithValues: sorted.map { (Key($0), LockedKey(isLocked: true, isAlreadyLocked: false)) })
        }
        return try await self.acquire(
            sorted.map { PessimisticLocker.Target(key: $0, isInsert: false) }, options,
            deadline: self.context.deadline(timeout), isRepeated: false)
    }

    /// How many keys it has locked, those of fair locking that are still to be given back included.
    public var lockedKeyCount: Int { self.lockedKeys.count }

    var lockedKeys: [[UInt8]] {
        var keys: [[UInt8]] = []
        var cursor = WriteBuffer.Cursor(includesFlagged: true)
        while let entry = try? self.buffer.next(&cursor) {
            if entry.flags.contains(.locked) { keys.append(entry.key) }
        }
        // A key may have been locked before fair locking asked about it.
        let known = Set(keys)
        return keys + self.book.stageKeys.filter { !known.contains($0) }
    }

    /// Takes the lock of a key that is about to be written.
    func lockToWrite(_ key: [UInt8], isInsert: Bool, _ timeout: Duration?) async throws(TiKVError) {
        guard self.options.kind.isPessimistic else { return }
        _ = try await self.acquire(
            [PessimisticLocker.Target(key: key, isInsert: isInsert)], LockOptions(),
            deadline: self.context.deadline(timeout), isRepeated: false)
    }

    // MARK: - Taking locks

    /// Takes pessimistic locks. A key that was committed meanwhile is locked as of a later timestamp, unless the options name
    /// one.
    ///
    /// - Parameters:
    ///   - targets: in the order of their keys.
    ///   - isRepeated: whether keys that are locked already are asked about again, for their values.
    func acquire(
        _ targets: [PessimisticLocker.Target], _ options: LockOptions, deadline: Deadline, isRepeated: Bool
    ) async throws(TiKVError) -> [Key: LockedKey] {
        let needsTurn = self.book.primary == nil || self.book.isFair
        if needsTurn { try await self.turnstile.enter() }
        defer { if needsTurn { self.turnstile.leave() } }
        try self.checkActive()
        if self.book.isFair {
            if options.mode.isShared {
                throw TiKVError(.invalidArgument, "fair locking has no shared locks")
            }
            // It is made for statements that lock one key.
            if targets.count > 1 { await self.endFairLocking() }
        }
        var result: [Key: LockedKey] = [:]
        let wanted = try self.wanted(targets, options, isRepeated: isRepeated, &result)
        guard let first = wanted.first else { return result }
        if options.onlyIfExists {
            guard options.returnsValues else {
                throw TiKVError(.invalidArgument, "keys can be locked only if they exist where values are returned")
            }
            guard self.book.primary != nil || wanted.count == 1 else {
                throw TiKVError(
                    .invalidArgument, "the first lock of a transaction can be on one key only where it must exist")
            }
        }
        if options.mode.isShared, self.book.primary == nil {
            throw TiKVError(
                .invalidArgument, "a shared lock can't be the first of a transaction",
                transaction: TransactionFailure(startTimestamp: self.startTimestamp.rawValue, key: Key(first.key)))
        }
        try await self.take(wanted, options, deadline: deadline, &result)
        return result
    }

    /// Those of the keys that must be asked for.
    private func wanted(
        _ targets: [PessimisticLocker.Target], _ options: LockOptions, isRepeated: Bool,
        _ result: inout [Key: LockedKey]
    ) throws(TiKVError) -> [PessimisticLocker.Target] {
        var wanted: [PessimisticLocker.Target] = []
        for target in targets {
            let flags = self.buffer.flags(of: target.key) ?? []
            var isLocked = flags.contains(.locked)
            var exists = flags.contains(.lockedValueExists)
            if isLocked, flags.contains(.lockedInShareMode), !options.mode.isShared {
                throw TiKVError(
                    .invalidArgument, "a shared lock can't be made an exclusive one",
                    transaction: TransactionFailure(
                        startTimestamp: self.startTimestamp.rawValue, key: Key(target.key)))
            }
            var isPrevious = false
            if let known = self.book.entry(of: target.key) {
                (isLocked, exists, isPrevious) = (true, known.entry.exists, known.isPrevious)
            }
            if isLocked, target.isInsert, exists {
                throw TiKVError(
                    .keyAlreadyExists, "a key that was to be inserted exists already",
                    transaction: TransactionFailure(
                        startTimestamp: self.startTimestamp.rawValue, key: Key(target.key)))
            }
            if isLocked, !isPrevious, !isRepeated {
                result[Key(target.key)] = LockedKey(isLocked: true, isAlreadyLocked: true)
            } else {
                wanted.append(target)
            }
        }
        return wanted
    }

    private func take(
        _ wanted: [PessimisticLocker.Target], _ options: LockOptions, deadline: Deadline,
        _ result: inout [Key: LockedKey]
    ) async throws(TiKVError) {
        let clock = self.context.clock
        let began = clock.now
        defer {
            let time = began.duration(to: clock.now)
            self.lockRecorder.record { $0.time += time }
        }
        let given = options.forUpdateTimestamp?.rawValue
        var timestamp: UInt64
        if let given {
            timestamp = given
        } else {
            timestamp = try await self.context.timestamp(deadline: deadline)
            try self.checkActive()
        }
        let hasLocks = self.lockedCountIsPositive
        let call = self.book.begin(
            wanted.map(\.key), forUpdate: timestamp, returnsValues: options.returnsValues, now: clock.now,
            lifetime: self.context.keepers.lifetime)
        if call.stopsHeartbeat { self.stopKeeper() }
        for (key, entry) in call.known { result[Key(key)] = LockedKey(entry, options) }
        self.lockRecorder.record { details in
            if !call.keys.isEmpty { details.callCount += 1 }
            details.keyCount += call.keys.count
            if call.isFair { details.fairCount += call.keys.count }
            details.knownCount += call.known.count
        }
        guard !call.keys.isEmpty else { return }
        // What earlier calls have locked is not taken back with this one.
        let held = Set(call.keys.filter { self.buffer.flags(of: $0)?.contains(.locked) ?? false })
        let sent = Set(call.keys)
        let targets = wanted.filter { sent.contains($0.key) }

        var locker = self.locker(primary: call.primary)
        locker.recorder = self.lockRecorder
        locker.isForced = call.isForced
        locker.isFirst = !hasLocks && targets.count == 1
        locker.isShared = options.mode.isShared
        locker.returnsValues = options.returnsValues
        locker.onlyIfExists = options.onlyIfExists
        locker.waitTimeout = options.waitTimeout ?? self.options.lockWaitTimeout
        if let tag = options.resourceGroupTag { locker.options.resourceGroupTag = tag }

        var retries = 0
        while true {
            do throws(TiKVError) {
                let found = try await self.send(targets, call, locker, timestamp, deadline)
                try self.took(found, call, options, timestamp, &result)
                return
            } catch {
                if given == nil, error.code == .writeConflict, self.phase == .active,
                    retries < self.context.configuration.maximumLockRetries ?? .max,
                    error.transaction?.conflict?.reason == .pessimisticRetry
                {
                    do throws(TiKVError) {
                        // At once: who holds the lock has committed, and the store wakes one of those who wait for it.
                        // Were that one to wait now, the lock would lie idle, or those take it who have just come.
                        guard !deadline.hasPassed(at: clock.now) else { throw error }
                        timestamp = try await self.context.timestamp(deadline: deadline)
                        self.book.advance(to: timestamp)
                        retries += 1
                        self.lockRecorder.record { $0.retryCount += 1 }
                        continue
                    } catch {
                        await self.giveUp(call, error, held: held, locker, isAtOnce: false)
                        throw error
                    }
                }
                let isDeadlock = error.code == .deadlock
                let error = isDeadlock ? error.brokenDeadlock(by: sent.subtracting(held)) : error
                // Where the same timestamp may come again, and where others wait for these locks, they go at once.
                await self.giveUp(call, error, held: held, locker, isAtOnce: given != nil || isDeadlock)
                throw error
            }
        }
    }

    private var lockedCountIsPositive: Bool {
        self.book.primary != nil || self.book.stageCount > 0 || self.keeper != nil
    }

    /// The primary first and alone where it is new: a lock must not point to one that may never be there.
    private func send(
        _ targets: [PessimisticLocker.Target], _ call: LockBook.Call, _ locker: PessimisticLocker, _ timestamp: UInt64,
        _ deadline: Deadline
    ) async throws(TiKVError) -> [PessimisticLocker.Found] {
        await PreSplitter(context: self.context).prepare(
            count: targets.count, key: { targets[$0].key }, size: { targets[$0].key.count }, deadline: deadline)
        var rest = targets
        var found: [PessimisticLocker.Found] = []
        if let index = rest.firstIndex(where: { $0.key == call.primary }) {
            let first = rest.remove(at: index)
            found = try await locker.lock([first], forUpdate: timestamp, deadline: deadline)
            // The transaction may have ended meanwhile: then nobody else takes these locks back.
            guard self.phase == .active else { throw self.finished }
            if !(locker.onlyIfExists && found.first?.exists == false) { self.keep(call.primary) }
        }
        if !rest.isEmpty {
            found += try await locker.lock(rest, forUpdate: timestamp, deadline: deadline)
            guard self.phase == .active else { throw self.finished }
        }
        return found
    }

    private func took(
        _ found: [PessimisticLocker.Found], _ call: LockBook.Call, _ options: LockOptions, _ timestamp: UInt64,
        _ result: inout [Key: LockedKey]
    ) throws(TiKVError) {
        var entries: [[UInt8]: LockBook.Entry] = [:]
        for one in found {
            let entry = LockBook.Entry(
                exists: one.exists, value: one.value, hasValue: options.returnsValues || one.conflict != 0,
                conflict: one.conflict, forUpdate: max(timestamp, one.conflict))
            if one.conflict != 0 { self.lockRecorder.record { $0.conflictCount += 1 } }
            let isSkipped = options.onlyIfExists && !one.exists
            if !isSkipped { entries[one.key] = entry }
            var key = LockedKey(entry, options)
            key.isLocked = !isSkipped
            result[Key(one.key)] = key
        }
        if self.book.succeeded(call, entries) { self.stopKeeper() }
        guard !call.isFair else { return }
        for (key, entry) in entries { try self.flag(key, exists: entry.exists, isShared: options.mode.isShared) }
    }

    private func flag(_ key: [UInt8], exists: Bool, isShared: Bool) throws(TiKVError) {
        var flags: KeyFlags = .locked
        if exists { flags.insert(.lockedValueExists) }
        if isShared { flags.insert(.lockedInShareMode) }
        let change = KeyFlagChange(set: flags, cleared: [.lockedValueExists, .needCheckExists])
        try self.change { buffer throws(WriteBufferError) in try buffer.updateFlags(key, change) }
    }

    /// Takes back what a call that failed may have locked.
    private func giveUp(
        _ call: LockBook.Call, _ error: TiKVError, held: Set<[UInt8]>, _ locker: PessimisticLocker, isAtOnce: Bool
    ) async {
        // A single key that was refused for what is there is not locked.
        let isRefused = call.keys.count == 1 && (error.code == .writeConflict || error.code == .keyAlreadyExists)
        let release = self.book.failed(call, isLocked: !isRefused)
        if release.stopsHeartbeat { self.stopKeeper() }
        let keys = release.keys.filter { !held.contains($0) }
        let timestamp = self.book.releaseTimestamp
        if isAtOnce {
            await locker.rollBack(keys, forUpdate: timestamp)
        } else {
            locker.rollBackInBackground(keys, forUpdate: timestamp)
        }
    }

    func locker(primary: [UInt8]) -> PessimisticLocker {
        PessimisticLocker(
            context: self.context, start: self.startTimestamp.rawValue, primary: primary, options: self.options,
            began: self.began, interruption: self.interruption)
    }

    // MARK: - Signs of life

    /// Keeps the primary's lock alive from now on.
    func keep(_ primary: [UInt8]) {
        if let keeper = self.keeper, keeper.primary == primary, keeper.isRunning { return }
        self.stopKeeper()
        self.keeper = self.context.keepers.keep(
            start: self.startTimestamp.rawValue, primary: primary, began: self.began, options: self.options.request)
    }

    func stopKeeper() {
        self.keeper?.stop()
        self.keeper = nil
    }
}

extension LockedKey {
    init(_ entry: LockBook.Entry, _ options: LockOptions) {
        let isConflict = entry.conflict != 0
        self.init(
            isLocked: true, isAlreadyLocked: false,
            exists: options.returnsValues || options.checksExistence || isConflict ? entry.exists : nil,
            value: options.returnsValues || isConflict ? entry.value.map { Value($0) } : nil,
            conflict: isConflict ? Timestamp(rawValue: entry.conflict) : nil)
    }
}

extension TiKVError {
    /// This deadlock, marked where giving back some keys' locks breaks it.
    func brokenDeadlock(by keys: Set<[UInt8]>) -> TiKVError {
        guard var transaction = self.transaction, let deadlock = transaction.deadlock else { return self }
        let start = transaction.startTimestamp
        // Who waits for us, waits for one of these keys.
        transaction.deadlock?.isBroken = deadlock.waits.contains {
            $0.holder == start && keys.contains($0.key.bytes)
        }
        return TiKVError(
            self.code, self.message, detail: self.detail, cause: self.cause, attempts: self.attempts,
            isOutcomeUnknown: self.isOutcomeUnknown, transaction: transaction)
    }
}
