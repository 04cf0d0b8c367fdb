// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Logging
import NIOPosix
import TiKVTransport

struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Call a server over one connection, so many calls at a time, and tell what that cost.")

    enum Kind: String, ExpressibleByArgument, CaseIterable {
        /// Each call a stream of its own.
        case unary
        /// All calls in the messages of one stream.
        case batch
    }

    enum Place: String, ExpressibleByArgument, CaseIterable {
        /// The process's own pool of threads, as any task has it.
        case global
        /// The connection's event loop.
        case loop
    }

    @Option(name: .long, help: "The server's port on this machine.") var port: Int
    @Option(name: .long, help: "unary or batch.") var kind = Kind.unary
    @Option(name: .long, help: "Where the calling tasks run: global or loop.") var place = Place.global
    @Option(name: .long, help: "How many calls are under way at once.") var inFlight = 64
    @Option(name: .long, help: "How long to measure, in seconds.") var seconds = 3.0
    @Option(name: .long, help: "How long to go on unmeasured first, in seconds.") var warmUp = 0.5
    @Flag(name: .long, help: "Give each call a deadline of ten seconds.") var deadline = false

    func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let pool = ConnectionPool(
            address: PeerAddress(host: "127.0.0.1", port: self.port), group: group,
            configuration: ConnectionConfiguration(batch: self.kind == .batch ? .init() : nil), logger: .silent)
        _ = try await pool.unary(EchoService.get, EchoService.request)
        let executor: (any TaskExecutor)? = self.place == .loop ? EventLoopTaskExecutor(group.next()) : nil
        let load = Load(
            pool: pool, executor: executor, inFlight: self.inFlight,
            options: CallOptions(timeout: self.deadline ? .seconds(10) : nil))
        _ = try await load.run(for: .seconds(self.warmUp))
        let measurement = try await load.run(for: .seconds(self.seconds))
        await pool.shutdown()
        print(measurement.json)
    }
}
