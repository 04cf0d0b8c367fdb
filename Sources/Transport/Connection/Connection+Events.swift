// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import NIOCore

/// What the session reports, and the deadlines.
extension Connection {
    // MARK: - Events of the session

    func handleEvents() {
        for event in self.link.session.takeEvents() {
            switch event {
            case .headers(let stream, let block, let endStream):
                self.handle(stream, reset: .ifUnfinished) { $0.headers(block, endStream: endStream) }
            case .data(let stream, let bytes):
                self.handleData(stream, bytes)
            case .endStream(let stream):
                self.handle(stream, reset: .ifUnfinished) { $0.endStream() }
            case .closed(let stream, let code):
                self.streamClosed(stream, code)
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

    func handle(
        _ stream: HTTP2Stream, reset: Reset, _ event: (inout ResponseMachine) -> ResponseMachine.End?
    ) {
        guard stream.slot < self.calls.count, self.calls[stream.slot]?.stream == stream,
            var call = self.calls[stream.slot].take()
        else { return }
        let end = event(&call.response)
        self.calls[stream.slot] = call
        if let end { self.end(stream.slot, end, reset: reset) }
    }

    func handleData(_ stream: HTTP2Stream, _ bytes: ByteBuffer) {
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

    func expire() {
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
}
