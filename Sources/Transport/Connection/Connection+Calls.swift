// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Starting calls, the streams' sending and reading, and telling callers how their calls ended.
extension Connection {
    // MARK: - Starting calls

    /// Starts the calls that came from other threads, and writes once for all of them.
    func startAll() {
        let wasGathering = self.isGathering
        self.isGathering = true
        for call in self.inbox.takeAll() { self.start(call) }
        self.isGathering = wasGathering
        if !wasGathering { self.flush() }
    }

    func start(_ call: ClientCall) {
        self.idle.began()
        if call.isCancelled {
            return self.refuse(call, RPCError(.cancelled, "the task was cancelled", delivery: .notSent))
        }
        let now = NIODeadline.now()
        var timeout: Int64?
        if let deadline = call.deadline {
            let left = (deadline - now).nanoseconds
            if left <= 0 { return self.refuse(call, self.deadlineError(.notSent)) }
            timeout = left
        }
        if case .command(let field, let priority) = call.kind {
            return self.startCommand(call, field: field, priority: priority, at: now)
        }
        if let refusal = self.refusalOfNewCalls { return self.refuse(call, refusal) }
        if self.isOpenForCalls {
            self.submit(call, timeout: timeout)
        } else {
            self.waiting.append(call)
            self.arm(call.deadline)
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

    /// Ends a call that the connection does not know, or knows no more.
    func refuse(_ call: ClientCall, _ error: RPCError) {
        var error = error
        error.peer = self.address.description
        call.finish(.failure(error))
    }

    /// - Parameter timeout: what is left until the call's deadline, in nanoseconds.
    private func submit(_ call: ClientCall, timeout: Int64?) {
        let (base, more) = self.requestHeaders.make(path: call.path, timeout: timeout, metadata: call.metadata)
        do {
            call.stream = try self.link.session.request(
                base, more: more, body: call.message ?? [], finished: call.isHalfClosed)
        } catch {
            // Stream numbers are used up, or memory is: this connection has had its time.
            self.refuse(call, error)
            return self.drain()
        }
        call.message = nil
        self.keep(call)
        self.arm(call.deadline)
        self.flushSoon()
        if case .stream = call.kind { call.finish(.success([])) }
    }

    /// Opens the stream of commands. Nil where no stream can be opened any more.
    func openCommands(path: String) -> HTTP2Stream? {
        let call = ClientCall(.commands, path: path, messageLimit: self.configuration.maxReceiveMessageSize)
        let (base, _) = self.requestHeaders.make(path: path, timeout: nil, metadata: [:])
        do {
            call.stream = try self.link.session.request(base, body: [], finished: false)
        } catch {
            self.drain()
            return nil
        }
        self.keep(call)
        return call.stream
    }

    private func keep(_ call: ClientCall) {
        while self.calls.count <= call.stream.slot { self.calls.append(nil) }
        self.calls[call.stream.slot] = call
        self.callCount += 1
        self.observer?.streamsChanged(StreamCountChange(connection: self.number, openStreams: self.callCount))
    }

    /// The call whose stream this is; nil where it is forgotten.
    func call(of stream: HTTP2Stream) -> ClientCall? {
        guard stream.slot < self.calls.count, let call = self.calls[stream.slot], call.stream.id == stream.id else {
            return nil
        }
        return call
    }

    /// Whether the call is one of those in flight, or kept for its reader.
    func knows(_ call: ClientCall) -> Bool {
        let slot = call.stream.slot
        return self.calls.indices.contains(slot) && self.calls[slot] === call
    }

    // MARK: - Streams

    func send(
        _ message: [UInt8], on call: ClientCall, _ continuation: CheckedContinuation<RPCError?, Never>
    ) {
        guard self.knows(call), !call.response.isEnded else {
            var error = RPCError(.cancelled, "the call is at its end", peer: self.address.description)
            if case .failure(let ending)? = call.inbound.ending { error = ending }
            return continuation.resume(returning: error)
        }
        guard !call.isHalfClosed else {
            let error = RPCError(.failedPrecondition, "the stream takes no more messages", peer: "\(self.address)")
            return continuation.resume(returning: error)
        }
        self.link.session.send(message, on: call.stream)
        self.flushSoon()
        if (self.link.session.queuedBytes(call.stream) ?? 0) <= Self.sendBuffer {
            continuation.resume(returning: nil)
        } else {
            call.senders.append(continuation)
            self.blockedCalls.append(call)
        }
    }

    func halfClose(_ call: ClientCall) {
        guard self.knows(call), !call.isHalfClosed else { return }
        call.isHalfClosed = true
        self.link.session.finish(call.stream)
        self.flushSoon()
    }

    func next(
        on call: ClientCall, _ continuation: CheckedContinuation<InboundMessages<Never>.Next, Never>
    ) {
        guard self.knows(call) else {
            let error = RPCError(.cancelled, "the call is at its end", peer: self.address.description)
            return continuation.resume(returning: .failure(error))
        }
        let answer = call.inbound.next(continuation)
        let credit = call.inbound.settleDebt()
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
        } else if let time = call.receiveTimeout {
            let deadline = NIODeadline.now() + time
            call.receiveDeadline = deadline
            self.arm(deadline)
        }
    }

    func releaseStream(_ call: ClientCall) {
        guard self.knows(call) else { return }
        if !call.response.isEnded {
            self.end(call, .failed(RPCError(.cancelled, "the stream was released")), reset: .always)
        }
        self.forget(call)
    }

    func cancelled(_ call: ClientCall) {
        if case .command = call.kind { return self.cancelCommand(call) }
        var error = RPCError(.cancelled, "the task was cancelled")
        if self.knows(call) {
            self.end(call, .failed(error), reset: .always)
        } else if let index = self.waiting.firstIndex(where: { $0 === call }) {
            error.delivery = .notSent
            self.refuse(self.waiting.remove(at: index), error)
        }
    }

    // MARK: - Ending calls

    /// Tells the caller how its call ended. A stream stays known, for its reader, until it is released.
    func end(_ call: ClientCall, _ end: ResponseMachine.End, reset: Reset) {
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
        case .unary:
            self.forget(call)
            if let failure {
                call.finish(.failure(failure))
            } else if let answer = call.answer {
                call.finish(.success(answer))
            } else {
                self.refuse(call, RPCError(.internalError, "the response has no message"))
            }
        case .stream:
            _ = call.response.abandon(failure ?? RPCError(.ok, ""))
            let waiter = call.inbound.finish(failure)
            let senders = call.senders
            call.senders = []
            waiter?.resume(returning: call.inbound.ending ?? .success(nil))
            let gone = failure ?? RPCError(.cancelled, "the call is at its end", peer: self.address.description)
            for sender in senders { sender.resume(returning: gone) }
        case .command:
            // Has no stream of its own, and so no end of one.
            break
        case .commands:
            self.forget(call)
            self.batchEnded(failure)
        }
    }

    func forget(_ call: ClientCall) {
        guard self.knows(call) else { return }
        self.calls[call.stream.slot] = nil
        self.callCount -= 1
        self.observer?.streamsChanged(StreamCountChange(connection: self.number, openStreams: self.callCount))
        // Where the stream is still open, its slot is given back when it is closed.
        if call.isClosed { self.link.session.release(call.stream) }
        self.closeIfDrained()
    }

    /// The stream is gone. A call that is kept for its reader keeps the slot, so that no other call takes its place.
    func streamClosed(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        guard let call = self.call(of: stream) else { return self.link.session.release(stream) }
        call.isClosed = true
        let complaint = code == .noError ? nil : self.link.session.takeComplaint()
        guard let end = call.response.closed(code, complaint: complaint) else { return }
        self.end(call, end, reset: .never)
    }
}
