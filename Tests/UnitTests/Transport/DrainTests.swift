// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import NIOCore
import NIOEmbedded
import NIOPosix
import SwiftProtobuf
import Synchronization
import Testing
import TiKVProto

@testable import TiKVTransport

/// A server that goes away: no call that was begun before is lost, and what comes later it has not looked at.
@Suite(.timeLimit(.minutes(2)))
struct DrainTests {
    private static let put = TikvpbTikvRPC.rawPut
    private static let group = MultiThreadedEventLoopGroup.singleton

    /// Holds `RawPut`s until it is opened, and counts how often each key of a `RawGet` was handled.
    private final class Handlers: Sendable {
        private struct State {
            var isOpen = false
            var held: [CheckedContinuation<Void, Never>] = []
            var heldInAll = 0
            var handled: [Data: Int] = [:]
        }

        private let state = Mutex(State())

        var heldInAll: Int { self.state.withLock { $0.heldInAll } }
        var handled: [Data: Int] { self.state.withLock { $0.handled } }

        func open() {
            let held = self.state.withLock { state in
                state.isOpen = true
                defer { state.held = [] }
                return state.held
            }
            for one in held { one.resume() }
        }

        private func pass() async {
            await withCheckedContinuation { continuation in
                let passes = self.state.withLock { state in
                    state.heldInAll += 1
                    if !state.isOpen { state.held.append(continuation) }
                    return state.isOpen
                }
                if passes { continuation.resume() }
            }
        }

        var services: RPCServices {
            var services = RPCServices()
            services.register(RPCLoopbackTests.get) { request, _ in
                self.state.withLock { $0.handled[request.key, default: 0] += 1 }
                return .with { $0.value = request.key }
            }
            services.register(DrainTests.put) { _, _ in
                await self.pass()
                return Kvrpcpb_RawPutResponse()
            }
            services.registerBatchCommands()
            return services
        }
    }

    /// What a test has to do with.
    private struct Setting: Sendable {
        var pool: ConnectionPool
        var server: RPCServer
        /// Ends when the server's `run()` has returned.
        var ended: AsyncStream<Never>
        var recorder: RecordingObserver

        func waitUntilDraining() async {
            for await change in self.recorder.changes where change.state == .draining { break }
        }
    }

    /// The server ends by what `body` does, and by nothing else.
    private static func with(
        _ services: RPCServices, batched: Bool = false, _ body: @escaping @Sendable (Setting) async throws -> Void
    ) async throws {
        let server = try await RPCServer.bind(
            host: "127.0.0.1", port: 0, services: services, group: Self.group, logger: BrokenPeerTests.logger)
        let recorder = RecordingObserver()
        let configuration = ConnectionConfiguration(observer: recorder, batch: batched ? .init() : nil)
        let pool = ConnectionPool(
            address: server.address, group: Self.group, configuration: configuration, logger: BrokenPeerTests.logger)
        let (ended, end) = AsyncStream<Never>.makeStream()
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                await server.run()
                end.finish()
            }
            do {
                try await body(Setting(pool: pool, server: server, ended: ended, recorder: recorder))
                for await _ in ended {}
            } catch {
                Issue.record(error)
            }
            server.shutdown()
            await pool.shutdown()
        }
    }

    // MARK: - What was begun

    @Test(arguments: [false, true])
    func whatWasBegunIsAnsweredAndWhatComesLaterWasNotLookedAt(batched: Bool) async throws {
        let handlers = Handlers()
        try await Self.with(handlers.services, batched: batched) { setting in
            try await withThrowingTaskGroup(of: Void.self) { calls in
                for _ in 0..<20 {
                    calls.addTask { _ = try await setting.pool.unary(Self.put, Kvrpcpb_RawPutRequest()) }
                }
                while handlers.heldInAll < 20 { await Task.yield() }
                setting.server.shutdown(gracefully: .seconds(100))
                await setting.waitUntilDraining()
                let late = await RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(setting.pool) }
                #expect(late?.code == .unavailable)
                #expect(late?.delivery == .notSent)
                handlers.open()
                try await calls.waitForAll()
            }
        }
        #expect(handlers.handled.isEmpty)
        #expect(handlers.heldInAll == 20)
    }

    @Test func aStreamGoesOnUntilItsEnd() async throws {
        var services = RPCServices()
        services.register(RPCLoopbackTests.batch) { stream, _ in
            while let request = try await stream.next() {
                try await stream.send(.with { $0.requestIds = request.requestIds })
            }
        }
        try await Self.with(services) { setting in
            try await setting.pool.withStream(RPCLoopbackTests.batch) { stream in
                try await stream.send(RPCLoopbackTests.ids([0]))
                #expect(try await stream.next()?.requestIds == [0])
                setting.server.shutdown(gracefully: .seconds(100))
                await setting.waitUntilDraining()
                for id in 1...100 {
                    try await stream.send(RPCLoopbackTests.ids([UInt64(id)]))
                    let answer = try await stream.next()
                    #expect(answer?.requestIds == [UInt64(id)])
                }
                stream.finish()
                let end = try await stream.next()
                #expect(end == nil)
            }
        }
    }

    @Test func aServerWithoutCallsEndsAlthoughItsClientsStayConnected() async throws {
        try await Self.with(RPCLoopbackTests.echo) { setting in
            try await RPCLoopbackTests.expectAnswer(setting.pool)
            setting.server.shutdown(gracefully: .seconds(100))
        }
    }

    // MARK: - Patience

    /// A `RawPut` that ends with its cancellation only.
    private static func endless() -> (RPCServices, started: AsyncStream<Void>) {
        var services = RPCLoopbackTests.echo
        let started = BatchLoopbackTests.stalling(&services)
        services.registerBatchCommands()
        return (services, started)
    }

    @Test(arguments: [false, true]) func whatIsNotDoneInTimeIsCancelled(batched: Bool) async throws {
        let (services, started) = Self.endless()
        try await Self.with(services, batched: batched) { setting in
            async let failure = RPCLoopbackTests.error {
                _ = try await setting.pool.unary(Self.put, Kvrpcpb_RawPutRequest())
            }
            for await _ in started {}
            setting.server.shutdown(gracefully: .milliseconds(100))
            let error = await failure
            #expect(error?.code == .unavailable)
            #expect(error?.delivery == .unknown)
        }
    }

    @Test(arguments: [nil, Duration.milliseconds(10)]) func theLeastPatientOneCounts(patience: Duration?) async throws {
        let (services, started) = Self.endless()
        try await Self.with(services) { setting in
            async let failure = RPCLoopbackTests.error {
                _ = try await setting.pool.unary(Self.put, Kvrpcpb_RawPutRequest())
            }
            for await _ in started {}
            setting.server.shutdown(gracefully: .seconds(100_000))
            await setting.waitUntilDraining()
            setting.server.shutdown(gracefully: patience)
            // Too late to be patient again.
            setting.server.shutdown(gracefully: .seconds(100_000))
            let error = await failure
            #expect(error?.code == .unavailable)
        }
    }

    // MARK: - In mid-traffic

    /// One server after the other takes over the address while callers call. Whoever is refused calls again, and in the
    /// end each call was made once: none is lost, and none was handled by the server that refused it.
    @Test(arguments: [(false, false), (true, false), (true, true)])
    func serversTakeOverFromEachOtherInMidTraffic(batched: Bool, tls: Bool) async throws {
        let (callers, callsEach) = (16, 150)
        let support = tls ? try TLSSupport() : nil
        let logger = BrokenPeerTests.logger
        let identity = try support.map { try TLSContextSource($0.server(), .server, logger: logger) }
        let handlers = Handlers()
        @Sendable func serve(_ port: Int) async throws -> RPCServer {
            while true {
                do {
                    return try await RPCServer.bind(
                        host: "127.0.0.1", port: port, services: handlers.services, group: Self.group, tls: identity,
                        logger: logger)
                } catch {
                    // The port is not free yet.
                    try Task.checkCancellation()
                    await Task.yield()
                }
            }
        }
        let first = try await serve(0)
        var configuration = ConnectionConfiguration(batch: batched ? .init() : nil)
        configuration.tls = try support.map { try TLSContextSource($0.client(), .client, logger: logger) }
        let pool = ConnectionPool(
            address: first.address, group: Self.group, configuration: configuration, connectionCount: 2, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { servers in
            servers.addTask { await first.run() }
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for caller in 0..<callers {
                    tasks.addTask {
                        for number in 0..<callsEach {
                            try await Self.callUntilTaken(pool, "\(caller)/\(number)")
                        }
                    }
                }
                var current = first
                for turn in 1...5 {
                    while handlers.handled.count < callers * callsEach * turn / 7 { await Task.yield() }
                    current.shutdown(gracefully: .seconds(100))
                    let next = try await serve(first.address.port)
                    servers.addTask { await next.run() }
                    current = next
                }
                try await tasks.waitForAll()
                current.shutdown(gracefully: .seconds(100))
            }
            try await servers.waitForAll()
        }
        await pool.shutdown()
        #expect(handlers.handled.count == callers * callsEach)
        #expect(handlers.handled.values.allSatisfy { $0 == 1 })
    }

    private static func callUntilTaken(_ pool: ConnectionPool, _ key: String) async throws {
        while true {
            do throws(RPCError) {
                let answer = try await pool.unary(RPCLoopbackTests.get, RPCLoopbackTests.request(key))
                #expect(answer.value == Data(key.utf8))
                return
            } catch {
                guard error.code == .unavailable, error.delivery == .notSent else { throw error }
                await Task.yield()
            }
        }
    }

    // MARK: - Between the decision and its news

    /// The last stream is named, and before the client can hear of it, another one comes: it is refused unseen.
    @Test func aStreamThatComesAfterTheLastOneIsRefusedUnseen() throws {
        let loop = ManualEventLoop()
        let handlers = Handlers()
        let ends = Mutex(0)
        let connection = try ServerConnection(
            on: loop, executor: EventLoopTaskExecutor(loop), services: handlers.services, configuration: .init(),
            logger: BrokenPeerTests.logger, onClose: { _ in ends.withLock { $0 += 1 } })
        let channel = EmbeddedChannel(loop: loop.embedded)
        try channel.pipeline.syncOperations.addHandler(HTTP2ChannelHandler(connection))
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        loop.turn()
        var client = try HTTP2Session(.client)
        var events: [HTTP2Event] = []

        func toServer() throws {
            var bytes = ByteBuffer()
            while try client.drain(into: &bytes) {}
            try channel.writeInbound(bytes)
        }
        func toClient() throws {
            loop.turn()
            while let bytes = try channel.readOutbound(as: ByteBuffer.self) { try client.receive(bytes) }
            events += client.takeEvents()
        }
        func request(_ key: String) throws -> HTTP2Stream {
            var headers = HeaderList()
            for (name, value) in FuzzFrames.request { headers.add(name, value) }
            let body = try RPCLoopbackTests.request(key).framed(limit: 100)
            return try client.request(headers, body: body, finished: true)
        }

        let early = try request("early")
        try toServer()
        try toClient()
        connection.close(gracefully: .seconds(100))
        loop.turn()
        // Not read yet by the client, which begins another call: in time.
        let inTime = try request("in time")
        try toServer()
        // As if it had read so far; the server names the last stream, and writes that in its next turn only.
        let pong = FuzzFrames.frame(6, flags: 1, stream: 0, [UInt8](repeating: 0, count: 8))
        try channel.writeInbound(ByteBuffer(bytes: pong))
        let late = try request("late")
        try toServer()
        try toClient()

        func code(_ stream: HTTP2Stream) -> HTTP2ErrorCode? {
            for case .closed(stream, let code) in events { return code }
            return nil
        }
        #expect(code(early) == .noError)
        #expect(code(inTime) == .noError)
        #expect(code(late) == .refusedStream)
        let announced = events.compactMap { event in
            if case .goAway(let last, .noError, _) = event { last } else { nil }
        }
        #expect(announced == [.max, inTime.id])
        #expect(Set(handlers.handled.keys) == [Data("early".utf8), Data("in time".utf8)])
        // All is answered: what the client says now is nothing to the server, which waits for it to hang up.
        #expect(channel.isActive)
        try channel.writeInbound(ByteBuffer(bytes: [1, 2, 3]))
        _ = try channel.finish(acceptAlreadyClosed: true)
        loop.turn()
        #expect(ends.withLock { $0 } == 1)
    }

    // MARK: - Decisions

    @Test func aDrainGoesStepByStep() {
        var drain = ServerDrain()
        #expect(!drain.isUnderWay)
        #expect(drain.admits(streamID: 101))
        #expect(!drain.settlesAfterPong())
        let isFirst = drain.begin()
        #expect(isFirst)
        let isFirstAgain = drain.begin()
        #expect(!isFirstAgain)
        #expect(drain.isUnderWay)
        // A pong that comes now answers nothing.
        #expect(!drain.settlesAfterPong())
        let isPinged = drain.written()
        #expect(isPinged)
        let isPingedAgain = drain.written()
        #expect(!isPingedAgain)
        // The client may not have heard of it.
        #expect(drain.admits(streamID: 103))
        #expect(drain.settlesAfterPong())
        drain.settled(lastStream: 103)
        #expect(!drain.settlesAfterPong())
        #expect(drain.admits(streamID: 103))
        #expect(!drain.admits(streamID: 105))
        #expect(!drain.isLingering)
        #expect(drain.sessionFinished() == .linger)
        #expect(drain.isLingering)
        #expect(drain.sessionFinished() == .nothing)
        #expect(!drain.admits(streamID: 103))
    }

    @Test func aClientThatGoesIsSeenOffInTheSameWay() {
        var drain = ServerDrain()
        #expect(drain.sessionFinished() == .settle)
        drain.settled(lastStream: 7)
        let isTold = drain.begin()
        #expect(!isTold)
        #expect(drain.sessionFinished() == .linger)
    }
}
