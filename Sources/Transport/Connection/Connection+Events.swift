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
                guard let call = self.call(of: stream) else { continue }
                if let end = call.response.headers(block, endStream: endStream) {
                    self.end(call, end, reset: .ifUnfinished)
                }
            case .data(let stream, let bytes):
                self.handleData(stream, bytes)
            case .endStream(let stream):
                guard let call = self.call(of: stream) else { continue }
                if let end = call.response.endStream() { self.end(call, end, reset: .ifUnfinished) }
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

    private func handleData(_ stream: HTTP2Stream, _ bytes: ByteBuffer) {
        let count = bytes.readableBytes
        guard let call = self.call(of: stream) else { return self.link.session.consumeConnection(count) }
        let end: ResponseMachine.End?
        switch call.kind {
        case .unary, .command:
            self.link.session.consume(count, on: stream)
            end = call.receive(bytes)
        case .stream:
            self.link.session.consumeConnection(count)
            var resumed: [(CheckedContinuation<InboundMessages<Never>.Next, Never>, [UInt8])] = []
            end = call.response.data(bytes) { message in
                if let waiter = call.inbound.deliver(message) { resumed.append((waiter, message)) }
            }
            let credit = call.inbound.received(count)
            if credit > 0 { self.link.session.consumeStream(credit, on: stream) }
            if !resumed.isEmpty { call.receiveDeadline = nil }
            for (waiter, message) in resumed { waiter.resume(returning: .success(message)) }
        case .commands:
            self.link.session.consume(count, on: stream)
            var messages: [[UInt8]] = []
            var sifted: [(BatchEnvelope, [BatchSieve.Oversize])] = []
            let answers = max(self.batch.correlator.inFlight, 1)
            let broken = call.response.data(bytes, answers: answers) {
                messages.append($0)
            } sifted: {
                sifted.append(($0, $1))
            }
            let unreadable = self.receiveBatches(messages)
            for (envelope, oversize) in sifted { self.receive(envelope, oversize) }
            end = broken ?? unreadable.flatMap { call.response.abandon($0) }
        }
        // Only our own finding ends a response inside its data: the peer must be told to stop.
        if let end { self.end(call, end, reset: .always) }
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
        for call in self.waiting where look(call.deadline) {
            self.refuse(call, self.deadlineError(.notSent))
        }
        self.waiting.removeAll { $0.deadline.map { $0 <= now } ?? false }
        for call in self.calls {
            guard let call, !call.response.isEnded else { continue }
            if look(call.deadline) {
                self.end(call, .failed(self.deadlineError(.unknown)), reset: .always)
            } else if look(call.receiveDeadline) {
                self.end(
                    call, .failed(RPCError(.deadlineExceeded, "no message came for too long")), reset: .always)
            }
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
