// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing
import TiKVProto

@testable import TiKVTransport

/// BatchCommands between our client and our server over loopback sockets.
@Suite(.timeLimit(.minutes(1)))
struct BatchLoopbackTests {
    static let get = TikvpbTikvRPC.rawGet
    static let put = TikvpbTikvRPC.rawPut

    /// Echoes keys; knows BatchCommands; counts the messages of batch streams and calls by themselves.
    static func echo(_ feedback: @escaping @Sendable () -> StoreFeedback? = { nil }) -> RPCServices {
        var services = RPCLoopbackTests.echo
        services.registerBatchCommands(feedback: feedback)
        return services
    }

    /// A server whose `RawGet` by itself fails: what succeeds went through the stream.
    static func withBatchOnly<Result: Sendable>(
        _ services: RPCServices, configuration: ConnectionConfiguration = .init(),
        _ body: @escaping @Sendable (ConnectionPool, RPCServer) async throws -> Result
    ) async throws -> Result {
        var services = services
        services.refuseOutsideOfBatches(Self.get.path)
        return try await RPCLoopbackTests.withPair(services, configuration: configuration, body)
    }

    @Test func commandsOfManyCallersShareTheStreamAndGetTheirOwnAnswers() async throws {
        try await Self.withBatchOnly(Self.echo()) { pool, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<1_000 {
                    group.addTask {
                        let answer = try await pool.unary(Self.get, RPCLoopbackTests.request("key\(index)"))
                        #expect(String(decoding: answer.value, as: UTF8.self) == "key\(index)")
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func largeCommandsPassThroughSmallWindows() async throws {
        var configuration = ConnectionConfiguration()
        configuration.http2.streamWindow = 64 << 10
        try await Self.withBatchOnly(Self.echo(), configuration: configuration) { pool, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        var request = Kvrpcpb_RawGetRequest()
                        request.key = Data([UInt8](repeating: UInt8(index), count: 300_000))
                        let answer = try await pool.unary(Self.get, request)
                        #expect(answer.value == request.key)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func aServerWithoutBatchCommandsIsServedCallByCall() async throws {
        try await RPCLoopbackTests.withPair(RPCLoopbackTests.echo, configuration: .init()) { pool, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<50 { group.addTask { try await RPCLoopbackTests.expectAnswer(pool) } }
                try await group.waitForAll()
            }
        }
    }

    @Test func callsWithMetadataGoByThemselves() async throws {
        var services = RPCServices()
        services.register(Self.get) { _, call in
            var response = Kvrpcpb_RawGetResponse()
            response.error = call.metadata.first("tikv-forwarded-host") ?? ""
            return response
        }
        services.registerBatchCommands()
        try await RPCLoopbackTests.withPair(services, configuration: .init()) { pool, _ in
            let options = CallOptions(metadata: ["tikv-forwarded-host": "store2:20160"])
            let answer = try await pool.unary(Self.get, RPCLoopbackTests.request("k"), options: options)
            #expect(answer.error == "store2:20160")
        }
    }

    /// A `RawPut` that says when it has started, and waits until it is cancelled.
    static func stalling(_ services: inout RPCServices) -> AsyncStream<Void> {
        let (started, continuation) = AsyncStream<Void>.makeStream()
        services.register(Self.put) { _, _ in
            continuation.finish()
            for await _ in AsyncStream<Never>.makeStream().stream {}
            return Kvrpcpb_RawPutResponse()
        }
        return started
    }

    @Test func aSlowCommandHoldsNobodyUpAndItsDeadlineEndsItAlone() async throws {
        var services = RPCLoopbackTests.echo
        let started = Self.stalling(&services)
        services.registerBatchCommands()
        try await Self.withBatchOnly(services) { pool, _ in
            try await RPCLoopbackTests.expectAnswer(pool)
            try await withThrowingTaskGroup(of: RPCError?.self) { group in
                group.addTask {
                    await RPCLoopbackTests.error {
                        _ = try await pool.unary(
                            Self.put, Kvrpcpb_RawPutRequest(), options: .init(timeout: .seconds(2)))
                    }
                }
                for await _ in started {}
                for _ in 0..<10 { try await RPCLoopbackTests.expectAnswer(pool) }
                let error = try #require(try await group.next() ?? nil)
                #expect(error.code == .deadlineExceeded)
                #expect(error.delivery == .unknown)
            }
            try await RPCLoopbackTests.expectAnswer(pool)
        }
    }

    @Test func cancellingOneCommandLeavesTheStreamAndTheOthers() async throws {
        var services = RPCLoopbackTests.echo
        let started = Self.stalling(&services)
        services.registerBatchCommands()
        try await Self.withBatchOnly(services) { pool, _ in
            await withTaskGroup(of: RPCError?.self) { group in
                group.addTask {
                    await RPCLoopbackTests.error { _ = try await pool.unary(Self.put, Kvrpcpb_RawPutRequest()) }
                }
                for await _ in started {}
                group.cancelAll()
                let error = await group.next() ?? nil
                #expect(error?.code == .cancelled)
                #expect(error?.delivery == .unknown)
            }
            try await RPCLoopbackTests.expectAnswer(pool)
        }
    }

    @Test func whatIsOverBeforeItStartsIsNotSent() async throws {
        try await Self.withBatchOnly(Self.echo()) { pool, _ in
            try await RPCLoopbackTests.expectAnswer(pool)
            let cancelled = await withTaskGroup(of: RPCError?.self) { group in
                group.cancelAll()
                group.addTask { await RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(pool) } }
                return await group.next() ?? nil
            }
            #expect(cancelled?.code == .cancelled)
            #expect(cancelled?.delivery == .notSent)
            let late = await RPCLoopbackTests.error {
                _ = try await pool.unary(Self.get, RPCLoopbackTests.request("k"), options: .init(timeout: .zero))
            }
            #expect(late?.code == .deadlineExceeded)
            #expect(late?.delivery == .notSent)
            try await RPCLoopbackTests.expectAnswer(pool)
        }
    }

    @Test func commandsCancelledAtAnyMomentLeaveNobodyWaiting() async throws {
        try await Self.withBatchOnly(Self.echo()) { pool, _ in
            let codes = await withTaskGroup(of: RPCError.Code?.self) { group in
                for index in 0..<10_000 {
                    group.addTask {
                        await withTaskGroup(of: RPCError.Code?.self) { one in
                            one.addTask {
                                await RPCLoopbackTests.code { try await RPCLoopbackTests.expectAnswer(pool) }
                            }
                            for _ in 0..<(index % 23) { await Task.yield() }
                            one.cancelAll()
                            return await one.next() ?? nil
                        }
                    }
                }
                return await group.reduce(into: Set<RPCError.Code>()) { if let code = $1 { $0.insert(code) } }
            }
            #expect(codes.isSubset(of: [.cancelled]))
            try await RPCLoopbackTests.expectAnswer(pool)
        }
    }

    @Test func closingFailsWhatIsInFlightAndWhatComesAfter() async throws {
        var services = RPCLoopbackTests.echo
        let started = Self.stalling(&services)
        services.registerBatchCommands()
        try await Self.withBatchOnly(services) { pool, _ in
            await withTaskGroup(of: RPCError?.self) { group in
                group.addTask {
                    await RPCLoopbackTests.error { _ = try await pool.unary(Self.put, Kvrpcpb_RawPutRequest()) }
                }
                for await _ in started {}
                await pool.shutdown()
                let error = await group.next() ?? nil
                #expect(error?.code == .unavailable)
                #expect(error?.delivery == .unknown)
            }
            let later = await RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(pool) }
            #expect(later?.code == .unavailable)
            #expect(later?.delivery == .notSent)
        }
    }

    @Test func aServerThatRestartsIsServedByTheSamePool() async throws {
        try await Self.withBatchOnly(Self.echo()) { pool, server in
            try await RPCLoopbackTests.expectAnswer(pool)
            server.shutdown()
            await server.run()
            while await RPCLoopbackTests.code({ try await RPCLoopbackTests.expectAnswer(pool) }) == nil {
                await Task.yield()
            }
            var services = Self.echo()
            services.refuseOutsideOfBatches(Self.get.path)
            let again = try await RPCServer.bind(
                host: "127.0.0.1", port: server.address.port, services: services,
                group: MultiThreadedEventLoopGroup.singleton, logger: BrokenPeerTests.logger)
            await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await again.run() }
                defer { again.shutdown() }
                // Within the pause after a failed connect, calls fail at once; then one gets through.
                while await RPCLoopbackTests.code({ try await RPCLoopbackTests.expectAnswer(pool) }) != nil {
                    await Task.yield()
                }
            }
        }
    }

    @Test func aStreamThatBreaksFailsWhatWasInFlightAndANewOneTakesOver() async throws {
        let failing = Mutex(true)
        var services = RPCLoopbackTests.echo
        services.register(Self.put) { _, _ in
            if failing.withLock({ $0 }) { throw RPCError(.unavailable, "the store is going down") }
            return Kvrpcpb_RawPutResponse()
        }
        services.registerBatchCommands()
        try await Self.withBatchOnly(services) { pool, _ in
            try await RPCLoopbackTests.expectAnswer(pool)
            let error = try #require(
                await RPCLoopbackTests.error { _ = try await pool.unary(Self.put, Kvrpcpb_RawPutRequest()) })
            #expect(error.code == .unavailable)
            #expect(error.delivery == .unknown)
            #expect(error.message.contains("the store is going down"))
            failing.withLock { $0 = false }
            try await RPCLoopbackTests.expectAnswer(pool)
            _ = try await pool.unary(Self.put, Kvrpcpb_RawPutRequest())
        }
    }

    @Test func aHandlersFailureIsAnErrorForItsCommandAlone() async throws {
        var services = RPCLoopbackTests.echo
        services.register(Self.put) { _, _ -> Kvrpcpb_RawPutResponse in throw RPCError(.internalError, "bad") }
        services.registerBatchCommands()
        try await Self.withBatchOnly(services) { pool, _ in
            let code = await RPCLoopbackTests.code { _ = try await pool.unary(Self.put, Kvrpcpb_RawPutRequest()) }
            #expect(code == .internalError)
            try await RPCLoopbackTests.expectAnswer(pool)
        }
    }

    @Test func moreThanTheStreamHoldsAtOnceIsAllSentWithoutAnswers() async throws {
        // Each command is answered only when all have come: what stays behind for want of an answer would wait for ever.
        let count = 400
        let arrived = Mutex(0)
        let (complete, finish) = AsyncStream<Void>.makeStream()
        let waiters = Mutex<[CheckedContinuation<Void, Never>]>([])
        var services = RPCLoopbackTests.echo
        services.register(Self.put) { _, _ in
            await withCheckedContinuation { continuation in
                let all = waiters.withLock { waiters in
                    waiters.append(continuation)
                    return arrived.withLock { arrived in
                        arrived += 1
                        return arrived == count ? waiters : []
                    }
                }
                for waiter in all { waiter.resume() }
                if !all.isEmpty { finish.finish() }
            }
            return Kvrpcpb_RawPutResponse()
        }
        services.registerBatchCommands()
        try await Self.withBatchOnly(services) { pool, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<count {
                    group.addTask {
                        var request = Kvrpcpb_RawPutRequest()
                        request.value = Data([UInt8](repeating: 1, count: 8_000))
                        _ = try await pool.unary(Self.put, request)
                    }
                }
                for await _ in complete {}
                try await group.waitForAll()
            }
        }
    }

    @Test func feedbackBesideAnswersReachesTheListener() async throws {
        let report = StoreFeedback(
            transportLayerLoad: 250, health: .init(storeID: 3, sequence: 9, slowScore: 70))
        let server = try await RPCServer.bind(
            host: "127.0.0.1", port: 0, services: Self.echo { report }, group: MultiThreadedEventLoopGroup.singleton,
            logger: BrokenPeerTests.logger)
        let heard = AsyncStream<StoreFeedback>.makeStream()
        let pool = ConnectionPool(
            address: server.address, group: MultiThreadedEventLoopGroup.singleton, logger: BrokenPeerTests.logger,
            onFeedback: { heard.continuation.yield($0) })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await server.run() }
            defer { server.shutdown() }
            try await RPCLoopbackTests.expectAnswer(pool)
            var reports = heard.stream.makeAsyncIterator()
            #expect(await reports.next() == report)
            await pool.shutdown()
        }
    }

    @Test func aServerThatComesBackIsFoundAgain() async throws {
        let (address, logger) = try await Self.withBatchOnly(Self.echo()) { pool, server in
            try await RPCLoopbackTests.expectAnswer(pool)
            return (server.address, BrokenPeerTests.logger)
        }
        let group = MultiThreadedEventLoopGroup.singleton
        let pool = ConnectionPool(address: address, group: group, logger: logger)
        let code = await RPCLoopbackTests.code { try await RPCLoopbackTests.expectAnswer(pool) }
        #expect(code == .unavailable)
        let again = try await RPCServer.bind(
            host: "127.0.0.1", port: address.port, services: Self.echo(), group: group, logger: logger)
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await again.run() }
            defer { again.shutdown() }
            // Within the pause after a failed connect, calls fail at once; then one gets through.
            while await RPCLoopbackTests.code({ try await RPCLoopbackTests.expectAnswer(pool) }) != nil {
                await Task.yield()
            }
            await pool.shutdown()
        }
    }

    @Test func aGracefulEndWaitsForCommandsInFlight() async throws {
        let (started, begin) = AsyncStream<Void>.makeStream()
        let (released, release) = AsyncStream<Void>.makeStream()
        var services = RPCLoopbackTests.echo
        services.register(Self.put) { _, _ in
            begin.finish()
            for await _ in released {}
            return Kvrpcpb_RawPutResponse()
        }
        services.registerBatchCommands()
        try await Self.withBatchOnly(services) { pool, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = try await pool.unary(Self.put, Kvrpcpb_RawPutRequest()) }
                for await _ in started {}
                group.addTask { await pool.shutdown(gracefully: .seconds(30)) }
                // The pool refuses new calls before it waits for the old ones.
                while await RPCLoopbackTests.code({ try await RPCLoopbackTests.expectAnswer(pool) }) == nil {}
                release.finish()
                try await group.waitForAll()
            }
        }
    }
}

extension RPCServices {
    /// Makes the call fail where it comes by itself, so that a test sees that it came in a batch.
    mutating func refuseOutsideOfBatches(_ path: String) {
        self.handlers[path] = .unary { _, _ in throw RPCError(.dataLoss, "not in a batch") }
    }
}
