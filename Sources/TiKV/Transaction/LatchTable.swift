// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets transactions of this process wait for each other's keys before they commit. See ``LocalLatches``, which decides.
final class LatchTable: Sendable {
    /// Keys that a transaction holds, to be released.
    struct Hold: Sendable {
        let id: LocalLatches.ID
    }

    private struct State {
        var latches = LocalLatches()
        var waiting: [LocalLatches.ID: CheckedContinuation<LocalLatches.Grant?, Never>] = [:]
        /// What came for those who were about to wait.
        var early: [LocalLatches.ID: LocalLatches.Grant] = [:]
    }

    private let state: Mutex<State>

    /// - Parameter capacity: how many keys are remembered before old ones are dropped.
    init(capacity: Int = 50_000) {
        self.state = Mutex(State(latches: LocalLatches(threshold: max(1, capacity))))
    }

    /// How many keys are remembered.
    var keyCount: Int { self.state.withLock { $0.latches.count } }

    /// Waits until a transaction holds its keys.
    ///
    /// - Throws: `writeConflict` where one of them was committed after the transaction began, `cancelled` where the task was.
    ///   Nothing is held then.
    func acquire(_ keys: some Sequence<[UInt8]>, start: UInt64) async throws(TiKVError) -> Hold {
        let (id, first) = self.state.withLock { $0.latches.acquire(keys, start: start) }
        var grant: LocalLatches.Grant? = first
        if first == .waiting {
            grant = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let early: LocalLatches.Grant?? = self.state.withLock { state in
                        if let grant = state.early.removeValue(forKey: id) { return .some(grant) }
                        // The handler below ran already, or will find the waiter.
                        if Task.isCancelled { return .some(nil) }
                        state.waiting[id] = continuation
                        return nil
                    }
                    if let early { continuation.resume(returning: early) }
                }
            } onCancel: {
                self.state.withLock { $0.waiting.removeValue(forKey: id) }?.resume(returning: nil)
            }
        }
        switch grant {
        case .held:
            return Hold(id: id)
        case .stale, .waiting:
            let key = self.state.withLock { $0.latches.nextKey(of: id) }
            self.release(Hold(id: id), committed: nil)
            throw TiKVError(
                .writeConflict, "another transaction of this client has committed one of the keys",
                transaction: TransactionFailure(
                    startTimestamp: start, conflict: .init(reason: .latch, key: key.map { Key($0) })))
        case nil:
            self.release(Hold(id: id), committed: nil)
            throw TiKVError(.cancelled, "the task was cancelled")
        }
    }

    /// Releases a transaction's keys.
    ///
    /// - Parameter committed: its commit timestamp; nil where it was not committed.
    func release(_ hold: Hold, committed: UInt64?) {
        let woken = self.state.withLock { state in
            state.early[hold.id] = nil
            var woken: [(CheckedContinuation<LocalLatches.Grant?, Never>, LocalLatches.Grant)] = []
            for (id, grant) in state.latches.release(hold.id, committed: committed) {
                if let continuation = state.waiting.removeValue(forKey: id) {
                    woken.append((continuation, grant))
                } else {
                    state.early[id] = grant
                }
            }
            return woken
        }
        for (continuation, grant) in woken { continuation.resume(returning: grant) }
    }
}
