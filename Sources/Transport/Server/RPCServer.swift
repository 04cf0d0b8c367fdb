// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import Logging
package import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// A gRPC server on one address. It is bound when it is made, so that its port is known, and serves while `run()` runs.
package actor RPCServer {
    /// Answers requests of HTTP/1.1, on the connection's event loop: it must not wait. Nil gives no answer at all.
    package typealias HTTP1Responder = @Sendable (HTTP1Request) -> HTTP1Response?

    private enum State {
        case bound
        case running(CheckedContinuation<Void, Never>?)
        case stopping(CheckedContinuation<Void, Never>?)
        case stopped
    }

    /// Where it listens, with the port that it got.
    package nonisolated let address: PeerAddress
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe self.eventLoop.executor.asUnownedSerialExecutor()
    }

    private nonisolated let eventLoop: any EventLoop
    private let channel: any Channel
    private let registry: ServerConnectionRegistry
    private let handshakes: TLSHandshakes
    private var state = State.bound

    private init(
        channel: any Channel, registry: ServerConnectionRegistry, handshakes: TLSHandshakes, address: PeerAddress
    ) {
        self.channel = channel
        self.eventLoop = channel.eventLoop
        self.registry = registry
        self.handshakes = handshakes
        self.address = address
    }

    /// Takes the address; connections that arrive before `run()` wait.
    ///
    /// - Parameters:
    ///   - port: 0 picks a free one.
    ///   - tls: nil serves plaintext.
    ///   - http1: answers connections that speak HTTP/1.1; nil refuses them.
    /// - Throws: `unavailable` where the address cannot be had.
    package static func bind(
        host: String, port: Int, services: RPCServices, group: any EventLoopGroup,
        configuration: HTTP2Configuration = .init(), tls: TLSContextSource? = nil,
        http1: HTTP1Responder? = nil, logger: Logger
    ) async throws(RPCError) -> RPCServer {
        let registry = ServerConnectionRegistry(services: services, configuration: configuration, logger: logger)
        let handshakes = TLSHandshakes()
        do {
            let channel = try await ServerBootstrap(group: group)
                .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(ChannelOptions.backlog, value: 1024)
                .serverChannelOption(ChannelOptions.autoRead, value: false)
                .childChannelOption(ChannelOptions.socketOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        if let tls {
                            let handler = try TLSHandler.server(tls.current(), handshakes: handshakes, logger: logger)
                            try channel.pipeline.syncOperations.addHandler(handler)
                        }
                        @Sendable func addHTTP2(_ channel: any Channel) throws {
                            let connection = try registry.makeConnection(on: channel.eventLoop)
                            try channel.pipeline.syncOperations.addHandler(HTTP2ChannelHandler(connection))
                        }
                        guard let http1 else { return try addHTTP2(channel) }
                        let sniffer = ProtocolSniffer(handshakes: handshakes, http2: addHTTP2) { channel in
                            try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                            try channel.pipeline.syncOperations.addHandler(HTTP1ServerHandler(http1))
                        }
                        try channel.pipeline.syncOperations.addHandler(sniffer)
                    }
                }
                .bind(host: host, port: port)
                .get()
            let bound = PeerAddress(host: host, port: channel.localAddress?.port ?? port)
            return RPCServer(channel: channel, registry: registry, handshakes: handshakes, address: bound)
        } catch {
            throw RPCError(
                .unavailable,
                "cannot listen on \(PeerAddress(host: host, port: port)): \(ConnectFailure.describe(error))",
                delivery: .notSent)
        }
    }

    /// Serves until `shutdown()` or until the task is cancelled; returns when every connection is closed and every
    /// handler has returned. A second call returns at once.
    package nonisolated func run() async {
        await withTaskCancellationHandler {
            await self.serve()
        } onCancel: {
            self.shutdown()
        }
    }

    /// Stops listening and closes all connections; `run()` returns then. May be called more than once, the least patient
    /// one counts, and before `run()`, which then returns at once.
    ///
    /// - Parameter gracefully: time for calls under way to finish. Clients are told that their connections go, and what
    ///   they begin later is refused unseen, so that they may call again elsewhere; a stream of commands goes on until its
    ///   client ends it. What is not done then is cancelled. Nil cancels all calls at once.
    package nonisolated func shutdown(gracefully grace: Duration? = nil) {
        self.eventLoop.execute { self.assumeIsolated { $0.stop(grace) } }
    }

    // MARK: - Private

    private func serve() async {
        guard case .bound = self.state else { return }
        await withCheckedContinuation { continuation in
            self.state = .running(continuation)
            self.channel.setOption(ChannelOptions.autoRead, value: true).whenFailure { _ in self.shutdown() }
        }
    }

    private func stop(_ grace: Duration?) {
        switch self.state {
        case .bound:
            self.state = .stopped
            self.channel.close(promise: nil)
            self.handshakes.closeAll()
            self.registry.closeAll {}
        case .running(let continuation):
            self.state = .stopping(continuation)
            // The port is free again before run() returns: whoever restarts the server at once gets it.
            self.channel.close().whenComplete { _ in self.closeConnections(grace) }
        case .stopping:
            self.closeConnections(grace)
        case .stopped:
            break
        }
    }

    private nonisolated func closeConnections(_ grace: Duration?) {
        self.handshakes.closeAll()
        self.registry.closeAll(gracefully: grace) {
            self.eventLoop.execute { self.assumeIsolated { $0.stopped() } }
        }
    }

    private func stopped() {
        guard case .stopping(let continuation) = self.state else { return }
        self.state = .stopped
        continuation?.resume()
    }
}
