// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import NIOCore

/// TLS between a socket and the handler of HTTP/2. The next handler sees the channel become active when the handshake is
/// done, and plaintext from then on; before that it sees nothing but the end, with an error that says why.
final class TLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case idle
        case handshaking
        case open
        /// The handshake failed and the peer was told (server role). What it still sends is dropped: to close the socket
        /// on unread bytes would reset the connection and might take the alert with it.
        case lingering
        case closed
    }

    /// A larger write is encrypted and handed to the socket in pieces.
    private static let pieceSize = 64 << 10
    /// Time for a refused client to read the alert and hang up.
    private static let lingerTime = TimeAmount.seconds(1)

    private let role: TLSRole
    private let handshakeLimit: TimeAmount?
    private let logger: Logger
    /// Tells the server which channels are in a handshake, and so known to nobody else.
    private let handshakes: TLSHandshakes?
    private var session: TLSSession
    private var state = State.idle
    private var timer: Scheduled<Void>?
    /// Plaintext that waits for a flush.
    private var pending: ByteBuffer?
    private var promises: [EventLoopPromise<Void>] = []
    private var needsFlush = false
    /// The socket itself reported what broke it.
    private var socketError: (any Error)?

    private init(
        _ role: TLSRole, _ session: consuming TLSSession, limit: TimeAmount?, handshakes: TLSHandshakes?, logger: Logger
    ) {
        self.role = role
        self.session = session
        self.handshakeLimit = limit
        self.handshakes = handshakes
        self.logger = logger
    }

    /// The client's end. The time that the handshake takes is part of the connect, whose owner limits it.
    static func client(_ context: TLSContext, to address: PeerAddress, logger: Logger) throws(TLSError) -> TLSHandler {
        let session = try TLSSession(client: context, host: address.host, port: address.port)
        return TLSHandler(.client, session, limit: nil, handshakes: nil, logger: logger)
    }

    static func server(_ context: TLSContext, handshakes: TLSHandshakes, logger: Logger) throws(TLSError) -> TLSHandler
    {
        let limit = TimeAmount(clamping: context.configuration.handshakeTimeout)
        return TLSHandler(
            .server, try TLSSession(server: context), limit: limit, handshakes: handshakes, logger: logger)
    }

    // MARK: - Inbound

    func handlerAdded(context: ChannelHandlerContext) {
        self.handshakes?.began(context.channel)
        if context.channel.isActive { self.start(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.handshakeEnded(context)
        self.failWrites(ChannelError.ioOnClosedChannel)
    }

    func channelActive(context: ChannelHandlerContext) {
        self.start(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.state {
        case .idle, .lingering, .closed: return
        case .handshaking, .open: break
        }
        let input = self.unwrapInboundIn(data)
        var plaintext = context.channel.allocator.buffer(capacity: input.readableBytes)
        var received = TLSSession.Received()
        var failure: TLSError?
        do throws(TLSError) {
            received = try self.session.receive(input, into: &plaintext)
        } catch {
            failure = error
        }
        self.writeOutput(context)
        // Each step below hands something on, and whoever gets it may close the channel.
        if received.isHandshakeDone { self.handshakeDone(context) }
        if plaintext.readableBytes > 0, case .open = self.state {
            context.fireChannelRead(self.wrapInboundOut(plaintext))
        }
        if let failure {
            self.fail(context, failure)
        } else if received.isClosedByPeer {
            self.closedByPeer(context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // First the next handler, whose answers then share one write with what this one has to say.
        if case .open = self.state { context.fireChannelReadComplete() }
        self.flushIfNeeded(context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Socket errors end the channel, and its end reports them, with what the session makes of it.
        self.socketError = error
        if case .idle = self.state { context.fireErrorCaught(error) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.handshakeEnded(context)
        let before = self.state
        self.state = .closed
        switch before {
        case .handshaking, .open:
            let cause = self.socketError.map { ConnectFailure.describe($0) }
            if let error = self.session.inputEnded(cause) {
                self.report(context, error)
                context.fireErrorCaught(error)
            }
        case .idle, .lingering, .closed:
            break
        }
        self.failWrites(ChannelError.ioOnClosedChannel)
        context.fireChannelInactive()
    }

    // MARK: - Outbound

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch self.state {
        case .idle, .handshaking, .open: break
        case .lingering, .closed:
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        let bytes = self.unwrapOutboundIn(data)
        if self.pending == nil {
            self.pending = bytes
        } else {
            self.pending?.writeImmutableBuffer(bytes)
        }
        if let promise { self.promises.append(promise) }
    }

    func flush(context: ChannelHandlerContext) {
        // Before the handshake is done nothing can be sent; its end flushes.
        guard case .open = self.state else { return }
        self.encrypt(context)
        self.needsFlush = false
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .all else { return context.close(mode: mode, promise: promise) }
        self.handshakeEnded(context)
        if case .open = self.state {
            self.state = .closed
            self.session.close()
            self.writeOutput(context)
            self.flushIfNeeded(context)
        } else {
            self.state = .closed
        }
        self.failWrites(ChannelError.ioOnClosedChannel)
        context.close(mode: mode, promise: promise)
    }

    // MARK: - The handshake

    private func start(_ context: ChannelHandlerContext) {
        guard case .idle = self.state else { return }
        self.state = .handshaking
        if let limit = self.handshakeLimit {
            self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: limit) { [weak self] in
                self?.timedOut(context, limit)
            }
        }
        do throws(TLSError) {
            try self.session.start()
            self.writeOutput(context)
            self.flushIfNeeded(context)
        } catch {
            self.fail(context, error)
        }
    }

    private func handshakeDone(_ context: ChannelHandlerContext) {
        guard case .handshaking = self.state else { return }
        self.handshakeEnded(context)
        self.state = .open
        if let agreement = self.session.agreement {
            self.logger.trace(
                "TLS handshake is done",
                metadata: [
                    "peer": "\(Self.peer(context))", "version": "\(agreement.version)",
                    "cipher": "\(agreement.cipher)", "resumed": "\(agreement.isResumed)",
                    "certificate": "\(agreement.peerCertificate?.subject ?? "")",
                ])
        }
        context.fireChannelActive()
        // What was written during the handshake.
        if case .open = self.state, self.pending != nil { self.encrypt(context) }
    }

    private func timedOut(_ context: ChannelHandlerContext, _ limit: TimeAmount) {
        guard case .handshaking = self.state else { return }
        let seconds = Double(limit.nanoseconds) / 1_000_000_000
        self.fail(context, TLSError(.handshakeBrokenOff, "the TLS handshake did not end within \(seconds) s"))
    }

    private func handshakeEnded(_ context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.timer = nil
        self.handshakes?.ended(context.channel)
    }

    // MARK: - Ends

    private func fail(_ context: ChannelHandlerContext, _ error: TLSError) {
        // The alert, where there is one.
        self.writeOutput(context)
        self.flushIfNeeded(context)
        switch self.state {
        case .handshaking where self.role == .server:
            self.report(context, error)
            self.linger(context)
        case .idle, .handshaking, .open:
            self.handshakeEnded(context)
            self.state = .closed
            self.report(context, error)
            self.failWrites(error)
            context.fireErrorCaught(error)
            context.close(promise: nil)
        case .lingering, .closed:
            break
        }
    }

    private func linger(_ context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.state = .lingering
        self.failWrites(ChannelError.ioOnClosedChannel)
        // Still among the handshakes, so that a server that stops does not wait for it.
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: Self.lingerTime) {
            context.close(promise: nil)
        }
        context.close(mode: .output, promise: nil)
    }

    private func closedByPeer(_ context: ChannelHandlerContext) {
        guard case .open = self.state else { return }
        self.state = .closed
        self.flushIfNeeded(context)
        self.failWrites(ChannelError.ioOnClosedChannel)
        context.close(promise: nil)
    }

    /// A server's own log is where its operator learns why a client does not get in. A client reports to its caller.
    private func report(_ context: ChannelHandlerContext, _ error: TLSError) {
        guard self.role == .server else { return }
        // Many a health check connects and hangs up, and many a client ends without a word.
        let level: Logger.Level =
            switch error.reason {
            case .handshakeBrokenOff, .truncated: .debug
            default: .info
            }
        self.logger.log(
            level: level, "TLS connection failed",
            metadata: ["peer": "\(Self.peer(context))", "reason": "\(error.message)"])
    }

    private static func peer(_ context: ChannelHandlerContext) -> String {
        context.remoteAddress.map { "\($0)" } ?? ""
    }

    // MARK: - Writing

    /// Encrypts what waits for it, and leaves the result with the socket, unflushed.
    private func encrypt(_ context: ChannelHandlerContext) {
        guard var plaintext = self.pending.take() else { return }
        let promises = self.promises
        self.promises = []
        guard plaintext.readableBytes > 0 else {
            for promise in promises { promise.succeed() }
            return
        }
        do throws(TLSError) {
            while let piece = plaintext.readSlice(length: min(plaintext.readableBytes, Self.pieceSize)),
                piece.readableBytes > 0
            {
                try self.session.write(piece)
                self.writeOutput(context, plaintext.readableBytes == 0 ? promises : [])
            }
        } catch {
            for promise in promises { promise.fail(error) }
            self.fail(context, error)
        }
    }

    private func writeOutput(_ context: ChannelHandlerContext, _ promises: [EventLoopPromise<Void>] = []) {
        guard let output = self.session.takeOutput() else { return }
        self.needsFlush = true
        guard let first = promises.first else {
            return context.write(self.wrapOutboundOut(output), promise: nil)
        }
        for other in promises.dropFirst() { first.futureResult.cascade(to: other) }
        context.write(self.wrapOutboundOut(output), promise: first)
    }

    private func flushIfNeeded(_ context: ChannelHandlerContext) {
        guard self.needsFlush else { return }
        self.needsFlush = false
        context.flush()
    }

    private func failWrites(_ error: any Error) {
        self.pending = nil
        let promises = self.promises
        self.promises = []
        for promise in promises { promise.fail(error) }
    }
}
