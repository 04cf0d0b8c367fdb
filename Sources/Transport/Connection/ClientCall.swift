// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import Synchronization

/// One call, from the task that makes it to its end on the connection.
///
/// It is one object, and the only one that a call needs besides its messages: the task makes it, hands it to the
/// connection and waits, and the connection keeps its own notes on it.
///
/// `@unchecked Sendable`: at each moment one side alone touches what is `var`. Until the call is handed over it is the
/// task's; then it belongs to the connection's event loop; when that resumes the task, which is the last it does to a
/// call of one answer, the task reads the outcome. Only `isCancelled` may be set at any time, and is atomic.
@safe final class ClientCall: @unchecked Sendable {
    enum Kind: Sendable {
        /// One message there, one back.
        case unary
        /// Messages are sent and asked for one by one.
        case stream
        /// One command in the connection's stream of commands.
        case command(field: Int, priority: UInt64)
        /// That stream. Nobody waits for it.
        case commands
    }

    /// What the task is told: the call's answer, or for a stream that it is open.
    typealias Outcome = Result<[UInt8], RPCError>

    let kind: Kind
    let path: String
    let metadata: Metadata
    let deadline: NIODeadline?
    private let cancelled = Atomic<Bool>(false)

    /// The request until it is sent: in its frame, but for a command's. Nil where messages follow one by one.
    var message: [UInt8]?
    /// The task that waits for the outcome; taken out when it is resumed.
    private var waiter: UnsafeContinuation<Void, Never>?
    private var outcome = Outcome.success([])

    /// The stream, once there is one. A command has none: it has its number in the connection's stream of commands.
    var stream = HTTP2Stream(id: 0, slot: -1)
    var command: UInt64?
    var response: ResponseMachine
    /// The response's message, for a call that has one.
    private(set) var answer: [UInt8]?
    /// The caller has no more to send.
    var isHalfClosed: Bool
    /// The stream is gone; the call is kept for its reader.
    var isClosed = false
    var inbound = InboundMessages<CheckedContinuation<InboundMessages<Never>.Next, Never>>()
    /// The longest that a stream's reader waits for one message, and until when he does so now.
    let receiveTimeout: TimeAmount?
    var receiveDeadline: NIODeadline?
    /// Senders that wait for the peer's window.
    var senders: [CheckedContinuation<RPCError?, Never>] = []

    init(
        _ kind: Kind, path: String, message: [UInt8]? = nil, metadata: Metadata = [:], deadline: NIODeadline? = nil,
        receiveTimeout: TimeAmount? = nil, messageLimit: Int
    ) {
        self.receiveTimeout = receiveTimeout
        self.kind = kind
        self.path = path
        self.metadata = metadata
        self.deadline = deadline
        self.message = message
        self.isHalfClosed = message != nil
        self.response = ResponseMachine(messageLimit: messageLimit)
    }

    // MARK: - For the task

    var isCancelled: Bool { self.cancelled.load(ordering: .acquiring) }

    func cancel() {
        self.cancelled.store(true, ordering: .releasing)
    }

    /// Waits for the outcome; `start` hands the call over.
    func wait(_ start: () -> Void) async -> Outcome {
        // Not a checked one: that allocates, and passes what it is resumed with through generic code, in each call. It
        // is resumed once, since `finish` takes it out, and always, since the connection ends each call that it was
        // handed: by the call's end, its deadline, its cancellation or the connection's own end.
        await unsafe withUnsafeContinuation { continuation in
            unsafe self.waiter = continuation
            start()
        }
        return self.outcome
    }

    // MARK: - For the connection

    /// Tells the task. Of several outcomes the first counts.
    func finish(_ outcome: Outcome) {
        guard let waiter = unsafe self.waiter.take() else { return }
        self.outcome = outcome
        unsafe waiter.resume()
    }

    /// Part of the body of a response that has one message.
    func receive(_ bytes: ByteBuffer) -> ResponseMachine.End? {
        var isSurplus = false
        let end = self.response.data(bytes) { received in
            isSurplus = isSurplus || self.answer != nil
            self.answer = received
        }
        guard isSurplus, end == nil else { return end }
        return self.response.abandon(RPCError(.internalError, "two messages where one was due"))
    }
}
