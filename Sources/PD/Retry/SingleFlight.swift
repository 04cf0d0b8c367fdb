// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets callers that want the same thing at the same time share one operation.
///
/// The first caller runs it, in its own task; the others wait, each until its own deadline. Where the first gives up (its
/// deadline, its cancellation), one of the others starts again: nobody fails for somebody else's reasons.
package final class SingleFlight<ID: Hashable & Sendable, Value: Sendable, Failure: Error>: Sendable {
    private enum Landing: Sendable {
        case value(Value)
        case failure(Failure)
        /// Whoever ran the operation gave it up.
        case abandoned
    }

    private struct State {
        var flights: [ID: [Int: CheckedContinuation<Landing?, Never>]] = [:]
        var nextWaiter = 0
    }

    private let state = Mutex(State())
    private let clock: any TimeSource
    private let isShared: @Sendable (Failure) -> Bool

    /// - Parameter isShared: whether a failure goes to all that wait, or is the runner's alone.
    package init(clock: any TimeSource, isShared: @escaping @Sendable (Failure) -> Bool) {
        self.clock = clock
        self.isShared = isShared
    }

    /// How many callers wait for somebody else's operation.
    package var waiterCount: Int { self.state.withLock { $0.flights.values.reduce(0) { $0 + $1.count } } }

    /// - Returns: nil where the deadline passed or the task was cancelled while somebody else's operation was under way.
    package func run(
        _ id: ID, deadline: Deadline, operation: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value? {
        while true {
            if self.takeOff(id) {
                do throws(Failure) {
                    let value = try await operation()
                    self.land(id, .value(value))
                    return value
                } catch {
                    self.land(id, self.isShared(error) ? .failure(error) : .abandoned)
                    throw error
                }
            }
            switch await self.clock.run(before: deadline, { await self.landing(of: id) }) {
            case .value(let value): return value
            case .failure(let error): throw error
            case .abandoned where !Task.isCancelled && !deadline.hasPassed(at: self.clock.now): continue
            case .abandoned, nil: return nil
            }
        }
    }

    // MARK: - Private

    private func takeOff(_ id: ID) -> Bool {
        self.state.withLock { state in
            guard state.flights[id] == nil else { return false }
            state.flights[id] = [:]
            return true
        }
    }

    private func land(_ id: ID, _ landing: Landing) {
        let waiters = self.state.withLock { $0.flights.removeValue(forKey: id) }
        for waiter in waiters?.values ?? [:].values { waiter.resume(returning: landing) }
    }

    /// Waits for the flight to land; nil where the task was cancelled.
    private func landing(of id: ID) async -> Landing? {
        let number = self.state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early: Landing?? = self.state.withLock { state in
                    // Landed between the caller's look and now: let it look again.
                    guard state.flights[id] != nil else { return .some(.abandoned) }
                    // The handler below ran already, or will find the waiter.
                    if Task.isCancelled { return .some(nil) }
                    state.flights[id]?[number] = continuation
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            let waiter = self.state.withLock { $0.flights[id]?.removeValue(forKey: number) }
            waiter?.resume(returning: nil)
        }
    }
}
