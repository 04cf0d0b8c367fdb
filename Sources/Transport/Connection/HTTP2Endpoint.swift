// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// What a channel reports to the actor that owns its connection; every call comes on the actor's event loop.
protocol HTTP2Endpoint: Actor {
    /// Returns whether this is the channel that the endpoint goes on with; of one that is not it hears no more.
    func active(_ channel: any Channel) -> Bool
    func received(_ bytes: ByteBuffer)
    /// The bytes that were there are read: the moment to write, once for all of them.
    func readComplete()
    /// The socket takes bytes again.
    func writable()
    /// The channel is closed; nothing follows from it. It may be one that never was active, or was not gone on with.
    func inactive(_ channel: any Channel, _ cause: (any Error)?)
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
///
/// Where a name has several addresses, NIO may open a channel to more than one of them, each with a handler of this kind
/// and all with one endpoint; the endpoint goes on with one, and the others stay silent.
final class HTTP2ChannelHandler<Endpoint: HTTP2Endpoint>: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let endpoint: Endpoint
    private var cause: (any Error)?
    /// The endpoint goes on with this channel.
    private var isTaken = false

    init(_ endpoint: Endpoint) {
        self.endpoint = endpoint
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        self.isTaken = self.endpoint.assumeIsolated { $0.active(channel) }
        if !self.isTaken { context.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard self.isTaken else { return }
        let bytes = self.unwrapInboundIn(data)
        self.endpoint.assumeIsolated { $0.received(bytes) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard self.isTaken else { return }
        self.endpoint.assumeIsolated { $0.readComplete() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard self.isTaken, context.channel.isWritable else { return }
        self.endpoint.assumeIsolated { $0.writable() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.cause = error
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let cause = self.cause
        let channel = context.channel
        self.endpoint.assumeIsolated { $0.inactive(channel, cause) }
    }
}
