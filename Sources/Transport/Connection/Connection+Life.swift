// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Connecting, draining, closing, and probing a silent peer.
extension Connection {
    // MARK: - Connecting and closing

    func startConnecting() {
        self.connectStart = .now()
        self.observe(.connecting)
        let timeout = TimeAmount(clamping: self.configuration.connectTimeout)
        self.connectTimer = self.eventLoop.scheduleTask(in: timeout) { [weak self] in
            self?.assumeIsolated { $0.connectTimedOut() }
        }
        let resolver = self.configuration.resolve.map { HostResolver($0, on: self.eventLoop) }
        self.resolver = resolver
        // One for all addresses of the name, and remembered: what it fails with may have been put right meanwhile.
        let context = self.configuration.tls?.current()
        self.tlsContext = context
        ClientBootstrap(group: self.eventLoop)
            .connectTimeout(timeout)
            .resolver(resolver)
            .channelOption(ChannelOptions.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        let handler = try TLSHandler.client(context, to: self.address, logger: self.logger)
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
                    case .failure(let error): $0.fail($0.connectError(error))
                    }
                }
            }
    }

    func opened(_ channel: any Channel) {
        guard case .connecting = self.state, self.openingChannel.map({ $0 === channel }) ?? true else {
            return channel.close(promise: nil)
        }
        self.openingChannel = channel
    }

    func connectError(_ error: any Error) -> RPCError {
        RPCError(
            .unavailable, "cannot connect: \(ConnectFailure.describe(error))", delivery: .notSent,
            isPermanent: self.isPermanent(error))
    }

    /// Whether another connect would fail in the same way. Not where certificates were renewed since this one began: who
    /// waits for it may have come after that.
    func isPermanent(_ error: any Error) -> Bool {
        ConnectFailure.isPermanent(error) && self.configuration.tls?.current() === self.tlsContext
    }

    func connectTimedOut() {
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

    func becomeReady() {
        guard case .connecting = self.state else { return }
        self.state = .ready
        self.readyOnce.store(true, ordering: .relaxed)
        self.connectTimer?.cancel()
        self.resolver = nil
        self.startKeepAlive()
        self.lookAtIdle()
        self.inspectCommands(at: .now())
        self.observe(.ready)
        let waiting = self.waiting
        self.waiting = []
        self.onChange(self, .ready)
        for call in waiting { self.start(call) }
        self.flushSoon()
    }

    /// Takes no new calls from here on.
    func drain() {
        switch self.state {
        case .connecting:
            self.fail(RPCError(.unavailable, "the connection was closed before it was up", delivery: .notSent))
        case .ready:
            self.state = .draining
            self.observe(.draining)
            self.onChange(self, .draining)
            self.refuseUnsentCommands(RPCError(.unavailable, "the connection takes no new calls"))
            self.finishBatchIfDraining()
            self.closeIfDrained()
        case .draining, .closed:
            break
        }
    }

    func closeIfDrained() {
        guard case .draining = self.state, self.callCount == 0 else { return }
        self.link.session.goAway(.noError)
        self.flushSoon()
    }

    func startClosing(_ grace: Duration?, _ continuation: CheckedContinuation<Void, Never>) {
        if case .closed = self.state { return continuation.resume() }
        self.closeWaiters.append(continuation)
        var closed = RPCError(.unavailable, "the connection was closed by this client")
        closed.isClosedHere = true
        let reason = closed
        guard let grace, self.isOpenForCalls || self.isDraining else {
            self.link.session.goAway(.noError)
            return self.fail(reason)
        }
        // Of several who close, the one with the least patience counts.
        let end = NIODeadline.after(grace)
        if self.drainEnd.map({ end < $0 }) ?? true {
            self.drainEnd = end
            self.drainTimer?.cancel()
            self.drainTimer = self.eventLoop.scheduleTask(deadline: end) { [weak self] in
                self?.assumeIsolated { $0.fail(reason) }
            }
        }
        self.drain()
    }

    /// Ends the connection: every call gets the error, the channel is closed.
    func fail(_ error: RPCError) {
        var error = error
        error.peer = self.address.description
        switch self.state {
        case .closed: return
        case .connecting: error.delivery = .notSent
        case .ready, .draining: break
        }
        self.observe(.closed, reason: error.message)
        self.state = .closed(error)
        self.connectTimer?.cancel()
        self.resolver?.cancelQueries()
        self.resolver = nil
        self.idleTimer?.cancel()
        self.inspectionTimer?.cancel()
        self.batch.gatherTimer?.cancel()
        self.keepAliveTimer?.cancel()
        self.drainTimer?.cancel()
        self.deadlines.cancel()
        var unsent = error
        unsent.delivery = .notSent
        for call in self.waiting { self.refuse(call, unsent) }
        self.waiting = []
        self.failCommands(error)
        for call in self.calls {
            guard let call, !call.response.isEnded else { continue }
            var lost = error
            lost.delivery = .unknown
            self.end(call, .failed(lost), reset: .never)
        }
        self.logger.debug("connection is closed", metadata: ["peer": "\(self.address)", "reason": "\(error.message)"])
        self.onChange(self, .closed(error))
        // What the session has to say at the end (a GOAWAY); where the socket is broken, nobody misses it.
        if let last = try? self.link.takeOutput() { self.link.channel?.writeAndFlush(last, promise: nil) }
        self.openingChannel?.close(promise: nil)
        for waiter in self.closeWaiters { waiter.resume() }
        self.closeWaiters = []
    }

    private func observe(_ state: ConnectionStateChange.State, reason: String = "") {
        guard let observer = self.observer else { return }
        let waiting =
            switch self.state {
            case .connecting, .ready: self.waiting.count + self.batch.correlator.count - self.batch.correlator.inFlight
            case .draining, .closed: 0
            }
        observer.connectionChanged(
            ConnectionStateChange(
                connection: self.number, state: state,
                elapsed: .nanoseconds((NIODeadline.now() - self.connectStart).nanoseconds), waitingCalls: waiting,
                reason: reason))
    }

    // MARK: - Idle connections

    /// Time for the server to end the stream of commands on a connection that is closed for being idle.
    private static let idleGrace = TimeAmount.seconds(5)

    func lookAtIdle() {
        guard let time = self.configuration.idleTimeout, self.isOpenForCalls else { return }
        // The stream of commands is there without being used.
        let streams = self.callCount - (self.batch.stream == nil ? 0 : 1)
        if self.idle.look(underWay: streams + self.batch.correlator.count) {
            self.drainTimer = self.eventLoop.scheduleTask(in: Self.idleGrace) { [weak self] in
                self?.assumeIsolated { $0.fail(RPCError(.unavailable, "the connection was closed for being idle")) }
            }
            return self.drain()
        }
        self.idleTimer = self.eventLoop.scheduleTask(in: TimeAmount(clamping: time)) { [weak self] in
            self?.assumeIsolated { $0.lookAtIdle() }
        }
    }

    // MARK: - Commands without an answer

    private static let inspectionInterval = TimeAmount.seconds(60)

    /// Puts into the log when commands wait long for their answers.
    func inspectCommands(at now: NIODeadline) {
        self.inspectionTimer?.cancel()
        let pending = self.batch.correlator.inspect(at: now)
        if pending.slow > 0 {
            self.logger.info(
                "commands wait long for their answers",
                metadata: [
                    "peer": "\(self.address)", "oldest": "\(pending.oldest.nanoseconds / 1_000_000_000) s",
                    "slow": "\(pending.slow)", "hanging": "\(pending.hanging)",
                    "slow.not-overtaken": "\(pending.slowNotOvertaken)",
                    "hanging.not-overtaken": "\(pending.hangingNotOvertaken)",
                ])
        }
        self.inspectionTimer = self.eventLoop.scheduleTask(in: Self.inspectionInterval) { [weak self] in
            self?.assumeIsolated { $0.inspectCommands(at: .now()) }
        }
    }

    // MARK: - Keep-alive

    func startKeepAlive() {
        guard let interval = self.configuration.keepAliveInterval else { return }
        let now = NIODeadline.now()
        self.keepAlive = KeepAlive(
            interval: TimeAmount(clamping: interval),
            timeout: TimeAmount(clamping: self.configuration.keepAliveTimeout), now: now)
        self.lookAtKeepAlive()
    }

    func lookAtKeepAlive() {
        guard
            let action = self.keepAlive?.look(
                at: .now(), mayProbe: self.configuration.keepAliveWithoutCalls || self.callCount > 0)
        else { return }
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
}
