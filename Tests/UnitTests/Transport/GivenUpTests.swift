// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing
import TiKVProto

@testable import TiKVTransport

/// What is given up holds nothing, sends nothing, and is not called lost where the server never looked at it.
@Suite(.timeLimit(.minutes(1)))
struct GivenUpTests {
    private static let group = MultiThreadedEventLoopGroup.singleton

    // MARK: - Streams

    /// Speaks HTTP/2 by a session of ours: refuses the first streams unseen, then answers each with one byte.
    private final class Refusing: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private var session: HTTP2Session
        private var refusals: Int

        init(refusals: Int) throws {
            self.session = try HTTP2Session(.server)
            self.refusals = refusals
        }

        func channelActive(context: ChannelHandlerContext) {
            self.flush(context)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            do throws(RPCError) {
                try self.session.receive(self.unwrapInboundIn(data))
            } catch {
                return context.close(promise: nil)
            }
            for event in self.session.takeEvents() {
                switch event {
                case .headers(let stream, let block, _):
                    if self.refusals > 0 {
                        self.refusals -= 1
                        self.session.reset(stream, .refusedStream)
                    } else if block[":path"] == TikvpbTikvRPC.batchCommands.path {
                        self.session.respondOnly(
                            stream, ResponseHeaders.only(RPCError(.unimplemented, "no batches here")))
                    } else {
                        self.session.respond(stream, ResponseHeaders.start)
                        self.session.send([0, 0, 0, 0, 3, 0x1a, 1, 7], on: stream)
                        self.session.finish(stream, trailers: ResponseHeaders.ok)
                    }
                case .data(let stream, let bytes): self.session.consume(bytes.readableBytes, on: stream)
                case .closed(let stream, _): self.session.release(stream)
                default: break
                }
            }
            self.flush(context)
        }

        private func flush(_ context: ChannelHandlerContext) {
            var output = ByteBuffer()
            while (try? self.session.drain(into: &output)) == true {}
            context.writeAndFlush(NIOAny(output), promise: nil)
        }
    }

    private static func withRefusingServer(_ refusals: Int, _ body: (ConnectionPool) async throws -> Void) async throws
    {
        let channel = try await ServerBootstrap(group: Self.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Refusing(refusals: refusals))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: port), group: Self.group, logger: BrokenPeerTests.logger)
        do {
            try await body(pool)
        } catch {
            Issue.record(error)
        }
        await pool.shutdown()
        try await channel.close()
    }

    @Test func aStreamOfCommandsThatWasRefusedUnseenIsOpenedAgain() async throws {
        try await Self.withRefusingServer(2) { pool in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<20 {
                    // None of them may be called lost: the server has looked at nothing.
                    group.addTask { try await RPCLoopbackTests.expectAnswer(pool) }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func aServerThatRefusesEveryStreamIsNotAskedForEver() async throws {
        try await Self.withRefusingServer(.max) { pool in
            let error = await RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(pool) }
            #expect(error?.code == .unavailable)
            #expect(error?.delivery == .notSent)
        }
    }

    @Test func aCallThatIsGivenUpBehindThePeersLimitKeepsNoBody() throws {
        var narrow = HTTP2Configuration()
        narrow.maxConcurrentStreams = 1
        var pair = try HTTP2SessionTests.Pair(server: narrow)
        try pair.exchange()
        let first = try pair.client.request(HTTP2SessionTests.requestHeaders, body: [1], finished: true)
        let large = [UInt8](repeating: 1, count: 1 << 20)
        let second = try pair.client.request(HTTP2SessionTests.requestHeaders, body: large, finished: false)
        let third = try pair.client.request(HTTP2SessionTests.requestHeaders, body: [3], finished: true)
        try pair.exchange()
        #expect(pair.client.queuedBytes(second) == 1 << 20)
        pair.client.reset(second, .cancel)
        // At once, although nghttp2 keeps the stream until the first one has ended.
        #expect((pair.client.queuedBytes(second) ?? 0) == 0)
        pair.client.send(large, on: second)
        pair.client.finish(second)
        #expect((pair.client.queuedBytes(second) ?? 0) == 0)
        try pair.exchange()
        pair.client.reset(first, .cancel)
        try pair.exchange()
        let seen = HTTP2SessionTests.summary(pair.serverEvents)
        #expect(!seen.contains { $0.hasPrefix("headers \(second.id)") || $0 == "end \(second.id)" })
        #expect(seen.contains("end \(third.id)"))
    }

    @Test func aBodyThatIsGivenUpInItsMiddleHasNoRegularEnd() throws {
        var narrow = HTTP2Configuration()
        narrow.streamWindow = 1_000
        var pair = try HTTP2SessionTests.Pair(server: narrow)
        try pair.exchange()
        let stream = try pair.client.request(
            HTTP2SessionTests.requestHeaders, body: [UInt8](repeating: 1, count: 5_000), finished: true)
        try pair.exchange()
        pair.client.reset(stream, .cancel)
        try pair.exchange()
        let seen = HTTP2SessionTests.summary(pair.serverEvents)
        #expect(!seen.contains("end \(stream.id)"))
        #expect(seen.last == "closed \(stream.id) CANCEL")
        #expect(pair.client.openStreams == 0)
    }

    // MARK: - Look-ups

    @Test func aLookUpThatHangsEndsWithItsConnect() async throws {
        let (ended, end) = AsyncStream<Void>.makeStream()
        let hangs: HostLookUp = { _ in
            try await withTaskCancellationHandler {
                let (never, hold) = AsyncStream<Void>.makeStream()
                for await _ in never {}
                withExtendedLifetime(hold) {}
                throw CancellationError()
            } onCancel: {
                end.finish()
            }
        }
        var configuration = RPCLoopbackTests.unbatched
        configuration.connectTimeout = .milliseconds(50)
        configuration.resolve = hangs
        let pool = ConnectionPool(
            address: PeerAddress(host: "hangs.test", port: 1), group: Self.group, configuration: configuration,
            logger: BrokenPeerTests.logger)
        #expect(await RPCLoopbackTests.code { try await RPCLoopbackTests.expectAnswer(pool) } == .unavailable)
        // Else this waits for ever.
        for await _ in ended {}
        await pool.shutdown()
    }

    @Test func closingEndsALookUpThatHangs() async throws {
        let (begun, begin) = AsyncStream<Void>.makeStream()
        let (ended, end) = AsyncStream<Void>.makeStream()
        var configuration = RPCLoopbackTests.unbatched
        configuration.connectTimeout = .seconds(600)
        configuration.resolve = { _ in
            begin.finish()
            return try await withTaskCancellationHandler {
                let (never, hold) = AsyncStream<Void>.makeStream()
                for await _ in never {}
                withExtendedLifetime(hold) {}
                throw CancellationError()
            } onCancel: {
                end.finish()
            }
        }
        let pool = ConnectionPool(
            address: PeerAddress(host: "hangs.test", port: 1), group: Self.group, configuration: configuration,
            logger: BrokenPeerTests.logger)
        async let code = RPCLoopbackTests.code { try await RPCLoopbackTests.expectAnswer(pool) }
        for await _ in begun {}
        await pool.shutdown()
        for await _ in ended {}
        #expect(await code == .unavailable)
    }

    // MARK: - HTTP/1.1

    /// Counts what clients send.
    private final class Counting: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer

        private let bytes: AsyncStream<Int>.Continuation

        init(_ bytes: AsyncStream<Int>.Continuation) {
            self.bytes = bytes
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            self.bytes.yield(self.unwrapInboundIn(data).readableBytes)
        }

        func channelInactive(context: ChannelHandlerContext) {
            self.bytes.finish()
        }
    }

    @Test func aRequestOfHTTP1ThatCameTooLateIsNotSent() async throws {
        let (bytes, count) = AsyncStream<Int>.makeStream()
        let channel = try await ServerBootstrap(group: Self.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Counting(count))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        let client = try HTTP1Client(group: Self.group, logger: BrokenPeerTests.logger)
        // The time is over before the connection is up, which it will be all the same.
        let error = await RPCLoopbackTests.error {
            _ = try await client.send(
                HTTP1Request(method: "POST", target: "/late"), to: PeerAddress(host: "127.0.0.1", port: port),
                timeout: .zero)
        }
        #expect(error?.code == .deadlineExceeded)
        var received = 0
        for await part in bytes { received += part }
        #expect(received == 0)
        try await channel.close()
    }
}
