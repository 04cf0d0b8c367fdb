// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Logging
import NIOPosix
import TiKVTransport
import UnixSignals

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Answer on a port of this machine until SIGTERM.")

    @Option(name: .long, help: "The port; 0 takes a free one, which the first line of output names.") var port = 0

    func run() async throws {
        let server = try await RPCServer.bind(
            host: "127.0.0.1", port: self.port, services: EchoService.services,
            group: MultiThreadedEventLoopGroup.singleton, logger: .silent)
        await withTaskGroup { group in
            group.addTask { await server.run() }
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { break }
                server.shutdown()
            }
            print("ready port=\(server.address.port)")
            // At once, also where the output is a file or a pipe.
            fflush(nil)
            await group.next()
            group.cancelAll()
        }
    }
}

extension Logger {
    static var silent: Logger { Logger(label: "transport-bench") { _ in SwiftLogNoOpLogHandler() } }
}
