// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import NIOCore
import NIOPosix
import SwiftProtobuf
import Synchronization
import Testing
import TiKVProto

@testable import TiKVTransport

/// Client and server roles against each other over loopback sockets.
@Suite(.timeLimit(.minutes(1)))
struct RPCLoopbackTests {
    static let get = TikvpbTikvRPC.rawGet
    static let batch = TikvpbTikvRPC.batchCommands

    /// Each call by itself: these tests are about calls and streams.
    static var unbatched: ConnectionConfiguration { ConnectionConfiguration(batch: nil) }

    /// Runs a server with these services and a pool that is connected to it.
    static func withPair<Result: Sendable>(
        _ services: RPCServices, configuration: ConnectionConfiguration = Self.unbatched, connections: Int = 1,
        _ body: @escaping @Sendable (ConnectionPool, RPCServer) async throws -> Result
    ) async throws -> Result {
        let group = MultiThreadedEventLoopGroup.singleton
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = try await RPCServer.bind(
            host: "127.0.0.1", port: 0, services: services, group: group, logger: logger)
        let pool = ConnectionPool(
            address: server.address, group: group, configuration: configuration, connectionCount: connections,
            logger: logger)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await server.run() }
            do {
                let result = try await body(pool, server)
                await pool.shutdown()
                server.shutdown()
                return result
            } catch {
                await pool.shutdown()
                server.shutdown()
                throw error
            }
        }
    }

    static var echo: RPCServices {
        var services = RPCServices()
        services.register(self.get) { request, _ in
            var response = Kvrpcpb_RawGetResponse()
            response.value = request.key
            return response
        }
        return services
    }

    static func request(_ key: String) -> Kvrpcpb_RawGetRequest {
        var request = Kvrpcpb_RawGetRequest()
        request.key.append(contentsOf: key.utf8)
        return request
    }

    /// The connection works.
    static func expectAnswer(_ pool: ConnectionPool) async throws {
        let answer = try await pool.unary(self.get, self.request("k"))
        #expect(answer.value.count == 1)
    }

    /// The error that `body` throws; nil where it throws none, or none of ours.
    static func error(_ body: () async throws -> Void) async -> RPCError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? RPCError
        }
    }

    static func code(_ body: () async throws -> Void) async -> RPCError.Code? {
        await self.error(body)?.code
    }

    @Test func unaryCallsAnswerEachWithItsOwnMessage() async throws {
        try await Self.withPair(Self.echo, connections: 2) { pool, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<500 {
                    group.addTask {
                        let answer = try await pool.unary(Self.get, Self.request("key\(index)"))
                        #expect(String(decoding: answer.value, as: UTF8.self) == "key\(index)")
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func aMessageLargerThanAllWindowsArrivesWhole() async throws {
        var configuration = Self.unbatched
        configuration.http2.streamWindow = 64 << 10
        configuration.http2.connectionWindow = 128 << 10
        try await Self.withPair(Self.echo, configuration: configuration) { pool, _ in
            var request = Kvrpcpb_RawGetRequest()
            request.key = .init([UInt8](repeating: 7, count: 10 << 20))
            let answer = try await pool.unary(Self.get, request)
            #expect(answer.value == request.key)
        }
    }

    @Test func anUnknownMethodIsUnimplemented() async throws {
        try await Self.withPair(RPCServices()) { pool, _ in
            let code = await Self.code { _ = try await pool.unary(Self.get, Self.request("k")) }
            #expect(code == .unimplemented)
        }
    }

    @Test func aHandlersStatusMessageAndMetadataReachTheCaller() async throws {
        var services = RPCServices()
        services.register(Self.get) { _, call -> Kvrpcpb_RawGetResponse in
            #expect(call.metadata.first("request-source") == "test")
            #expect(call.metadata.allBinary("trace-bin") == [[0, 255, 7]])
            throw RPCError(.failedPrecondition, "100 % wrong: ü\n", metadata: ["detail": "x"])
        }
        try await Self.withPair(services) { pool, server in
            var options = CallOptions(metadata: ["Request-Source": "test"])
            options.metadata.add(binary: [0, 255, 7], for: "trace")
            let sent = options
            let error = try #require(
                await Self.error {
                    _ = try await pool.unary(Self.get, Self.request("k"), options: sent)
                })
            #expect(error.code == .failedPrecondition)
            #expect(error.message == "100 % wrong: ü\n")
            #expect(error.delivery == .answered)
            #expect(error.metadata.first("detail") == "x")
            #expect(error.peer == "\(server.address)")
        }
    }

    @Test func aDeadlineEndsACallThatIsNeverAnsweredAndCancelsItsHandler() async throws {
        let cancelled = AsyncStream<Void>.makeStream()
        var services = Self.echo
        services.register(TikvpbTikvRPC.rawPut) { _, call in
            #expect(call.timeLimit != nil)
            await withTaskCancellationHandler {
                for await _ in AsyncStream<Never>.makeStream().stream {}
            } onCancel: {
                cancelled.continuation.finish()
            }
            return Kvrpcpb_RawPutResponse()
        }
        try await Self.withPair(services) { pool, _ in
            try await Self.expectAnswer(pool)
            let error = try #require(
                await Self.error {
                    _ = try await pool.unary(
                        TikvpbTikvRPC.rawPut, Kvrpcpb_RawPutRequest(), options: .init(timeout: .seconds(2)))
                })
            #expect(error.code == .deadlineExceeded)
            // The server's own clock may end the call first, and then it answers with this status.
            #expect(error.delivery != .notSent)
            for await _ in cancelled.stream {}
            // The connection has survived.
            try await Self.expectAnswer(pool)
        }
    }

    @Test func cancellingTheTaskCancelsOneCallAndItsHandlerAndNothingElse() async throws {
        let started = AsyncStream<Void>.makeStream()
        let cancelled = AsyncStream<Void>.makeStream()
        var services = Self.echo
        services.register(TikvpbTikvRPC.rawPut) { _, _ in
            started.continuation.finish()
            await withTaskCancellationHandler {
                for await _ in AsyncStream<Never>.makeStream().stream {}
            } onCancel: {
                cancelled.continuation.finish()
            }
            return Kvrpcpb_RawPutResponse()
        }
        try await Self.withPair(services) { pool, _ in
            await withTaskGroup(of: RPCError.Code?.self) { group in
                group.addTask {
                    await Self.code { _ = try await pool.unary(TikvpbTikvRPC.rawPut, Kvrpcpb_RawPutRequest()) }
                }
                for await _ in started.stream {}
                group.cancelAll()
                let code = await group.next() ?? nil
                #expect(code == .cancelled)
            }
            for await _ in cancelled.stream {}
            try await Self.expectAnswer(pool)
        }
    }

    @Test func aCallOfACancelledTaskIsNotSent() async throws {
        try await Self.withPair(Self.echo) { pool, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.cancelAll()
                group.addTask {
                    let error = try #require(
                        await Self.error {
                            _ = try await pool.unary(Self.get, Self.request("k"))
                        })
                    #expect(error.code == .cancelled)
                    #expect(error.delivery == .notSent)
                }
                try await group.waitForAll()
            }
        }
    }

    static var batchEcho: RPCServices {
        var services = RPCServices()
        services.register(
            Self.batch,
            stream: { stream, _ in
                while let request = try await stream.next() {
                    var response = Tikvpb_BatchCommandsResponse()
                    response.requestIds = request.requestIds
                    try await stream.send(response)
                }
            })
        return services
    }

    static func ids(_ ids: [UInt64]) -> Tikvpb_BatchCommandsRequest {
        var request = Tikvpb_BatchCommandsRequest()
        request.requestIds = ids
        return request
    }

    @Test func aBidirectionalStreamAnswersInStepAndEndsWithOK() async throws {
        try await Self.withPair(Self.batchEcho) { pool, _ in
            try await pool.withStream(Self.batch) { stream in
                for index in 0..<100 as Range<UInt64> {
                    try await stream.send(Self.ids([index]))
                    #expect(try await stream.next()?.requestIds == [index])
                }
                stream.finish()
                #expect(try await stream.next() == nil)
                #expect(try await stream.next() == nil)
            }
        }
    }

    @Test func aReaderThatLagsBehindHoldsTheSenderBack() async throws {
        // The server sends until it is held back; nobody reads. What it could send is bounded by windows and buffers.
        let sent = Mutex(0)
        let stalled = AsyncStream<Void>.makeStream()
        var services = RPCServices()
        services.register(
            Self.batch,
            stream: { stream, _ in
                var response = Tikvpb_BatchCommandsResponse()
                response.requestIds = [UInt64](repeating: 1 << 40, count: 20_000)
                for _ in 0..<100 {
                    try await stream.send(response)
                    sent.withLock { $0 += 1 }
                    if sent.withLock({ $0 }) == 5 { stalled.continuation.finish() }
                }
            })
        var configuration = Self.unbatched
        configuration.http2.streamWindow = 1 << 20
        try await Self.withPair(services, configuration: configuration) { pool, _ in
            try await pool.withStream(Self.batch) { stream in
                for await _ in stalled.stream {}
                // Round trips on the same connection: time for the server to send far more if nothing held it.
                for _ in 0..<20 { _ = await Self.code { _ = try await pool.unary(Self.get, Self.request("k")) } }
                #expect(sent.withLock { $0 } < 30)
                var received = 0
                while try await stream.next() != nil { received += 1 }
                #expect(received == 100)
            }
        }
    }

    @Test func aStreamThatHasEndedKeepsItsMessagesWhileOtherCallsComeAndGo() async throws {
        var services = Self.echo
        let ended = AsyncStream<Void>.makeStream()
        services.register(
            Self.batch,
            stream: { stream, _ in
                for id in 1...3 as ClosedRange<UInt64> {
                    var response = Tikvpb_BatchCommandsResponse()
                    response.requestIds = [id]
                    try await stream.send(response)
                }
                ended.continuation.finish()
            })
        try await Self.withPair(services) { pool, _ in
            try await pool.withStream(Self.batch) { stream in
                stream.finish()
                for await _ in ended.stream {}
                // By the second answer the stream's end has arrived too, and its number is free for others.
                for _ in 0..<5 { try await Self.expectAnswer(pool) }
                for id in 1...3 as ClosedRange<UInt64> {
                    let message = try await stream.next()
                    #expect(message?.requestIds == [id])
                }
                let end = try await stream.next()
                #expect(end == nil)
            }
            try await Self.expectAnswer(pool)
        }
    }

    @Test func leavingAStreamEarlyCancelsItsHandler() async throws {
        let cancelled = AsyncStream<RPCError.Code>.makeStream()
        var services = Self.echo
        services.register(
            Self.batch,
            stream: { stream, _ in
                if let code = await Self.code({ while try await stream.next() != nil {} }) {
                    cancelled.continuation.yield(code)
                }
                cancelled.continuation.finish()
            })
        try await Self.withPair(services) { pool, _ in
            try await pool.withStream(Self.batch) { stream in try await stream.send(Self.ids([1])) }
            var codes: [RPCError.Code] = []
            for await code in cancelled.stream { codes.append(code) }
            #expect(codes == [.cancelled])
            try await Self.expectAnswer(pool)
        }
    }

    @Test func aStreamsErrorReachesReaderAndSender() async throws {
        var services = RPCServices()
        services.register(
            Self.batch,
            stream: { stream, _ in
                _ = try await stream.next()
                throw RPCError(.aborted, "enough")
            })
        try await Self.withPair(services) { pool, _ in
            try await pool.withStream(Self.batch) { stream in
                try await stream.send(Self.ids([1]))
                let reading = await Self.code { _ = try await stream.next() }
                #expect(reading == .aborted)
                let sending = await Self.code { try await stream.send(Self.ids([2])) }
                #expect(sending != nil)
            }
        }
    }

    @Test func aServerThatGoesAwayFailsCallsInFlightAndANewOneServesAgain() async throws {
        let started = AsyncStream<Void>.makeStream()
        var services = Self.echo
        services.register(TikvpbTikvRPC.rawPut) { _, _ -> Kvrpcpb_RawPutResponse in
            started.continuation.finish()
            for await _ in AsyncStream<Never>.makeStream().stream {}
            throw CancellationError()
        }
        let group = MultiThreadedEventLoopGroup.singleton
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        try await Self.withPair(services) { pool, server in
            try await withThrowingTaskGroup(of: RPCError?.self) { tasks in
                tasks.addTask {
                    await Self.error { _ = try await pool.unary(TikvpbTikvRPC.rawPut, Kvrpcpb_RawPutRequest()) }
                }
                for await _ in started.stream {}
                server.shutdown()
                let error = try #require(try await tasks.next() ?? nil)
                #expect(error.code == .unavailable)
                #expect(error.delivery == .unknown)
            }
            let again = try await RPCServer.bind(
                host: "127.0.0.1", port: server.address.port, services: Self.echo, group: group, logger: logger)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await again.run() }
                defer { again.shutdown() }
                try await Self.expectAnswer(pool)
            }
        }
    }

    @Test func nobodyListening() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        // The port of tcpmux, which nobody serves any more; a free one could be taken by another test meanwhile.
        let address = PeerAddress(host: "127.0.0.1", port: 1)
        let pool = ConnectionPool(address: address, group: group, logger: logger)
        for _ in 0..<2 {
            let error = try #require(
                await Self.error {
                    _ = try await pool.unary(Self.get, Self.request("k"), options: .init(timeout: .seconds(20)))
                })
            #expect(error.code == .unavailable)
            #expect(error.delivery == .notSent)
            #expect(error.message.contains("Connection refused"))
            #expect(error.peer == "\(address)")
        }
        await pool.shutdown()
    }

    @Test func aNameThatDoesNotResolve() async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let pool = ConnectionPool(
            address: PeerAddress(host: "no-such-host.invalid", port: 1), group: MultiThreadedEventLoopGroup.singleton,
            logger: logger)
        let error = try #require(
            await Self.error {
                _ = try await pool.unary(Self.get, Self.request("k"))
            })
        #expect(error.code == .unavailable)
        #expect(error.message.contains("no-such-host.invalid"))
        await pool.shutdown()
    }

    @Test func anAddressThatIsTakenCannotBeListenedOn() async throws {
        try await Self.withPair(Self.echo) { _, server in
            let code = await Self.code {
                _ = try await RPCServer.bind(
                    host: "127.0.0.1", port: server.address.port, services: RPCServices(),
                    group: MultiThreadedEventLoopGroup.singleton,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            }
            #expect(code == .unavailable)
        }
    }

    @Test func aClosedPoolRefusesCalls() async throws {
        try await Self.withPair(Self.echo) { pool, _ in
            _ = try await pool.unary(Self.get, Self.request("k"))
            await pool.shutdown(gracefully: .seconds(1))
            let code = await Self.code { _ = try await pool.unary(Self.get, Self.request("k")) }
            #expect(code == .unavailable)
        }
    }

    @Test func messagesOverTheLimitFailOnEitherSide() async throws {
        var configuration = Self.unbatched
        configuration.maxSendMessageSize = 1_000
        configuration.maxReceiveMessageSize = 100
        try await Self.withPair(Self.echo, configuration: configuration) { pool, _ in
            let sending = await Self.code {
                _ = try await pool.unary(Self.get, Self.request(String(repeating: "k", count: 2_000)))
            }
            #expect(sending == .resourceExhausted)
            let receiving = await Self.code {
                _ = try await pool.unary(Self.get, Self.request(String(repeating: "k", count: 500)))
            }
            #expect(receiving == .resourceExhausted)
            try await Self.expectAnswer(pool)
        }
    }
}
