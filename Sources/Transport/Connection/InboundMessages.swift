// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import DequeModule

/// Messages of one stream that wait for their reader, or the reader that waits for a message.
///
/// It also says when the peer may send more: while the reader keeps up, at once; while messages lie here, only after
/// the reader has taken them. So a slow reader holds at most the stream's window and one message.
struct InboundMessages<Waiter: Sendable>: Sendable {
    typealias Next = Result<[UInt8]?, RPCError>

    private var messages: Deque<[UInt8]> = []
    private var end: Next?
    private var waiter: Waiter?
    /// Bytes received for which the peer's window was not yet opened again.
    private var debt = 0

    var isEmpty: Bool { self.messages.isEmpty }

    /// Takes a message in. Returns the waiter that gets it at once.
    mutating func deliver(_ message: [UInt8]) -> Waiter? {
        if let waiter = self.waiter.take() { return waiter }
        self.messages.append(message)
        return nil
    }

    /// No message comes after those that are here. Returns the waiter to be told.
    mutating func finish(_ error: RPCError?) -> Waiter? {
        guard self.end == nil else { return nil }
        self.end = error.map { .failure($0) } ?? .success(nil)
        return self.waiter.take()
    }

    /// What the end says, once there is one.
    var ending: Next? { self.end }

    /// The reader asks. Returns what it gets at once; nil where it has to wait.
    mutating func next(_ waiter: Waiter) -> Next? {
        if let message = self.messages.popFirst() { return .success(message) }
        if let end = self.end { return end }
        guard self.waiter == nil else {
            return .failure(RPCError(.failedPrecondition, "two readers on one stream", delivery: .unknown))
        }
        self.waiter = waiter
        return nil
    }

    /// Body bytes arrived. Returns how many the peer may send in their place now.
    mutating func received(_ count: Int) -> Int {
        guard self.messages.isEmpty else {
            self.debt += count
            return 0
        }
        return count
    }

    /// Bytes that the peer may send now that the reader has taken what there was.
    mutating func settleDebt() -> Int {
        guard self.messages.isEmpty else { return 0 }
        defer { self.debt = 0 }
        return self.debt
    }
}
