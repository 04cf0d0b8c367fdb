// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix
import Testing
import TiKVProto

@testable import TiKVTransport

/// Peers that speak something else, or stop in the middle: they cost their connection, never the process.
@Suite(.timeLimit(.minutes(1)))
struct BrokenPeerTests {
    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// What a hand-made server does with a client.
    enum Behaviour: Sendable, CaseIterable {
        case closesAtOnce
        case speaksHTTP1
        case sendsGarbage
        case settingsThenGarbage
        case settingsThenCloses
        case answersWithHeadersThatAreNotGRPC
        case answersWithABrokenMessage
    }

    final class Misbehaving: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let behaviour: Behaviour
        private var requestSeen = false
        private var input = ByteBuffer()
        private var prefaceSeen = false

        init(_ behaviour: Behaviour) {
            self.behaviour = behaviour
        }

        private static let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]

        func channelActive(context: ChannelHandlerContext) {
            switch self.behaviour {
            case .closesAtOnce: context.close(promise: nil)
            case .speaksHTTP1: self.write(context, Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
            case .sendsGarbage: self.write(context, [UInt8](repeating: 0xa5, count: 100))
            default: self.write(context, Self.settings)
            }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = self.unwrapInboundIn(data)
            self.input.writeBuffer(&bytes)
            guard self.takeRequest() else { return }
            // HPACK: literals without indexing, for stream 1.
            func block(_ fields: [(String, String)], end: Bool) -> [UInt8] {
                var payload: [UInt8] = []
                for (name, value) in fields {
                    payload +=
                        [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
                }
                return [0, 0, UInt8(payload.count), 1, end ? 5 : 4, 0, 0, 0, 1] + payload
            }
            switch self.behaviour {
            case .settingsThenGarbage: self.write(context, [UInt8](repeating: 0xa5, count: 100))
            case .settingsThenCloses: context.close(promise: nil)
            case .answersWithHeadersThatAreNotGRPC:
                self.write(context, block([(":status", "200"), ("content-type", "text/plain")], end: true))
            case .answersWithABrokenMessage:
                let answer = block([(":status", "200"), ("content-type", "application/grpc")], end: false)
                let data: [UInt8] = [0, 0, 7, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0xff, 0xff]
                self.write(context, answer + data + block([("grpc-status", "0")], end: true))
            default: break
            }
        }

        /// Whether a request's HEADERS frame has come that was not there before.
        private func takeRequest() -> Bool {
            if !self.prefaceSeen {
                guard self.input.readBytes(length: 24) != nil else { return false }
                self.prefaceSeen = true
            }
            while let head = self.input.getBytes(at: self.input.readerIndex, length: 9) {
                let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
                guard self.input.readBytes(length: 9 + length) != nil else { return false }
                if head[3] == 1, !self.requestSeen {
                    self.requestSeen = true
                    return true
                }
            }
            return false
        }

        private func write(_ context: ChannelHandlerContext, _ bytes: [UInt8]) {
            context.writeAndFlush(NIOAny(ByteBuffer(bytes: bytes)), promise: nil)
        }
    }

    @Test(arguments: Behaviour.allCases)
    func aServerThatMisbehavesFailsTheCallWithAReason(behaviour: Behaviour) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Misbehaving(behaviour))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        var configuration = ConnectionConfiguration()
        configuration.batch = nil
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: port), group: group, configuration: configuration,
            logger: Self.logger)
        let error = try #require(
            await RPCLoopbackTests.error {
                _ = try await pool.unary(
                    RPCLoopbackTests.get, RPCLoopbackTests.request("k"), options: .init(timeout: .seconds(20)))
            })
        #expect(error.peer == "127.0.0.1:\(port)")
        #expect(!error.message.isEmpty)
        switch behaviour {
        case .closesAtOnce, .speaksHTTP1, .sendsGarbage:
            #expect(error.code == .unavailable)
            #expect(error.delivery == .notSent)
            // Nor is a call that meets the pause after a failed connect.
            let again = await RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(pool) }
            #expect(again?.delivery == .notSent)
        case .settingsThenGarbage, .settingsThenCloses:
            #expect(error.code == .unavailable)
            #expect(error.delivery == .unknown)
        case .answersWithHeadersThatAreNotGRPC:
            #expect(error.code == .unknown)
            #expect(error.message.contains("text/plain"))
        case .answersWithABrokenMessage:
            #expect(error.code == .internalError)
            #expect(error.message.contains("RawGetResponse"))
        }
        await pool.shutdown()
        try await channel.close()
    }

    @Test func aServerThatNeverSendsItsSettingsIsGivenUpWithinTheConnectTimeout() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        var configuration = ConnectionConfiguration()
        configuration.connectTimeout = .milliseconds(100)
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: port), group: group, configuration: configuration,
            logger: Self.logger)
        let error = try #require(
            await RPCLoopbackTests.error {
                _ = try await pool.unary(RPCLoopbackTests.get, RPCLoopbackTests.request("k"))
            })
        #expect(error.code == .unavailable)
        #expect(error.message.contains("cannot connect"))
        await pool.shutdown()
        try await channel.close()
    }

    @Test func aCallersDeadlineEndsItsWaitForAConnection() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        var configuration = ConnectionConfiguration()
        configuration.connectTimeout = .seconds(50)
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: port), group: group, configuration: configuration,
            logger: Self.logger)
        let error = try #require(
            await RPCLoopbackTests.error {
                _ = try await pool.unary(
                    RPCLoopbackTests.get, RPCLoopbackTests.request("k"), options: .init(timeout: .milliseconds(50)))
            })
        #expect(error.code == .deadlineExceeded)
        #expect(error.delivery == .notSent)
        #expect(error.message.contains("connecting"))
        await pool.shutdown()
        try await channel.close()
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame at all, but long enough", "",
    ])
    func aClientThatMisbehavesLosesItsOwnConnectionAlone(text: String) async throws {
        try await RPCLoopbackTests.withPair(RPCLoopbackTests.echo) { pool, server in
            try await RPCLoopbackTests.expectAnswer(pool)
            let closed = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: server.address.port).get()
            try await closed.writeAndFlush(ByteBuffer(string: text))
            if text.isEmpty { try await closed.close() }
            // The server hangs up on what it cannot read.
            try await closed.closeFuture.get()
            try await RPCLoopbackTests.expectAnswer(pool)
        }
    }

    @Test func aRequestThatCannotBeDecodedIsAnErrorForItsCallAlone() async throws {
        try await RPCLoopbackTests.withPair(RPCLoopbackTests.echo) { pool, _ in
            let connection = try Connection(
                to: pool.address, on: MultiThreadedEventLoopGroup.singleton.next(), configuration: .init(),
                logger: Self.logger, onChange: { _, _ in })
            connection.connect()
            // A field with a length that is not there: a broken protobuf message in a whole gRPC frame.
            let code = await RPCLoopbackTests.code {
                _ = try await connection.unary(
                    path: RPCLoopbackTests.get.path, message: FramingTests.frame([0x12, 0x7f]), metadata: [:],
                    deadline: nil)
            }
            #expect(code == .internalError)
            await connection.close()
            try await RPCLoopbackTests.expectAnswer(pool)
        }
    }
}
