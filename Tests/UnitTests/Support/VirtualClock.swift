// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD

/// A clock that stands still until a test moves it, or that jumps to the end of every pause.
///
/// It does not jump to deadlines that work is guarded by: whether the work or its deadline came first would be left to chance.
final class VirtualClock: TimeSource {
    private struct Sleeper {
        var until: ContinuousClock.Instant
        var continuation: CheckedContinuation<Bool, Never>
    }

    /// The continuations of those whose time has come.
    private typealias Woken = [CheckedContinuation<Bool, Never>]

    private struct State {
        private(set) var now: ContinuousClock.Instant
        var sleepers: [Int: Sleeper] = [:]
        var next = 0
        var waits: [Duration] = []
        var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

        init(now: ContinuousClock.Instant) { self.now = now }

        mutating func move(to instant: ContinuousClock.Instant) -> Woken {
            self.now = max(self.now, instant)
            let woken = self.sleepers.filter { $0.value.until <= self.now }
            for id in woken.keys { self.sleepers[id] = nil }
            return woken.values.map(\.continuation)
        }
    }

    private let state: Mutex<State>
    private let jumps: Bool
    let start: ContinuousClock.Instant

    /// - Parameter jumps: whether a pause ends at once and takes the clock to its end.
    init(jumps: Bool) {
        let start = ContinuousClock.now
        self.start = start
        self.jumps = jumps
        self.state = Mutex(State(now: start))
    }

    var now: ContinuousClock.Instant { self.state.withLock { $0.now } }

    var elapsed: Duration { self.start.duration(to: self.now) }

    /// The lengths of all waits so far, pauses and deadlines alike.
    var waits: [Duration] { self.state.withLock { $0.waits } }

    /// How many waits are under way.
    var sleeperCount: Int { self.state.withLock { $0.sleepers.count } }

    func advance(by duration: Duration) {
        let woken = self.state.withLock { $0.move(to: $0.now.advanced(by: duration)) }
        for continuation in woken { continuation.resume(returning: true) }
    }

    /// Moves on to a moment, unless that has passed.
    func advance(to instant: ContinuousClock.Instant) {
        self.advance(by: max(.zero, self.now.duration(to: instant)))
    }

    /// Returns when so many waits are under way.
    func waitForSleepers(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isEnough = self.state.withLock { state in
                if state.sleepers.count >= count { return true }
                state.watchers.append((count, continuation))
                return false
            }
            if isEnough { continuation.resume() }
        }
    }

    func sleep(until instant: ContinuousClock.Instant) async throws(CancellationError) {
        if Task.isCancelled { throw CancellationError() }
        guard self.jumps else { return try await self.guardUntil(instant) }
        let woken: Woken = self.state.withLock { state in
            state.waits.append(state.now.duration(to: instant))
            return state.move(to: instant)
        }
        for continuation in woken { continuation.resume(returning: true) }
    }

    func guardUntil(_ instant: ContinuousClock.Instant) async throws(CancellationError) {
        if Task.isCancelled { throw CancellationError() }
        let number: Int? = self.state.withLock { state in
            state.waits.append(state.now.duration(to: instant))
            if state.now >= instant { return nil }
            state.next += 1
            return state.next
        }
        guard let number else { return }
        let isWoken = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (early, watchers): (Bool?, [CheckedContinuation<Void, Never>]) = self.state.withLock { state in
                    if state.now >= instant { return (true, []) }
                    if Task.isCancelled { return (false, []) }
                    state.sleepers[number] = Sleeper(until: instant, continuation: continuation)
                    let count = state.sleepers.count
                    let ready = state.watchers.filter { $0.count <= count }.map(\.continuation)
                    state.watchers.removeAll { $0.count <= count }
                    return (nil, ready)
                }
                for watcher in watchers { watcher.resume() }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            let sleeper = self.state.withLock { $0.sleepers.removeValue(forKey: number) }
            sleeper?.continuation.resume(returning: false)
        }
        if !isWoken { throw CancellationError() }
    }
}
