// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import NIOPosix
import SwiftProtobuf
import Synchronization
import TiKVTransport

/// `transport-peer client`: our client, for foreign servers. Each line of standard input is an order, each line of
/// standard output an outcome; orders run side by side. It ends when standard input does and all orders are done.
final class PeerClient: Sendable {
    struct Settings: Codable {
        var host: String
        var port: Int
        var messageLimit: Int?
        var connections: Int?
        /// Milliseconds.
        var keepAlive: Int?
        /// Whether requests are compressed.
        var gzip: Bool?
    }

    struct Order: Codable {
        var id: Int
        /// The method's name; "cancel" cancels the order of number `target`.
        var call: String
        var target: Int?
        /// Milliseconds.
        var timeout: Int?
        var metadata: [[String]]?
        /// Name, and the value in base64.
        var binary: [[String]]?
        /// A unary call with a message of this size, so many times at once.
        var size: Int?
        var count: Int?
        /// A stream: messages to send, of these sizes; then the end, unless `open`; then everything is read.
        var send: [Int]?
        var open: Bool?
        /// Sends the first message again and again until that fails.
        var flood: Bool?
        /// Gives the stream up after so many messages.
        var leaveAfter: Int?
    }

    struct Outcome: Codable {
        var id: Int
        var codes: [String: Int] = [:]
        var deliveries: [String: Int] = [:]
        var message: String?
        var metadata: [[String]]?
        /// Sizes of the messages received.
        var received: [Int] = []
        var sent = 0
        /// Each unary answer was the request.
        var same = true
    }

    private let pool: ConnectionPool
    private let running = Mutex<[Int: Task<Void, Never>]>([:])

    private init(_ settings: Settings) {
        var configuration = ConnectionConfiguration(batch: nil)
        if let limit = settings.messageLimit { configuration.maxReceiveMessageSize = limit }
        if settings.gzip == true { configuration.compression = .gzip }
        if let time = settings.keepAlive {
            configuration.keepAliveInterval = .milliseconds(time)
            configuration.keepAliveTimeout = .milliseconds(time)
        }
        self.pool = ConnectionPool(
            address: PeerAddress(host: settings.host, port: settings.port),
            group: MultiThreadedEventLoopGroup.singleton,
            configuration: configuration, connectionCount: settings.connections ?? 1,
            logger: Logger(label: "peer") { _ in SwiftLogNoOpLogHandler() })
    }

    static func run(_ settings: String) async throws {
        let client = PeerClient(try JSONDecoder().decode(Settings.self, from: Data(settings.utf8)))
        for await line in Console.lines {
            let order = try JSONDecoder().decode(Order.self, from: Data(line.utf8))
            if order.call == "cancel" {
                if let target = order.target { client.running.withLock { $0[target] }?.cancel() }
                continue
            }
            // Not a child task: another order can cancel it by itself. All are awaited below.
            let task = Task { Console.write(await client.carryOut(order)) }
            client.running.withLock { $0[order.id] = task }
        }
        for task in client.running.withLock({ Array($0.values) }) { await task.value }
        await client.pool.shutdown()
    }

    private func carryOut(_ order: Order) async -> Outcome {
        var options = CallOptions(timeout: order.timeout.map { .milliseconds($0) })
        for field in order.metadata ?? [] { options.metadata.add(field[1], for: field[0]) }
        for field in order.binary ?? [] {
            options.metadata.add(binary: Data(base64Encoded: field[1]) ?? Data(), for: field[0])
        }
        guard let sizes = order.send else { return await self.unary(order, options) }
        return await self.stream(order, sizes, options)
    }

    private func unary(_ order: Order, _ options: CallOptions) async -> Outcome {
        let request = PeerService.message(size: order.size ?? 0)
        let method = PeerService.method(order.call)
        return await withTaskGroup(of: (RPCError?, Int, Bool).self) { group in
            for _ in 0..<(order.count ?? 1) {
                group.addTask { [pool] in
                    do throws(RPCError) {
                        let answer = try await pool.unary(method, request, options: options)
                        return (nil, answer.value.count, answer == request)
                    } catch {
                        return (error, 0, true)
                    }
                }
            }
            var outcome = Outcome(id: order.id)
            for await (error, size, same) in group {
                Self.note(error, in: &outcome)
                if error == nil, order.count == nil { outcome.received.append(size) }
                outcome.same = outcome.same && same
            }
            return outcome
        }
    }

    private func stream(_ order: Order, _ sizes: [Int], _ options: CallOptions) async -> Outcome {
        let result = Mutex(Outcome(id: order.id))
        do {
            try await self.pool.withStream(PeerService.method(order.call), options: options) { stream in
                for size in sizes {
                    let message = PeerService.message(size: size)
                    repeat {
                        try await stream.send(message)
                        result.withLock { $0.sent += 1 }
                    } while order.flood == true
                }
                if order.open != true { stream.finish() }
                while let message = try await stream.next() {
                    let count = result.withLock {
                        $0.received.append(message.value.count)
                        return $0.received.count
                    }
                    if count == order.leaveAfter { return }
                }
            }
            result.withLock { Self.note(nil, in: &$0) }
        } catch {
            result.withLock { Self.note(error as? RPCError ?? RPCError(.unknown, "\(error)"), in: &$0) }
        }
        return result.withLock { $0 }
    }

    private static func note(_ error: RPCError?, in outcome: inout Outcome) {
        outcome.codes["\(error?.code ?? .ok)", default: 0] += 1
        guard let error else { return }
        outcome.deliveries["\(error.delivery)", default: 0] += 1
        outcome.message = error.message
        outcome.metadata = error.metadata.fields.map { [$0.name, $0.value] }
    }
}
