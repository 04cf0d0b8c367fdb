// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Testing
import TiKVProto

@testable import TiKVTransport

/// What the transport reports to those who listen.
@Suite(.timeLimit(.minutes(1)))
struct ObserverTests {
    static let get = RPCLoopbackTests.get

    private static func observed(
        _ configuration: ConnectionConfiguration, _ recorder: RecordingObserver
    )
        -> ConnectionConfiguration
    {
        var configuration = configuration
        configuration.observer = recorder
        return configuration
    }

    @Test func aConnectionsLifeIsTold() async throws {
        let recorder = RecordingObserver()
        try await RPCLoopbackTests.withPair(
            RPCLoopbackTests.echo, configuration: Self.observed(RPCLoopbackTests.unbatched, recorder)
        ) { pool, _ in
            for _ in 0..<3 { try await RPCLoopbackTests.expectAnswer(pool) }
        }
        let log = recorder.soFar
        #expect(log.changes.map(\.state) == [.connecting, .ready, .closed])
        #expect(Set(log.changes.map(\.connection)).count == 1)
        // The call may be later than the connection.
        #expect(log.changes[1].waitingCalls <= 1)
        #expect(log.changes[1].elapsed <= log.changes[2].elapsed)
        #expect(log.changes[2].reason.contains("closed by this client"))
        #expect(log.bytesSent > 3 * 5 && log.bytesReceived > 3 * 5)
        #expect(log.openStreams.values.allSatisfy { $0 == 0 })
        #expect(log.mostStreams == 1)
        #expect(log.batches.isEmpty)
        #expect(log.calls.map(\.method) == ["RawGet", "RawGet", "RawGet"])
        #expect(log.calls.allSatisfy { $0.error == nil && $0.duration > .zero })
    }

    @Test func batchesAreCountedWithTheirCommands() async throws {
        let recorder = RecordingObserver()
        try await RPCLoopbackTests.withPair(
            BatchLoopbackTests.echo(), configuration: Self.observed(.init(), recorder)
        ) { pool, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<200 { group.addTask { try await RPCLoopbackTests.expectAnswer(pool) } }
                try await group.waitForAll()
            }
        }
        let log = recorder.soFar
        #expect(log.batches.reduce(0, +) == 200)
        #expect(log.batches.allSatisfy { (1...128).contains($0) })
        #expect(log.calls.count == 200)
    }

    @Test func failuresAreToldWithTheirReason() async throws {
        let recorder = RecordingObserver()
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: 1), group: MultiThreadedEventLoopGroup.singleton,
            configuration: Self.observed(.init(), recorder), logger: BrokenPeerTests.logger)
        _ = await RPCLoopbackTests.code { try await RPCLoopbackTests.expectAnswer(pool) }
        let log = recorder.soFar
        #expect(log.changes.map(\.state) == [.connecting, .closed])
        #expect(log.changes.last?.reason.contains("Connection refused") == true)
        #expect(log.calls.map(\.error?.code) == [.unavailable])
        await pool.shutdown()
    }

    @Test func outcomesAreToldApart() {
        var closed = RPCError(.unavailable, "closed")
        closed.isClosedHere = true
        #expect(RPCOutcome(nil) == .ok)
        #expect(RPCOutcome(RPCError(.deadlineExceeded, "")) == .timeout)
        #expect(RPCOutcome(RPCError(.cancelled, "")) == .cancelled)
        #expect(RPCOutcome(closed) == .closed)
        #expect(RPCOutcome(RPCError(.unavailable, "")) == .failed)
    }

    @Test func closingTellsThoseWhoWaitThatTheClientIsClosed() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        // Takes connections and never says a word: commands wait to be sent.
        let channel = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        let recorder = RecordingObserver()
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: try #require(channel.localAddress?.port)), group: group,
            configuration: Self.observed(.init(), recorder), logger: BrokenPeerTests.logger)
        async let error = RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(pool) }
        for await change in recorder.changes where change.state == .connecting { break }
        await pool.shutdown()
        let waiting = await error
        #expect(waiting?.delivery == .notSent)
        #expect(RPCOutcome(waiting) == .closed)
        let later = await RPCLoopbackTests.error { try await RPCLoopbackTests.expectAnswer(pool) }
        #expect(RPCOutcome(later) == .closed)
        #expect(later?.delivery == .notSent)
        try await channel.close()
    }

    @Test func aStreamWhoseFirstAnswerIsAnErrorLeavesNothingOpen() async throws {
        var services = RPCServices()
        services.register(RPCLoopbackTests.batch, stream: { _, _ in throw RPCError(.resourceExhausted, "no") })
        let recorder = RecordingObserver()
        try await RPCLoopbackTests.withPair(
            services, configuration: Self.observed(RPCLoopbackTests.unbatched, recorder)
        ) { pool, _ in
            let code = await RPCLoopbackTests.code {
                try await pool.withStream(RPCLoopbackTests.batch) { stream in _ = try await stream.next() }
            }
            #expect(code == .resourceExhausted)
        }
        #expect(recorder.soFar.mostStreams == 1)
        #expect(recorder.soFar.openStreams.values.allSatisfy { $0 == 0 })
    }

    @Test func streamsAreCalls() async throws {
        var services = RPCServices()
        services.register(RPCLoopbackTests.batch) { stream, _ in
            _ = try await stream.next()
            throw RPCError(.aborted, "no more")
        }
        let recorder = RecordingObserver()
        try await RPCLoopbackTests.withPair(
            services, configuration: Self.observed(RPCLoopbackTests.unbatched, recorder)
        ) { pool, _ in
            let code = await RPCLoopbackTests.code {
                try await pool.withStream(RPCLoopbackTests.batch) { stream in
                    try await stream.send(RPCLoopbackTests.ids([1]))
                    _ = try await stream.next()
                }
            }
            #expect(code == .aborted)
        }
        #expect(recorder.soFar.calls.map(\.method) == ["BatchCommands"])
        #expect(recorder.soFar.calls.map(\.error?.code) == [.aborted])
    }
}
