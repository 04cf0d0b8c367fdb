// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

public import Logging
public import ServiceLifecycle
import TiKVPD

/// Transactions over any keys of a cluster: reads of one moment, writes that take effect together.
///
/// ```swift
/// try await TransactionClient.withClient(pd: ["127.0.0.1:2379"]) { client in
///     try await client.withTransaction { transaction in
///         let balance = try await transaction.get("alice")
///         try await transaction.put("alice", value: …)
///     }
/// }
/// ```
///
/// ## Life
/// A client does nothing until ``run()`` is awaited in a task of its own, which ``withClient(pd:configuration:logger:_:)``
/// does for you; calls made before wait for it. Cancelling that task closes the client. What goes on after a transaction has
/// ended, such as removing the locks of keys that are committed already, is done there; what it does not come to is done by
/// whoever meets those locks.
///
/// ## Isolation
/// Snapshot isolation: a transaction reads the state of the moment at which it began, and of two that write the same key and
/// overlap one fails. Two that read what the other writes may both commit (write skew); where that matters, lock what
/// was read with ``Transaction/lock(_:timeout:)``.
public final class TransactionClient: Sendable {
    let core: ClientCore
    let context: TransactionContext

    /// Makes a client, which connects to nothing until ``run()`` is awaited.
    ///
    /// - Parameters:
    ///   - pd: addresses of members of PD, as `host:port` or `http://host:port`; one that answers is enough.
    ///   - configuration: how the client behaves.
    ///   - logger: logs at `debug` and `trace`; nothing by default.
    /// - Throws: ``TiKVError/Code/invalidArgument`` where there is no address, or one that is none, or where the
    ///   configuration cannot work.
    public init(
        pd: [String], configuration: ClientConfiguration = .init(), logger: Logger = .tikvSilent
    ) throws(TiKVError) {
        self.core = try ClientCore(
            .transaction, pd: try ClientCore.addresses(pd), configuration: configuration, logger: logger)
        self.context = TransactionContext(core: self.core)
    }

    /// Runs a client for the length of `body`.
    ///
    /// - Parameters:
    ///   - pd: addresses of members of PD, as `host:port` or `http://host:port`; one that answers is enough.
    ///   - configuration: how the client behaves.
    ///   - logger: logs at `debug` and `trace`; nothing by default.
    ///   - body: uses the client.
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws, and ``TiKVError/Code/invalidArgument`` as the initializer does.
    public static func withClient<Result>(
        pd: [String], configuration: ClientConfiguration = .init(), logger: Logger = .tikvSilent,
        _ body: (TransactionClient) async throws -> sending Result
    ) async throws -> sending Result {
        let client = try TransactionClient(pd: pd, configuration: configuration, logger: logger)
        // Cancelled and waited for when this scope is left, by whichever way.
        async let _ = client.run()
        return try await body(client)
    }

    // MARK: - Timestamps and snapshots

    /// A timestamp after all that has been committed so far.
    ///
    /// - Parameter timeout: the time for the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Throws: ``TiKVError``.
    public func currentTimestamp(timeout: Duration? = nil) async throws(TiKVError) -> Timestamp {
        Timestamp(rawValue: try await self.context.timestamp(deadline: self.context.deadline(timeout)))
    }

    /// The state at a moment.
    ///
    /// - Parameters:
    ///   - timestamp: of ``currentTimestamp(timeout:)`` or of a commit; ``Timestamp/latest``, the default, reads whatever is
    ///     the latest each time. Old states are there as long as garbage collection leaves them.
    ///   - options: how it reads.
    public func snapshot(at timestamp: Timestamp = .latest, options: SnapshotOptions = .init()) -> Snapshot {
        Snapshot(self.context, at: timestamp, options)
    }

    // MARK: - Transactions

    /// Begins a transaction that its caller ends, with ``Transaction/commit(timeout:)`` or ``Transaction/rollback()``.
    ///
    /// - Parameters:
    ///   - options: how it behaves.
    ///   - timeout: the time for the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Throws: ``TiKVError``: ``TiKVError/Code/invalidArgument`` where it should begin at a timestamp that is none.
    public func begin(
        _ options: TransactionOptions = .optimistic, timeout: Duration? = nil
    ) async throws(TiKVError) -> Transaction {
        let start: UInt64
        if let given = options.startTimestamp {
            guard given.rawValue > 0, given != .latest else {
                throw TiKVError(.invalidArgument, "a transaction can't begin at \(given)")
            }
            start = given.rawValue
        } else {
            start = try await self.context.timestamp(deadline: self.context.deadline(timeout))
        }
        return Transaction(self.context, start: start, options: options)
    }

    /// Runs a transaction: commits it when `body` returns, rolls it back when it throws, and runs it again, from its
    /// beginning and with a new timestamp, where another transaction was in the way.
    ///
    /// `body` may so run several times: what it does beside the transaction should stand that. It is run again only where
    /// nothing can have been committed (``TiKVError/isRetryable``), after a short wait that grows each time. Transactions of
    /// this client that have conflicted over the same key run again one after the other.
    ///
    /// - Parameters:
    ///   - options: how the transaction behaves. One that begins at a given timestamp is run once.
    ///   - timeout: the time for all of it; within ``ClientConfiguration/Transaction/maximumAttempts`` attempts there is no
    ///     limit by default, but those of the single calls.
    ///   - body: reads and writes.
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws, and ``TiKVError`` of the commit: ``TiKVError/Code/undetermined`` where it may or may
    ///   not have taken effect. Cancelling the task ends it, and rolls back what can be.
    public func withTransaction<Result>(
        _ options: TransactionOptions = .optimistic, timeout: Duration? = nil,
        _ body: (Transaction) async throws -> sending Result
    ) async throws -> sending Result {
        let deadline = timeout.map { self.context.deadline($0) }
        var backoff = Backoff()
        var attempt = 0
        var turn: RetryTurns.Turn?
        defer { if let turn { self.context.retries.leave(turn) } }
        while true {
            attempt += 1
            let transaction = try await self.begin(options, timeout: self.remaining(deadline))
            let failure: TiKVError
            do {
                let result = try await body(transaction)
                try await transaction.commit(timeout: self.remaining(deadline))
                return result
            } catch {
                await transaction.rollback()
                guard
                    let error = error as? TiKVError, error.isRetryable, options.startTimestamp == nil,
                    attempt < max(1, self.context.configuration.maximumAttempts), !Task.isCancelled
                else { throw error }
                failure = error
            }
            if await self.wait(after: failure, &turn, deadline: deadline) { continue }
            try await self.context.wait(
                .transactionRetry, &backoff, deadline: deadline ?? self.context.deadline(.seconds(60)),
                failure: failure)
        }
    }

    /// Waits for those with whom a transaction has conflicted.
    ///
    /// Of those of this client one runs at a time; and who was met before its end is waited for without locks: whoever begins
    /// anew while the other goes on waits for it with locks, and so is in the way of all that come, each of which is
    /// preferred as the younger one.
    ///
    /// - Returns: whether that was wait enough.
    private func wait(
        after failure: TiKVError, _ turn: inout RetryTurns.Turn?, deadline: Deadline?
    ) async -> Bool {
        guard let conflict = failure.transaction?.conflict else { return false }
        let turns = self.context.retries
        var isEnough = false
        if let key = conflict.key, !key.isEmpty {
            if turn?.key == key {
                // Those behind wait for this one.
                isEnough = turns.waiterCount(key) > 0
            } else {
                if let last = turn.take() { turns.leave(last) }
                let entered = await turns.enter(key, deadline: deadline)
                turn = entered?.turn
                isEnough = entered?.hasWaited ?? false
            }
        }
        if let lock = conflict.lock {
            var end = Deadline(after: RetryTurns.patience, from: self.context.clock.now)
            if let deadline, deadline.instant < end.instant { end = deadline }
            await self.context.resolver.waitForEnd(of: lock, deadline: end)
            isEnough = true
        }
        return isEnough
    }

    private func remaining(_ deadline: Deadline?) -> Duration? {
        deadline?.remaining(at: self.context.clock.now)
    }
}

extension TransactionClient: Service {
    /// Keeps the client going until the task is cancelled, or its service group shuts down gracefully; then closes it.
    ///
    /// Cancelled, it breaks off calls that are under way. Shut down gracefully, it takes no new calls and gives those under
    /// way ``ClientConfiguration/shutdownTimeout``. A closed client can't run again.
    ///
    /// - Throws: ``TiKVError/Code/clientAlreadyRunning`` or ``TiKVError/Code/clientClosed``.
    public func run() async throws {
        // Ended when this scope is left.
        async let _ = self.context.safePoints.run()
        try await self.core.run()
    }
}
