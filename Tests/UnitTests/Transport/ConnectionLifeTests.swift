// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing
import TiKVProto

@testable import TiKVTransport

/// What a connection does by the clock: signs of life, and words about commands that wait.
@Suite(.timeLimit(.minutes(1)))
struct ConnectionLifeTests {
    /// Sends its settings and then nothing any more, and counts what comes.
    private final class Silent: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let pings: AsyncStream<Void>.Continuation
        private var input = ByteBuffer()
        private var isPrefaceSeen = false

        init(_ pings: AsyncStream<Void>.Continuation) {
            self.pings = pings
        }

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(NIOAny(ByteBuffer(bytes: [0, 0, 0, 4, 0, 0, 0, 0, 0])), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = self.unwrapInboundIn(data)
            self.input.writeBuffer(&bytes)
            if !self.isPrefaceSeen {
                guard self.input.readBytes(length: 24) != nil else { return }
                self.isPrefaceSeen = true
            }
            while let head = self.input.getBytes(at: self.input.readerIndex, length: 9) {
                let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
                guard self.input.readBytes(length: 9 + length) != nil else { return }
                // PING, and not the answer to one.
                if head[3] == 6, head[4] & 1 == 0 { self.pings.yield() }
            }
        }
    }

    /// With a call under way and without one.
    @Test(arguments: [false, true]) func aPeerThatFallsSilentIsAskedForASignOfLifeAndGivenUp(hasCall: Bool) async throws
    {
        let group = MultiThreadedEventLoopGroup.singleton
        let (pings, continuation) = AsyncStream<Void>.makeStream()
        let server = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Silent(continuation))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let recorder = RecordingObserver()
        let configuration = ConnectionConfiguration(
            keepAliveInterval: .milliseconds(20), keepAliveTimeout: .milliseconds(50), observer: recorder, batch: nil)
        let connection = try Connection(
            to: PeerAddress(host: "127.0.0.1", port: port), on: group.next(), configuration: configuration,
            logger: BrokenPeerTests.logger, onChange: { _, _ in })
        connection.connect()
        if hasCall {
            let error = await RPCLoopbackTests.error {
                _ = try await connection.unary(
                    path: RPCLoopbackTests.get.path, message: FramingTests.frame([]), metadata: [:], deadline: nil)
            }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("keep-alive ping") == true)
        }
        var seen = pings.makeAsyncIterator()
        await seen.next()
        for await change in recorder.changes where change.state == .closed {
            #expect(change.reason.contains("keep-alive ping"))
            break
        }
        await connection.close()
        try await server.close()
    }

    /// Keeps what is logged.
    private struct Recorder: LogHandler {
        final class Lines: Sendable {
            let all = Mutex<[(message: String, metadata: Logger.Metadata)]>([])
        }

        let lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        init(lines: Lines) { self.lines = lines }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            self.lines.all.withLock { $0.append(("\(event.message)", event.metadata ?? [:])) }
        }
    }

    @Test func commandsThatWaitLongAreInTheLog() async throws {
        var services = BatchLoopbackTests.echo()
        let started = BatchLoopbackTests.stalling(&services)
        services.registerBatchCommands()
        let lines = Recorder.Lines()
        try await RPCLoopbackTests.withPair(services) { pool, _ in
            let connection = try Connection(
                to: pool.address, on: MultiThreadedEventLoopGroup.singleton.next(),
                configuration: ConnectionConfiguration(), logger: Logger(label: "test") { _ in Recorder(lines: lines) },
                onChange: { _, _ in })
            connection.connect()
            async let error = RPCLoopbackTests.error {
                _ = try await connection.command(
                    field: BatchLoopbackTests.put.batchField ?? 0, payload: [], priority: 0, deadline: nil)
            }
            for await _ in started {}
            await connection.inspectCommands(at: .now())
            #expect(lines.all.withLock { $0.isEmpty })
            await connection.inspectCommands(at: .now() + .seconds(40))
            await connection.inspectCommands(at: .now() + .seconds(100))
            let found = lines.all.withLock { $0 }
            #expect(found.map(\.message) == Array(repeating: "commands wait long for their answers", count: 2))
            #expect(found.map { $0.metadata["slow"] } == ["1", "1"])
            #expect(found.map { $0.metadata["hanging"] } == ["0", "1"])
            #expect(found.last?.metadata["peer"] == "\(pool.address)")
            await connection.close()
            _ = await error
        }
    }
}
