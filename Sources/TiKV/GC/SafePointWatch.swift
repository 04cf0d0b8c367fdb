// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import TiKVPD

/// Keeps in mind where garbage collection is, so that no read returns what is half collected.
final class SafePointWatch: Sendable {
    private struct Load: Hashable {}

    private let cache = Mutex(SafePointCache())
    private let loads: SingleFlight<Load, UInt64, TiKVError>
    private let latest: @Sendable () -> UInt64?
    private let load: @Sendable (Deadline) async throws(TiKVError) -> UInt64
    private let clock: any TimeSource
    private let logger: Logger
    /// Whether anybody has read anything: before, there is nothing to keep fresh.
    private let isUsed = Atomic(false)
    private let firstUse = Signal()

    /// - Parameters:
    ///   - latest: the latest timestamp that this client has seen.
    ///   - load: asks PD.
    init(
        clock: any TimeSource, logger: Logger, latest: @escaping @Sendable () -> UInt64? = { nil },
        load: @escaping @Sendable (Deadline) async throws(TiKVError) -> UInt64
    ) {
        self.clock = clock
        self.logger = logger
        self.latest = latest
        self.load = load
        self.loads = SingleFlight(clock: clock, isShared: { !$0.isCallersOwn })
    }

    /// The safe point, as far as known; 0 where it is not.
    var safePoint: UInt64 { self.cache.withLock { $0.safePoint } }

    /// Keeps it fresh until the task is cancelled.
    func run() async {
        while !self.isUsed.load(ordering: .acquiring) {
            _ = await self.firstUse.wait()
            guard !Task.isCancelled else { return }
        }
        // Whoever came first has asked just now.
        var wait = SafePointCache.interval
        while true {
            // Cut short by cancellation.
            try? await self.clock.sleep(until: self.clock.now.advanced(by: wait))
            guard !Task.isCancelled else { return }
            wait = SafePointCache.interval
            do throws(TiKVError) {
                try await self.update(deadline: Deadline(after: SafePointCache.interval, from: self.clock.now))
            } catch {
                self.logger.log(.debug, "the safe point could not be had", [.error: "\(error.code)"])
                wait = SafePointCache.retryInterval
            }
        }
    }

    /// Throws where data may be gone as they were at a timestamp, or nobody can say. To be called after a read, whose
    /// result counts only then.
    func check(_ timestamp: UInt64, deadline: Deadline) async throws(TiKVError) {
        // The latest data are there whatever is collected.
        guard timestamp != .max else { return }
        switch self.verdict(on: timestamp) {
        case .visible: return
        case .collected(let safePoint): throw Self.collected(timestamp, safePoint)
        case .unknown, .outdated: break
        }
        if !self.isUsed.load(ordering: .relaxed), !self.isUsed.exchange(true, ordering: .acquiringAndReleasing) {
            self.firstUse.raise()
        }
        do throws(TiKVError) {
            try await self.update(deadline: deadline)
        } catch {
            if error.code == .cancelled || error.code == .clientClosed { throw error }
            throw TiKVError(
                .safePointUnavailable,
                "the safe point is not known: data may be gone as they were at \(timestamp)", cause: error)
        }
        switch self.verdict(on: timestamp) {
        case .visible, .unknown, .outdated: return
        case .collected(let safePoint): throw Self.collected(timestamp, safePoint)
        }
    }

    /// Takes in a safe point that was learnt otherwise.
    func received(_ safePoint: UInt64) {
        let now = self.clock.now
        self.cache.withLock { $0.received(safePoint, at: now) }
    }

    private func verdict(on timestamp: UInt64) -> SafePointCache.Verdict {
        let now = self.clock.now
        let latest = self.latest()
        return self.cache.withLock { $0.verdict(on: timestamp, latest: latest, now: now) }
    }

    private func update(deadline: Deadline) async throws(TiKVError) {
        let now = self.clock.now
        let found = try await self.loads.run(Load(), deadline: deadline) { () async throws(TiKVError) in
            try await self.load(deadline)
        }
        guard let found else {
            if Task.isCancelled { throw TiKVError(.cancelled, "cancelled while waiting for the safe point") }
            throw TiKVError(.deadlineExceeded, "PD did not say in time where the safe point is")
        }
        self.cache.withLock { $0.received(found, at: now) }
    }

    private static func collected(_ timestamp: UInt64, _ safePoint: UInt64) -> TiKVError {
        TiKVError(
            .gcTooEarly,
            "data may be gone as they were at \(timestamp): garbage collection has come to \(safePoint)",
            transaction: TransactionFailure(startTimestamp: timestamp))
    }
}
