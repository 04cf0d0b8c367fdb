// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import Logging
package import NIOCore
internal import NIOPosix
internal import Synchronization

/// A client's connection to one server: an actor on the event loop of its socket.
///
/// Calls may start before the connection is up; they wait, each for as long as its own deadline lets it. Everything
/// that decides is in pure structs (`HTTP2Session`, `ResponseMachine`, `InboundMessages`, `KeepAlive`); this actor
/// carries bytes, events and continuations between them. Each caller is resumed exactly once: by the call's end, by
/// its deadline, by its cancellation or by the connection's end, whichever comes first; then the call is forgotten.
package actor Connection: HTTP2Endpoint {
    /// What a connection tells its pool.
    package enum Change: Sendable {
        /// The peer's settings arrived.
        case ready
        /// It takes no new calls; those under way may finish.
        case draining
        /// It is gone. The error says why.
        case closed(RPCError)
    }

    /// Whether the stream of a call that ended is to be reset.
    enum Reset {
        case always
        /// Where our side has more to send, which nobody reads any more.
        case ifUnfinished
        /// The stream is gone already.
        case never
    }

    enum State {
        case connecting
        case ready
        case draining
        case closed(RPCError)
    }

    package nonisolated let address: PeerAddress
    package nonisolated let eventLoop: any EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe self.eventLoop.executor.asUnownedSerialExecutor()
    }
    /// Whether the peer's settings ever arrived: a call refused by such a connection may be worth another one.
    package nonisolated var wasReady: Bool { self.readyOnce.load(ordering: .relaxed) }

    nonisolated let configuration: ConnectionConfiguration
    let logger: Logger
    let onChange: @Sendable (Connection, Change) -> Void
    let onFeedback: (@Sendable (StoreFeedback) -> Void)?
    nonisolated let readyOnce = Atomic<Bool>(false)

    var state = State.connecting
    var link: HTTP2Link
    /// The channel that the connection is made of. The session has it later, when a TLS handshake is done.
    var openingChannel: (any Channel)?
    var requestHeaders: RequestHeaders
    /// Calls by slot.
    var calls: [ClientCall?] = []
    var callCount = 0
    /// Calls that came before the connection was ready.
    var waiting: [CallStart] = []
    var batch = BatchState()
    var deadlines = DeadlineTimer()
    var connectTimer: Scheduled<Void>?
    var keepAlive: KeepAlive?
    var keepAliveTimer: Scheduled<Void>?
    var drainTimer: Scheduled<Void>?
    var drainEnd: NIODeadline?
    /// Streams whose senders wait for the peer's window.
    var blockedStreams: [HTTP2Stream] = []
    var isReading = false
    var closeWaiters: [CheckedContinuation<Void, Never>] = []

    /// - Parameters:
    ///   - onFeedback: called on the connection's event loop with what the server says about itself beside answers.
    ///   - onChange: called on the connection's event loop, after its state has changed.
    package init(
        to address: PeerAddress, on eventLoop: any EventLoop, configuration: ConnectionConfiguration, logger: Logger,
        onFeedback: (@Sendable (StoreFeedback) -> Void)? = nil,
        onChange: @escaping @Sendable (Connection, Change) -> Void
    ) throws(RPCError) {
        self.address = address
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.logger = logger
        self.onFeedback = onFeedback
        self.onChange = onChange
        self.link = HTTP2Link(session: try HTTP2Session(.client, configuration: configuration.http2))
        self.requestHeaders = RequestHeaders(
            authority: address.description, scheme: configuration.tls == nil ? "http" : "https")
    }

    /// Starts to connect. Once.
    package nonisolated func connect() {
        self.onLoop(self.eventLoop) { $0.startConnecting() }
    }

    // MARK: - Calls

    /// One message there, one back.
    nonisolated func unary(
        path: String, message: [UInt8], metadata: Metadata, deadline: NIODeadline?
    ) async throws(RPCError) -> [UInt8] {
        let handle = CallHandle()
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let start = CallStart(
                    path: path, message: message, metadata: metadata, deadline: deadline, handle: handle,
                    completion: .unary(continuation))
                self.onLoop(self.eventLoop) { $0.start(start) }
            }
        } onCancel: {
            self.cancel(handle)
        }.get()
    }

    /// Opens a stream; returns its handle once the request is on its way.
    nonisolated func openStream(
        path: String, metadata: Metadata, deadline: NIODeadline?
    ) async throws(RPCError) -> CallHandle {
        let handle = CallHandle()
        let failure: RPCError? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let start = CallStart(
                    path: path, message: nil, metadata: metadata, deadline: deadline, handle: handle,
                    completion: .stream(opened: continuation))
                self.onLoop(self.eventLoop) { $0.start(start) }
            }
        } onCancel: {
            self.cancel(handle)
        }
        if let failure { throw failure }
        return handle
    }

    /// Sends one message; returns when there is room for another.
    nonisolated func send(_ message: [UInt8], on handle: CallHandle) async throws(RPCError) {
        let failure: RPCError? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.onLoop(self.eventLoop) { $0.send(message, on: handle, continuation) }
            }
        } onCancel: {
            self.cancel(handle)
        }
        if let failure { throw failure }
    }

    nonisolated func finishSending(on handle: CallHandle) {
        self.onLoop(self.eventLoop) { $0.halfClose(handle) }
    }

    /// The stream's next message; nil at its regular end.
    nonisolated func next(on handle: CallHandle) async throws(RPCError) -> [UInt8]? {
        try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.onLoop(self.eventLoop) { $0.next(on: handle, continuation) }
            }
        } onCancel: {
            self.cancel(handle)
        }.get()
    }

    /// Gives the stream up, where it is not at its end already.
    nonisolated func release(_ handle: CallHandle) {
        self.onLoop(self.eventLoop) { $0.releaseStream(handle) }
    }

    /// Cancels one call; the connection goes on.
    nonisolated func cancel(_ handle: CallHandle) {
        handle.cancel()
        // Later, never inline: whoever cancels may be running inside this actor.
        self.laterOnLoop(self.eventLoop) { $0.cancelled(handle) }
    }

    // MARK: - End

    /// Takes no new calls from here on, and closes when those under way have ended.
    package nonisolated func leave() {
        self.onLoop(self.eventLoop) { $0.drain() }
    }

    /// Closes the connection and returns when it is closed.
    ///
    /// - Parameter gracefully: time for calls in flight to finish; nil fails them at once. New calls fail either way.
    package nonisolated func close(gracefully: Duration? = nil) async {
        await withCheckedContinuation { continuation in
            self.onLoop(self.eventLoop) { $0.startClosing(gracefully, continuation) }
        }
    }
}
