// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Ties a caller to its call on a connection: it says where the call is, and that it was cancelled before it got there.
final class CallHandle: Sendable {
    private let cancelled = Atomic<Bool>(false)
    private let place = Atomic<Int>(-1)

    var isCancelled: Bool { self.cancelled.load(ordering: .acquiring) }

    func cancel() {
        self.cancelled.store(true, ordering: .releasing)
    }

    /// The call's slot. Written and read on the connection's event loop alone.
    var slot: Int? {
        get {
            let slot = self.place.load(ordering: .relaxed)
            return slot < 0 ? nil : slot
        }
        set { self.place.store(newValue ?? -1, ordering: .relaxed) }
    }
}
