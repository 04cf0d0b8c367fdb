// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// What a channel reports to the actor that owns its connection; every call comes on the actor's event loop.
protocol HTTP2Endpoint: Actor {
    func active(_ channel: any Channel)
    func received(_ bytes: ByteBuffer)
    /// The bytes that were there are read: the moment to write, once for all of them.
    func readComplete()
    /// The socket takes bytes again.
    func writable()
    /// The channel is closed; nothing follows.
    func inactive(_ cause: (any Error)?)
}

extension HTTP2Endpoint {
    /// Runs `body` on the actor's event loop: at once where the caller is on it, in a later tick otherwise.
    nonisolated func onLoop(_ eventLoop: any EventLoop, _ body: @escaping @Sendable (isolated Self) -> Void) {
        if eventLoop.inEventLoop {
            self.assumeIsolated { body($0) }
        } else {
            eventLoop.execute { self.assumeIsolated { body($0) } }
        }
    }

    /// Runs `body` in a later tick of the loop, whoever asks: for callers that may stand inside the actor already,
    /// such as cancellation handlers.
    nonisolated func laterOnLoop(_ eventLoop: any EventLoop, _ body: @escaping @Sendable (isolated Self) -> Void) {
        eventLoop.execute { self.assumeIsolated { body($0) } }
    }
}

/// The channel's end of it: hands everything on, decides nothing.
final class HTTP2ChannelHandler<Endpoint: HTTP2Endpoint>: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let endpoint: Endpoint
    private var cause: (any Error)?

    init(_ endpoint: Endpoint) {
        self.endpoint = endpoint
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        self.endpoint.assumeIsolated { $0.active(channel) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = self.unwrapInboundIn(data)
        self.endpoint.assumeIsolated { $0.received(bytes) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.endpoint.assumeIsolated { $0.readComplete() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        self.endpoint.assumeIsolated { $0.writable() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.cause = error
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let cause = self.cause
        self.endpoint.assumeIsolated { $0.inactive(cause) }
    }
}
