// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import NIOCore
import NIOPosix
import Testing
import TiKVProto

@testable import TiKVTransport

/// Calls over TLS, client and server roles against each other over loopback sockets.
@Suite(.timeLimit(.minutes(1)))
struct TLSLoopbackTests: Sendable {
    let support: TLSSupport

    init() throws {
        self.support = try TLSSupport()
    }

    static let get = RPCLoopbackTests.get
    static let request = RPCLoopbackTests.request
    static let group = MultiThreadedEventLoopGroup.singleton

    /// Runs an echo server, with TLS where there is a configuration, and a client that names it by `host`.
    static func withPair<Result: Sendable>(
        client: TLSConfiguration?, server: TLSConfiguration?, host: String = "localhost", connections: Int = 1,
        log: RecordingLog = RecordingLog(),
        _ body: @escaping @Sendable (ConnectionPool, RPCServer) async throws -> Result
    ) async throws -> Result {
        let logger = log.logger
        let serverSource = try server.map { try TLSContextSource($0, .server, logger: logger) }
        let clientSource = try client.map { try TLSContextSource($0, .client, logger: logger) }
        return try await Self.withServer(serverSource, log: log) { rpc in
            let pool = Self.pool(rpc, clientSource, host: host, connections: connections)
            do {
                let result = try await body(pool, rpc)
                await pool.shutdown()
                return result
            } catch {
                await pool.shutdown()
                throw error
            }
        }
    }

    static func withServer<Result: Sendable>(
        _ source: TLSContextSource?, log: RecordingLog = RecordingLog(),
        _ body: @escaping @Sendable (RPCServer) async throws -> Result
    ) async throws -> Result {
        let server = try await RPCServer.bind(
            host: "127.0.0.1", port: 0, services: RPCLoopbackTests.echo, group: Self.group, tls: source,
            logger: log.logger)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await server.run() }
            do {
                let result = try await body(server)
                server.shutdown()
                return result
            } catch {
                server.shutdown()
                throw error
            }
        }
    }

    static func pool(
        _ server: RPCServer, _ source: TLSContextSource?, host: String = "localhost", connections: Int = 1
    ) -> ConnectionPool {
        // Long, so that a test which needs it fails by its words.
        var configuration = ConnectionConfiguration(connectTimeout: .seconds(50), tls: source)
        configuration.http2.streamWindow = 1 << 20
        return ConnectionPool(
            address: PeerAddress(host: host, port: server.address.port), group: Self.group,
            configuration: configuration, connectionCount: connections, logger: RecordingLog().logger)
    }

    /// The error of a call that cannot connect.
    static func failure(_ pool: ConnectionPool) async throws -> RPCError {
        let error = try #require(
            await RPCLoopbackTests.error {
                _ = try await pool.unary(Self.get, Self.request("k"), options: .init(timeout: .seconds(40)))
            })
        #expect(error.code == .unavailable, "\(error)")
        #expect(error.delivery == .notSent)
        #expect(error.peer == "\(pool.address)")
        #expect(error.message.hasPrefix("cannot connect: "), "\(error)")
        #expect(!error.message.contains("within"), "\(error)")
        return error
    }

    // MARK: - What works

    @Test(arguments: ["localhost", "127.0.0.1"], TLSConfiguration.Version.allCases)
    func callsGoThrough(host: String, version: TLSConfiguration.Version) async throws {
        try await Self.withPair(
            client: self.support.client { $0.maximumVersion = version }, server: self.support.server(), host: host
        ) { pool, _ in
            for _ in 0..<3 { try await RPCLoopbackTests.expectAnswer(pool) }
        }
    }

    @Test(arguments: TLSConfiguration.Version.allCases)
    func bothSidesShowCertificates(version: TLSConfiguration.Version) async throws {
        try await Self.withPair(
            client: self.support.client {
                $0.identity = try self.support.identity("tikv-client")
                $0.maximumVersion = version
            },
            server: self.support.server {
                $0.requireClientCertificate = true
                $0.allowedNames = ["tikv-client"]
            }
        ) { pool, _ in
            try await RPCLoopbackTests.expectAnswer(pool)
        }
    }

    @Test func largeMessagesArriveWholeBothWays() async throws {
        try await Self.withPair(client: self.support.client(), server: self.support.server()) { pool, _ in
            var request = Kvrpcpb_RawGetRequest()
            // Blocks that differ, so that one in the wrong place would show.
            for block in 0..<160 { request.key += Data(repeating: UInt8(block), count: 64 << 10) }
            let answer = try await pool.unary(Self.get, request)
            #expect(answer.value == request.key)
        }
    }

    @Test func manyCallsShareTheConnections() async throws {
        let (client, server) = (try self.support.client(), try self.support.server())
        try await Self.withPair(client: client, server: server, connections: 2) { pool, _ in
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for index in 0..<2_000 {
                    tasks.addTask {
                        let answer = try await pool.unary(Self.get, Self.request("key\(index)"))
                        #expect(String(decoding: answer.value, as: UTF8.self) == "key\(index)")
                    }
                }
                try await tasks.waitForAll()
            }
        }
    }

    @Test func aNewPoolResumesASessionOfAnother() async throws {
        let log = RecordingLog()
        let serverSource = try TLSContextSource(self.support.server(), .server, logger: log.logger)
        let clientSource = try TLSContextSource(self.support.client(), .client, logger: log.logger)
        try await Self.withServer(serverSource) { server in
            for _ in 0..<3 {
                let pool = Self.pool(server, clientSource)
                try await RPCLoopbackTests.expectAnswer(pool)
                await pool.shutdown()
            }
        }
        #expect(serverSource.current().counts == TLSContext.Counts(full: 1, resumed: 2))
    }

    // MARK: - What is refused

    enum Wrong: CaseIterable {
        case expired, notYetValid, otherAuthority, selfSigned, host, address, name
    }

    @Test(arguments: Wrong.allCases)
    func aWrongServerCertificateFailsTheCallWithTheReason(wrong: Wrong) async throws {
        let authority = self.support.authority
        var client = try self.support.client()
        var server = try self.support.server()
        var host = "localhost"
        let words: [String]
        switch wrong {
        case .expired:
            server.identity = try self.support.authority.issue(
                .init("old", names: ["localhost"], validFrom: -90, validUntil: -30)
            ).identity
            words = ["TLS: the peer's certificate", "has expired"]
        case .notYetValid:
            server.identity = try authority.issue(.init("new", names: ["localhost"], validFrom: 3_600)).identity
            words = ["TLS: the peer's certificate", "not yet valid"]
        case .otherAuthority:
            client.trustRoots = try CertificateAuthority("other CA").trustRoots
            words = ["TLS: the peer's certificate", "not signed by a trusted CA"]
        case .selfSigned:
            server.identity = try CertificateAuthority.selfSigned(.init("me", names: ["localhost"])).identity
            words = ["TLS: the peer's certificate", "self-signed"]
        case .host:
            client.serverName = "other.test"
            words = ["is for localhost", "not for other.test"]
        case .address:
            host = "127.0.0.1"
            server.identity = try authority.issue(.init("server", names: ["localhost", "127.0.0.2"])).identity
            words = ["is for localhost, 127.0.0.2, not for 127.0.0.1"]
        case .name:
            client.allowedNames = ["tikv"]
            words = ["\"server\" is not one of those allowed: tikv"]
        }
        let log = RecordingLog()
        try await Self.withPair(client: client, server: server, host: host, log: log) { pool, _ in
            let error = try await Self.failure(pool)
            for word in words { #expect(error.message.contains(word), "\(error)") }
            // The server's log says that the client did not like the certificate.
            let line = try #require(await log.line(with: "TLS connection failed"))
            #expect(line.contains("rejected this side's certificate"), "\(line)")
            #expect(line.contains("127.0.0.1"))
        }
    }

    enum WrongClient: CaseIterable {
        case missing, otherAuthority, expired, name
    }

    @Test(arguments: WrongClient.allCases, TLSConfiguration.Version.allCases)
    func aWrongClientCertificateFailsTheCallWithTheReason(
        wrong: WrongClient, version: TLSConfiguration.Version
    ) async throws {
        var client = try self.support.client { $0.maximumVersion = version }
        let words: (client: String, server: String)
        switch wrong {
        case .missing:
            words = ("the peer demands a client certificate", "shows no certificate")
        case .otherAuthority:
            client.identity = try CertificateAuthority("other CA").issue(.init("client")).identity
            words = ("the peer rejected this side's certificate (alert: unknown_ca)", "not signed by a trusted CA")
        case .expired:
            client.identity = try self.support.identity(validFrom: -90, validUntil: -30)
            words = ("the peer rejected this side's certificate (alert: certificate_expired)", "has expired")
        case .name:
            client.identity = try self.support.identity("mallory")
            words = ("the peer rejected this side's certificate (alert: bad_certificate)", "\"mallory\" is not one of")
        }
        let server = try self.support.server {
            $0.requireClientCertificate = true
            $0.allowedNames = ["client"]
        }
        let log = RecordingLog()
        try await Self.withPair(client: client, server: server, log: log) { pool, _ in
            let error = try await Self.failure(pool)
            #expect(error.message.contains(words.client), "\(error)")
            let line = try #require(await log.line(with: "TLS connection failed"))
            #expect(line.contains(words.server), "\(line)")
        }
    }

    @Test func aPlaintextClientIsToldThatTheServerSpeaksTLS() async throws {
        let log = RecordingLog()
        try await Self.withPair(client: nil, server: self.support.server(), log: log) { pool, _ in
            let error = try await Self.failure(pool)
            #expect(error.message.contains("the peer speaks TLS"), "\(error)")
            let line = try #require(await log.line(with: "TLS connection failed"))
            #expect(line.contains("does not speak TLS") && line.contains("HTTP/2 client's preface"), "\(line)")
        }
    }

    @Test func aTLSClientIsToldThatTheServerSpeaksPlaintext() async throws {
        try await Self.withPair(client: self.support.client(), server: nil) { pool, _ in
            let error = try await Self.failure(pool)
            #expect(error.message.contains("the peer does not speak TLS"), "\(error)")
        }
    }

    @Test(arguments: [true, false])
    func aServerThatHangsUpLeavesAHint(speaksTLS: Bool) async throws {
        let channel = try await ServerBootstrap(group: Self.group)
            .childChannelInitializer { $0.close() }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        let source = try TLSContextSource(self.support.client(), .client, logger: RecordingLog().logger)
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: port), group: Self.group,
            configuration: ConnectionConfiguration(tls: speaksTLS ? source : nil), logger: RecordingLog().logger)
        let error = try await Self.failure(pool)
        #expect(error.message.contains(speaksTLS ? "does it speak TLS?" : "does it expect TLS?"), "\(error)")
        await pool.shutdown()
        try await channel.close()
    }

    // MARK: - Time and ends

    @Test func aServerThatNeverAnswersTheHandshakeIsGivenUpAndLeft() async throws {
        let accepted = AsyncStream<any Channel>.makeStream()
        let channel = try await ServerBootstrap(group: Self.group)
            .childChannelInitializer { child in
                accepted.continuation.yield(child)
                return child.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        let source = try TLSContextSource(self.support.client(), .client, logger: RecordingLog().logger)
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: port), group: Self.group,
            configuration: ConnectionConfiguration(connectTimeout: .milliseconds(100), tls: source),
            logger: RecordingLog().logger)
        let error = try #require(
            await RPCLoopbackTests.error { _ = try await pool.unary(Self.get, Self.request("k")) })
        #expect(error.code == .unavailable)
        #expect(error.message.contains("no end of the TLS handshake within"), "\(error)")
        // The socket is closed too.
        for await child in accepted.stream {
            try await child.closeFuture.get()
            break
        }
        await pool.shutdown()
        try await channel.close()
    }

    @Test(arguments: ["", "\u{16}\u{3}\u{1}"])
    func aClientThatNeverEndsItsHandshakeIsHungUpOn(text: String) async throws {
        let log = RecordingLog()
        let source = try TLSContextSource(
            self.support.server { $0.handshakeTimeout = .milliseconds(50) }, .server, logger: log.logger)
        try await Self.withServer(source, log: log) { server in
            let client = try await ClientBootstrap(group: Self.group)
                .connect(host: "127.0.0.1", port: server.address.port).get()
            // The server may have hung up already.
            try? await client.writeAndFlush(ByteBuffer(string: text))
            try await client.closeFuture.get()
            #expect(await log.line(with: "did not end within") != nil)
        }
    }

    @Test func aServerThatStopsDoesNotWaitForHandshakes() async throws {
        let source = try TLSContextSource(
            self.support.server { $0.handshakeTimeout = .seconds(1_000) }, .server, logger: RecordingLog().logger)
        let client = try await Self.withServer(source) { server in
            let client = try await ClientBootstrap(group: Self.group)
                .connect(host: "127.0.0.1", port: server.address.port).get()
            // Another connection that is through, so that the server has taken this one from its backlog too.
            let clientSource = try TLSContextSource(self.support.client(), .client, logger: RecordingLog().logger)
            let pool = Self.pool(server, clientSource)
            try await RPCLoopbackTests.expectAnswer(pool)
            await pool.shutdown()
            return client
        }
        try await client.closeFuture.get()
    }

    /// Sits next to the socket and closes it without a word when it is told.
    final class Cutter: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        struct Now {}

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event is Now { context.close(promise: nil) }
        }
    }

    @Test func aConnectionThatIsCutIsAnErrorThatSaysSo() async throws {
        /// Sends its settings, and cuts the connection when a request comes.
        final class Cutting: ChannelInboundHandler {
            typealias InboundIn = ByteBuffer
            private var reads = 0

            func channelActive(context: ChannelHandlerContext) {
                context.writeAndFlush(NIOAny(ByteBuffer(bytes: [0, 0, 0, 4, 0, 0, 0, 0, 0])), promise: nil)
            }

            func channelRead(context: ChannelHandlerContext, data: NIOAny) {
                // A request's HEADERS frame is longer than anything that comes before it.
                guard self.unwrapInboundIn(data).readableBytes > 90 else { return }
                context.pipeline.fireUserInboundEventTriggered(Cutter.Now())
            }
        }
        let log = RecordingLog()
        let source = try TLSContextSource(self.support.server(), .server, logger: log.logger)
        let logger = log.logger
        let handshakes = TLSHandshakes()
        let channel = try await ServerBootstrap(group: Self.group)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    let pipeline = child.pipeline.syncOperations
                    try pipeline.addHandler(Cutter())
                    try pipeline.addHandler(
                        TLSHandler.server(source.current(), handshakes: handshakes, logger: logger))
                    try pipeline.addHandler(Cutting())
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        let clientSource = try TLSContextSource(self.support.client(), .client, logger: logger)
        let pool = ConnectionPool(
            address: PeerAddress(host: "localhost", port: port), group: Self.group,
            configuration: ConnectionConfiguration(tls: clientSource), logger: logger)
        let error = try #require(
            await RPCLoopbackTests.error { _ = try await pool.unary(Self.get, Self.request("k")) })
        #expect(error.code == .unavailable)
        #expect(error.delivery == .unknown)
        #expect(error.message.contains("no close_notify"), "\(error)")
        #expect(handshakes.count == 0)
        await pool.shutdown()
        try await channel.close()
    }

    // MARK: - Renewal

    @Test func aRenewedCertificateIsServedToNewConnectionsAndOldOnesLiveOn() async throws {
        let files = try TLSConfigurationTests.Files()
        defer { files.remove() }
        let request = { @Sendable (name: String) in CertificateAuthority.Request(name, names: ["localhost"]) }
        try files.write(self.support.authority.issue(request("first")))
        let log = RecordingLog()
        let source = try TLSContextSource(TLSConfiguration(identity: files.identity), .server, logger: log.logger)
        try await Self.withServer(source, log: log) { server in
            @Sendable func pool(allowing name: String) throws -> ConnectionPool {
                let configuration = try self.support.client { $0.allowedNames = [name] }
                return Self.pool(server, try TLSContextSource(configuration, .client, logger: log.logger))
            }
            let old = try pool(allowing: "first")
            try await RPCLoopbackTests.expectAnswer(old)

            try files.write(self.support.authority.issue(request("second")))
            let new = try pool(allowing: "second")
            try await RPCLoopbackTests.expectAnswer(new)
            try await RPCLoopbackTests.expectAnswer(old)

            try files.write(Array("garbage".utf8), to: "cert.pem")
            let third = try pool(allowing: "second")
            try await RPCLoopbackTests.expectAnswer(third)
            try await RPCLoopbackTests.expectAnswer(old)
            for pool in [old, new, third] { await pool.shutdown() }
        }
    }
}
