// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD

/// Whether a client is waiting to run, runs, stops or is closed, and how many calls are under way.
///
/// Calls made before it runs wait for it. While it stops, calls under way go on and no others begin; once closed, nothing
/// goes on.
final class ClientLifecycle: Sendable {
    private enum Phase: UInt64 {
        case idle
        case running
        case stopping
        case closed
    }

    /// The phase and the count of calls in one word, so that no call can begin unseen while the phase changes.
    private struct Word {
        static let call: UInt64 = 4
        let bits: UInt64

        var phase: Phase { Phase(rawValue: self.bits & 3) ?? .closed }
        var calls: UInt64 { self.bits / Self.call }

        func with(_ phase: Phase) -> Word { Word(bits: self.bits & ~3 | phase.rawValue) }
    }

    /// What can be waited for.
    private enum Event {
        /// The client does not wait to run any more.
        case started
        /// No call is under way any more, or all must end.
        case idle

        func hasCome(_ word: Word) -> Bool {
            switch self {
            case .started: word.phase != .idle
            case .idle: word.calls == 0 || word.phase == .closed
            }
        }
    }

    private struct Waiter {
        var event: Event
        var continuation: CheckedContinuation<Bool?, Never>
    }

    private struct Waiters {
        var list: [Int: Waiter] = [:]
        var next = 0

        /// Takes out those whose event has come.
        mutating func due(_ word: Word) -> [Waiter] {
            let due = self.list.filter { $0.value.event.hasCome(word) }
            for number in due.keys { self.list[number] = nil }
            return Array(due.values)
        }
    }

    /// The count is changed by every call, the phase under the lock only.
    private let word = Atomic<UInt64>(Phase.idle.rawValue)
    private let waiters = Mutex(Waiters())
    private let clock: any TimeSource

    init(clock: any TimeSource) {
        self.clock = clock
    }

    private var current: Word { Word(bits: self.word.load(ordering: .acquiring)) }

    /// Whether calls under way must end.
    var isClosed: Bool { self.current.phase == .closed }

    // MARK: - Phases

    /// From now on the client runs.
    func start() throws(TiKVError) {
        switch self.change(to: .running, where: { $0 == .idle }) {
        case .idle: break
        case .running: throw TiKVError(.clientAlreadyRunning, "run() was called twice")
        case .stopping, .closed: throw Self.closed
        }
    }

    /// From now on no calls begin; those under way go on.
    func stop() {
        _ = self.change(to: .stopping) { $0 == .idle || $0 == .running }
    }

    /// From now on the client does nothing, for good.
    func close() {
        _ = self.change(to: .closed) { _ in true }
    }

    /// Waits, after `stop()`, until no call is under way, the deadline passes or the task is cancelled.
    func waitUntilIdle(deadline: Deadline) async {
        _ = await self.clock.run(before: deadline) {
            await self.wait(for: .idle)
        }
    }

    // MARK: - Calls

    /// Begins a call, which must `end()`. Waits for the client to run.
    func begin(deadline: Deadline) async throws(TiKVError) {
        while true {
            let before = Word(bits: self.word.add(Word.call, ordering: .acquiringAndReleasing).oldValue)
            if before.phase == .running { return }
            self.end()
            guard before.phase == .idle else { throw Self.closed }
            if await self.clock.run(before: deadline, { await self.wait(for: .started) }) == nil {
                if Task.isCancelled { throw TiKVError(.cancelled, "cancelled while waiting for the client to run") }
                throw TiKVError(
                    .clientNotRunning, "the client does not run: call run() in a task of its own, or use withClient")
            }
        }
    }

    /// Ends a call that began.
    func end() {
        let after = Word(bits: self.word.subtract(Word.call, ordering: .acquiringAndReleasing).newValue)
        guard after.calls == 0, after.phase == .stopping else { return }
        let woken = self.waiters.withLock { $0.due(after) }
        for waiter in woken { waiter.continuation.resume(returning: true) }
    }

    // MARK: - Private

    private static var closed: TiKVError { TiKVError(.clientClosed, "the client is closed") }

    private func change(to phase: Phase, where condition: (Phase) -> Bool) -> Phase {
        let (before, woken) = self.waiters.withLock { waiters in
            var word = self.current
            while condition(word.phase) {
                let (isDone, found) = self.word.compareExchange(
                    expected: word.bits, desired: word.with(phase).bits, ordering: .acquiringAndReleasing)
                if isDone { break }
                word = Word(bits: found)
            }
            return (word.phase, waiters.due(self.current))
        }
        for waiter in woken { waiter.continuation.resume(returning: true) }
        return before
    }

    /// True once the event has come; nil where the task was cancelled.
    private func wait(for event: Event) async -> Bool? {
        let number = self.waiters.withLock { waiters in
            waiters.next += 1
            return waiters.next
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early: Bool?? = self.waiters.withLock { waiters in
                    guard !event.hasCome(self.current) else { return .some(true) }
                    if Task.isCancelled { return .some(nil) }
                    waiters.list[number] = Waiter(event: event, continuation: continuation)
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            let waiter = self.waiters.withLock { $0.list.removeValue(forKey: number) }
            waiter?.continuation.resume(returning: nil)
        }
    }
}
