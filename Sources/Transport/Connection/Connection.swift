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
    private enum Reset {
        case always
        /// Where our side has more to send, which nobody reads any more.
        case ifUnfinished
        /// The stream is gone already.
        case never
    }

    private enum State {
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
    private let logger: Logger
    private let onChange: @Sendable (Connection, Change) -> Void
    let onFeedback: (@Sendable (StoreFeedback) -> Void)?
    private nonisolated let readyOnce = Atomic<Bool>(false)

    private var state = State.connecting
    var link: HTTP2Link
    /// The channel while the session does not have it yet: during a TLS handshake.
    private var openingChannel: (any Channel)?
    private var requestHeaders: RequestHeaders
    /// Calls by slot.
    private var calls: [ClientCall?] = []
    private var callCount = 0
    /// Calls that came before the connection was ready.
    private var waiting: [CallStart] = []
    var batch = BatchState()
    private var deadlines = DeadlineTimer()
    private var connectTimer: Scheduled<Void>?
    private var keepAlive: KeepAlive?
    private var keepAliveTimer: Scheduled<Void>?
    private var drainTimer: Scheduled<Void>?
    private var isReading = false
    private var closeWaiters: [CheckedContinuation<Void, Never>] = []

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
    nonisolated func unary(path: String, message: [UInt8], options: CallOptions) async throws(RPCError) -> [UInt8] {
        let handle = CallHandle()
        let deadline = options.timeout.map { NIODeadline.after($0) }
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let start = CallStart(
                    path: path, message: message, metadata: options.metadata, deadline: deadline, handle: handle,
                    completion: .unary(continuation))
                self.onLoop(self.eventLoop) { $0.start(start) }
            }
        } onCancel: {
            self.cancel(handle)
        }.get()
    }

    /// Opens a stream; returns its handle once the request is on its way.
    nonisolated func openStream(path: String, options: CallOptions) async throws(RPCError) -> CallHandle {
        let handle = CallHandle()
        let deadline = options.timeout.map { NIODeadline.after($0) }
        let failure: RPCError? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let start = CallStart(
                    path: path, message: nil, metadata: options.metadata, deadline: deadline, handle: handle,
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

    /// Closes the connection and returns when it is closed.
    ///
    /// - Parameter gracefully: time for calls in flight to finish; nil fails them at once. New calls fail either way.
    package nonisolated func close(gracefully: Duration? = nil) async {
        await withCheckedContinuation { continuation in
            self.onLoop(self.eventLoop) { $0.startClosing(gracefully, continuation) }
        }
    }

    // MARK: - Starting calls

    private func start(_ start: CallStart) {
        if start.handle.isCancelled {
            return self.refuse(start, RPCError(.cancelled, "the task was cancelled", delivery: .notSent))
        }
        if let deadline = start.deadline, deadline <= .now() {
            return self.refuse(start, self.deadlineError(.notSent))
        }
        if let refusal = self.refusalOfNewCalls { return self.refuse(start, refusal) }
        if self.isOpenForCalls {
            self.submit(start)
        } else {
            self.waiting.append(start)
            self.arm(start.deadline)
        }
    }

    /// Calls can be sent.
    var isOpenForCalls: Bool {
        if case .ready = self.state { true } else { false }
    }

    var isDraining: Bool {
        if case .draining = self.state { true } else { false }
    }

    /// Why no new call is taken; nil where calls are, if only to wait for the connection.
    var refusalOfNewCalls: RPCError? {
        switch self.state {
        case .connecting, .ready:
            return nil
        case .draining:
            return RPCError(.unavailable, "the connection takes no new calls", delivery: .notSent)
        case .closed(let error):
            var error = error
            error.delivery = .notSent
            return error
        }
    }

    private func refuse(_ start: CallStart, _ error: RPCError) {
        var error = error
        error.peer = self.address.description
        switch start.completion {
        case .unary(let continuation): continuation.resume(returning: .failure(error))
        case .stream(let opened): opened.resume(returning: error)
        }
    }

    private func submit(_ start: CallStart) {
        let now = NIODeadline.now()
        let timeout = start.deadline.map { ($0 - now).nanoseconds }
        let (base, more) = self.requestHeaders.make(path: start.path, timeout: timeout, metadata: start.metadata)
        let stream: HTTP2Stream
        do {
            stream = try self.link.session.request(
                base, more: more, body: start.message ?? [], finished: start.message != nil)
        } catch {
            // Stream numbers are used up, or memory is: this connection has had its time.
            self.refuse(start, error)
            return self.drain()
        }
        let kind: ClientCall.Kind
        switch start.completion {
        case .unary(let continuation): kind = .unary(message: nil, continuation)
        case .stream: kind = .stream(InboundMessages())
        }
        self.keep(
            ClientCall(
                stream: stream, handle: start.handle, deadline: start.deadline,
                response: ResponseMachine(messageLimit: self.configuration.maxReceiveMessageSize), kind: kind,
                isHalfClosed: start.message != nil))
        self.arm(start.deadline)
        self.flushSoon()
        if case .stream(let opened) = start.completion { opened.resume(returning: nil) }
    }

    /// Opens a stream of the connection's own, without a caller. Nil where no stream can be opened any more.
    func openCall(path: String, kind: ClientCall.Kind) -> HTTP2Stream? {
        let (base, _) = self.requestHeaders.make(path: path, timeout: nil, metadata: [:])
        do {
            let stream = try self.link.session.request(base, body: [], finished: false)
            self.keep(
                ClientCall(
                    stream: stream, handle: CallHandle(), deadline: nil,
                    response: ResponseMachine(messageLimit: self.configuration.maxReceiveMessageSize), kind: kind,
                    isHalfClosed: false))
            return stream
        } catch {
            self.drain()
            return nil
        }
    }

    private func keep(_ call: ClientCall) {
        let slot = call.stream.slot
        while self.calls.count <= slot { self.calls.append(nil) }
        call.handle.slot = slot
        self.calls[slot] = call
        self.callCount += 1
    }

    // MARK: - Streams

    private func send(
        _ message: [UInt8], on handle: CallHandle, _ continuation: CheckedContinuation<RPCError?, Never>
    ) {
        guard let slot = self.slot(of: handle), let call = self.calls[slot] else {
            let error = RPCError(.cancelled, "the call is at its end", delivery: .unknown, peer: "\(self.address)")
            return continuation.resume(returning: error)
        }
        guard !call.isHalfClosed, !call.response.isEnded else {
            let error = RPCError(.failedPrecondition, "the stream takes no more messages", peer: "\(self.address)")
            return continuation.resume(returning: error)
        }
        self.link.session.send(message, on: call.stream)
        self.flushSoon()
        if (self.link.session.queuedBytes(call.stream) ?? 0) <= Self.sendBuffer {
            continuation.resume(returning: nil)
        } else {
            self.calls[slot]?.senders.append(continuation)
        }
    }

    private func halfClose(_ handle: CallHandle) {
        guard let slot = self.slot(of: handle), let call = self.calls[slot] else { return }
        self.halfCloseCall(call.stream)
    }

    func halfCloseCall(_ stream: HTTP2Stream) {
        guard stream.slot < self.calls.count, self.calls[stream.slot]?.stream == stream,
            self.calls[stream.slot]?.isHalfClosed == false
        else { return }
        self.calls[stream.slot]?.isHalfClosed = true
        self.link.session.finish(stream)
        self.flushSoon()
    }

    private func next(
        on handle: CallHandle, _ continuation: CheckedContinuation<InboundMessages<Never>.Next, Never>
    ) {
        guard let slot = self.slot(of: handle), let call = self.calls[slot], case .stream(var inbound) = call.kind
        else {
            let error = RPCError(.cancelled, "the call is at its end", peer: "\(self.address)")
            return continuation.resume(returning: .failure(error))
        }
        let answer = inbound.next(continuation)
        let credit = inbound.settleDebt()
        self.calls[slot]?.kind = .stream(inbound)
        if credit > 0 {
            self.link.session.consumeStream(credit, on: call.stream)
            self.flushSoon()
        }
        if let answer {
            continuation.resume(
                returning: answer.mapError { error in
                    var error = error
                    error.peer = self.address.description
                    return error
                })
        }
    }

    private func releaseStream(_ handle: CallHandle) {
        guard let slot = self.slot(of: handle), let call = self.calls[slot] else { return }
        if !call.response.isEnded {
            self.end(slot, .failed(RPCError(.cancelled, "the stream was released")), reset: .always)
        }
        self.forget(slot)
    }

    private func cancelled(_ handle: CallHandle) {
        let error = RPCError(.cancelled, "the task was cancelled")
        if let slot = self.slot(of: handle) {
            self.end(slot, .failed(error), reset: .always)
        } else if let index = self.waiting.firstIndex(where: { $0.handle === handle }) {
            var error = error
            error.delivery = .notSent
            self.refuse(self.waiting.remove(at: index), error)
        }
    }

    private func slot(of handle: CallHandle) -> Int? {
        guard let slot = handle.slot, slot < self.calls.count, self.calls[slot]?.handle === handle else { return nil }
        return slot
    }

    // MARK: - Ending calls

    /// Tells the caller how its call ended. A stream stays known, for its reader, until it is released.
    private func end(_ slot: Int, _ end: ResponseMachine.End, reset: Reset) {
        guard let call = self.calls[slot] else { return }
        var failure: RPCError?
        if case .failed(var error) = end {
            error.peer = self.address.description
            failure = error
        }
        // A response may end before the request has: then nobody reads the rest of it.
        let isUnfinished = !call.isHalfClosed || (self.link.session.queuedBytes(call.stream) ?? 0) > 0
        if reset == .always || reset == .ifUnfinished && isUnfinished {
            self.link.session.reset(call.stream, .cancel)
            self.flushSoon()
        }
        switch call.kind {
        case .unary(let message, let continuation):
            self.forget(slot)
            if let failure {
                continuation.resume(returning: .failure(failure))
            } else if let message {
                continuation.resume(returning: .success(message))
            } else {
                let error = RPCError(
                    .internalError, "the response has no message", delivery: .unknown, peer: self.address.description)
                continuation.resume(returning: .failure(error))
            }
        case .stream(var inbound):
            _ = self.calls[slot]?.response.abandon(failure ?? RPCError(.ok, ""))
            let waiter = inbound.finish(failure)
            let senders = call.senders
            self.calls[slot]?.kind = .stream(inbound)
            self.calls[slot]?.senders = []
            waiter?.resume(returning: inbound.ending ?? .success(nil))
            let gone = RPCError(.cancelled, "the call is at its end", peer: self.address.description)
            for sender in senders { sender.resume(returning: failure ?? gone) }
        case .batch:
            self.forget(slot)
            self.batchEnded(failure)
        }
    }

    private func forget(_ slot: Int) {
        self.calls[slot]?.handle.slot = nil
        self.calls[slot] = nil
        self.callCount -= 1
        self.closeIfDrained()
    }

    // MARK: - Events of the session

    private func handleEvents() {
        for event in self.link.session.takeEvents() {
            switch event {
            case .headers(let stream, let block, let endStream):
                self.handle(stream, reset: .ifUnfinished) { $0.headers(block, endStream: endStream) }
            case .data(let stream, let bytes):
                self.handleData(stream, bytes)
            case .endStream(let stream):
                self.handle(stream, reset: .ifUnfinished) { $0.endStream() }
            case .closed(let stream, let code):
                let complaint = self.link.session.lastComplaint
                self.handle(stream, reset: .never) { $0.closed(code, complaint: complaint) }
            case .settings:
                self.becomeReady()
            case .pong:
                break
            case .goAway(_, let code, let debug):
                self.logger.debug(
                    "connection is going away",
                    metadata: ["peer": "\(self.address)", "code": "\(code)", "reason": "\(debug)"])
                self.drain()
            }
        }
    }

    private func handle(
        _ stream: HTTP2Stream, reset: Reset, _ event: (inout ResponseMachine) -> ResponseMachine.End?
    ) {
        guard stream.slot < self.calls.count, self.calls[stream.slot]?.stream == stream,
            var call = self.calls[stream.slot].take()
        else { return }
        let end = event(&call.response)
        self.calls[stream.slot] = call
        if let end { self.end(stream.slot, end, reset: reset) }
    }

    private func handleData(_ stream: HTTP2Stream, _ bytes: ByteBuffer) {
        let count = bytes.readableBytes
        self.link.session.consumeConnection(count)
        guard stream.slot < self.calls.count, self.calls[stream.slot]?.stream == stream,
            var call = self.calls[stream.slot].take()
        else { return }
        var end: ResponseMachine.End?
        switch call.kind {
        case .unary(var message, let continuation):
            call.kind = .unary(message: nil, continuation)
            var surplus = false
            end = call.response.data(bytes) { received in
                surplus = surplus || message != nil
                message = received
            }
            call.kind = .unary(message: message, continuation)
            if surplus, end == nil {
                end = call.response.abandon(RPCError(.internalError, "two messages where one was due"))
            }
            self.calls[stream.slot] = call
            self.link.session.consumeStream(count, on: stream)
        case .stream(var inbound):
            var resumed: [(CheckedContinuation<InboundMessages<Never>.Next, Never>, [UInt8])] = []
            end = call.response.data(bytes) { message in
                if let waiter = inbound.deliver(message) { resumed.append((waiter, message)) }
            }
            let credit = inbound.received(count)
            call.kind = .stream(inbound)
            self.calls[stream.slot] = call
            if credit > 0 { self.link.session.consumeStream(credit, on: stream) }
            for (waiter, message) in resumed { waiter.resume(returning: .success(message)) }
        case .batch:
            var messages: [[UInt8]] = []
            end = call.response.data(bytes) { messages.append($0) }
            self.calls[stream.slot] = call
            self.link.session.consumeStream(count, on: stream)
            if let error = self.receiveBatches(messages), end == nil {
                end = self.calls[stream.slot]?.response.abandon(error) ?? nil
            }
        }
        // Only our own finding ends a response inside its data: the peer must be told to stop.
        if let end { self.end(stream.slot, end, reset: .always) }
    }

    // MARK: - Deadlines

    func arm(_ deadline: NIODeadline?) {
        guard let deadline else { return }
        self.deadlines.arm(deadline, on: self.eventLoop) { [weak self] in
            self?.assumeIsolated { $0.expire() }
        }
    }

    private func expire() {
        self.deadlines.fired()
        let now = NIODeadline.now()
        var next = self.expireCommands(now)
        func look(_ deadline: NIODeadline?) -> Bool {
            guard let deadline else { return false }
            if deadline <= now { return true }
            next = next.map { min($0, deadline) } ?? deadline
            return false
        }
        for start in self.waiting where look(start.deadline) {
            self.refuse(start, self.deadlineError(.notSent))
        }
        self.waiting.removeAll { $0.deadline.map { $0 <= now } ?? false }
        for slot in self.calls.indices {
            guard let call = self.calls[slot], !call.response.isEnded, look(call.deadline) else { continue }
            self.end(slot, .failed(self.deadlineError(.unknown)), reset: .always)
        }
        self.arm(next)
    }

    func deadlineError(_ delivery: RPCError.Delivery) -> RPCError {
        let reason =
            switch self.state {
            case .connecting: "the deadline passed while connecting"
            case .ready, .draining, .closed: "the deadline passed"
            }
        return RPCError(.deadlineExceeded, reason, delivery: delivery, peer: self.address.description)
    }

    // MARK: - Connecting and closing

    private func startConnecting() {
        let timeout = TimeAmount(clamping: self.configuration.connectTimeout)
        self.connectTimer = self.eventLoop.scheduleTask(in: timeout) { [weak self] in
            self?.assumeIsolated { $0.connectTimedOut() }
        }
        ClientBootstrap(group: self.eventLoop)
            .connectTimeout(timeout)
            .channelOption(ChannelOptions.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls = self.configuration.tls {
                        let handler = try TLSHandler.client(tls.current(), to: self.address, logger: self.logger)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHandler(HTTP2ChannelHandler(self))
                }
            }
            .connect(host: self.address.host, port: self.address.port)
            .whenComplete { result in
                self.onLoop(self.eventLoop) {
                    switch result {
                    case .success(let channel): $0.opened(channel)
                    case .failure(let error): $0.fail(Self.connectError(error))
                    }
                }
            }
    }

    private func opened(_ channel: any Channel) {
        if case .closed = self.state { return channel.close(promise: nil) }
        self.openingChannel = channel
    }

    private static func connectError(_ error: any Error) -> RPCError {
        RPCError(.unavailable, "cannot connect: \(ConnectFailure.describe(error))", delivery: .notSent)
    }

    private func connectTimedOut() {
        guard case .connecting = self.state else { return }
        // Whether the socket, the TLS handshake or the first settings did not come.
        let missing =
            self.openingChannel == nil
            ? "no answer" : self.link.channel == nil ? "no end of the TLS handshake" : "no HTTP/2 settings"
        self.fail(
            RPCError(
                .unavailable, "cannot connect: \(missing) within \(self.configuration.connectTimeout)",
                delivery: .notSent))
    }

    private func becomeReady() {
        guard case .connecting = self.state else { return }
        self.state = .ready
        self.readyOnce.store(true, ordering: .relaxed)
        self.connectTimer?.cancel()
        self.startKeepAlive()
        let waiting = self.waiting
        self.waiting = []
        self.onChange(self, .ready)
        for start in waiting { self.start(start) }
        self.flushSoon()
    }

    /// Takes no new calls from here on.
    private func drain() {
        switch self.state {
        case .connecting:
            self.fail(RPCError(.unavailable, "the connection was closed before it was up", delivery: .notSent))
        case .ready:
            self.state = .draining
            self.onChange(self, .draining)
            self.refuseUnsentCommands(RPCError(.unavailable, "the connection takes no new calls"))
            self.finishBatchIfDraining()
            self.closeIfDrained()
        case .draining, .closed:
            break
        }
    }

    private func closeIfDrained() {
        guard case .draining = self.state, self.callCount == 0 else { return }
        self.link.session.goAway(.noError)
        self.flushSoon()
    }

    private func startClosing(_ grace: Duration?, _ continuation: CheckedContinuation<Void, Never>) {
        if case .closed = self.state { return continuation.resume() }
        self.closeWaiters.append(continuation)
        let closed = RPCError(.unavailable, "the connection was closed by this client")
        guard let grace, case .ready = self.state else {
            if grace != nil, case .draining = self.state { return }
            self.link.session.goAway(.noError)
            return self.fail(closed)
        }
        self.drainTimer = self.eventLoop.scheduleTask(in: TimeAmount(clamping: grace)) { [weak self] in
            self?.assumeIsolated { $0.fail(closed) }
        }
        self.drain()
    }

    /// Ends the connection: every call gets the error, the channel is closed.
    private func fail(_ error: RPCError) {
        var error = error
        error.peer = self.address.description
        switch self.state {
        case .closed: return
        case .connecting, .ready, .draining: break
        }
        self.state = .closed(error)
        self.connectTimer?.cancel()
        self.keepAliveTimer?.cancel()
        self.drainTimer?.cancel()
        self.deadlines.cancel()
        var unsent = error
        unsent.delivery = .notSent
        for start in self.waiting { self.refuse(start, unsent) }
        self.waiting = []
        self.failCommands(error)
        for slot in self.calls.indices {
            guard let call = self.calls[slot] else { continue }
            if call.response.isEnded { continue }
            var lost = error
            lost.delivery = .unknown
            self.end(slot, .failed(lost), reset: .never)
        }
        self.logger.debug("connection is closed", metadata: ["peer": "\(self.address)", "reason": "\(error.message)"])
        self.onChange(self, .closed(error))
        // What the session has to say at the end (a GOAWAY); where the socket is broken, nobody misses it.
        if let last = try? self.link.takeOutput() { self.link.channel?.writeAndFlush(last, promise: nil) }
        (self.link.channel ?? self.openingChannel)?.close(promise: nil)
        for waiter in self.closeWaiters { waiter.resume() }
        self.closeWaiters = []
    }

    // MARK: - Keep-alive

    private func startKeepAlive() {
        guard let interval = self.configuration.keepAliveInterval else { return }
        let now = NIODeadline.now()
        self.keepAlive = KeepAlive(
            interval: TimeAmount(clamping: interval),
            timeout: TimeAmount(clamping: self.configuration.keepAliveTimeout), now: now)
        self.lookAtKeepAlive()
    }

    private func lookAtKeepAlive() {
        guard let action = self.keepAlive?.look(at: .now()) else { return }
        let next: NIODeadline
        switch action {
        case .wait(let until): next = until
        case .ping(let until):
            next = until
            self.link.session.ping(0)
            self.flushSoon()
        case .giveUp:
            return self.fail(RPCError(.unavailable, "the peer did not answer a keep-alive ping"))
        }
        self.keepAliveTimer = self.eventLoop.scheduleTask(deadline: next) { [weak self] in
            self?.assumeIsolated { $0.lookAtKeepAlive() }
        }
    }

    // MARK: - Writing

    /// Bytes that a stream may have queued before its sender has to wait.
    private static let sendBuffer = 64 << 10

    /// Writes at the end of this tick, so that all calls that start in it share one write.
    func flushSoon() {
        guard !self.isReading, !self.link.isFlushScheduled else { return }
        self.link.isFlushScheduled = true
        self.laterOnLoop(self.eventLoop) { $0.flush() }
    }

    private func flush() {
        self.link.isFlushScheduled = false
        guard !self.link.isFlushing else { return }
        self.link.isFlushing = true
        defer { self.link.isFlushing = false }
        do {
            self.sendBatches()
            while let bytes = try self.link.takeOutput() { self.link.channel?.writeAndFlush(bytes, promise: nil) }
            self.handleEvents()
            self.resumeSenders()
            if self.link.session.isFinished {
                self.fail(RPCError(.unavailable, self.link.session.lastComplaint ?? "the connection is at its end"))
            }
        } catch {
            self.fail(error)
        }
    }

    private func resumeSenders() {
        for slot in self.calls.indices {
            guard let call = self.calls[slot], !call.senders.isEmpty,
                (self.link.session.queuedBytes(call.stream) ?? 0) <= Self.sendBuffer
            else { continue }
            self.calls[slot]?.senders = []
            for sender in call.senders { sender.resume(returning: nil) }
        }
    }

    // MARK: - HTTP2Endpoint

    func active(_ channel: any Channel) {
        guard case .connecting = self.state else { return channel.close(promise: nil) }
        self.link.attach(channel)
        self.flush()
    }

    func received(_ bytes: ByteBuffer) {
        if case .closed = self.state { return }
        if case .connecting = self.state, self.configuration.tls == nil, TLSRecord.looksLikeTLS(bytes) {
            return self.fail(
                RPCError(
                    .unavailable, "cannot connect: the peer speaks TLS, and this client is not configured for it",
                    delivery: .notSent))
        }
        self.isReading = true
        self.keepAlive?.heard(at: .now())
        do {
            try self.link.session.receive(bytes)
            self.handleEvents()
        } catch {
            self.handleEvents()
            self.fail(error)
        }
    }

    func readComplete() {
        self.isReading = false
        if case .closed = self.state { return }
        self.flush()
    }

    func writable() {
        if case .closed = self.state { return }
        self.flush()
    }

    func inactive(_ cause: (any Error)?) {
        let cause = cause.map { ConnectFailure.describe($0) }
        switch self.state {
        case .connecting:
            let hint = self.configuration.tls == nil ? " (does it expect TLS?)" : ""
            let reason = cause ?? "the peer closed the connection before its first settings"
            self.fail(RPCError(.unavailable, "cannot connect: \(reason)\(hint)", delivery: .notSent))
        case .ready, .draining:
            let reason = cause.map { "the connection broke: \($0)" } ?? "the peer closed the connection"
            self.fail(RPCError(.unavailable, reason))
        case .closed:
            break
        }
    }
}
