// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import TiKVPD
import TiKVProto

/// What transactions, snapshots and the lock resolver work with.
final class TransactionContext: Sendable {
    let core: ClientCore
    let resolver: LockResolver
    /// How far garbage collection has come.
    let safePoints: SafePointWatch
    /// Nil where transactions of this client do not wait for each other before they commit.
    let latches: LatchTable?
    /// Who may run again after a conflict.
    let retries: RetryTurns
    /// Those that keep locks alive.
    let keepers: LockKeepers
    /// How many transactions were committed.
    let commits = CommitCounter()

    /// - Parameter resolver: one of its own by default.
    init(core: ClientCore, resolver: LockResolver? = nil) {
        self.core = core
        self.resolver = resolver ?? LockResolver(core: core)
        self.retries = RetryTurns(clock: core.sender.clock)
        self.keepers = LockKeepers(core: core)
        let loader = SafePointLoader(store: core.pd)
        let (pd, codecs) = (core.pd, core.sender.codecs)
        self.safePoints = SafePointWatch(
            clock: core.sender.clock, logger: core.sender.logger,
            latest: { pd.oracle.lowResolutionTimestamp?.rawValue }
        ) { deadline async throws(TiKVError) in
            let keyspace = try await codecs.codec(deadline: deadline).keyspace
            do throws(PDError) {
                return try await loader.load(keyspaceID: keyspace?.id, deadline: deadline) {
                    () async throws(PDError) in
                    guard let keyspace else { return false }
                    return try await pd.keyspace(named: keyspace.name, deadline: deadline)?.hasOwnGC ?? false
                }
            } catch {
                throw TiKVError(error)
            }
        }
        let settings = core.configuration.transaction
        self.latches = settings.usesLocalLatches ? LatchTable(capacity: settings.latchCapacity) : nil
    }

    var configuration: ClientConfiguration.Transaction { self.core.configuration.transaction }
    var sender: RegionRequestSender { self.core.sender }
    var clock: any TimeSource { self.core.sender.clock }
    var logger: Logger { self.core.sender.logger }

    /// A deadline from now on.
    func deadline(_ timeout: Duration?) -> Deadline {
        Deadline(after: timeout ?? self.core.configuration.requestTimeout, from: self.clock.now)
    }

    /// The keyspace of the client; nil without one.
    func keyspaceID(deadline: Deadline) async throws(TiKVError) -> UInt32? {
        try await self.sender.codecs.codec(deadline: deadline).keyspace?.id
    }

    /// A timestamp above all that PD has handed out.
    func timestamp(deadline: Deadline) async throws(TiKVError) -> UInt64 {
        try await self.core.timestamp(deadline: deadline)
    }

    /// Hands work to the client's `run()`, which does it however the caller ends.
    func inBackground(_ work: @escaping @Sendable () async -> Void) {
        guard let hooks = self.configuration.backgroundHooks else {
            self.core.inBackground(work)
            return
        }
        hooks.willBegin()
        self.core.inBackground {
            await work()
            hooks.didEnd()
        }
    }

    /// Waits before the next try; throws where no time is left, or less than the wait needs.
    ///
    /// - Parameters:
    ///   - limit: no longer than this.
    ///   - recorder: who wants to know of the wait.
    ///   - failure: what to throw where the time is over.
    func wait(
        _ kind: BackoffKind, atMost limit: Duration? = nil, _ backoff: inout Backoff, deadline: Deadline,
        recorder: RequestRecorder? = nil, failure: @autoclosure () -> TiKVError
    ) async throws(TiKVError) {
        let now = self.clock.now
        guard
            var delay = backoff.next(
                kind, remaining: deadline.remaining(at: now), random: self.sender.random())
        else { throw failure() }
        if let limit { delay = min(delay, limit) }
        recorder?.recordBackoff(kind, delay)
        do throws(CancellationError) {
            try await self.clock.sleep(until: now.advanced(by: delay))
        } catch {
            throw TiKVError(.cancelled, "the task was cancelled")
        }
    }
}
