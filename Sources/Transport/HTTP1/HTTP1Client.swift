// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import Logging
package import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// Sends single requests over HTTP/1.1, each on a connection of its own: for what is asked seldom.
package struct HTTP1Client: Sendable {
    private let group: any EventLoopGroup
    private let connectTimeout: Duration
    private let tls: TLSContextSource?
    private let logger: Logger

    /// - Parameter tls: as for gRPC; what is spoken inside is HTTP/1.1 here. Nil sends plaintext.
    package init(
        group: any EventLoopGroup, connectTimeout: Duration = .seconds(5), tls: TLSConfiguration? = nil, logger: Logger
    ) throws(TLSError) {
        self.group = group
        self.connectTimeout = connectTimeout
        self.logger = logger
        guard var configuration = tls else {
            self.tls = nil
            return
        }
        configuration.applicationProtocol = "http/1.1"
        self.tls = try TLSContextSource(configuration, .client, logger: logger)
    }

    /// Sends a request and waits for its response.
    ///
    /// - Parameters:
    ///   - timeout: for all of it, connecting included.
    ///   - limit: the most bytes that the response's body may have.
    /// - Throws: `unavailable` where there is no connection or it broke, `deadlineExceeded`, `cancelled`, and
    ///   `resourceExhausted` for a response over the limit. A status of HTTP is no error here.
    package func send(
        _ request: HTTP1Request, to address: PeerAddress, timeout: Duration, limit: Int = 64 << 20
    ) async throws(RPCError) -> HTTP1Response {
        let loop = self.group.next()
        let promise = loop.makePromise(of: HTTP1Response.self)
        let timer = loop.scheduleTask(in: TimeAmount(clamping: timeout)) {
            promise.fail(RPCError(.deadlineExceeded, "no response within \(timeout)", delivery: .unknown))
        }
        let exchange = HTTP1Exchange(promise)
        promise.futureResult.whenComplete { _ in
            exchange.isOver.store(true, ordering: .relaxed)
            timer.cancel()
        }
        do {
            return try await withTaskCancellationHandler {
                self.connect(loop, address, request, limit, exchange)
                return try await promise.futureResult.get()
            } onCancel: {
                promise.fail(RPCError(.cancelled, "the task was cancelled"))
            }
        } catch {
            var failure = error as? RPCError ?? RPCError(.unavailable, ConnectFailure.describe(error))
            failure.peer = address.description
            throw failure
        }
    }

    private func connect(
        _ loop: any EventLoop, _ address: PeerAddress, _ request: HTTP1Request, _ limit: Int,
        _ exchange: HTTP1Exchange
    ) {
        let promise = exchange.promise
        ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(clamping: self.connectTimeout))
            .channelOption(ChannelOptions.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls = self.tls {
                        try pipeline.addHandler(TLSHandler.client(tls.current(), to: address, logger: self.logger))
                    }
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(HTTP1ClientHandler(request, host: "\(address)", limit: limit, exchange))
                }
            }
            .connect(host: address.host, port: address.port)
            .whenComplete { result in
                switch result {
                case .success(let channel):
                    promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
                case .failure(let error):
                    promise.fail(
                        RPCError(
                            .unavailable, "cannot connect: \(ConnectFailure.describe(error))", delivery: .notSent))
                }
            }
    }
}

/// What the caller of one request waits for.
private final class HTTP1Exchange: Sendable {
    let promise: EventLoopPromise<HTTP1Response>
    /// The caller has been told how it ended; set on the promise's event loop, which is the channel's.
    let isOver = Atomic<Bool>(false)

    init(_ promise: EventLoopPromise<HTTP1Response>) {
        self.promise = promise
    }
}

/// Writes one request, and gathers its response.
private final class HTTP1ClientHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let request: HTTP1Request
    private let host: String
    private let limit: Int
    private let exchange: HTTP1Exchange
    private var promise: EventLoopPromise<HTTP1Response> { self.exchange.promise }
    private var response = HTTP1Response()

    init(_ request: HTTP1Request, host: String, limit: Int, _ exchange: HTTP1Exchange) {
        self.request = request
        self.host = host
        self.limit = limit
        self.exchange = exchange
    }

    func channelActive(context: ChannelHandlerContext) {
        // The connection came up too late: a request that its caller has given up is not made.
        guard !self.exchange.isOver.load(ordering: .relaxed) else { return context.close(promise: nil) }
        var headers = HTTPHeaders([("Host", self.host), ("Connection", "close"), ("Accept", "application/json")])
        if !self.request.body.isEmpty {
            headers.add(name: "Content-Type", value: "application/json")
            headers.add(name: "Content-Length", value: "\(self.request.body.count)")
        }
        let head = HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: self.request.method), uri: self.request.target,
            headers: headers)
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        if !self.request.body.isEmpty {
            let body = context.channel.allocator.buffer(bytes: self.request.body)
            context.write(self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head):
            self.response.status = Int(head.status.code)
            self.response.contentType = head.headers.first(name: "Content-Type") ?? ""
        case .body(let part):
            guard self.response.body.count + part.readableBytes <= self.limit else {
                self.promise.fail(
                    RPCError(
                        .resourceExhausted, "the response is larger than \(self.limit) bytes", delivery: .answered))
                return
            }
            self.response.body.append(contentsOf: part.readableBytesView)
        case .end:
            self.promise.succeed(self.response)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.promise.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.promise.fail(RPCError(.unavailable, "the connection was closed before the response was complete"))
    }
}
