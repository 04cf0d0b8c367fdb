// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The engine and those who wait for its locks (tikv `src/storage/txn/scheduler.rs` and
/// `src/server/lock_manager/waiter_manager.rs`). It waits for nothing itself: whoever drives it keeps the time, and hands
/// the results in `takeFinishedWaits()` to the requests that wait.
struct TxnStorage: Sendable {
    /// How a request for pessimistic locks ends.
    struct LockResult: Sendable {
        var results: [PessimisticLockKeyResult] = []
        var failure: LockFailure?

        init(_ results: [PessimisticLockKeyResult]) {
            self.results = results
        }

        /// - Parameter isPerKey: whether the failure is that of a key, as opposed to the whole request's. Requests that
        ///   take locks in spite of conflicts get a result for each key.
        init(_ failure: LockFailure, isPerKey: Bool) {
            self.failure = failure
            if isPerKey { self.results = [.failed] }
        }
    }

    enum LockFailure: Error, Sendable {
        case key(MVCCError)
        /// The region has changed while the request waited.
        case region(RegionError)
    }

    enum LockAnswer: Sendable {
        case finished(LockResult)
        case waiting(LockWaitToken)
    }

    private(set) var engine = MVCCEngine()
    private var queues = LockWaitQueues()
    private var detector = DeadlockDetector()
    private var finished: [(token: LockWaitToken, result: LockResult)] = []
    private var nextToken: UInt64 = 1

    /// How long a request waits that names no time, and the most for those that do, in milliseconds. TiKV's default.
    var waitLimit: UInt64 = 1000

    // MARK: - Commands

    /// Runs a command of the engine, and lets those go on who waited for the locks that it released.
    ///
    /// - Parameter now: milliseconds on the clock of the waits.
    mutating func run<Value: Sendable>(
        now: UInt64, regions: ClusterState,
        _ command: (inout MVCCEngine) throws(MVCCError) -> CommandOutcome<Value>
    ) throws(MVCCError) -> Value {
        let outcome = try command(&self.engine)
        self.noteAcquired(outcome.acquired, now: now)
        self.wake(outcome.released, now: now, regions: regions)
        return outcome.value
    }

    mutating func raiseMaxTS(to timestamp: UInt64) { self.engine.raiseMaxTS(to: timestamp) }

    /// Changes the engine past its commands; those who wait are not told.
    mutating func changeEngine<Result>(_ body: (inout MVCCEngine) -> Result) -> Result { body(&self.engine) }

    /// - Parameter waitTimeout: as on the wire, in milliseconds: 0 is the default time, and less than 0 not to wait.
    mutating func lock(
        _ command: PessimisticLockCommand, waitTimeout: Int64, from origin: RequestOrigin, now: UInt64
    ) -> LockAnswer {
        switch self.attempt(command, now: now) {
        case .failure(let error): return .finished(LockResult(.key(error), isPerKey: false))
        case .success(.locked(let results)): return .finished(LockResult(results))
        case .success(.refused(let lock)):
            return .finished(LockResult(.key(.keyIsLocked(lock)), isPerKey: false))
        case .success(.blocked(let item, let lock)):
            let isPerKey = command.parameters.allowsConflict
            guard waitTimeout >= 0 else {
                return .finished(LockResult(.key(.keyIsLocked(lock)), isPerKey: isPerKey))
            }
            let timeout = waitTimeout == 0 ? self.waitLimit : min(UInt64(waitTimeout), self.waitLimit)
            var waiter = LockWaiter(
                token: LockWaitToken(number: self.nextToken), item: item, parameters: command.parameters,
                origin: origin, lock: lock, deadline: now + timeout)
            self.nextToken += 1
            if let error = self.detect(&waiter) {
                return .finished(LockResult(.key(error), isPerKey: isPerKey))
            }
            self.queues.push(waiter)
            return .waiting(waiter.token)
        }
    }

    private mutating func attempt(
        _ command: PessimisticLockCommand, now: UInt64
    ) -> Result<PessimisticLockCommand.Result, MVCCError> {
        do throws(MVCCError) {
            let outcome = try self.engine.lockPessimistically(command)
            self.noteAcquired(outcome.acquired, now: now)
            return .success(outcome.value)
        } catch {
            return .failure(error)
        }
    }

    // MARK: - Waiting

    /// Who waits for whom, for those who ask.
    func waitForEntries(now: UInt64) -> [WaitForEntry] {
        self.queues.waiters.map { waiter in
            WaitForEntry(
                txn: waiter.parameters.startTS, waitForTxn: waiter.lock.holders.first ?? 0,
                keyHash: Fingerprint64.hash(waiter.key.raw), key: waiter.key.raw,
                resourceGroupTag: waiter.parameters.resourceGroupTag)
        }
    }

    /// How many requests wait at a key.
    func waiterCount(_ key: TxnKey) -> Int { self.queues.waiters.count { $0.key == key } }

    /// Goes up whenever somebody comes to wait or goes.
    var waitVersion: UInt64 { self.queues.version }

    /// When `expire(now:)` has something to do the next time.
    var nextEvent: UInt64? { self.queues.nextEvent }

    /// Ends waits whose time is over.
    mutating func expire(now: UInt64, regions: ClusterState) {
        for waiter in self.queues.popExpired(now: now) {
            self.forget(waiter)
            var lock = waiter.lock
            if let updatedAt = waiter.updatedAt { lock.durationToLastUpdate = max(1, now - updatedAt) }
            self.finish(waiter, .key(.keyIsLocked(lock)))
        }
        for (waiter, conflict) in self.queues.popDelayed(now: now) {
            self.wake(waiter, conflict, now: now, regions: regions)
        }
    }

    /// Takes a request back whose client has gone.
    mutating func cancel(_ token: LockWaitToken) {
        if let waiter = self.queues.remove(token) { self.forget(waiter) }
    }

    /// The waits that have ended since the last call.
    mutating func takeFinishedWaits() -> [(token: LockWaitToken, result: LockResult)] {
        defer { self.finished = [] }
        return self.finished
    }

    private mutating func wake(_ released: [ReleasedLock], now: UInt64, regions: ClusterState) {
        if self.queues.isEmpty { return }
        for lock in released {
            for waiter in self.queues.pop(for: lock, now: now) { self.wake(waiter, lock, now: now, regions: regions) }
        }
    }

    /// Lets a request go on: one in the old manner ends with a conflict, so that its client reads and asks again; one that
    /// takes locks in spite of conflicts does so now.
    private mutating func wake(_ waiter: LockWaiter, _ released: ReleasedLock, now: UInt64, regions: ClusterState) {
        guard waiter.parameters.allowsConflict else {
            self.forget(waiter)
            let error = MVCCError.writeConflict(
                startTS: waiter.parameters.startTS, conflictStartTS: released.startTS,
                conflictCommitTS: released.commitTS, key: released.key.raw, primary: waiter.parameters.primary,
                reason: .pessimisticRetry)
            return self.finish(waiter, .key(error))
        }
        do throws(RegionError) {
            try regions.check(waiter.origin.target, on: waiter.origin.storeID).check(waiter.key.encoded)
        } catch {
            self.forget(waiter)
            self.finish(waiter, .region(error))
            return self.wake([released], now: now, regions: regions)
        }
        let command = PessimisticLockCommand(items: [waiter.item], parameters: waiter.parameters)
        switch self.attempt(command, now: now) {
        case .success(.locked(let results)):
            self.forget(waiter)
            self.finished.append((waiter.token, LockResult(results)))
        case .success(.blocked(_, let lock)):
            self.waitOn(waiter, for: lock)
        case .success(.refused(let lock)):
            self.forget(waiter)
            self.finish(waiter, .key(.keyIsLocked(lock)))
        case .failure(let error):
            self.forget(waiter)
            self.finish(waiter, .key(error))
            // It has not taken the lock, so nobody would ever release it for the others.
            self.wake([released], now: now, regions: regions)
        }
    }

    private mutating func finish(_ waiter: LockWaiter, _ failure: LockFailure) {
        let result = LockResult(failure, isPerKey: waiter.parameters.allowsConflict)
        self.finished.append((waiter.token, result))
    }

    /// Somebody else was faster.
    private mutating func waitOn(_ waiter: LockWaiter, for lock: LockDescription) {
        var waiter = waiter
        self.forget(waiter)
        waiter.lock = lock
        if let error = self.detect(&waiter) {
            self.finish(waiter, .key(error))
        } else {
            self.queues.push(waiter)
        }
    }

    /// Those who wait at a key learn that it has another holder.
    private mutating func noteAcquired(_ locks: [LockDescription], now: UInt64) {
        if self.queues.isEmpty { return }
        for lock in locks {
            var changed: [LockWaiter] = []
            self.queues.update(TxnKey(lock.key)) { waiter in
                waiter.updatedAt = now
                let isOther = waiter.lock.holders != lock.holders
                waiter.lock = lock
                // The others ask again themselves, soon.
                if isOther && waiter.parameters.allowsConflict { changed.append(waiter) }
            }
            for waiter in changed {
                _ = self.queues.remove(waiter.token)
                self.waitOn(waiter, for: lock)
            }
        }
    }

    private mutating func detect(_ waiter: inout LockWaiter) -> MVCCError? {
        // Nobody can be waiting for a transaction that has no lock yet.
        if waiter.parameters.isFirstLock { return nil }
        let holders = waiter.lock.holders
        waiter.detectedHolders = holders
        let txn = waiter.parameters.startTS
        let deadlock = self.detector.detect(
            txn, waitingFor: holders, at: waiter.key.raw, resourceGroupTag: waiter.parameters.resourceGroupTag)
        guard let deadlock else { return nil }
        self.forget(waiter)
        return .deadlock(
            startTS: txn, lockTS: deadlock.lockTS, key: waiter.key.raw, keyHash: deadlock.keyHash,
            chain: deadlock.chain)
    }

    private mutating func forget(_ waiter: LockWaiter) {
        self.detector.remove(waiter.parameters.startTS, waitingFor: waiter.detectedHolders, at: waiter.key.raw)
    }
}
