// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The failpoints that are active in a task and in the tasks that it makes: a test that sets some leaves the others, which
/// run at the same time, alone. What was set from the environment holds where no scope says otherwise.
@usableFromInline
package final class FailpointScope: Sendable {
    private struct Entry {
        var plan: FailpointPlan
        var hits = 0
        /// How often those who waited were let go. Who was told to wait before the last time, and comes to it only now, has
        /// nobody left who would let it go.
        var releases = 0
        /// Tasks that wait at a `pause`, by a number of their own.
        var paused: [Int: CheckedContinuation<Bool, Never>] = [:]
    }

    /// What a hook is to do.
    private struct Taken {
        var action: FailpointAction
        var releases: Int
    }

    private struct Watcher {
        var failpoint: Failpoint
        var count: Int
        var continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var entries: [Failpoint: Entry] = [:]
        var watchers: [Int: Watcher] = [:]
        var nextNumber = 0

        mutating func number() -> Int {
            self.nextNumber += 1
            return self.nextNumber
        }
    }

    private let parent: FailpointScope?
    private let state = Mutex(State())

    @TaskLocal private static var current: FailpointScope?

    private init(parent: FailpointScope?) {
        self.parent = parent
    }

    // MARK: - Activating

    /// Runs a closure with failpoints active in it, and lets go of all that wait at them when it ends.
    ///
    /// - Parameter actions: see ``FailpointPlan`` for how they are written.
    /// - Throws: what the closure throws; ``FailpointError`` where an action cannot be understood.
    package static func withActive<Result>(
        _ actions: [Failpoint: String], _ body: (FailpointScope) async throws -> Result
    ) async throws -> Result {
        let scope = FailpointScope(parent: self.current)
        for (failpoint, text) in actions { try scope.set(failpoint, text) }
        defer { scope.removeAll() }
        return try await self.$current.withValue(scope) { try await body(scope) }
    }

    /// Sets, or changes, what a failpoint does. Whoever waits at it goes on.
    package func set(_ failpoint: Failpoint, _ text: String) throws(FailpointError) {
        let plan = try FailpointPlan(text)
        let paused = self.state.withLock { state in
            let before = state.entries[failpoint]
            state.entries[failpoint] = Entry(
                plan: plan, hits: before?.hits ?? 0, releases: (before?.releases ?? 0) + 1)
            return before?.paused ?? [:]
        }
        for continuation in paused.values { continuation.resume(returning: true) }
    }

    /// Lets those go on who wait at a failpoint now; later ones wait again.
    package func resume(_ failpoint: Failpoint) {
        let paused = self.state.withLock { state in
            defer {
                state.entries[failpoint]?.paused = [:]
                state.entries[failpoint]?.releases += 1
            }
            return state.entries[failpoint]?.paused ?? [:]
        }
        for continuation in paused.values { continuation.resume(returning: true) }
    }

    private func removeAll() {
        let (paused, watchers) = self.state.withLock { state in
            defer {
                state.entries = [:]
                state.watchers = [:]
            }
            return (state.entries.values.flatMap(\.paused.values), Array(state.watchers.values))
        }
        for continuation in paused { continuation.resume(returning: true) }
        for watcher in watchers { watcher.continuation.resume(returning: false) }
    }

    // MARK: - Watching

    /// How often a failpoint did something in this scope.
    package func hits(_ failpoint: Failpoint) -> Int {
        self.state.withLock { $0.entries[failpoint]?.hits ?? 0 }
    }

    /// Returns when a failpoint has done something so many times in all.
    ///
    /// - Throws: `CancellationError` when the task is cancelled, or the scope ends, before.
    package func waitForHits(_ failpoint: Failpoint, _ count: Int = 1) async throws {
        let number = self.state.withLock { $0.number() }
        let isReached = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early: Bool? = self.state.withLock { state in
                    if (state.entries[failpoint]?.hits ?? 0) >= count { return true }
                    if Task.isCancelled { return false }
                    state.watchers[number] = Watcher(failpoint: failpoint, count: count, continuation: continuation)
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            self.state.withLock { $0.watchers.removeValue(forKey: number) }?.continuation.resume(returning: false)
        }
        if !isReached { throw CancellationError() }
    }

    // MARK: - At the hooks

    @usableFromInline
    static func evaluate(_ failpoint: Failpoint) async throws(FailpointError) -> FailpointValue? {
        guard let (scope, taken) = self.take(failpoint) else { return nil }
        switch taken.action {
        case .off: return nil
        case .return(let value): return value
        case .print(let message):
            self.print(failpoint, message)
            return nil
        case .panic(let message): throw .panic(failpoint, message)
        case .sleep(let milliseconds):
            do {
                // A wait for a time is what this action is for; it exists in builds for tests alone.
                try await Task.sleep(for: .milliseconds(milliseconds))
                return nil
            } catch {
                throw .cancelled(failpoint)
            }
        case .pause:
            try await scope.pause(at: failpoint, taken.releases)
            return nil
        }
    }

    @usableFromInline
    static func value(of failpoint: Failpoint) -> FailpointValue? {
        switch self.take(failpoint)?.taken.action {
        case .return(let value): return value
        case .print(let message):
            self.print(failpoint, message)
            return nil
        case .off, .panic, .sleep, .pause, nil: return nil
        }
    }

    private static func print(_ failpoint: Failpoint, _ message: String) {
        Swift.print("failpoint \(failpoint)\(message.isEmpty ? "" : ": \(message)")")
    }

    /// The innermost scope that has the failpoint, and what it does now.
    private static func take(_ failpoint: Failpoint) -> (scope: FailpointScope, taken: Taken)? {
        var scope = self.current ?? self.environment
        while let candidate = scope {
            if let taken = candidate.take(failpoint) { return (candidate, taken) }
            scope = candidate.parent ?? (candidate === self.environment ? nil : self.environment)
        }
        return nil
    }

    private func take(_ failpoint: Failpoint) -> Taken? {
        let (taken, ready): (Taken?, [Watcher]) = self.state.withLock { state in
            guard let action = state.entries[failpoint]?.plan.next(roll: { Double.random(in: 0..<100) }) else {
                return (nil, [])
            }
            let taken = Taken(action: action, releases: state.entries[failpoint]?.releases ?? 0)
            if action == .off { return (taken, []) }
            state.entries[failpoint]?.hits += 1
            let hits = state.entries[failpoint]?.hits ?? 0
            let ready = state.watchers.filter { $0.value.failpoint == failpoint && $0.value.count <= hits }
            for number in ready.keys { state.watchers[number] = nil }
            return (taken, Array(ready.values))
        }
        for watcher in ready { watcher.continuation.resume(returning: true) }
        return taken
    }

    private func pause(at failpoint: Failpoint, _ releases: Int) async throws(FailpointError) {
        let number = self.state.withLock { $0.number() }
        let isResumed = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early: Bool? = self.state.withLock { state in
                    if Task.isCancelled { return false }
                    // The scope has ended, or a test that saw the hit has let it go meanwhile.
                    guard state.entries[failpoint]?.releases == releases else { return true }
                    state.entries[failpoint]?.paused[number] = continuation
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            self.state.withLock { $0.entries[failpoint]?.paused.removeValue(forKey: number) }?
                .resume(returning: false)
        }
        if !isResumed { throw .cancelled(failpoint) }
    }

    // MARK: - Environment

    /// What `TIKV_FAILPOINTS` sets: `name=action`, several with `;` between them.
    private static let environment: FailpointScope? = {
        guard let text = getenv("TIKV_FAILPOINTS").map({ String(cString: $0) }) else { return nil }
        do throws(FailpointError) {
            let scope = FailpointScope(parent: nil)
            for (failpoint, action) in try FailpointScope.parse(environment: text) { try scope.set(failpoint, action) }
            return scope
        } catch {
            Swift.print("TIKV_FAILPOINTS is ignored: \(error)")
            return nil
        }
    }()

    package static func parse(
        environment text: String
    ) throws(FailpointError) -> [(failpoint: Failpoint, action: String)] {
        var found: [(failpoint: Failpoint, action: String)] = []
        for part in text.split(separator: ";") {
            let pieces = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(pieces[0]).filter { $0 != " " }
            guard let failpoint = Failpoint.allCases.first(where: { "\($0)" == name }) else {
                throw .unknownName(name)
            }
            guard pieces.count == 2 else {
                throw .syntax(String(part), offset: part.count, "expected '=' and an action")
            }
            _ = try FailpointPlan(String(pieces[1]))
            found.append((failpoint, String(pieces[1])))
        }
        return found
    }
}

#endif
