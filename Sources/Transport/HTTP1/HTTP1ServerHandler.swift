// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOHTTP1

/// Answers requests of HTTP/1.1 on one connection, one after the other.
final class HTTP1ServerHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// A longer body ends the connection.
    private static let bodyLimit = 16 << 20

    private let respond: RPCServer.HTTP1Responder
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(_ respond: @escaping RPCServer.HTTP1Responder) {
        self.respond = respond
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            self.body = []
        case .body(let part):
            guard self.body.count + part.readableBytes <= Self.bodyLimit else { return context.close(promise: nil) }
            self.body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head = self.head.take() else { return }
            let request = HTTP1Request(method: head.method.rawValue, target: head.uri, body: self.body)
            // Nil is for tests: a server that never answers.
            guard let response = self.respond(request) else { return }
            self.write(response, keepAlive: head.isKeepAlive, context)
        }
    }

    private func write(_ response: HTTP1Response, keepAlive: Bool, _ context: ChannelHandlerContext) {
        var headers = HTTPHeaders([("Content-Length", "\(response.body.count)")])
        headers.add(name: "Content-Type", value: response.contentType)
        if !keepAlive { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        let body = context.channel.allocator.buffer(bytes: response.body)
        context.write(self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let channel = context.channel
        context.writeAndFlush(self.wrapOutboundOut(.end(nil))).whenComplete { _ in
            if !keepAlive { channel.close(promise: nil) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
