// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD

/// Lets transactions of this process that have conflicted over the same key run again one after the other: side by side all
/// but one of them would fail again, having cost as much as the one.
///
/// A turn is held while the application's code runs, which may wait for anything. So nobody waits for long: who has waited
/// in vain goes on without a turn, as if it had never asked for one.
final class RetryTurns: Sendable {
    /// A right to run, to be given back.
    struct Turn: Sendable, Hashable {
        let key: Key
        fileprivate let id: Int
    }

    private struct Waiter {
        let id: Int
        let signal: Signal
    }

    private struct Queue {
        var holder: Int
        /// The first first.
        var waiting: [Waiter] = []
    }

    private struct State {
        var queues: [Key: Queue] = [:]
        var nextID = 1
    }

    /// So long somebody waits for those before.
    static let patience = Duration.seconds(1)

    private let state = Mutex(State())
    private let clock: any TimeSource

    init(clock: any TimeSource) {
        self.clock = clock
    }

    /// How many wait for their turn at a key.
    func waiterCount(_ key: Key) -> Int { self.state.withLock { $0.queues[key]?.waiting.count ?? 0 } }

    /// Waits for a turn at a key.
    ///
    /// - Parameter deadline: of the caller, who waits no longer than for ``patience`` anyway.
    /// - Returns: the turn, and whether it was waited for; nil where it did not come in time, or the task was cancelled.
    func enter(_ key: Key, deadline: Deadline?) async -> (turn: Turn, hasWaited: Bool)? {
        let (id, signal): (Int, Signal?) = self.state.withLock { state in
            let id = state.nextID
            state.nextID += 1
            guard state.queues[key] != nil else {
                state.queues[key] = Queue(holder: id)
                return (id, nil)
            }
            let signal = Signal()
            state.queues[key]?.waiting.append(Waiter(id: id, signal: signal))
            return (id, signal)
        }
        let turn = Turn(key: key, id: id)
        guard let signal else { return (turn, false) }
        var end = Deadline(after: Self.patience, from: self.clock.now)
        if let deadline, deadline.instant < end.instant { end = deadline }
        if await self.clock.run(before: end, { await signal.wait() }) == true { return (turn, true) }
        self.leave(turn)
        return nil
    }

    /// Gives a turn back, or the place in the queue: then it is the next one's.
    func leave(_ turn: Turn) {
        let next: Signal? = self.state.withLock { state in
            guard var queue = state.queues[turn.key] else { return nil }
            guard queue.holder == turn.id else {
                state.queues[turn.key]?.waiting.removeAll { $0.id == turn.id }
                return nil
            }
            guard !queue.waiting.isEmpty else {
                state.queues[turn.key] = nil
                return nil
            }
            let waiter = queue.waiting.removeFirst()
            queue.holder = waiter.id
            state.queues[turn.key] = queue
            return waiter.signal
        }
        next?.raise()
    }
}
