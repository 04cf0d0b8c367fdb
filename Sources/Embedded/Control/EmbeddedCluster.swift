// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
internal import NIOPosix
public import ServiceLifecycle
import Synchronization
import TiKVTransport

/// A TiKV cluster in this process: a placement driver and stores that serve the real protocol on ports of their own.
///
/// It is for trying things out, for development and for tests. Any client of TiKV can connect to it. It keeps its data
/// in memory and replicates nothing: all stores look at the same entries, and what is replicated in a real cluster is
/// the same for every store at once. Each store still serves only the regions that it has the leading peer of, and
/// refuses requests as a real one does, so that a client has to find its way.
///
/// ```swift
/// try await EmbeddedCluster.withCluster { cluster in
///     // connect to cluster.pdEndpoints
/// }
/// ```
///
/// The handle's methods change the cluster: they split and merge regions, move leaders, stop and start stores, and make
/// requests fail. Changes are seen by PD and all stores as soon as the method returns.
public final class EmbeddedCluster: Sendable {
    let model: SharedModel
    let configuration: Configuration
    /// One for all servers: what it has read, and the sessions that clients may resume with any of them.
    private let tls: TLSContextSource?
    private let servers = Mutex(Servers())
    private let toServe: AsyncStream<RunningServer>
    private let toServeContinuation: AsyncStream<RunningServer>.Continuation

    private struct Servers {
        /// By server; a stopped store has none.
        var running: [Server: RunningServer] = [:]
        /// All whose ports may still be open, in the order they were bound.
        var unfinished: [RunningServer] = []
        #if os(Linux)
        /// So that servers that stop can come back where they were.
        var holds: [PortHold] = []
        #endif
        var isServing = false
        var isShutDown = false
    }

    private init(_ configuration: Configuration) throws(EmbeddedClusterError) {
        self.configuration = configuration
        self.tls = try configuration.tls?.contextSource(logger: configuration.logger)
        let cluster = ClusterState(
            storeCount: configuration.storeCount, replicaCount: configuration.replicaCount,
            splitKeys: configuration.splitKeys)
        var model = ClusterModel(
            cluster: cluster, clusterID: configuration.clusterID ?? .random(in: 1...UInt64(Int64.max)),
            apiVersion: configuration.apiVersion, pdScheme: configuration.tls == nil ? "http" : "https")
        model.coprocessorPlugins = configuration.coprocessorPlugins
        model.pd.members = PDMembers(count: configuration.pdMembers)
        self.model = SharedModel(model)
        let (seconds, attoseconds) = configuration.lockWaitTimeout.components
        // No more than some thirty years, so that a deadline is a number too.
        let milliseconds = min(max(0, seconds), 1_000_000_000) * 1000 + max(0, attoseconds) / 1_000_000_000_000_000
        self.model.withLock { $0.transactions.waitLimit = UInt64(milliseconds) }
        (self.toServe, self.toServeContinuation) = AsyncStream.makeStream(of: RunningServer.self)
    }

    // MARK: - Lifetime

    /// Runs a cluster for the length of a closure.
    ///
    /// When the closure ends, all servers are closed and their requests are dropped before this returns.
    ///
    /// - Returns: what the closure returns.
    /// - Throws: what the closure throws; ``EmbeddedClusterError`` where the ports cannot be had, or the TLS
    ///   configuration cannot work.
    public static func withCluster<Result>(
        _ configuration: Configuration = .init(), _ body: (EmbeddedCluster) async throws -> Result
    ) async throws -> Result {
        let cluster = try await Self.start(configuration)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await cluster.run() }
            defer { cluster.shutdown() }
            return try await body(cluster)
        }
    }

    /// Makes a cluster whose ports are taken, so that its addresses are known, but which answers nothing before
    /// ``run()``; connections wait until then. For use with a `ServiceGroup`, or a task of your own.
    ///
    /// - Throws: ``EmbeddedClusterError`` where a port cannot be had, or the TLS configuration cannot work.
    public static func start(_ configuration: Configuration = .init()) async throws -> EmbeddedCluster {
        let cluster = try EmbeddedCluster(configuration)
        do {
            for member in cluster.model.withLock({ $0.pd.members.list }) {
                try await cluster.bindPD(member.id, port: member.id == 1 ? configuration.pdPort : 0)
            }
            for index in 0..<max(0, configuration.timestampServers) { try await cluster.bindTimestampServer(index) }
            for id in cluster.model.withLock({ $0.cluster.storeIDs }) { try await cluster.bindStore(id) }
        } catch {
            cluster.shutdown()
            throw error
        }
        return cluster
    }

    /// Serves until the task is cancelled, its service group shuts down, or ``shutdown()`` is called; then all ports are
    /// closed. A second call returns at once, and so does one after ``shutdown()`` when the ports are closed.
    public func run() async {
        let isFirst = self.servers.withLock { servers in
            defer { servers.isServing = true }
            return !servers.isServing
        }
        guard isFirst else { return }
        await withGracefulShutdownHandler {
            await withTaskCancellationHandler {
                await withTaskGroup(of: Void.self) { timers in
                    timers.addTask { await self.model.endLockWaitsInTime() }
                    await withDiscardingTaskGroup { group in
                        for await running in self.toServe {
                            group.addTask { await self.serve(running) }
                        }
                        // The stream has ended, or the task is cancelled and the stream has not given all that it had.
                        // Ports are closed when the servers' own run() has returned, so those that never ran do so now.
                        if !self.servers.withLock({ $0.isShutDown }) { self.shutdown() }
                        for running in self.servers.withLock({ $0.unfinished }) {
                            group.addTask { await self.serve(running) }
                        }
                    }
                    timers.cancelAll()
                }
            } onCancel: {
                self.shutdown()
            }
        } onGracefulShutdown: {
            self.shutdown()
        }
    }

    /// Closes all ports and connections; ``run()`` returns soon after. May be called more than once.
    public func shutdown() {
        self.stop(gracefully: nil)
    }

    /// Closes all ports, tells clients that their connections go, and closes these when the requests under way have their
    /// answers; ``run()`` returns then.
    ///
    /// - Parameter grace: time for the requests under way; those that are not done then are dropped.
    public func shutdown(gracefully grace: Duration) {
        self.stop(gracefully: grace)
    }

    private func stop(gracefully grace: Duration?) {
        let servers = self.servers.withLock { servers in
            servers.isShutDown = true
            return servers.unfinished.map(\.server)
        }
        self.toServeContinuation.finish()
        for server in servers { server.shutdown(gracefully: grace) }
    }

    // MARK: - Servers

    /// A server, and the event that its `run()` has returned.
    final class RunningServer: Sendable {
        let server: RPCServer
        let ended = EventCounter()
        private let isStarted = Mutex(false)

        init(_ server: RPCServer) {
            self.server = server
        }

        /// Serves, the first time it is called.
        func run() async {
            let isFirst = self.isStarted.withLock { isStarted in
                defer { isStarted = true }
                return !isStarted
            }
            guard isFirst else { return }
            await self.server.run()
            self.ended.add()
        }
    }

    private func serve(_ running: RunningServer) async {
        await running.run()
        self.servers.withLock { $0.unfinished.removeAll { $0 === running && $0.ended.count > 0 } }
    }

    /// - Parameter port: where the member has to be; 0 is anywhere.
    func bindPD(_ member: Int, port: Int) async throws {
        var services = RPCServices()
        PDService(model: self.model, memberID: member).register(in: &services)
        let http = PDHTTPService(model: self.model, memberID: member)
        let address = try await self.bind(.placementDriver(member), port: port, services) { http.respond(to: $0) }
        self.model.withLock { $0.pd.members.setAddress("\(address)", of: member) }
    }

    private func bindTimestampServer(_ index: Int) async throws {
        var services = RPCServices()
        TimestampService(model: self.model, index: index).register(in: &services)
        let address = try await self.bind(.timestampServer(index + 1), port: 0, services)
        self.model.withLock { $0.pd.timestampServers.append("\(address)") }
    }

    /// - Parameter port: where the store has to be; 0 is anywhere.
    func bindStore(_ id: UInt64, port: Int = 0) async throws {
        var services = RPCServices()
        StoreService(storeID: id, model: self.model).register(in: &services)
        let address = try await self.bind(.store(id), port: port, services)
        self.model.withLock { $0.cluster.setAddress("\(address)", ofStore: id) }
    }

    private func bind(
        _ name: Server, port: Int, _ services: RPCServices, http1: RPCServer.HTTP1Responder? = nil
    ) async throws -> PeerAddress {
        let server: RPCServer
        let port = port == 0 ? self.holdPort() : port
        do throws(RPCError) {
            server = try await RPCServer.bind(
                host: self.configuration.host, port: port, services: services,
                group: MultiThreadedEventLoopGroup.singleton, tls: self.tls, http1: http1,
                logger: self.configuration.logger)
        } catch {
            throw EmbeddedClusterError(.cannotListen, error.message)
        }
        let running = RunningServer(server)
        let isShutDown = self.servers.withLock { servers in
            servers.running[name] = running
            servers.unfinished.append(running)
            return servers.isShutDown
        }
        if isShutDown { server.shutdown() }
        self.toServeContinuation.yield(running)
        return server.address
    }

    /// A port that is the cluster's as long as it lives; 0 where the system has to choose one when a server needs it.
    private func holdPort() -> Int {
        #if os(Linux)
        guard let hold = PortHold(host: self.configuration.host) else { return 0 }
        self.servers.withLock { $0.holds.append(hold) }
        return hold.port
        #else
        return 0
        #endif
    }

    /// Closes a server, and returns when its port and its connections are closed.
    ///
    /// - Parameter grace: time for requests under way; nil drops them at once.
    func close(_ name: Server, gracefully grace: Duration? = nil) async throws {
        let (running, isServing) = self.servers.withLock { servers in
            (servers.running.removeValue(forKey: name), servers.isServing)
        }
        guard let running else { return }
        running.server.shutdown(gracefully: grace)
        // Without run() nobody would say when the server has ended.
        if isServing { try await running.ended.wait(for: 1) }
    }
}

extension EmbeddedCluster: Service {}
