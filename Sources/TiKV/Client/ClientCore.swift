// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import TiKVPD
import TiKVTransport

/// What every kind of client is built on: PD, regions, stores, the request pipeline, and the work that goes on beside calls.
final class ClientCore: Sendable {
    /// Work that must outlive the call that made it necessary.
    private enum Background: Sendable {
        case close(any RPCChannel)
    }

    let configuration: ClientConfiguration
    let lifecycle: ClientLifecycle
    let pd: PDClient
    let stores: StoreConnections
    let sender: RegionRequestSender
    private let background: AsyncStream<Background>
    private let backgroundInput: AsyncStream<Background>.Continuation

    init(
        pd endpoints: [PeerAddress], configuration: ClientConfiguration, clock: any TimeSource = SystemTimeSource(),
        logger: Logger
    ) {
        let random: @Sendable () -> Double = { Double.random(in: 0..<1) }
        let group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
        var connection = ConnectionConfiguration()
        connection.connectTimeout = configuration.connection.connectTimeout
        let batchSize = configuration.connection.maximumBatchSize
        connection.batch = batchSize > 0 ? BatchConfiguration(maxBatchSize: batchSize) : nil
        let connections = connection

        let (background, input) = AsyncStream.makeStream(of: Background.self)
        self.background = background
        self.backgroundInput = input
        self.configuration = configuration
        self.lifecycle = ClientLifecycle(clock: clock)
        self.pd = PDClient(
            endpoints: endpoints, configuration: PDConfiguration(requestTimeout: configuration.pd.requestTimeout),
            clock: clock, random: random, logger: logger
        ) { address in
            ConnectionPool(address: address, group: group, configuration: connections, logger: logger)
        }
        self.stores = StoreConnections(
            source: self.pd, clock: clock, logger: logger,
            makeChannel: { address in
                ConnectionPool(
                    address: address, group: group, configuration: connections,
                    connectionCount: configuration.connection.connectionsPerStore, logger: logger)
            },
            retire: { channel in input.yield(.close(channel)) })
        let cache = RegionCache(
            source: self.pd, configuration: configuration.regionCache,
            maximumKeySize: configuration.raw.maximumKeySize, clock: clock, random: random, logger: logger)
        self.sender = RegionRequestSender(
            cache: cache, stores: self.stores, lifecycle: self.lifecycle, clock: clock, random: random, logger: logger)
    }

    /// Does the background work until the task is cancelled or its service group shuts down; then closes the client.
    func run() async throws(TiKVError) {
        try self.lifecycle.start()
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                for await work in self.background {
                    switch work {
                    case .close(let channel):
                        group.addTask { await channel.shutdown(gracefully: self.configuration.shutdownTimeout) }
                    }
                }
                // Nobody waits for these any more.
                group.cancelAll()
            }
        } onGracefulShutdown: {
            self.backgroundInput.finish()
        }
        self.lifecycle.close()
        self.backgroundInput.finish()
        await self.stores.shutdown(gracefully: Task.isCancelled ? nil : self.configuration.shutdownTimeout)
        await self.pd.shutdown()
    }
}

extension ConnectionPool: RPCChannel {}
