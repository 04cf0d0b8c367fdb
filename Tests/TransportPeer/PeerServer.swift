// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import NIOPosix
import SwiftProtobuf
import Synchronization
import TiKVTransport

/// `transport-peer serve`: our server, for foreign clients. Says on which port it is; ends when standard input does, or when
/// it is told to there: `drain MILLISECONDS` lets calls under way finish, `open` those of `Hold`. Says then what it served.
struct PeerServer: Sendable {
    /// What the handlers have seen.
    private final class Counts: Sendable {
        struct Values: Codable {
            /// Handlers that wait for their call to be cancelled.
            var waiting = 0
            var cancelled = 0
            /// Messages that `Pour` could send.
            var poured = 0
            /// Calls of `Unary` that came to its handler.
            var served = 0
        }

        private let values = Mutex(Values())

        func change(_ change: (inout Values) -> Void) { self.values.withLock { change(&$0) } }
        var current: Values { self.values.withLock { $0 } }
    }

    private let counts = Counts()

    /// `Hold` waits until this ends.
    private let hold = AsyncStream<Never>.makeStream()

    static func run(messageLimit: Int, compression: Compression, port: Int) async throws {
        let peer = PeerServer()
        var services = peer.services(messageLimit)
        services.compression = compression
        let group = MultiThreadedEventLoopGroup.singleton
        let logger = Logger(label: "peer") { _ in SwiftLogNoOpLogHandler() }
        let server = try await RPCServer.bind(
            host: "127.0.0.1", port: port, services: services, group: group, logger: logger)
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await server.run() }
            tasks.addTask {
                for await line in Console.lines { peer.obey(line, server) }
                // At the input's end, or when the server has ended.
                server.shutdown()
            }
            Console.write(["port": server.address.port])
            // Whichever ends first ends the other.
            await tasks.next()
            tasks.cancelAll()
        }
        Console.write(["served": peer.counts.current.served])
    }

    private func obey(_ line: String, _ server: RPCServer) {
        let words = line.split(separator: " ")
        switch words.first {
        case "drain": server.shutdown(gracefully: .milliseconds(words.last.flatMap { Int($0) } ?? 0))
        case "open": self.hold.continuation.finish()
        default: break
        }
    }

    private func services(_ messageLimit: Int) -> RPCServices {
        var services = RPCServices()
        services.maxMessageSize = messageLimit
        services.register(
            PeerService.method("Unary"),
            unary: { request, call in
                self.counts.change { $0.served += 1 }
                try Self.failIfAsked(call)
                return request
            })
        services.register(
            PeerService.method("Hold"),
            unary: { request, _ in
                self.counts.change { $0.waiting += 1 }
                for await _ in self.hold.stream {}
                self.counts.change { $0.waiting -= 1 }
                return request
            })
        services.register(
            PeerService.method("Stats"),
            unary: { _, _ in
                PeerService.message(String(decoding: try JSONEncoder().encode(self.counts.current), as: UTF8.self))
            })
        services.register(
            PeerService.method("Wait"),
            unary: { request, _ in
                await self.waitForCancellation()
                return request
            })
        services.register(
            PeerService.method("Collect"),
            stream: { stream, _ in
                var sizes: [String] = []
                while let message = try await stream.next() { sizes.append("\(message.value.count)") }
                try await stream.send(PeerService.message(sizes.joined(separator: " ")))
            })
        services.register(
            PeerService.method("Spread"),
            stream: { stream, call in
                guard let request = try await stream.next() else { return }
                for size in String(decoding: request.value, as: UTF8.self).split(separator: " ") {
                    try await stream.send(PeerService.message(size: Int(size) ?? 0))
                }
                try Self.failIfAsked(call)
            })
        services.register(
            PeerService.method("Echo"),
            stream: { stream, call in
                while let message = try await stream.next() { try await stream.send(message) }
                try Self.failIfAsked(call)
            })
        services.register(PeerService.method("Deaf"), stream: { _, _ in await self.waitForCancellation() })
        services.register(
            PeerService.method("Pour"),
            stream: { stream, _ in
                let message = PeerService.message(size: 10_000)
                while true {
                    try await stream.send(message)
                    self.counts.change { $0.poured += 1 }
                }
            })
        return services
    }

    /// `x-status` asks for that status, `x-message-bin` for that text; all of `x-echo…` comes back in the trailers.
    private static func failIfAsked(_ call: ServerCall) throws {
        guard let number = call.metadata.first("x-status").flatMap({ Int($0) }) else { return }
        let text = call.metadata.allBinary("x-message-bin").first.map { String(decoding: $0, as: UTF8.self) } ?? ""
        var echo = Metadata()
        for field in call.metadata.fields where field.name.hasPrefix("x-echo") {
            echo.add(field.value, for: field.name)
        }
        throw RPCError(RPCError.Code(rawValue: number) ?? .unknown, text, metadata: echo)
    }

    private func waitForCancellation() async {
        self.counts.change { $0.waiting += 1 }
        // Nothing is ever in it: it ends with the task.
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        for await _ in stream {}
        continuation.finish()
        self.counts.change {
            $0.waiting -= 1
            $0.cancelled += 1
        }
    }
}
