// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Starting calls, the streams' sending and reading, and telling callers how their calls ended.
extension Connection {
    // MARK: - Starting calls

    func start(_ start: CallStart) {
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

    func refuse(_ start: CallStart, _ error: RPCError) {
        var error = error
        error.peer = self.address.description
        switch start.completion {
        case .unary(let continuation): continuation.resume(returning: .failure(error))
        case .stream(let opened): opened.resume(returning: error)
        }
    }

    func submit(_ start: CallStart) {
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

    func keep(_ call: ClientCall) {
        let slot = call.stream.slot
        while self.calls.count <= slot { self.calls.append(nil) }
        call.handle.slot = slot
        self.calls[slot] = call
        self.callCount += 1
    }

    // MARK: - Streams

    func send(
        _ message: [UInt8], on handle: CallHandle, _ continuation: CheckedContinuation<RPCError?, Never>
    ) {
        guard let slot = self.slot(of: handle), let call = self.calls[slot] else {
            let error = RPCError(.cancelled, "the call is at its end", delivery: .unknown, peer: "\(self.address)")
            return continuation.resume(returning: error)
        }
        if call.response.isEnded {
            let gone = RPCError(.cancelled, "the call is at its end", peer: "\(self.address)")
            guard case .stream(let inbound) = call.kind, case .failure(let error)? = inbound.ending else {
                return continuation.resume(returning: gone)
            }
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
            self.calls[slot]?.senders.append(continuation)
            self.blockedStreams.append(call.stream)
        }
    }

    func halfClose(_ handle: CallHandle) {
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

    func next(
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

    func releaseStream(_ handle: CallHandle) {
        guard let slot = self.slot(of: handle), let call = self.calls[slot] else { return }
        if !call.response.isEnded {
            self.end(slot, .failed(RPCError(.cancelled, "the stream was released")), reset: .always)
        }
        self.forget(slot)
    }

    func cancelled(_ handle: CallHandle) {
        let error = RPCError(.cancelled, "the task was cancelled")
        if let slot = self.slot(of: handle) {
            self.end(slot, .failed(error), reset: .always)
        } else if let index = self.waiting.firstIndex(where: { $0.handle === handle }) {
            var error = error
            error.delivery = .notSent
            self.refuse(self.waiting.remove(at: index), error)
        }
    }

    func slot(of handle: CallHandle) -> Int? {
        guard let slot = handle.slot, slot < self.calls.count, self.calls[slot]?.handle === handle else { return nil }
        return slot
    }

    // MARK: - Ending calls

    /// Tells the caller how its call ended. A stream stays known, for its reader, until it is released.
    func end(_ slot: Int, _ end: ResponseMachine.End, reset: Reset) {
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

    func forget(_ slot: Int) {
        guard let call = self.calls[slot] else { return }
        call.handle.slot = nil
        self.calls[slot] = nil
        self.callCount -= 1
        // Where the stream is still open, its slot is given back when it is closed.
        if call.isClosed { self.link.session.release(call.stream) }
        self.closeIfDrained()
    }

    /// The stream is gone. A call that is kept for its reader keeps the slot, so that no other call takes its place.
    func streamClosed(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        guard stream.slot < self.calls.count, self.calls[stream.slot]?.stream == stream else {
            return self.link.session.release(stream)
        }
        self.calls[stream.slot]?.isClosed = true
        let complaint = code == .noError ? nil : self.link.session.takeComplaint()
        self.handle(stream, reset: .never) { $0.closed(code, complaint: complaint) }
    }
}
