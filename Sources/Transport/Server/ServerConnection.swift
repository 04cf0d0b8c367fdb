// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import NIOCore

/// A server's connection to one client: an actor on the event loop of its socket, which reads requests, runs a handler
/// for each and writes what the handlers answer.
actor ServerConnection: HTTP2Endpoint {
    private typealias Reader = CheckedContinuation<InboundMessages<Never>.Next, Never>

    private struct Call {
        enum Kind {
            /// Waits for its one message.
            case unary(@Sendable ([UInt8], ServerCall) async throws -> [UInt8], message: [UInt8]?)
            case stream
        }

        let stream: HTTP2Stream
        let info: ServerCall
        let deadline: NIODeadline?
        var kind: Kind
        var deframer: MessageDeframer
        var inbound = InboundMessages<Reader>()
        var task: Task<Void, Never>?
        /// The client has no more to send.
        var isRequestComplete = false
        var hasResponseStarted = false
        var senders: [CheckedContinuation<RPCError?, Never>] = []
        /// Messages to the client are compressed.
        var compresses = false
        /// Answers to commands that go out with the next write.
        var answers = BatchEnvelope()
    }

    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe self.eventLoop.executor.asUnownedSerialExecutor()
    }

    private let executor: EventLoopTaskExecutor
    private let services: RPCServices
    private let logger: Logger
    private let onClose: @Sendable (ServerConnection) -> Void
    private var link: HTTP2Link
    private var peer = ""
    /// Calls by slot, from their headers until the stream is closed.
    private var calls: [Call?] = []
    private var runningHandlers = 0
    /// Streams whose senders wait for the peer's window.
    private var blockedStreams: [HTTP2Stream] = []
    /// Batch streams that have answers to send.
    private var answered: [HTTP2Stream] = []
    private var deadlines = DeadlineTimer()
    private var drain = ServerDrain()
    /// When the drain's time is over, and what acts on it.
    private var drainEnd: (deadline: NIODeadline, timer: Scheduled<Void>)?
    /// The last thing that was written while the connection drains.
    private var lastWrite: EventLoopFuture<Void>?
    private var lingerTimer: Scheduled<Void>?
    private var isReading = false
    private var isClosed = false

    /// - Parameter onClose: called on the connection's event loop when the connection is closed and the last of its
    ///   handlers has returned.
    init(
        on eventLoop: any EventLoop, executor: EventLoopTaskExecutor, services: RPCServices,
        configuration: HTTP2Configuration, logger: Logger, onClose: @escaping @Sendable (ServerConnection) -> Void
    ) throws(RPCError) {
        self.eventLoop = eventLoop
        self.executor = executor
        self.services = services
        self.logger = logger
        self.onClose = onClose
        self.link = HTTP2Link(session: try HTTP2Session(.server, configuration: configuration))
    }

    /// Closes the connection at once; handlers are cancelled.
    nonisolated func close() {
        self.laterOnLoop(self.eventLoop) { $0.shut() }
    }

    /// Lets the calls under way finish and takes no new ones, and closes the connection then.
    ///
    /// - Parameter grace: time for that; then the connection is closed as by `close()`. Of several, the shortest counts.
    nonisolated func close(gracefully grace: Duration) {
        let end = NIODeadline.after(grace)
        self.laterOnLoop(self.eventLoop) { $0.startDrain(until: end) }
    }

    // MARK: - For handlers

    nonisolated func next(on stream: HTTP2Stream) async throws(RPCError) -> [UInt8]? {
        try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.onLoop(self.eventLoop) { $0.next(on: stream, continuation) }
            }
        } onCancel: {
            self.laterOnLoop(self.eventLoop) { $0.stopReading(stream) }
        }.get()
    }

    nonisolated func send(_ message: [UInt8], on stream: HTTP2Stream) async throws(RPCError) {
        let failure: RPCError? = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.onLoop(self.eventLoop) { $0.send(message, on: stream, continuation) }
            }
        } onCancel: {
            self.laterOnLoop(self.eventLoop) { $0.stopSending(stream) }
        }
        if let failure { throw failure }
    }

    /// Answers one command of a batch stream; answers of the same tick share a message.
    nonisolated func answer(
        _ item: BatchEnvelope.Item, on stream: HTTP2Stream, feedback: @escaping @Sendable () -> StoreFeedback?
    ) {
        self.onLoop(self.eventLoop) { $0.keepAnswer(item, on: stream, feedback: feedback) }
    }

    /// Ends a call with a status, whatever its handler is doing.
    nonisolated func end(_ stream: HTTP2Stream, _ error: RPCError) {
        self.laterOnLoop(self.eventLoop) { $0.fail(stream, error) }
    }

    private func keepAnswer(_ item: BatchEnvelope.Item, on stream: HTTP2Stream, feedback: () -> StoreFeedback?) {
        guard self.isOpen(stream), var call = self.calls[stream.slot].take() else { return }
        if call.answers.items.isEmpty {
            self.answered.append(stream)
            if let feedback = feedback() { call.answers.add(feedback) }
        }
        call.answers.items.append(item)
        self.calls[stream.slot] = call
        self.flushSoon()
    }

    private func sendAnswers() {
        guard !self.answered.isEmpty else { return }
        let streams = self.answered
        self.answered.removeAll(keepingCapacity: true)
        for stream in streams where self.isOpen(stream) {
            guard let answers = self.calls[stream.slot]?.answers else { continue }
            self.calls[stream.slot]?.answers = BatchEnvelope()
            self.startResponse(stream)
            self.link.session.send(self.encoded(answers.framed(), on: stream), on: stream)
        }
    }

    private static let gone = RPCError(.cancelled, "the call is gone")

    private func isOpen(_ stream: HTTP2Stream) -> Bool {
        stream.slot < self.calls.count && self.calls[stream.slot]?.stream == stream
    }

    private func next(on stream: HTTP2Stream, _ reader: Reader) {
        guard self.isOpen(stream), var call = self.calls[stream.slot].take() else {
            return reader.resume(returning: .failure(Self.gone))
        }
        if call.task?.isCancelled == true { _ = call.inbound.finish(Self.gone) }
        let answer = call.inbound.next(reader)
        let credit = call.inbound.settleDebt()
        self.calls[stream.slot] = call
        if credit > 0 {
            self.link.session.consumeStream(credit, on: stream)
            self.flushSoon()
        }
        if let answer { reader.resume(returning: answer) }
    }

    private func stopReading(_ stream: HTTP2Stream) {
        guard self.isOpen(stream) else { return }
        self.calls[stream.slot]?.inbound.finish(Self.gone)?.resume(returning: .failure(Self.gone))
    }

    private func send(
        _ message: [UInt8], on stream: HTTP2Stream, _ continuation: CheckedContinuation<RPCError?, Never>
    ) {
        guard self.isOpen(stream), self.calls[stream.slot]?.task?.isCancelled != true else {
            return continuation.resume(returning: Self.gone)
        }
        self.startResponse(stream)
        self.link.session.send(self.encoded(message, on: stream), on: stream)
        self.flushSoon()
        if (self.link.session.queuedBytes(stream) ?? 0) <= Self.sendBuffer {
            continuation.resume(returning: nil)
        } else {
            self.calls[stream.slot]?.senders.append(continuation)
            self.blockedStreams.append(stream)
        }
    }

    private func stopSending(_ stream: HTTP2Stream) {
        guard self.isOpen(stream), let senders = self.calls[stream.slot]?.senders else { return }
        self.calls[stream.slot]?.senders = []
        for sender in senders { sender.resume(returning: Self.gone) }
    }

    // MARK: - Requests

    private func handleEvents() {
        for event in self.link.session.takeEvents() {
            switch event {
            case .headers(let stream, let block, let endStream):
                // A second block is trailers, which a gRPC client does not send; only their end counts.
                if !self.isOpen(stream) {
                    guard self.drain.admits(streamID: stream.id) else {
                        self.link.session.reset(stream, .refusedStream)
                        self.flushSoon()
                        continue
                    }
                    self.begin(stream, block)
                }
                if endStream { self.requestComplete(stream) }
            case .data(let stream, let bytes):
                self.receive(stream, bytes)
            case .endStream(let stream):
                self.requestComplete(stream)
            case .closed(let stream, _):
                self.streamClosed(stream)
            case .settings:
                break
            case .pong:
                if self.drain.settlesAfterPong() { self.settleDrain() }
            case .goAway(_, let code, let debug):
                self.logger.debug(
                    "client is going away", metadata: ["peer": "\(self.peer)", "code": "\(code)", "reason": "\(debug)"])
            }
        }
    }

    private func begin(_ stream: HTTP2Stream, _ block: HeaderBlock) {
        switch RequestHead(block) {
        case .refuseHTTP(let status):
            self.refuse(stream, ResponseHeaders.http(status: status))
        case .refuse(let error):
            self.refuse(stream, ResponseHeaders.only(error))
        case .call(let head):
            guard let handler = self.services.handlers[head.path] else {
                let error = RPCError(.unimplemented, "unknown method \(head.path)")
                return self.refuse(stream, ResponseHeaders.only(error))
            }
            let info = ServerCall(
                path: head.path, metadata: head.metadata, peer: self.peer, timeLimit: head.timeLimit, connection: self)
            let deadline = head.timeLimit.map { NIODeadline.after($0) }
            let kind: Call.Kind
            switch handler {
            case .unary(let body): kind = .unary(body, message: nil)
            case .stream: kind = .stream
            }
            while self.calls.count <= stream.slot { self.calls.append(nil) }
            self.calls[stream.slot] = Call(
                stream: stream, info: info, deadline: deadline, kind: kind,
                deframer: MessageDeframer(limit: self.services.maxMessageSize, encoding: head.encoding),
                compresses: head.acceptsGZip && self.services.compression == .gzip)
            self.arm(deadline)
            if case .stream(let body) = handler {
                let core = ServerStreamCore(connection: self, stream: stream)
                self.run(stream) {
                    try await body(core, info)
                    return nil
                }
            }
        }
    }

    private func refuse(_ stream: HTTP2Stream, _ headers: HeaderList) {
        self.link.session.respondOnly(stream, headers)
        self.flushSoon()
    }

    private func receive(_ stream: HTTP2Stream, _ bytes: ByteBuffer) {
        let count = bytes.readableBytes
        self.link.session.consumeConnection(count)
        guard self.isOpen(stream), var call = self.calls[stream.slot].take() else {
            // Nobody reads what follows a refusal, but it must not stall either.
            return self.link.session.consumeStream(count, on: stream)
        }
        var failure: RPCError?
        var credit = count
        do {
            switch call.kind {
            case .unary(let body, var message):
                var surplus = false
                try call.deframer.receive(bytes) { received in
                    surplus = surplus || message != nil
                    message = received
                }
                call.kind = .unary(body, message: message)
                if surplus { failure = RPCError(.internalError, "two messages where one was due") }
            case .stream:
                var resumed: [(Reader, [UInt8])] = []
                var inbound = call.inbound
                call.inbound = InboundMessages()
                do throws(RPCError) {
                    try call.deframer.receive(bytes) { message in
                        if let reader = inbound.deliver(message) { resumed.append((reader, message)) }
                    }
                } catch {
                    failure = error
                }
                credit = inbound.received(count)
                call.inbound = inbound
                // Also where what follows is broken: who was given a message must have it.
                for (reader, message) in resumed { reader.resume(returning: .success(message)) }
            }
        } catch {
            failure = error
        }
        self.calls[stream.slot] = call
        if credit > 0 { self.link.session.consumeStream(credit, on: stream) }
        if let failure { self.fail(stream, failure) }
    }

    private func requestComplete(_ stream: HTTP2Stream) {
        guard self.isOpen(stream), let call = self.calls[stream.slot], !call.isRequestComplete else { return }
        self.calls[stream.slot]?.isRequestComplete = true
        if call.deframer.isMidMessage {
            return self.fail(stream, RPCError(.internalError, "the request ended in the middle of a message"))
        }
        switch call.kind {
        case .unary(let body, let message):
            guard call.task == nil else { return }
            guard let message else {
                return self.fail(stream, RPCError(.internalError, "the request has no message"))
            }
            let info = call.info
            self.run(stream) { try await body(message, info) }
        case .stream:
            self.calls[stream.slot]?.inbound.finish(nil)?.resume(returning: .success(nil))
        }
    }

    // MARK: - Handlers

    /// Runs a handler. A task of its own rather than a child of some group: it must be possible to cancel each call by
    /// itself, which a group does not offer. None outlives the server: `onClose` comes only after the last has returned,
    /// and `RPCServer.run()` waits for that.
    private func run(_ stream: HTTP2Stream, _ body: @escaping @Sendable () async throws -> [UInt8]?) {
        self.runningHandlers += 1
        let task = Task(executorPreference: self.executor) {
            let result: Result<[UInt8]?, RPCError>
            do {
                result = .success(try await body())
            } catch let error as RPCError {
                result = .failure(error)
            } catch {
                result = .failure(RPCError(.unknown, "\(error)"))
            }
            self.onLoop(self.eventLoop) { $0.handlerEnded(stream, result) }
        }
        self.calls[stream.slot]?.task = task
    }

    private func handlerEnded(_ stream: HTTP2Stream, _ result: Result<[UInt8]?, RPCError>) {
        self.runningHandlers -= 1
        if self.isOpen(stream) {
            switch result {
            case .success(let message):
                self.sendAnswers()
                self.startResponse(stream)
                if let message { self.link.session.send(self.encoded(message, on: stream), on: stream) }
                self.link.session.finish(stream, trailers: ResponseHeaders.ok)
                self.afterResponse(stream)
            case .failure(let error):
                self.fail(stream, error)
            }
        }
        self.closeIfDone()
    }

    private func startResponse(_ stream: HTTP2Stream) {
        guard self.calls[stream.slot]?.hasResponseStarted == false else { return }
        self.calls[stream.slot]?.hasResponseStarted = true
        let compresses = self.calls[stream.slot]?.compresses == true
        self.link.session.respond(stream, compresses ? ResponseHeaders.startWithGZip : ResponseHeaders.start)
    }

    private func encoded(_ frame: [UInt8], on stream: HTTP2Stream) -> [UInt8] {
        self.calls[stream.slot]?.compresses == true ? GZip.compress(frame: frame) : frame
    }

    /// Ends the call with a status. Its handler, where one runs, is cancelled and its answer is dropped.
    private func fail(_ stream: HTTP2Stream, _ error: RPCError) {
        guard self.isOpen(stream), let call = self.calls[stream.slot] else { return }
        if call.hasResponseStarted {
            self.link.session.finish(stream, trailers: ResponseHeaders.trailers(error))
        } else {
            self.link.session.respondOnly(stream, ResponseHeaders.only(error))
        }
        self.afterResponse(stream)
    }

    /// The response is complete: whatever else the call holds is let go.
    private func afterResponse(_ stream: HTTP2Stream) {
        self.flushSoon()
        self.release(stream)
    }

    private func release(_ stream: HTTP2Stream) {
        guard self.isOpen(stream), var call = self.calls[stream.slot].take() else { return }
        call.task?.cancel()
        call.inbound.finish(Self.gone)?.resume(returning: .failure(Self.gone))
        for sender in call.senders { sender.resume(returning: Self.gone) }
    }

    private func streamClosed(_ stream: HTTP2Stream) {
        self.release(stream)
        self.link.session.release(stream)
    }

    // MARK: - Deadlines

    private func arm(_ deadline: NIODeadline?) {
        guard let deadline else { return }
        self.deadlines.arm(deadline, on: self.eventLoop) { [weak self] in
            self?.assumeIsolated { $0.expire() }
        }
    }

    private func expire() {
        self.deadlines.fired()
        let now = NIODeadline.now()
        var next: NIODeadline?
        for call in self.calls {
            guard let call, let deadline = call.deadline else { continue }
            if deadline <= now {
                self.fail(call.stream, RPCError(.deadlineExceeded, "the call's time is over"))
            } else {
                next = next.map { min($0, deadline) } ?? deadline
            }
        }
        self.arm(next)
    }

    // MARK: - Writing and closing

    private static let sendBuffer = 64 << 10

    private func flushSoon() {
        guard !self.isReading, !self.link.isFlushScheduled else { return }
        self.link.isFlushScheduled = true
        self.laterOnLoop(self.eventLoop) { $0.flush() }
    }

    private func flush() {
        self.link.isFlushScheduled = false
        guard !self.isClosed, !self.link.isFlushing else { return }
        self.link.isFlushing = true
        defer { self.link.isFlushing = false }
        do {
            self.sendAnswers()
            try self.write()
            if self.drain.isUnderWay, self.link.channel?.isWritable == true, self.drain.written() {
                self.link.session.ping(0)
                try self.write()
            }
            self.handleEvents()
            self.resumeSenders()
            if self.link.session.isFinished { self.sessionFinished() }
        } catch {
            self.logger.debug("connection failed", metadata: ["peer": "\(self.peer)", "reason": "\(error.message)"])
            self.shut()
        }
    }

    private func write() throws(RPCError) {
        while let bytes = try self.link.takeOutput() {
            if self.drain.isUnderWay {
                self.lastWrite = self.link.channel?.writeAndFlush(bytes)
            } else {
                self.link.channel?.writeAndFlush(bytes, promise: nil)
            }
        }
    }

    private func resumeSenders() {
        guard !self.blockedStreams.isEmpty else { return }
        var blocked: [HTTP2Stream] = []
        for stream in self.blockedStreams where self.isOpen(stream) {
            guard (self.link.session.queuedBytes(stream) ?? 0) <= Self.sendBuffer else {
                blocked.append(stream)
                continue
            }
            let senders = self.calls[stream.slot]?.senders ?? []
            self.calls[stream.slot]?.senders = []
            for sender in senders { sender.resume(returning: nil) }
        }
        self.blockedStreams = blocked
    }

    // MARK: - Draining

    /// Time for a client that has all its answers to hang up.
    private static let lingerTime = TimeAmount.seconds(1)

    private func startDrain(until end: NIODeadline) {
        guard !self.isClosed else { return }
        if self.drainEnd.map({ end < $0.deadline }) ?? true {
            self.drainEnd?.timer.cancel()
            let timer: Scheduled<Void> = self.eventLoop.scheduleTask(deadline: end) { [weak self] in
                self?.assumeIsolated { $0.shut() }
            }
            self.drainEnd = (end, timer)
        }
        guard self.drain.begin() else { return }
        self.link.session.announceShutdown()
        self.flushSoon()
    }

    private func settleDrain() {
        self.drain.settled(lastStream: self.link.session.goAway(.noError))
        self.flushSoon()
    }

    private func sessionFinished() {
        switch self.drain.sessionFinished() {
        case .settle: self.settleDrain()
        case .linger: self.linger()
        case .nothing: break
        }
    }

    /// Closes the connection when what was written is on its way and the client had a moment to hang up itself.
    private func linger() {
        guard let lastWrite = self.lastWrite else { return self.shut() }
        lastWrite.whenComplete { _ in
            self.laterOnLoop(self.eventLoop) { connection in
                guard !connection.isClosed else { return }
                connection.lingerTimer = connection.eventLoop.scheduleTask(in: Self.lingerTime) { [weak connection] in
                    connection?.assumeIsolated { $0.shut() }
                }
            }
        }
    }

    private func shut() {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.deadlines.cancel()
        self.drainEnd?.timer.cancel()
        self.drainEnd = nil
        self.lingerTimer?.cancel()
        self.lastWrite = nil
        for call in self.calls { if let call { self.release(call.stream) } }
        self.link.channel?.close(promise: nil)
        self.closeIfDone()
    }

    private func closeIfDone() {
        guard self.isClosed, self.runningHandlers == 0 else { return }
        self.onClose(self)
    }

    // MARK: - HTTP2Endpoint

    func active(_ channel: any Channel) -> Bool {
        self.peer = channel.remoteAddress.map { "\($0)" } ?? ""
        self.link.attach(channel)
        guard !self.isClosed else { return false }
        self.flush()
        return true
    }

    func received(_ bytes: ByteBuffer) {
        guard !self.isClosed, !self.drain.isLingering else { return }
        self.isReading = true
        do {
            try self.link.session.receive(bytes)
            self.handleEvents()
        } catch {
            // A peer that breaks the protocol costs its own connection, nothing else.
            self.logger.debug("client broke off", metadata: ["peer": "\(self.peer)", "reason": "\(error.message)"])
            self.handleEvents()
            if let last = try? self.link.takeOutput() { self.link.channel?.writeAndFlush(last, promise: nil) }
            self.shut()
        }
    }

    func readComplete() {
        self.isReading = false
        // Not at once: handlers that answer without waiting run first, and their answers go along.
        self.flushSoon()
    }

    func writable() {
        self.flush()
    }

    func inactive(_ channel: any Channel, _ cause: (any Error)?) {
        self.shut()
    }
}
