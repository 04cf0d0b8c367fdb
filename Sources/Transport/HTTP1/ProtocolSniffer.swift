// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Looks at a connection's first bytes to tell HTTP/2, which begins with `PRI`, from HTTP/1.1, which doesn't; PD serves
/// both on one port.
final class ProtocolSniffer: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private static let prefix = Array("PRI".utf8)

    private let handshakes: TLSHandshakes
    private let addHTTP2: (any Channel) throws -> Void
    private let addHTTP1: (any Channel) throws -> Void
    private var buffer = ByteBuffer()

    /// - Parameter handshakes: knows the channel until it is known to be HTTP/2, so that a server that stops closes it.
    init(
        handshakes: TLSHandshakes, http2: @escaping (any Channel) throws -> Void,
        http1: @escaping (any Channel) throws -> Void
    ) {
        self.handshakes = handshakes
        self.addHTTP2 = http2
        self.addHTTP1 = http1
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.handshakes.began(context.channel)
        if context.channel.isActive { self.channelActive(context: context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        // A second time where TLS has let go of it.
        self.handshakes.began(context.channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        self.buffer.writeBuffer(&bytes)
        let start = self.buffer.readableBytesView.prefix(Self.prefix.count)
        guard Self.prefix.starts(with: start) else { return self.settle(context, isHTTP2: false) }
        if start.count == Self.prefix.count { self.settle(context, isHTTP2: true) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.handshakes.ended(context.channel)
        context.fireChannelInactive()
    }

    private func settle(_ context: ChannelHandlerContext, isHTTP2: Bool) {
        let channel = context.channel
        do {
            if isHTTP2 {
                try self.addHTTP2(channel)
                self.handshakes.ended(channel)
            } else {
                try self.addHTTP1(channel)
                let handshakes = self.handshakes
                channel.closeFuture.whenComplete { _ in handshakes.ended(channel) }
            }
        } catch {
            return context.close(promise: nil)
        }
        let buffer = self.buffer
        self.buffer = ByteBuffer()
        context.fireChannelActive()
        context.fireChannelRead(self.wrapInboundOut(buffer))
        context.fireChannelReadComplete()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
