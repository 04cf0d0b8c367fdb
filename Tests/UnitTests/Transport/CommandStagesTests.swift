// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization
import Testing
import TiKVProto

@testable import TiKVTransport

/// What batched commands wait for, and for how long.
@Suite(.timeLimit(.minutes(1)))
struct CommandStagesTests {
    private static func at(_ milliseconds: Int64) -> NIODeadline {
        .uptimeNanoseconds(UInt64(1_000_000_000 + milliseconds * 1_000_000))
    }

    private static func progress(sent: Int64? = nil) -> CommandProgress {
        CommandProgress(queuedAt: Self.at(0), sentAt: sent.map(Self.at), batchSize: sent == nil ? 0 : 3)
    }

    @Test(arguments: [RPCOutcome.timeout, .cancelled, .closed, .failed])
    func whatWasNeverSentEndsInTheQueue(outcome: RPCOutcome) {
        let stages = Self.progress().stages(until: Self.at(25), outcome)
        #expect(stages.queued == .milliseconds(25))
        #expect(stages.unanswered == nil)
        #expect(stages.total == .milliseconds(25))
        #expect(stages.commandsInMessage == 0)
        #expect(stages.outcome == outcome)
        #expect(stages.endedIn == .queued)
    }

    @Test func whatWasSentEndsInItsWaitForTheAnswer() {
        let stages = Self.progress(sent: 4).stages(until: Self.at(11), .cancelled)
        #expect(stages.queued == .milliseconds(4))
        #expect(stages.unanswered == .milliseconds(7))
        #expect(stages.total == .milliseconds(11))
        #expect(stages.endedIn == .unanswered)
    }

    @Test func whatWasAnsweredIsDone() {
        let stages = Self.progress(sent: 4).stages(until: Self.at(12), .ok)
        #expect(stages.queued == .milliseconds(4))
        #expect(stages.unanswered == .milliseconds(8))
        #expect(stages.total == .milliseconds(12))
        #expect(stages.commandsInMessage == 3)
        #expect(stages.endedIn == .done)
    }

    @Test func clocksThatAreReadOutOfOrderMakeNoStageNegative() {
        let stages = Self.progress(sent: -2).stages(until: Self.at(-3), .ok)
        #expect(stages.queued == .nanoseconds(1))
        #expect(stages.unanswered == .nanoseconds(1))
        #expect(stages.total == .nanoseconds(1))
    }

    @Test func eachCommandOfAStreamIsReportedOnce() async throws {
        var services = RPCLoopbackTests.echo
        let (begun, begin) = AsyncStream<Void>.makeStream()
        services.register(BatchLoopbackTests.put) { request, _ in
            if request.key.isEmpty { throw RPCError(.unavailable, "the stream breaks") }
            begin.yield()
            let (never, hold) = AsyncStream<Void>.makeStream()
            for await _ in never {}
            hold.finish()
            return Kvrpcpb_RawPutResponse()
        }
        services.registerBatchCommands()
        let recorder = RecordingObserver()
        var configuration = ConnectionConfiguration()
        configuration.observer = recorder
        try await RPCLoopbackTests.withPair(services, configuration: configuration) { pool, _ in
            for _ in 0..<3 { try await RPCLoopbackTests.expectAnswer(pool) }
            var request = Kvrpcpb_RawPutRequest()
            request.key.append(1)
            let held = request
            let late = await RPCLoopbackTests.code {
                _ = try await pool.unary(BatchLoopbackTests.put, held, options: .init(timeout: .milliseconds(50)))
            }
            #expect(late == .deadlineExceeded)
            for await _ in begun { break }
            await withTaskGroup(of: RPCError.Code?.self) { group in
                group.addTask { await RPCLoopbackTests.code { _ = try await pool.unary(BatchLoopbackTests.put, held) } }
                for await _ in begun { break }
                group.cancelAll()
                #expect(await group.next() == .cancelled)
            }
            let broken = await RPCLoopbackTests.code { _ = try await pool.unary(BatchLoopbackTests.put, .init()) }
            #expect(broken == .unavailable)
        }
        #expect(recorder.soFar.commands.map(\.outcome) == [.ok, .ok, .ok, .timeout, .cancelled, .failed])
        #expect(
            recorder.soFar.commands.map(\.endedIn)
                == [.done, .done, .done, .unanswered, .unanswered, .unanswered])
        #expect(recorder.soFar.commands.allSatisfy { $0.commandsInMessage == 1 && $0.total >= $0.queued })
    }

    // MARK: - Streams

    @Test func aStreamWhoseNextMessageDoesNotComeEnds() async throws {
        let (ended, end) = AsyncStream<Void>.makeStream()
        var services = RPCServices()
        services.register(RPCLoopbackTests.batch) { stream, _ in
            for _ in 0..<3 { try await stream.send(.init()) }
            await withTaskCancellationHandler {
                let (never, hold) = AsyncStream<Void>.makeStream()
                for await _ in never {}
                hold.finish()
            } onCancel: {
                end.finish()
            }
        }
        try await RPCLoopbackTests.withPair(services) { pool, _ in
            let received = Mutex(0)
            let error = await RPCLoopbackTests.error {
                try await pool.withStream(
                    RPCLoopbackTests.batch, options: .init(receiveTimeout: .milliseconds(200))
                ) { stream in
                    while try await stream.next() != nil { received.withLock { $0 += 1 } }
                }
            }
            #expect(error?.code == .deadlineExceeded)
            #expect(error?.delivery == .unknown)
            #expect(error?.message.contains("no message came") == true)
            #expect(received.withLock { $0 } == 3)
            // The server is told.
            for await _ in ended {}
        }
    }

    @Test func aStreamWhoseReaderTakesItsTimeGoesOn() async throws {
        let (opened, open) = AsyncStream<Void>.makeStream()
        var services = RPCServices()
        services.register(RPCLoopbackTests.batch) { stream, _ in
            while let request = try await stream.next() {
                if request.requestIds == [2] { for await _ in opened {} }
                try await stream.send(.init())
            }
        }
        try await RPCLoopbackTests.withPair(services) { pool, _ in
            try await pool.withStream(RPCLoopbackTests.batch, options: .init(receiveTimeout: .milliseconds(300))) {
                stream in
                try await stream.send(RPCLoopbackTests.ids([1]))
                #expect(try await stream.next() != nil)
                // Nobody waits for a message here, for longer than one may take: another call of that time.
                _ = await RPCLoopbackTests.code {
                    try await pool.withStream(
                        RPCLoopbackTests.batch, options: .init(receiveTimeout: .milliseconds(500))
                    ) { other in
                        try await other.send(RPCLoopbackTests.ids([2]))
                        _ = try await other.next()
                    }
                }
                open.finish()
                try await stream.send(RPCLoopbackTests.ids([3]))
                let last = try await stream.next()
                #expect(last != nil)
            }
        }
    }
}
