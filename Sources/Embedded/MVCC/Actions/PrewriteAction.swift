// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What is the same for all mutations of a prewrite.
struct PrewriteProperties: Sendable {
    enum CommitKind: Sendable {
        case twoPhase
        case onePhase(maxCommitTS: UInt64)
        case async(maxCommitTS: UInt64)
    }

    var startTS: UInt64
    var primary: [UInt8]
    var lockTTL: UInt64
    var txnSize: UInt64
    /// 0 in an optimistic transaction.
    var forUpdateTS: UInt64
    var skipsConstraintCheck: Bool
    var commitKind: CommitKind
    var minCommitTS: UInt64
    var isRetry: Bool
    var assertionLevel: AssertionLevel
    var txnSource: UInt64
    /// Not 0 for the flushes of a pipelined transaction.
    var generation: UInt64 = 0

    var isPessimistic: Bool { self.forUpdateTS != 0 }
}

/// Prewrites one mutation: checks it and leaves a lock (tikv `src/storage/txn/actions/prewrite.rs`).
struct PrewriteAction {
    private enum LockStatus {
        case none
        /// The transaction has locked the key for its statements.
        case pessimistic(forUpdateTS: UInt64)
        /// The key is prewritten already.
        case locked(minCommitTS: UInt64)
    }

    let properties: PrewriteProperties
    let mutation: Mutation
    /// Nil unless the transaction commits asynchronously; not empty at its primary only.
    let secondaries: [[UInt8]]?
    private var lockTTL: UInt64
    private var minCommitTS: UInt64

    init(_ mutation: Mutation, _ properties: PrewriteProperties, secondaries: [[UInt8]]?) {
        self.mutation = mutation
        self.properties = properties
        self.secondaries = secondaries
        self.lockTTL = properties.lockTTL
        self.minCommitTS = properties.minCommitTS
    }

    /// - Returns: the least timestamp that the transaction may commit at, as far as this key goes; 0 where it is not
    ///   asked for, or the key was prewritten earlier without asking.
    mutating func run(
        _ txn: inout MVCCTxn, _ reader: MVCCReader, maxTS: inout UInt64
    ) throws(MVCCError) -> UInt64 {
        let key = self.mutation.key
        let isCheckOnly = self.mutation.kind == .checkNotExists
        if isCheckOnly && self.properties.isPessimistic {
            throw .other("cannot handle checkNotExists in pessimistic prewrite")
        }
        // To find that a key does not exist is to read it.
        if self.mutation.forbidsExistence { maxTS = max(maxTS, self.properties.startTS) }

        let (status, shared, isAmended) = try self.examineLock(reader)
        if case .locked(let minCommitTS) = status, self.properties.generation == 0 { return minCommitTS }

        var previous: VersionedWrite?
        var isLoaded = false
        if !self.skipsConstraintCheck {
            previous = try self.checkForNewerVersion(reader)
            isLoaded = true
        }
        var isLaterFlush = false
        if case .locked = status, self.properties.generation > 0 { isLaterFlush = true }
        if !isAmended && !isLaterFlush { try self.checkAssertion(reader, previous, isLoaded: isLoaded) }

        if isCheckOnly {
            switch self.properties.commitKind {
            case .twoPhase: return 0
            // It leaves nothing that readers could miss, so that they do not matter.
            case .onePhase, .async: return max(self.properties.minCommitTS, self.properties.startTS.next)
            }
        }
        let isNew = self.mutation.pessimisticAction != .check || isAmended
        return try self.writeLock(key, status, shared, isNew: isNew, &txn, maxTS: maxTS)
    }

    // MARK: - The lock that is there

    private mutating func examineLock(
        _ reader: MVCCReader
    ) throws(MVCCError) -> (status: LockStatus, shared: SharedLocks?, isAmended: Bool) {
        let key = self.mutation.key
        let wantsShared = self.mutation.kind == .sharedLock
        switch reader.lock(key) {
        case .exclusive(let lock):
            if wantsShared { throw .keyIsLocked(LockDescription(key, lock)) }
            return (try self.check(lock), nil, false)
        case .shared(let shared):
            if let lock = shared.lock(startTS: self.properties.startTS) {
                if !wantsShared { throw .other("use Op::SharedLock to prewrite on a shared lock") }
                return (try self.check(lock), shared, false)
            }
            if wantsShared { throw self.lockNotFound(.lockMissingAmendFail) }
            throw .keyIsLocked(LockDescription(key, .shared(shared)))
        case nil:
            guard self.mutation.pessimisticAction == .check else { return (.none, nil, false) }
            if wantsShared { throw self.lockNotFound(.lockMissingAmendFail) }
            try self.amend(reader)
            return (.none, nil, true)
        }
    }

    private mutating func check(_ lock: LockRecord) throws(MVCCError) -> LockStatus {
        let key = self.mutation.key
        guard lock.startTS == self.properties.startTS else {
            if self.mutation.pessimisticAction == .check { throw self.lockNotFound(.lockTSMismatch) }
            var lock = lock
            // The rows themselves are locked, so that whoever holds this one may be got out of the way at once.
            if self.properties.isPessimistic { lock.ttl = 0 }
            throw .keyIsLocked(LockDescription(key, lock))
        }
        if lock.isPessimistic {
            guard self.properties.isPessimistic else {
                throw .lockTypeNotMatch(startTS: lock.startTS, key: key.raw, pessimistic: true)
            }
            // Another one than the client took: that was lost, and the key may have changed before this one came.
            if let expected = self.mutation.expectedForUpdateTS, expected != lock.forUpdateTS {
                throw self.lockNotFound(.lockForUpdateTSMismatch)
            }
            self.lockTTL = max(self.lockTTL, lock.ttl)
            self.minCommitTS = max(self.minCommitTS, lock.minCommitTS)
            return .pessimistic(forUpdateTS: lock.forUpdateTS)
        }
        let generation = self.properties.generation
        if generation > 0 && lock.generation >= generation {
            throw .generationOutOfOrder(generation: generation, key: key.raw)
        }
        if lock.generation > 0 && self.mutation.forbidsExistence && lock.kind == .put {
            throw .alreadyExist(key: key.raw, existingStartTS: lock.startTS)
        }
        return .locked(minCommitTS: lock.usesAsyncCommit ? lock.minCommitTS : 0)
    }

    private func lockNotFound(_ reason: MVCCError.LockNotFoundReason) -> MVCCError {
        .pessimisticLockNotFound(startTS: self.properties.startTS, key: self.mutation.key.raw, reason: reason)
    }

    /// The pessimistic lock never came, or got lost, which stores may let happen to go faster. As long as nobody has
    /// written since the transaction began, that makes no difference.
    private func amend(_ reader: MVCCReader) throws(MVCCError) {
        let found = reader.seekWrite(self.mutation.key, .max)
        if let found, found.commitTS >= self.properties.startTS { throw self.lockNotFound(.lockMissingAmendFail) }
        try self.checkAssertion(reader, found, isLoaded: true)
    }

    // MARK: - The versions that are there

    private var skipsConstraintCheck: Bool {
        guard self.properties.isPessimistic else { return self.properties.skipsConstraintCheck }
        switch self.mutation.pessimisticAction {
        case .check: return true
        // A repeated request may come after the commit of the first one.
        case .skip: return !self.properties.isRetry
        case .constraintCheck: return false
        }
    }

    @discardableResult
    private func checkForNewerVersion(_ reader: MVCCReader) throws(MVCCError) -> VersionedWrite? {
        let key = self.mutation.key
        let startTS = self.properties.startTS
        var next: UInt64 = .max
        while let found = reader.seekWrite(key, next) {
            if found.commitTS == startTS && found.write.marksRollback {
                throw self.conflict(found, .selfRolledBack)
            }
            if self.properties.isPessimistic {
                if self.mutation.pessimisticAction == .constraintCheck && found.commitTS > startTS {
                    throw self.conflict(found, .lazyUniquenessCheck)
                }
                if found.commitTS > self.properties.forUpdateTS {
                    // Rollbacks can be written in spite of the lock of the row that this key belongs to.
                    if found.write.kind == .rollback {
                        guard found.commitTS > 0 else { return nil }
                        next = found.commitTS - 1
                        continue
                    }
                    throw self.lockNotFound(.nonLockKeyConflict)
                }
            } else if found.commitTS > startTS {
                throw self.conflict(found, .optimistic)
            }
            if self.mutation.forbidsExistence { try reader.checkNotExisting(key, found) }
            return found
        }
        return nil
    }

    private func conflict(_ found: VersionedWrite, _ reason: MVCCError.ConflictReason) -> MVCCError {
        .writeConflict(
            startTS: self.properties.startTS, conflictStartTS: found.write.startTS,
            conflictCommitTS: found.commitTS, key: self.mutation.key.raw, primary: self.properties.primary,
            reason: reason)
    }

    /// - Parameters:
    ///   - previous: the newest record, where it was looked for.
    ///   - isLoaded: whether it was.
    private func checkAssertion(
        _ reader: MVCCReader, _ previous: VersionedWrite?, isLoaded: Bool
    ) throws(MVCCError) {
        let assertion = self.mutation.assertion
        let level = self.properties.assertionLevel
        if assertion == .none || level == .off || (level == .fast && !isLoaded) { return }
        var found = previous
        if isLoaded, let fence = previous?.write.gcFence, fence != 0 { found = nil }
        if !isLoaded {
            found = reader.latestPut(self.mutation.key, at: .max)
        } else if let current = found, !current.write.isDataVersion {
            found = reader.latestPut(self.mutation.key, at: current.commitTS)
        }
        let failure: MVCCError?
        switch (assertion, found?.write.kind) {
        case (.exist, nil): failure = self.assertionFailed(0, 0)
        case (.exist, .delete), (.notExist, .put):
            failure = self.assertionFailed(found?.write.startTS ?? 0, found?.commitTS ?? 0)
        default: failure = nil
        }
        guard let failure else { return }
        // A rollback, or a newer version, may be why; then that is the better answer.
        if self.skipsConstraintCheck { try self.checkForNewerVersion(reader) }
        throw failure
    }

    private func assertionFailed(_ existingStartTS: UInt64, _ existingCommitTS: UInt64) -> MVCCError {
        .assertionFailed(
            startTS: self.properties.startTS, key: self.mutation.key.raw, assertion: self.mutation.assertion,
            existingStartTS: existingStartTS, existingCommitTS: existingCommitTS)
    }

    // MARK: - The lock that is left

    private func writeLock(
        _ key: TxnKey, _ status: LockStatus, _ shared: SharedLocks?, isNew: Bool, _ txn: inout MVCCTxn, maxTS: UInt64
    ) throws(MVCCError) -> UInt64 {
        var forUpdateTS = self.properties.forUpdateTS
        var replacesPessimistic = false
        if case .pessimistic(let locked) = status {
            forUpdateTS = max(forUpdateTS, locked)
            replacesPessimistic = true
        }
        var lock = LockRecord(
            kind: self.mutation.lockKind, primary: self.properties.primary, startTS: self.properties.startTS,
            ttl: self.lockTTL, forUpdateTS: forUpdateTS, txnSize: self.properties.txnSize,
            minCommitTS: self.minCommitTS, generation: self.properties.generation,
            txnSource: self.properties.txnSource)
        if lock.kind == .put {
            if self.mutation.value.count <= MVCCStore.shortValueLimit {
                lock.shortValue = self.mutation.value
            } else {
                txn.putValue(key, startTS: lock.startTS, self.mutation.value)
            }
        }

        var triesOnePhase = false
        var maxCommitTS: UInt64 = 0
        switch self.properties.commitKind {
        case .twoPhase: break
        case .onePhase(let limit): (triesOnePhase, maxCommitTS) = (true, limit)
        case .async(let limit): maxCommitTS = limit
        }
        if let secondaries = self.secondaries {
            lock.usesAsyncCommit = true
            lock.secondaries = secondaries
        }
        var failure: MVCCError?
        var minCommitTS: UInt64 = 0
        if lock.usesAsyncCommit || triesOnePhase {
            // Above all that was read here, so that no reader can have missed the commit.
            minCommitTS = max(maxTS, lock.startTS, self.properties.forUpdateTS)
            minCommitTS = max(lock.minCommitTS, minCommitTS.next)
            if maxCommitTS != 0 && minCommitTS > maxCommitTS {
                failure = .commitTSTooLarge(
                    startTS: lock.startTS, minCommitTS: minCommitTS, maxCommitTS: maxCommitTS)
                triesOnePhase = false
                lock.usesAsyncCommit = false
                lock.secondaries = []
            } else {
                lock.minCommitTS = minCommitTS
            }
        }
        if var shared {
            if triesOnePhase { throw .other("shared lock prewrite is incompatible with one-phase commit") }
            if lock.usesAsyncCommit {
                throw .other("shared lock prewrite cannot use async-commit, falling back to 2PC")
            }
            if lock.generation > 0 {
                throw .other(
                    "shared lock prewrite does not support non-zero generation, generation: \(lock.generation)")
            }
            shared.set(lock)
            txn.putLock(key, .shared(shared), isNew: false)
        } else if triesOnePhase {
            txn.putOnePhaseLock(key, lock, replacesPessimistic: replacesPessimistic)
        } else {
            txn.putLock(key, lock, isNew: isNew)
        }
        if let failure { throw failure }
        return minCommitTS
    }
}
