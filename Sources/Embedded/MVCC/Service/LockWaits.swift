// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The requests that wait for a lock, on the side of their tasks: `TxnStorage` decides who goes on, here they are told.
final class LockWaits: Sendable {
    private enum Slot {
        case waiting(CheckedContinuation<TxnStorage.LockResult, any Error>)
        /// The wait ended before its task came to wait.
        case ended(TxnStorage.LockResult)
    }

    private let slots = Mutex<[LockWaitToken: Slot]>([:])
    /// Counts that somebody came to wait or went.
    let changes = EventCounter()

    /// Returns when the wait has ended. Throws `CancellationError` when the task is cancelled before; then the caller has
    /// to take the wait back and call `forget(_:)`.
    func result(of token: LockWaitToken) async throws -> TxnStorage.LockResult {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<TxnStorage.LockResult, any Error>? = self.slots.withLock { slots in
                    if case .ended(let result) = slots.removeValue(forKey: token) { return .success(result) }
                    // A cancellation from here on finds the slot; one from before has set this flag already.
                    if Task.isCancelled { return .failure(CancellationError()) }
                    slots[token] = .waiting(continuation)
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            if case .waiting(let continuation) = self.slots.withLock({ $0.removeValue(forKey: token) }) {
                continuation.resume(throwing: CancellationError())
            }
        }
    }

    func end(_ token: LockWaitToken, _ result: TxnStorage.LockResult) {
        let continuation: CheckedContinuation<TxnStorage.LockResult, any Error>? = self.slots.withLock { slots in
            if case .waiting(let continuation) = slots.removeValue(forKey: token) { return continuation }
            slots[token] = .ended(result)
            return nil
        }
        continuation?.resume(returning: result)
    }

    func forget(_ token: LockWaitToken) {
        self.slots.withLock { _ = $0.removeValue(forKey: token) }
    }
}
