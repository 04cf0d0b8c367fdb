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
/// carries bytes, events and calls between them. Each caller is resumed exactly once: by the call's end, by
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
    nonisolated let inbox = CallInbox()
    nonisolated let readyOnce = Atomic<Bool>(false)
    /// Calls and commands under way, as of the last turn of the loop.
    nonisolated let load = Atomic<Int>(0)
    let observer: (any TransportObserver)?
    let number: UInt64

    var state = State.connecting
    var link: HTTP2Link
    /// The channel that the connection is made of. The session has it later, when a TLS handshake is done.
    var openingChannel: (any Channel)?
    var requestHeaders: RequestHeaders
    /// Calls by slot.
    var calls: [ClientCall?] = []
    var callCount = 0
    /// Calls that came before the connection was ready.
    var waiting: [ClientCall] = []
    var batch = BatchState()
    var deadlines = DeadlineTimer()
    var connectTimer: Scheduled<Void>?
    /// The look-up of the connect under way, where it is a function of the user's.
    var resolver: HostResolver?
    /// What the connect under way, or the one that there was, shows and trusts.
    var tlsContext: TLSContext?
    var keepAlive: KeepAlive?
    var keepAliveTimer: Scheduled<Void>?
    var drainTimer: Scheduled<Void>?
    var connectStart = NIODeadline.distantPast
    var idle = IdleWatch()
    var idleTimer: Scheduled<Void>?
    var inspectionTimer: Scheduled<Void>?
    var drainEnd: NIODeadline?
    /// Calls whose senders wait for the peer's window.
    var blockedCalls: [ClientCall] = []
    /// A write follows in any case, so that nobody needs to ask for one.
    var isGathering = false
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
        self.observer = configuration.observer
        if let trigger = configuration.batch.map({ BatchTrigger($0) }), !trigger.neverWaits {
            self.batch.trigger = trigger
        }
        self.number = Self.numbers.add(1, ordering: .relaxed).newValue
        self.link = HTTP2Link(session: try HTTP2Session(.client, configuration: configuration.http2))
        self.requestHeaders = RequestHeaders(
            authority: address.description, scheme: configuration.tls == nil ? "http" : "https",
            compression: configuration.compression, metadata: configuration.metadata)
    }

    private static let numbers = Atomic<UInt64>(0)

    /// Starts to connect. Once.
    package nonisolated func connect() {
        self.onLoop(self.eventLoop) { $0.startConnecting() }
    }

    // MARK: - Calls

    /// One message there, one back.
    nonisolated func unary(
        path: String, message: [UInt8], metadata: Metadata, deadline: NIODeadline?
    ) async throws(RPCError) -> [UInt8] {
        try await self.perform(
            ClientCall(
                .unary, path: path, message: message, metadata: metadata, deadline: deadline,
                messageLimit: self.configuration.maxReceiveMessageSize))
    }

    /// Opens a stream; returns once the request is on its way.
    nonisolated func openStream(
        path: String, metadata: Metadata, deadline: NIODeadline?, receiveTimeout: TimeAmount? = nil
    ) async throws(RPCError) -> ClientCall {
        let call = ClientCall(
            .stream, path: path, metadata: metadata, deadline: deadline, receiveTimeout: receiveTimeout,
            messageLimit: self.configuration.maxReceiveMessageSize)
        _ = try await self.perform(call)
        return call
    }

    /// Hands a call over and waits for its outcome.
    nonisolated func perform(_ call: ClientCall) async throws(RPCError) -> [UInt8] {
        try await withTaskCancellationHandler {
            await call.wait { self.begin(call) }
        } onCancel: {
            self.cancel(call)
        }.get()
    }

    /// Gets a call to the event loop: at once for a task that is on it, with all others that are on their way otherwise.
    private nonisolated func begin(_ call: ClientCall) {
        if self.eventLoop.inEventLoop {
            self.assumeIsolated { $0.start(call) }
        } else if self.inbox.put(call) {
            self.eventLoop.execute { self.assumeIsolated { $0.startAll() } }
        }
    }

    /// Sends one message; returns when there is room for another.
    nonisolated func send(_ message: [UInt8], on call: ClientCall) async throws(RPCError) {
        let failure: RPCError? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.onLoop(self.eventLoop) { $0.send(message, on: call, continuation) }
            }
        } onCancel: {
            self.cancel(call)
        }
        if let failure { throw failure }
    }

    nonisolated func finishSending(on call: ClientCall) {
        self.onLoop(self.eventLoop) { $0.halfClose(call) }
    }

    /// The stream's next message; nil at its regular end.
    nonisolated func next(on call: ClientCall) async throws(RPCError) -> [UInt8]? {
        try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.onLoop(self.eventLoop) { $0.next(on: call, continuation) }
            }
        } onCancel: {
            self.cancel(call)
        }.get()
    }

    /// Gives the stream up, where it is not at its end already.
    nonisolated func release(_ call: ClientCall) {
        self.onLoop(self.eventLoop) { $0.releaseStream(call) }
    }

    /// Cancels one call; the connection goes on.
    nonisolated func cancel(_ call: ClientCall) {
        call.cancel()
        // Later, never inline: whoever cancels may be running inside this actor.
        self.laterOnLoop(self.eventLoop) { $0.cancelled(call) }
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
