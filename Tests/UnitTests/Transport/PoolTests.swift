// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Synchronization
import Testing
import TiKVProto

@testable import TiKVTransport

/// How a pool grows, lets go of what is idle, and keeps calls from waiting in vain.
@Suite(.timeLimit(.minutes(1)))
struct PoolTests {
    static let get = TikvpbTikvRPC.rawGet
    static let put = TikvpbTikvRPC.rawPut

    /// Answers gets with the client's address, which tells connections apart, and holds puts until the gate is open.
    private final class Server: Sendable {
        private let waiters = Mutex<[CheckedContinuation<Void, Never>]?>([])
        private let most = Mutex((now: 0, most: 0, held: 0))

        /// The most puts that were held at once.
        var mostAtOnce: Int { self.most.withLock { $0.most } }
        var heldInAll: Int { self.most.withLock { $0.held } }

        func open() {
            for waiter in self.waiters.withLock({ $0.take() ?? [] }) { waiter.resume() }
        }

        func services() -> RPCServices {
            var services = RPCServices()
            services.register(PoolTests.get) { _, call in
                var response = Kvrpcpb_RawGetResponse()
                response.error = call.peer
                return response
            }
            services.register(PoolTests.put) { [self] _, _ in
                self.most.withLock { most in
                    most.now += 1
                    most.held += 1
                    most.most = max(most.now, most.most)
                }
                await withCheckedContinuation { continuation in
                    let isHeld = self.waiters.withLock { waiters in
                        waiters?.append(continuation)
                        return waiters != nil
                    }
                    if !isHeld { continuation.resume() }
                }
                self.most.withLock { $0.now -= 1 }
                return Kvrpcpb_RawPutResponse()
            }
            return services
        }
    }

    private static func peer(_ pool: ConnectionPool) async throws -> String {
        try await pool.unary(self.get, RPCLoopbackTests.request("k")).error
    }

    // MARK: - Growth

    @Test(arguments: [true, false]) func aPoolGrowsUnderLoadUpToItsNumber(batched: Bool) async throws {
        let server = Server()
        var services = server.services()
        services.registerBatchCommands()
        let configuration = batched ? ConnectionConfiguration() : RPCLoopbackTests.unbatched
        try await RPCLoopbackTests.withPair(services, configuration: configuration, connections: 3) { pool, _ in
            // One after the other they need no second connection.
            var peers: Set<String> = []
            for _ in 0..<50 { peers.insert(try await Self.peer(pool)) }
            #expect(peers.count == 1)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<200 {
                    group.addTask { _ = try await pool.unary(Self.put, Kvrpcpb_RawPutRequest()) }
                }
                // Those that are held keep the first busy: calls go to others too, in the end.
                while peers.count < 2 { peers.insert(try await Self.peer(pool)) }
                for _ in 0..<50 { peers.insert(try await Self.peer(pool)) }
                #expect(peers.count <= 3)
                server.open()
                try await group.waitForAll()
            }
        }
    }

    @Test func aCallerOnAnEventLoopGetsAConnectionThere() async throws {
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let rpc = try await RPCServer.bind(
            host: "127.0.0.1", port: 0, services: Server().services(), group: MultiThreadedEventLoopGroup.singleton,
            logger: BrokenPeerTests.logger)
        let pool = ConnectionPool(
            address: rpc.address, group: loops, configuration: RPCLoopbackTests.unbatched, connectionCount: 2,
            logger: BrokenPeerTests.logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await rpc.run() }
            defer { rpc.shutdown() }
            var peers: Set<String> = [try await Self.peer(pool)]
            // On one loop there is the connection that is there; on the other a call asks for its own.
            while peers.count < 2 {
                for loop in loops.makeIterator() {
                    peers.insert(
                        try await withTaskExecutorPreference(EventLoopTaskExecutor(loop)) { try await Self.peer(pool) })
                }
            }
            #expect(peers.count == 2)
            await pool.shutdown()
        }
        try await loops.shutdownGracefully()
    }

    // MARK: - Idle connections

    @Test func aConnectionIsIdleWhenNothingBeganAndNothingIsUnderWay() {
        var watch = IdleWatch()
        // The first look only begins.
        var looks = [watch.look(underWay: 0), watch.look(underWay: 0), watch.look(underWay: 1)]
        #expect(looks == [false, true, false])
        watch.began()
        looks = [watch.look(underWay: 0), watch.look(underWay: 0)]
        #expect(looks == [false, true])
    }

    @Test(arguments: [true, false]) func anIdleConnectionIsClosedAndOpenedAgainOnUse(batched: Bool) async throws {
        var services = Server().services()
        services.registerBatchCommands()
        let recorder = RecordingObserver()
        var configuration = batched ? ConnectionConfiguration() : RPCLoopbackTests.unbatched
        configuration.idleTimeout = .milliseconds(100)
        configuration.observer = recorder
        try await RPCLoopbackTests.withPair(services, configuration: configuration) { pool, _ in
            let first = try await Self.peer(pool)
            for await change in recorder.changes where change.state == .closed { break }
            let second = try await Self.peer(pool)
            #expect(first != second)
        }
        #expect(recorder.soFar.calls.allSatisfy { $0.error == nil })
        #expect(recorder.soFar.changes.prefix(4).map(\.state) == [.connecting, .ready, .draining, .closed])
    }

    // MARK: - Waiting

    @Test func allWhoWaitForAConnectFailWithItsError() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        // Takes connections and never says a word.
        let channel = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        var configuration = ConnectionConfiguration()
        configuration.connectTimeout = .milliseconds(200)
        let recorder = RecordingObserver()
        configuration.observer = recorder
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: try #require(channel.localAddress?.port)), group: group,
            configuration: configuration, connectionCount: 4, logger: BrokenPeerTests.logger)
        await withTaskGroup(of: RPCError?.self) { tasks in
            for _ in 0..<100 {
                tasks.addTask {
                    await RPCLoopbackTests.error {
                        _ = try await pool.unary(
                            Self.get, RPCLoopbackTests.request("k"), options: .init(timeout: .seconds(50)))
                    }
                }
            }
            for await error in tasks {
                #expect(error?.code == .unavailable)
                #expect(error?.delivery == .notSent)
                #expect(error?.message.contains("cannot connect") == true)
            }
        }
        #expect(recorder.soFar.changes.contains { $0.state == .closed && $0.waitingCalls > 0 })
        // Nobody tried on his own: there was one connect, or another after the pause.
        #expect(recorder.soFar.changes.count { $0.state == .connecting } <= 20)
        await pool.shutdown()
        try await channel.close()
    }

    @Test func callsOverTheServersLimitOfStreamsWaitTheirTurn() async throws {
        let server = Server()
        var limits = HTTP2Configuration()
        limits.maxConcurrentStreams = 3
        let rpc = try await RPCServer.bind(
            host: "127.0.0.1", port: 0, services: server.services(), group: MultiThreadedEventLoopGroup.singleton,
            configuration: limits, logger: BrokenPeerTests.logger)
        let pool = ConnectionPool(
            address: rpc.address, group: MultiThreadedEventLoopGroup.singleton,
            configuration: RPCLoopbackTests.unbatched, logger: BrokenPeerTests.logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await rpc.run() }
            defer { rpc.shutdown() }
            try await withThrowingTaskGroup(of: Void.self) { calls in
                for _ in 0..<40 { calls.addTask { _ = try await pool.unary(Self.put, Kvrpcpb_RawPutRequest()) } }
                while server.mostAtOnce < 3 { await Task.yield() }
                server.open()
                try await calls.waitForAll()
            }
            await pool.shutdown()
        }
        #expect(server.mostAtOnce == 3)
        #expect(server.heldInAll == 40)
    }

    @Test func closingFromManySidesAtOnceIsSafe() async throws {
        let server = Server()
        server.open()
        try await RPCLoopbackTests.withPair(server.services(), connections: 4) { pool, rpc in
            await withTaskGroup(of: Void.self) { tasks in
                for index in 0..<100 {
                    tasks.addTask {
                        if index % 10 == 9 { await pool.shutdown(gracefully: index % 20 == 9 ? nil : .seconds(1)) }
                        let code = await RPCLoopbackTests.code { _ = try await Self.peer(pool) }
                        #expect(code == nil || code == .unavailable)
                    }
                }
                tasks.addTask { rpc.shutdown() }
            }
            let code = await RPCLoopbackTests.code { _ = try await Self.peer(pool) }
            #expect(code == .unavailable)
        }
    }

    // MARK: - Forwarding

    private static let hosts: [String?] = [nil, "127.0.0.1:6666", "127.0.0.1:7777", "127.0.0.1:8888"]

    /// Answers with the host that the call's headers name, and counts the streams and calls by themselves by host.
    private static func forwarding(_ streams: Counter) -> RPCServices {
        var services = RPCServices()
        services.register(Self.get) { _, call in
            var response = Kvrpcpb_RawGetResponse()
            response.error = call.metadata.first("tikv-forwarded-host") ?? "none"
            if call.path == Self.get.path { streams.add(response.error) }
            return response
        }
        services.registerBatchCommands()
        let path = RPCLoopbackTests.batch.path
        if case .stream(let serve)? = services.handlers[path] {
            services.handlers[path] = .stream { core, call in
                streams.add(call.metadata.first("tikv-forwarded-host") ?? "none")
                try await serve(core, call)
            }
        }
        return services
    }

    private final class Counter: Sendable {
        private let counts = Mutex<[String: Int]>([:])
        func add(_ name: String) { self.counts.withLock { $0[name, default: 0] += 1 } }
        var all: [String: Int] { self.counts.withLock { $0 } }
    }

    @Test func forwardedCommandsHaveAStreamForEachHost() async throws {
        let streams = Counter()
        try await RPCLoopbackTests.withPair(Self.forwarding(streams), configuration: .init()) { pool, _ in
            for host in Self.hosts {
                for _ in 0..<3 {
                    let answer = try await pool.unary(
                        Self.get, RPCLoopbackTests.request("k"), options: .init(forwardedHost: host))
                    #expect(answer.error == host ?? "none")
                }
            }
        }
        #expect(streams.all == ["none": 1, "127.0.0.1:6666": 1, "127.0.0.1:7777": 1, "127.0.0.1:8888": 1])
    }

    @Test func forwardedCallsByThemselvesHaveTheHeader() async throws {
        let calls = Counter()
        try await RPCLoopbackTests.withPair(Self.forwarding(calls)) { pool, _ in
            for host in Self.hosts {
                let answer = try await pool.unary(
                    Self.get, RPCLoopbackTests.request("k"), options: .init(forwardedHost: host))
                #expect(answer.error == host ?? "none")
            }
        }
        #expect(calls.all.values.allSatisfy { $0 == 1 })
    }

    @Test func afterItsEndAPoolForwardsNothing() async throws {
        let calls = Counter()
        try await RPCLoopbackTests.withPair(Self.forwarding(calls)) { pool, _ in
            await pool.shutdown()
            let error = await RPCLoopbackTests.error {
                _ = try await pool.unary(
                    Self.get, RPCLoopbackTests.request("k"), options: .init(forwardedHost: "127.0.0.1:6666"))
            }
            #expect(error?.isClosedHere == true)
            #expect(error?.delivery == .notSent)
        }
        #expect(calls.all.isEmpty)
    }

    @Test func forwardedStreamsHaveTheHeader() async throws {
        var services = RPCServices()
        let seen = Counter()
        services.register(RPCLoopbackTests.batch) { stream, call in
            seen.add(call.metadata.first("tikv-forwarded-host") ?? "none")
            while (try await stream.next()) != nil { try await stream.send(.init()) }
        }
        try await RPCLoopbackTests.withPair(services) { pool, _ in
            for host in Self.hosts {
                try await pool.withStream(RPCLoopbackTests.batch, options: .init(forwardedHost: host)) { stream in
                    try await stream.send(RPCLoopbackTests.ids([1]))
                    _ = try await stream.next()
                }
            }
        }
        #expect(seen.all.count == 4)
    }

    @Test func streamsThatBreakAllAtOnceAreAllReplaced() async throws {
        let streams = Counter()
        let failing = Mutex(true)
        var services = Self.forwarding(streams)
        services.register(Self.put) { _, _ in
            if failing.withLock({ $0 }) { throw RPCError(.unavailable, "going down") }
            return Kvrpcpb_RawPutResponse()
        }
        services.registerBatchCommands()
        try await RPCLoopbackTests.withPair(services, configuration: .init()) { pool, _ in
            await withTaskGroup(of: RPCError?.self) { tasks in
                for host in Self.hosts {
                    tasks.addTask {
                        await RPCLoopbackTests.error {
                            _ = try await pool.unary(
                                Self.put, Kvrpcpb_RawPutRequest(), options: .init(forwardedHost: host))
                        }
                    }
                }
                for await error in tasks {
                    #expect(error?.code == .unavailable)
                    #expect(error?.delivery == .unknown)
                }
            }
            failing.withLock { $0 = false }
            for host in Self.hosts {
                _ = try await pool.unary(Self.put, Kvrpcpb_RawPutRequest(), options: .init(forwardedHost: host))
            }
        }
    }

    @Test func directAndForwardedCallsGetOverRestartsOfTheServer() async throws {
        let server = try await RPCServer.bind(
            host: "127.0.0.1", port: 0, services: Self.forwarding(Counter()),
            group: MultiThreadedEventLoopGroup.singleton, logger: BrokenPeerTests.logger)
        let address = server.address
        let recorder = RecordingObserver()
        let pool = ConnectionPool(
            address: address, group: MultiThreadedEventLoopGroup.singleton,
            configuration: ConnectionConfiguration(observer: recorder), connectionCount: 2,
            logger: BrokenPeerTests.logger)
        let over = Counter()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for index in 0..<40 {
                tasks.addTask {
                    while over.all.isEmpty {
                        let code = await RPCLoopbackTests.code {
                            _ = try await pool.unary(
                                Self.get, RPCLoopbackTests.request("k"),
                                options: .init(timeout: .seconds(20), forwardedHost: Self.hosts[index % 4]))
                        }
                        // Of the connection's kind, never something else.
                        #expect(code == nil || code == .unavailable || code == .cancelled)
                        await Task.yield()
                    }
                }
            }
            var running = server
            for _ in 0..<4 {
                let current = running
                async let done: Void = current.run()
                for _ in 0..<20 { _ = await RPCLoopbackTests.code { _ = try await Self.peer(pool) } }
                current.shutdown()
                await done
                running = try await RPCServer.bind(
                    host: "127.0.0.1", port: address.port, services: Self.forwarding(Counter()),
                    group: MultiThreadedEventLoopGroup.singleton, logger: BrokenPeerTests.logger)
            }
            over.add("yes")
            let last = running
            async let done: Void = last.run()
            try await tasks.waitForAll()
            // After the last restart everything works, whatever a pause after a failed connect says at first.
            for host in Self.hosts {
                while await RPCLoopbackTests.code({
                    _ = try await pool.unary(
                        Self.get, RPCLoopbackTests.request("k"), options: .init(forwardedHost: host))
                }) != nil { await Task.yield() }
            }
            await pool.shutdown()
            last.shutdown()
            await done
        }
        // Whatever broke off on the way, nothing is counted as under way.
        let streams = recorder.soFar.openStreams
        #expect(streams.count > Self.hosts.count && streams.values.allSatisfy { $0 == 0 })
    }

    // MARK: - TLS

    @Test func whatNoFurtherConnectMendsIsSaidSo() {
        let passing: Set<TLSError.Reason> = [
            .handshakeBrokenOff, .truncated, .protocolViolation, .alert, .internalError,
        ]
        for reason in TLSError.Reason.allCases {
            #expect(reason.isPermanent == !passing.contains(reason))
        }
    }

    @Test func aCertificateThatIsNotTrustedIsAPermanentFailure() async throws {
        let support = try TLSSupport()
        let other = try TLSSupport()
        let error = try await TLSLoopbackTests.withPair(client: other.client(), server: support.server()) { pool, _ in
            await RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(pool) }
        }
        #expect(error?.isPermanent == true)
        // A server that is not there may come back.
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: 1), group: MultiThreadedEventLoopGroup.singleton,
            logger: BrokenPeerTests.logger)
        let refused = await RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(pool) }
        #expect(refused?.isPermanent == false)
        await pool.shutdown()
    }

    /// Refuses every certificate, and does something just before.
    private final class Refusing: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let before: @Sendable () -> Void

        init(_ before: @escaping @Sendable () -> Void) { self.before = before }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            self.before()
            // A fatal alert: unknown_ca.
            context.writeAndFlush(NIOAny(ByteBuffer(bytes: [21, 3, 3, 0, 2, 2, 48])), promise: nil)
        }
    }

    /// A call that came after the renewal, and waits for a connect that began before it, must not learn that nothing helps.
    @Test(arguments: [false, true])
    func aFailureIsNotPermanentWhereCertificatesWereRenewedMeanwhile(isRenewed: Bool) async throws {
        let files = try TLSConfigurationTests.Files()
        defer { files.remove() }
        let authority = try CertificateAuthority("test CA")
        try files.write(authority.issue(.init("first")))
        let second = try authority.issue(.init("second"))
        let source = try TLSContextSource(
            TLSConfiguration(trustRoots: try authority.trustRoots, identity: files.identity), .client,
            logger: BrokenPeerTests.logger)
        let failures = Mutex<[any Error]>([])
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Refusing {
                            guard isRenewed else { return }
                            do { try files.write(second) } catch { failures.withLock { $0.append(error) } }
                        })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: port), group: group,
            configuration: ConnectionConfiguration(tls: source), logger: BrokenPeerTests.logger)
        let error = await RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(pool) }
        #expect(failures.withLock { $0.isEmpty })
        #expect(error?.message.contains("unknown_ca") == true)
        #expect(error?.isPermanent == !isRenewed)
        await pool.shutdown()
        try await server.close()
    }
}
