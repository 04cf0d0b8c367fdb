// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import Synchronization

/// The channel's side: bytes in and out.
extension Connection {
    // MARK: - Writing

    /// Bytes that a stream may have queued before its sender has to wait.
    static let sendBuffer = 64 << 10

    /// Writes at the end of this tick, so that all calls that start in it share one write.
    func flushSoon() {
        guard !self.isGathering, !self.link.isFlushScheduled else { return }
        self.link.isFlushScheduled = true
        self.laterOnLoop(self.eventLoop) { $0.flush() }
    }

    func flush() {
        self.link.isFlushScheduled = false
        guard !self.link.isFlushing else { return }
        self.link.isFlushing = true
        defer { self.link.isFlushing = false }
        do {
            var moved: Bool
            repeat {
                moved = self.sendBatches()
                while let bytes = try self.link.takeOutput() {
                    self.observer?.bytesSent(bytes.readableBytes)
                    self.link.channel?.writeAndFlush(bytes, promise: nil)
                }
                // What waited for room in the stream's queue has it now.
            } while moved && self.canSendBatches && self.link.canWrite
            self.handleEvents()
            self.resumeSenders()
            self.load.store(self.callCount + self.batch.correlator.count, ordering: .relaxed)
            if self.link.session.isFinished {
                self.fail(RPCError(.unavailable, self.link.session.takeComplaint() ?? "the connection is at its end"))
            }
        } catch {
            self.fail(error)
        }
    }

    func resumeSenders() {
        guard !self.blockedCalls.isEmpty else { return }
        var blocked: [ClientCall] = []
        for call in self.blockedCalls where self.knows(call) && !call.senders.isEmpty {
            guard (self.link.session.queuedBytes(call.stream) ?? 0) <= Self.sendBuffer else {
                blocked.append(call)
                continue
            }
            let senders = call.senders
            call.senders = []
            for sender in senders { sender.resume(returning: nil) }
        }
        self.blockedCalls = blocked
    }

    // MARK: - HTTP2Endpoint

    func active(_ channel: any Channel) -> Bool {
        // The first to be up is the one; NIO closes the others, if it has not done so yet.
        guard case .connecting = self.state, self.link.channel == nil,
            self.openingChannel.map({ $0 === channel }) ?? true
        else { return false }
        self.openingChannel = channel
        self.link.attach(channel)
        self.flush()
        return true
    }

    func received(_ bytes: ByteBuffer) {
        if case .closed = self.state { return }
        self.observer?.bytesReceived(bytes.readableBytes)
        if case .connecting = self.state, self.configuration.tls == nil, TLSRecord.looksLikeTLS(bytes) {
            return self.fail(
                RPCError(
                    .unavailable, "cannot connect: the peer speaks TLS, and this client is not configured for it",
                    delivery: .notSent, isPermanent: true))
        }
        self.isGathering = true
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
        self.isGathering = false
        if case .closed = self.state { return }
        // Not at once: tasks that wait on this loop for what was read run first, and what they ask for goes along.
        self.flushSoon()
    }

    func writable() {
        if case .closed = self.state { return }
        self.flush()
    }

    func inactive(_ channel: any Channel, _ cause: (any Error)?) {
        guard let own = self.openingChannel, own === channel else { return }
        let isPermanent = cause.map { self.isPermanent($0) } ?? false
        let cause = cause.map { ConnectFailure.describe($0) }
        switch self.state {
        case .connecting:
            let hint = self.configuration.tls == nil ? " (does it expect TLS?)" : ""
            let reason = cause ?? "the peer closed the connection before its first settings"
            self.fail(
                RPCError(
                    .unavailable, "cannot connect: \(reason)\(hint)", delivery: .notSent, isPermanent: isPermanent))
        case .ready, .draining:
            let reason = cause.map { "the connection broke: \($0)" } ?? "the peer closed the connection"
            self.fail(RPCError(.unavailable, reason))
        case .closed:
            break
        }
    }
}
