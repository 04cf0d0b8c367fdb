// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import TiKVTransport

/// The handler in a channel without a socket, event by event.
@Suite struct TLSHandlerTests {
    /// What the next handler sees.
    final class Recorder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        var active = 0
        var inactive = 0
        var received: [UInt8] = []
        var errors: [any Error] = []

        func channelActive(context: ChannelHandlerContext) { self.active += 1 }
        func channelInactive(context: ChannelHandlerContext) { self.inactive += 1 }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            self.received += self.unwrapInboundIn(data).readableBytesView
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { self.errors.append(error) }
    }

    /// Stands for a socket that can close its sending half alone, which an embedded channel cannot.
    final class HalfClosing: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        var isOutputClosed = false

        func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
            guard mode == .output else { return context.close(mode: mode, promise: promise) }
            self.isOutputClosed = true
            promise?.succeed()
        }
    }

    /// Two channels that are each other's peer.
    final class Link {
        let client = EmbeddedChannel()
        let server = EmbeddedChannel()
        let clientSeen = Recorder()
        let serverSeen = Recorder()
        let serverSocket = HalfClosing()
        let handshakes = TLSHandshakes()

        init(_ client: TLSConfiguration, _ server: TLSConfiguration) throws {
            let logger = RecordingLog().logger
            let clientHandler = try TLSHandler.client(
                TLSContext(client, .client), to: PeerAddress(host: "localhost", port: 1), logger: logger)
            let serverHandler = try TLSHandler.server(
                TLSContext(server, .server), handshakes: self.handshakes, logger: logger)
            try self.client.pipeline.syncOperations.addHandlers([clientHandler, self.clientSeen])
            try self.server.pipeline.syncOperations.addHandlers([self.serverSocket, serverHandler, self.serverSeen])
        }

        deinit {
            // A channel that is not closed keeps itself alive.
            for channel in [self.client, self.server] { _ = try? channel.finish(acceptAlreadyClosed: true) }
        }

        func connect() throws {
            let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
            self.client.connect(to: address, promise: nil)
            self.server.connect(to: address, promise: nil)
            try self.exchange()
        }

        /// Carries bytes both ways until there are none. Returns how many writes it took.
        @discardableResult func exchange() throws -> Int {
            var writes = 0
            while true {
                var moved = false
                while let bytes = try self.client.readOutbound(as: ByteBuffer.self) {
                    (moved, writes) = (true, writes + 1)
                    if self.server.isActive { try self.server.writeInbound(bytes) }
                }
                while let bytes = try self.server.readOutbound(as: ByteBuffer.self) {
                    (moved, writes) = (true, writes + 1)
                    if self.client.isActive { try self.client.writeInbound(bytes) }
                }
                if !moved { return writes }
            }
        }
    }

    let support: TLSSupport

    init() throws {
        self.support = try TLSSupport()
    }

    @Test func theNextHandlerBecomesActiveWithTheEndOfTheHandshake() throws {
        let link = try Link(self.support.client(), self.support.server())
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
        link.client.connect(to: address, promise: nil)
        link.server.connect(to: address, promise: nil)
        #expect(link.client.isActive && link.clientSeen.active == 0)
        #expect(link.handshakes.count == 1)
        try link.exchange()
        #expect(link.clientSeen.active == 1 && link.serverSeen.active == 1)
        #expect(link.handshakes.count == 0)
        #expect(link.clientSeen.received.isEmpty && link.serverSeen.received.isEmpty)
    }

    @Test func whatIsWrittenDuringTheHandshakeFollowsIt() throws {
        let link = try Link(self.support.client(), self.support.server())
        let promise = link.client.eventLoop.makePromise(of: Void.self)
        let second = link.client.eventLoop.makePromise(of: Void.self)
        link.client.write(ByteBuffer(string: "early "), promise: promise)
        link.client.writeAndFlush(ByteBuffer(string: "bird"), promise: second)
        #expect(try link.client.readOutbound(as: ByteBuffer.self) == nil)
        try link.connect()
        #expect(link.serverSeen.received == Array("early bird".utf8))
        try promise.futureResult.wait()
        try second.futureResult.wait()
    }

    @Test func aLargeWriteLeavesInPieces() throws {
        let link = try Link(self.support.client(), self.support.server())
        try link.connect()
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 17) }
        let promise = link.client.eventLoop.makePromise(of: Void.self)
        link.client.writeAndFlush(ByteBuffer(bytes: bytes), promise: promise)
        #expect(try link.exchange() == 5)
        #expect(link.serverSeen.received == bytes)
        try promise.futureResult.wait()
        // One without bytes is done at once.
        try link.client.writeAndFlush(ByteBuffer()).wait()
        #expect(try link.exchange() == 0)
    }

    @Test func aCloseIsAnnounced() throws {
        let link = try Link(self.support.client(), self.support.server())
        try link.connect()
        link.client.writeAndFlush(ByteBuffer(string: "bye"), promise: nil)
        link.client.close(promise: nil)
        try link.exchange()
        #expect(link.serverSeen.received == Array("bye".utf8))
        #expect(!link.server.isActive)
        #expect(link.serverSeen.errors.isEmpty && link.clientSeen.errors.isEmpty)
        #expect(link.serverSeen.inactive == 1 && link.clientSeen.inactive == 1)
        let late = link.client.writeAndFlush(ByteBuffer(string: "late"))
        #expect(throws: (any Error).self) { try late.wait() }
    }

    @Test func anEndWithoutAnnouncementIsAnError() throws {
        let link = try Link(self.support.client(), self.support.server())
        try link.connect()
        link.client.pipeline.fireChannelInactive()
        #expect((link.clientSeen.errors.first as? TLSError)?.reason == .truncated)
        #expect(link.clientSeen.inactive == 1)
    }

    @Test func anEndDuringTheHandshakeIsAnErrorAndNothingElse() throws {
        let link = try Link(self.support.client(), self.support.server())
        link.client.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        let write = link.client.writeAndFlush(ByteBuffer(string: "never"))
        link.client.pipeline.fireChannelInactive()
        #expect((link.clientSeen.errors.first as? TLSError)?.reason == .handshakeBrokenOff)
        #expect(link.clientSeen.active == 0)
        #expect(throws: (any Error).self) { try write.wait() }
    }

    /// What a server on gRPC's C core does, TiKV's among them: no alert, it hangs up.
    @Test(arguments: TLSConfiguration.Version.allCases, [true, false])
    func aServerThatHangsUpOnACertificateWithoutAWordIsSeenThrough(
        version: TLSConfiguration.Version, hasCertificate: Bool
    ) throws {
        let client = try self.support.client {
            $0.maximumVersion = version
            if hasCertificate { $0.identity = try CertificateAuthority("other CA").issue(.init("client")).identity }
        }
        let link = try Link(client, self.support.server { $0.requireClientCertificate = true })
        link.client.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        link.server.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        // Hello, and the server's answer to it, but nothing after that.
        try link.server.writeInbound(try #require(try link.client.readOutbound(as: ByteBuffer.self)))
        try link.client.writeInbound(try #require(try link.server.readOutbound(as: ByteBuffer.self)))
        #expect(link.clientSeen.active == (version == .tls13 ? 1 : 0))
        link.client.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "read"))
        link.client.pipeline.fireChannelInactive()
        #expect(link.clientSeen.errors.count == 1)
        let error = try #require(link.clientSeen.errors.first as? TLSError)
        #expect(error.reason == (hasCertificate ? .certificateRejected : .certificateRequired), "\(error)")
        #expect(error.message.contains("reset"))
    }

    @Test func damageAfterTheHandshakeEndsTheConnectionOnBothSides() throws {
        let link = try Link(self.support.client(), self.support.server())
        try link.connect()
        link.client.writeAndFlush(ByteBuffer(string: "whole"), promise: nil)
        try link.exchange()
        link.client.writeAndFlush(ByteBuffer(string: "damaged"), promise: nil)
        var bytes = try #require(try link.client.readOutbound(as: ByteBuffer.self))
        let last = bytes.writerIndex - 1
        bytes.setInteger(try #require(bytes.getInteger(at: last, as: UInt8.self)) ^ 1, at: last)
        try link.server.writeInbound(bytes)
        try link.exchange()
        #expect(link.serverSeen.received == Array("whole".utf8))
        #expect((link.serverSeen.errors.first as? TLSError)?.reason == .protocolViolation)
        #expect((link.clientSeen.errors.first as? TLSError)?.reason == .alert)
        #expect(!link.client.isActive && !link.server.isActive)
    }

    @Test func aRefusedClientHasTimeToReadTheAlert() throws {
        let link = try Link(self.support.client(), self.support.server { $0.requireClientCertificate = true })
        try link.connect()
        #expect((link.clientSeen.errors.first as? TLSError)?.reason == .certificateRequired)
        // The server has not hung up: it drops what still comes, and goes when its time is over.
        #expect(link.serverSocket.isOutputClosed)
        #expect(link.server.isActive && link.serverSeen.active == 0 && link.handshakes.count == 1)
        try link.server.writeInbound(ByteBuffer(string: "anything"))
        #expect(link.serverSeen.received.isEmpty && link.serverSeen.errors.isEmpty)
        link.server.embeddedEventLoop.advanceTime(by: .seconds(2))
        #expect(!link.server.isActive && link.handshakes.count == 0)
    }

    @Test func aHandshakeHasItsTime() throws {
        let link = try Link(self.support.client(), self.support.server { $0.handshakeTimeout = .seconds(3) })
        link.server.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        link.server.embeddedEventLoop.advanceTime(by: .milliseconds(2_900))
        #expect(link.server.isActive)
        link.server.embeddedEventLoop.advanceTime(by: .seconds(2))
        #expect(!link.server.isActive && link.serverSeen.active == 0)
        // One that ends in time has no limit any more.
        let good = try Link(self.support.client(), self.support.server { $0.handshakeTimeout = .seconds(3) })
        try good.connect()
        good.server.embeddedEventLoop.advanceTime(by: .seconds(100))
        #expect(good.server.isActive)
    }

    @Test func aServerThatStopsClosesHandshakesThatAreThereAndThatCome() throws {
        let link = try Link(self.support.client(), self.support.server())
        link.server.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        link.handshakes.closeAll()
        #expect(!link.server.isActive)
        let late = EmbeddedChannel()
        late.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        link.handshakes.began(late)
        late.embeddedEventLoop.run()
        #expect(!late.isActive)
        _ = try late.finish(acceptAlreadyClosed: true)
    }
}
