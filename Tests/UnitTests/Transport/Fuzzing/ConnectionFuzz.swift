// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOEmbedded
import SwiftProtobuf
import Synchronization
import TiKVProto

@testable import TiKVTransport

/// Connections of either role, with their calls and handlers, on an event loop that turns only when it is told to.
/// Everything happens on one thread, so that an input always does the same.
enum ConnectionFuzz {
    private static let logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }

    private final class Counter: Sendable {
        private let count = Atomic<Int>(0)
        var value: Int { self.count.load(ordering: .relaxed) }
        func add(_ number: Int = 1) { self.count.add(number, ordering: .relaxed) }
    }

    private static func services(_ running: Counter) -> RPCServices {
        var services = RPCServices()
        services.maxMessageSize = 10_000
        services.register(TikvpbTikvRPC.rawGet) { request, _ in
            running.add()
            defer { running.add(-1) }
            guard !request.key.isEmpty else { throw RPCError(.notFound, "no\nkey", metadata: ["a": "b"]) }
            return Kvrpcpb_RawGetResponse.with { $0.value = request.key }
        }
        services.register(
            TikvpbTikvRPC.coprocessor,
            unary: { request, _ in
                running.add()
                defer { running.add(-1) }
                return .init()
            })
        services.registerBatchCommands { StoreFeedback(transportLayerLoad: 1, health: nil) }
        return services
    }

    static func server(_ reader: inout FuzzReader) -> [String] {
        let loop = ManualEventLoop()
        let closed = Counter()
        let running = Counter()
        var configuration = HTTP2Configuration()
        let choice = reader.byte()
        if choice & 1 != 0 { configuration.streamWindow = 100 }
        weak var gone: ServerConnection?
        var faults: [String] = []
        do {
            guard
                let connection = try? ServerConnection(
                    on: loop, executor: EventLoopTaskExecutor(loop), services: Self.services(running),
                    configuration: configuration, logger: Self.logger, onClose: { _ in closed.add() })
            else { return ["no connection"] }
            gone = connection
            // It may be told to drain, before the first turn or after some.
            let drainsAt = choice & 2 == 0 ? nil : Int(choice >> 2) & 7
            faults += Self.talk(loop, connection, FuzzFrames.preface, &reader) { turn in
                if turn == drainsAt { connection.close(gracefully: .seconds(1_000)) }
            }
        }
        loop.turn()
        if closed.value != 1 { faults.append("closed \(closed.value) times") }
        if running.value != 0 { faults.append("\(running.value) handlers still run") }
        if gone != nil { faults.append("the connection is still there") }
        return faults
    }

    static func client(_ reader: inout FuzzReader) -> [String] {
        let loop = ManualEventLoop()
        let answers = Counter()
        let executor = EventLoopTaskExecutor(loop)
        var configuration = ConnectionConfiguration(maxReceiveMessageSize: 10_000, keepAliveInterval: nil)
        if reader.byte() & 1 != 0 { configuration.http2.streamWindow = 100 }
        weak var gone: Connection?
        var faults: [String] = []
        let callers = 7
        do {
            guard
                let connection = try? Connection(
                    to: PeerAddress(host: "x", port: 1), on: loop, configuration: configuration, logger: Self.logger,
                    onFeedback: { _ in }, onChange: { _, _ in })
            else { return ["no connection"] }
            gone = connection
            let frame: [UInt8] = [0, 0, 0, 0, 1, 7]
            // On the loop, like all else here; each ends with its call, and the loop turns until they have.
            for index in 0..<callers {
                _ = Task(executorPreference: executor) {
                    defer { answers.add() }
                    switch index {
                    case 0, 1:
                        _ = try await connection.unary(path: "/a.B/C", message: frame, metadata: [:], deadline: nil)
                    case 2, 3:
                        let handle = try await connection.openStream(path: "/a.B/D", metadata: [:], deadline: nil)
                        defer { connection.release(handle) }
                        try await connection.send(frame, on: handle)
                        if index == 3 { connection.finishSending(on: handle) }
                        while try await connection.next(on: handle) != nil {}
                    default:
                        _ = try await connection.command(field: 2, payload: [1], priority: UInt64(index), deadline: nil)
                    }
                }
            }
            faults += Self.talk(loop, connection, [], &reader)
        }
        loop.turn()
        if answers.value != callers { faults.append("\(answers.value) of \(callers) callers were told") }
        if gone != nil { faults.append("the connection is still there") }
        return faults
    }

    /// Brings what the input says to a connection, and cuts it off in the end.
    private static func talk(
        _ loop: ManualEventLoop, _ endpoint: some HTTP2Endpoint, _ preface: [UInt8], _ reader: inout FuzzReader,
        beforeTurn: (Int) -> Void = { _ in }
    ) -> [String] {
        let channel = EmbeddedChannel(loop: loop.embedded)
        var faults: [String] = []
        do {
            try channel.pipeline.syncOperations.addHandler(HTTP2ChannelHandler(endpoint))
            channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
            loop.turn()
            var input = preface + FuzzFrames.frame(4, flags: 0, stream: 0, [])
            var steps = 0
            var turns = 0
            while steps < 1_000, channel.isActive {
                steps += 1
                if !reader.isEmpty {
                    let code = reader.byte()
                    if let bytes = FuzzFrames.next(code, &reader) {
                        input += bytes
                        continue
                    }
                }
                beforeTurn(turns)
                turns += 1
                try channel.writeInbound(ByteBuffer(bytes: input))
                input = []
                loop.turn()
                while try channel.readOutbound(as: ByteBuffer.self) != nil {}
                if reader.isEmpty { break }
            }
        } catch {
            faults.append("\(error)")
        }
        _ = try? channel.finish(acceptAlreadyClosed: true)
        loop.turn()
        return faults
    }
}
