// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix
import TiKVEmbedded
import TiKVPD
import TiKVTransport

/// An embedded cluster with several members of PD, and a client of PD that runs.
enum PDHarness {
    static func with<Result: Sendable>(
        _ cluster: EmbeddedCluster.Configuration = .init(storeCount: 3, pdMembers: 3), pd: PDConfiguration = .init(),
        tls: TLSConfiguration? = nil, _ body: (PDClient, EmbeddedCluster) async throws -> Result
    ) async throws -> Result {
        try await EmbeddedCluster.withCluster(cluster) { cluster in
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
            let http = try HTTP1Client(group: loop, tls: tls, logger: logger)
            let source = try tls.map { try TLSContextSource($0, .client, logger: logger) }
            let client = PDClient(
                endpoints: cluster.pdEndpoints.compactMap { PeerAddress($0) }, configuration: pd, logger: logger,
                executor: EventLoopTaskExecutor(loop),
                http: { request, address, timeout throws(RPCError) in
                    try await http.send(request, to: address, timeout: timeout)
                }
            ) { address in
                ConnectionPool(
                    address: address, group: loop,
                    configuration: ConnectionConfiguration(tls: source, keepAliveWithoutCalls: false, batch: nil),
                    logger: logger)
            }
            do {
                let result = try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { await client.run() }
                    defer { group.cancelAll() }
                    return try await body(client, cluster)
                }
                await client.shutdown()
                return result
            } catch {
                await client.shutdown()
                throw error
            }
        }
    }

    static func deadline(_ timeout: Duration = .seconds(60)) -> Deadline {
        Deadline(after: timeout, from: .now)
    }
}

/// The error that a question to PD fails with; nil where it doesn't.
func pdFailure<Result>(_ body: () async throws -> Result) async -> PDError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? PDError
    }
}
