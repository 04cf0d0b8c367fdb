// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix
import TiKVFailpoints
import TiKVPD
import TiKVProto
import TiKVTransport

/// What every kind of client is built on: PD, regions, stores, the request pipeline, and the work that goes on beside calls.
final class ClientCore: Sendable {
    let configuration: ClientConfiguration
    let lifecycle: ClientLifecycle
    let pd: PDClient
    let stores: StoreConnections
    let sender: RegionRequestSender
    /// Executors of the event loops that the connections are on, for tasks of the application.
    let executors: EventLoopExecutors
    private let background = BackgroundWork()
    /// Nil where requests do not wait for their resource groups' tokens.
    private let resources: ResourceController?
    private let clock: any TimeSource

    /// - Parameter mode: what kind of data the client is for.
    /// - Throws: `invalidArgument` where the TLS configuration cannot work.
    init(
        _ mode: Keyspace.Mode, pd endpoints: [PeerAddress], configuration: ClientConfiguration,
        clock: any TimeSource = SystemTimeSource(),
        logger: Logger
    ) throws(TiKVError) {
        let random: @Sendable () -> Double = { Double.random(in: 0..<1) }
        let group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
        var connection = configuration.connection.forTransport
        // One for PD and all stores: what it has read and which sessions can be resumed is theirs together.
        connection.tls = try configuration.connection.tls?.contextSource(logger: logger)
        let connections = connection
        var connectionToPD = connection
        connectionToPD.keepAliveWithoutCalls = false
        let connectionsToPD = connectionToPD

        self.configuration = configuration
        self.executors = EventLoopExecutors(group)
        self.clock = clock
        self.lifecycle = ClientLifecycle(clock: clock)
        let http: HTTP1Client
        do throws(TLSError) {
            http = try HTTP1Client(
                group: group, connectTimeout: configuration.connection.connectTimeout,
                tls: connection.tls?.configuration, logger: logger)
        } catch {
            throw TiKVError(.invalidArgument, error.message)
        }
        // One loop for all connections to PD: what asks for timestamps runs there, next to its stream.
        let loopOfPD = group.next()
        self.pd = PDClient(
            endpoints: endpoints, configuration: configuration.pd.forClient,
            clock: clock, random: random, logger: logger, executor: EventLoopTaskExecutor(loopOfPD),
            http: { request, address, timeout throws(RPCError) in
                try await http.send(request, to: address, timeout: timeout)
            }
        ) { address in
            ConnectionPool(
                address: address, group: loopOfPD,
                configuration: connectionsToPD.observed(by: configuration.observer, at: address), logger: logger)
        }
        self.stores = StoreConnections(
            source: self.pd, clock: clock, logger: logger, probeTimeout: configuration.routing.livenessTimeout,
            onHealth: { health in
                configuration.observer?.storeReported(
                    StoreHealthReport(storeID: health.storeID, slowScore: Int(health.slowScore)))
            },
            makeChannel: { address, onFeedback in
                ConnectionPool(
                    address: address, group: group,
                    configuration: connections.observed(by: configuration.observer, at: address),
                    connectionCount: configuration.connection.connectionsPerStore, logger: logger,
                    onFeedback: onFeedback)
            },
            retire: { [background] number in background.add(.closeRetired(number)) },
            watch: { [background] id in background.add(.watchStore(id)) })
        let codecs = CodecSource(
            mode, apiVersion: configuration.apiVersion, keyspace: configuration.keyspace, clock: clock
        ) { [pd = self.pd] name, deadline throws(PDError) in
            guard let found = try await pd.keyspace(named: name, deadline: deadline) else { return nil }
            pd.useKeyspace(found.id)
            return KeyspaceEntry(
                id: found.id, name: name, isEnabled: found.state == .enabled, isOfV3: found.namespaceID != nil)
        }
        // What all requests carry, so that it is put into a region's context once.
        var base = Kvrpcpb_Context()
        base.requestSource = RequestSource.label(configuration.requestSource.label, replica: "leader", retryOf: nil)
        let cache = RegionCache(
            source: CodecRegionSource(source: self.pd, codecs: codecs), stores: self.stores,
            configuration: configuration.regionCache, maximumKeySize: configuration.raw.maximumKeySize, base: base,
            clock: clock, random: random, logger: logger,
            refresh: { [background] id in background.add(.refreshBuckets(id)) })
        if configuration.resourceControl.isEnabled {
            self.resources = ResourceController(
                source: self.pd, maximumWait: configuration.resourceControl.maximumWait,
                clientID: .random(in: 1 ... .max), clock: clock, logger: logger)
        } else {
            self.resources = nil
        }
        self.sender = RegionRequestSender(
            cache: cache, stores: self.stores, lifecycle: self.lifecycle, codecs: codecs,
            configuration: configuration.routing, clock: clock, random: random,
            interceptors: RPCInterceptorChain(configuration.interceptors), source: configuration.requestSource,
            resources: ResourceOptions(group: configuration.resourceControl.group, controller: self.resources),
            logger: logger)
    }

    /// The addresses of members of PD that an application has named.
    static func addresses(_ pd: [String]) throws(TiKVError) -> [PeerAddress] {
        guard !pd.isEmpty else { throw TiKVError(.invalidArgument, "no address of PD was given") }
        var endpoints: [PeerAddress] = []
        for text in pd {
            guard let address = PeerAddress(text, defaultPort: 2379) else {
                throw TiKVError(.invalidArgument, "\"\(text)\" is not an address of the form host:port")
            }
            endpoints.append(address)
        }
        return endpoints
    }

    /// Splits regions, and has them spread by PD.
    func splitter(isRaw: Bool) -> RegionSplitter {
        RegionSplitter(sender: self.sender, scheduler: self.pd, isRaw: isRaw)
    }

    /// A timestamp above all that PD has handed out.
    func timestamp(deadline: Deadline) async throws(TiKVError) -> UInt64 {
        #if FAILPOINTS
        if try await Failpoint.timestampError.hit()?.isTrue == true {
            throw TiKVError(.pdUnreachable, "failpoint timestampError")
        }
        #endif
        // Whose timestamps they are may depend on the keyspace.
        if self.sender.codecs.known == nil { _ = try await self.sender.codecs.codec(deadline: deadline) }
        do throws(PDError) {
            return try await self.pd.timestamp(deadline: deadline).rawValue
        } catch {
            throw TiKVError(error)
        }
    }

    /// Hands work to `run()`, which does it however the caller ends.
    func inBackground(_ work: @escaping @Sendable () async -> Void) {
        // It uses the resources of whoever made it necessary.
        guard let scope = ResourceScope.scoped else { return self.background.add(.finish(work)) }
        self.background.add(.finish { await ResourceScope.$scoped.withValue(scope, operation: work) })
    }

    /// Does the background work until the task is cancelled or its service group shuts down; then closes the client.
    func run() async throws(TiKVError) {
        let result = await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.pd.run() }
            if let resources = self.resources { group.addTask { await resources.run() } }
            // Calls under way may need timestamps until the last of them has ended.
            defer { group.cancelAll() }
            do throws(TiKVError) {
                try await self.background.run(
                    self.lifecycle, self.stores, self.sender.cache, clock: self.clock,
                    shutdownTimeout: self.configuration.shutdownTimeout)
                return Result<Void, TiKVError>.success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
        await self.pd.shutdown()
    }
}
