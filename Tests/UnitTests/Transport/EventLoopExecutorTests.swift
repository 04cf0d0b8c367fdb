// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOCore
import NIOPosix
import SwiftProtobuf
import Testing
import TiKVProto

@testable import TiKVTransport

/// Tasks that run on event loops.
@Suite(.timeLimit(.minutes(1)))
struct EventLoopExecutorTests {
    @Test func tasksAndTheirChildrenRunOnTheLoop() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let loop = group.next()
        await withTaskExecutorPreference(EventLoopTaskExecutor(loop)) {
            #expect(loop.inEventLoop)
            await withDiscardingTaskGroup { tasks in
                for _ in 0..<100 { tasks.addTask { #expect(loop.inEventLoop) } }
            }
            await Task.yield()
            #expect(loop.inEventLoop)
        }
        try await group.shutdownGracefully()
    }

    @Test func executorsAreHandedOutInTurn() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 3)
        let executors = EventLoopExecutors(group)
        var met: Set<Int> = []
        for _ in 0..<3 {
            let index = await withTaskExecutorPreference(executors.next()) {
                Array(group.makeIterator()).firstIndex { $0.inEventLoop }
            }
            met.insert(try #require(index))
        }
        #expect(met == [0, 1, 2])
        try await group.shutdownGracefully()
    }

    /// A thousand callers at once, on the connection's loop and elsewhere: each gets its own answer, and is back where it
    /// was.
    @Test(arguments: [false, true])
    func callsFromTheLoopAndFromElsewhere(batched: Bool) async throws {
        var services = RPCServices()
        services.register(TikvpbTikvRPC.rawGet) { request, _ in
            var response = Kvrpcpb_RawGetResponse()
            response.value = request.key
            return response
        }
        services.registerBatchCommands()
        let configuration = ConnectionConfiguration(batch: batched ? .init() : nil)
        try await RPCLoopbackTests.withPair(services, configuration: configuration) { pool, _ in
            let loop = MultiThreadedEventLoopGroup.singleton.any()
            let executor = EventLoopTaskExecutor(loop)
            try await withThrowingDiscardingTaskGroup { tasks in
                for index in 0..<1_000 {
                    let isOnLoop = index % 2 == 0
                    tasks.addTask(executorPreference: isOnLoop ? executor : nil) {
                        var request = Kvrpcpb_RawGetRequest()
                        request.key = .init("\(index)".utf8)
                        let response = try await pool.unary(TikvpbTikvRPC.rawGet, request)
                        #expect(response.value == request.key)
                        #expect(loop.inEventLoop == isOnLoop)
                    }
                }
            }
        }
    }

    @Test func aCallCancelledFromTheLoopItIsOn() async throws {
        var services = RPCServices()
        services.register(TikvpbTikvRPC.rawGet) { _, _ in
            try await Task.sleep(for: .seconds(3_600))
            return Kvrpcpb_RawGetResponse()
        }
        try await RPCLoopbackTests.withPair(services) { pool, _ in
            let executor = EventLoopTaskExecutor(MultiThreadedEventLoopGroup.singleton.any())
            await withTaskGroup { tasks in
                for _ in 0..<100 {
                    tasks.addTask(executorPreference: executor) {
                        await #expect {
                            try await pool.unary(TikvpbTikvRPC.rawGet, Kvrpcpb_RawGetRequest())
                        } throws: { error in
                            (error as? RPCError)?.code == .cancelled
                        }
                    }
                }
                await withTaskExecutorPreference(executor) { tasks.cancelAll() }
            }
        }
    }
}
