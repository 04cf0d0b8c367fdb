// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD

/// Whether a client is waiting to run, runs, or is closed. Calls made before it runs wait for it.
final class ClientLifecycle: Sendable {
    private enum Phase: UInt8, AtomicRepresentable {
        case idle
        case running
        case closed
    }

    private struct Waiters {
        var list: [Int: CheckedContinuation<Bool?, Never>] = [:]
        var next = 0
    }

    /// Read by every call; written under the lock only.
    private let phase = Atomic(Phase.idle)
    private let waiters = Mutex(Waiters())
    private let clock: any TimeSource

    init(clock: any TimeSource) {
        self.clock = clock
    }

    var isRunning: Bool { self.phase.load(ordering: .acquiring) == .running }

    var isClosed: Bool { self.phase.load(ordering: .acquiring) == .closed }

    /// From now on the client runs.
    func start() throws(TiKVError) {
        let before = self.change(to: .running) { $0 == .idle }
        switch before {
        case .idle: break
        case .running: throw TiKVError(.clientAlreadyRunning, "run() was called twice")
        case .closed: throw TiKVError(.clientClosed, "the client is closed")
        }
    }

    /// From now on the client takes no calls, for good.
    func close() {
        _ = self.change(to: .closed) { _ in true }
    }

    /// Waits for `start()`.
    func waitUntilRunning(deadline: Deadline) async throws(TiKVError) {
        if await self.clock.run(before: deadline, { await self.nextPhase() }) == nil {
            if Task.isCancelled { throw TiKVError(.cancelled, "cancelled while waiting for the client to run") }
            throw TiKVError(
                .clientNotRunning, "the client does not run: call run() in a task of its own, or use withClient")
        }
        if self.isClosed { throw TiKVError(.clientClosed, "the client is closed") }
    }

    // MARK: - Private

    private func change(to phase: Phase, where condition: (Phase) -> Bool) -> Phase {
        let (before, woken) = self.waiters.withLock { waiters in
            let before = self.phase.load(ordering: .relaxed)
            guard condition(before) else { return (before, [Int: CheckedContinuation<Bool?, Never>]()) }
            self.phase.store(phase, ordering: .releasing)
            let woken = waiters.list
            waiters.list = [:]
            return (before, woken)
        }
        for waiter in woken.values { waiter.resume(returning: true) }
        return before
    }

    /// True once the client is idle no more; nil where the task was cancelled.
    private func nextPhase() async -> Bool? {
        let number = self.waiters.withLock { waiters in
            waiters.next += 1
            return waiters.next
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early: Bool?? = self.waiters.withLock { waiters in
                    guard self.phase.load(ordering: .relaxed) == .idle else { return .some(true) }
                    if Task.isCancelled { return .some(nil) }
                    waiters.list[number] = continuation
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            let waiter = self.waiters.withLock { $0.list.removeValue(forKey: number) }
            waiter?.resume(returning: nil)
        }
    }
}
