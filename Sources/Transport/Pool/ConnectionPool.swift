// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import Logging
package import NIOCore
internal import NIOPosix
package import SwiftProtobuf
internal import Synchronization
package import TiKVProto

/// The connections to one address: an actor that opens and replaces them, and publishes the usable ones so that a call
/// finds its connection without entering the actor.
///
/// The first call opens a connection; further ones are opened, up to a number, when those there are have much to do, or
/// for a caller that runs on an event loop which has none; each on an event loop of its own as far as there are any. A connection that nobody uses for a time is closed. A call waits
/// on a connection that is being opened only where no other is up, and at most until its own deadline. After a failed
/// connect the address is left alone for a while (`ReconnectBackoff`), and calls that come meanwhile, and find no
/// connection that is up, get the last connect error at once.
package actor ConnectionPool {
    /// What callers read without entering the actor.
    private struct Published: Sendable {
        /// Those that are up; where none is, those that are being opened.
        var connections: [Connection] = []
        /// Another one may be opened.
        var mayGrow = false
        var turn = 0

        /// A connection of the caller's own event loop, or the next in turn.
        mutating func choose() -> Connection? {
            if self.connections.count == 1 { return self.connections[0] }
            if let own = self.connections.first(where: { $0.eventLoop.inEventLoop }) { return own }
            guard !self.connections.isEmpty else { return nil }
            self.turn = (self.turn + 1) % self.connections.count
            return self.connections[self.turn]
        }
    }

    /// A reason to open a further connection.
    private struct Growth: Sendable {
        /// Calls under way on a connection at which it gets company.
        private static let muchToDo = 16

        /// Where the caller runs, if that is an event loop which has no connection: it is to have one.
        var eventLoop: (any EventLoop)?

        init?(beside connection: Connection) {
            if !connection.eventLoop.inEventLoop, let own = MultiThreadedEventLoopGroup.currentEventLoop {
                self.eventLoop = own
            } else if connection.load.load(ordering: .relaxed) < Self.muchToDo {
                return nil
            }
        }
    }

    /// Connections that a call tries where one after the other takes no new calls.
    private static let mostConnectionsTried = 3
    /// How often a server may refuse a call unseen before that counts as a connection that takes none. Each time costs a
    /// round trip, and the call's deadline goes on.
    private static let mostRefusals = 64

    package nonisolated let address: PeerAddress
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe self.eventLoop.executor.asUnownedSerialExecutor()
    }

    private nonisolated let eventLoop: any EventLoop
    private nonisolated let configuration: ConnectionConfiguration
    private nonisolated let published = Mutex(Published())
    /// The server has no BatchCommands: remembered for as long as the pool lives.
    private nonisolated let batchUnsupported = Atomic<Bool>(false)
    /// Connections whose calls the server forwards to other stores, by these. None are added once the pool is shut down.
    private nonisolated let forwarding = Mutex((pools: [:] as [String: ConnectionPool], isClosed: false))
    private let onFeedback: (@Sendable (StoreFeedback) -> Void)?
    private nonisolated let group: any EventLoopGroup
    private nonisolated let target: Int
    private nonisolated let logger: Logger

    private var connections: [Connection] = []
    /// Connections that take no new calls and are not closed yet.
    private var leaving: [Connection] = []
    private var backoff = ReconnectBackoff()
    private var lastFailure: (error: RPCError, until: NIODeadline)?
    private var isShutDown = false

    /// - Parameters:
    ///   - connectionCount: the most connections to have; at least one.
    ///   - onFeedback: called on a connection's event loop with what the server says about itself beside its answers.
    package init(
        address: PeerAddress, group: any EventLoopGroup, configuration: ConnectionConfiguration = .init(),
        connectionCount: Int = 1, logger: Logger, onFeedback: (@Sendable (StoreFeedback) -> Void)? = nil
    ) {
        self.onFeedback = onFeedback
        self.address = address
        self.group = group
        self.eventLoop = group.next()
        self.configuration = configuration
        self.target = max(connectionCount, 1)
        self.logger = logger
    }

    // MARK: - Calls

    /// Calls the server and waits for its answer.
    ///
    /// A connection that turned out to take no calls (it was closing, or the server refused the stream unseen) is
    /// replaced; nothing that may have reached the server is sent again.
    package nonisolated func unary<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, _ request: Request, options: CallOptions = .init()
    ) async throws(RPCError) -> Response {
        guard let observer = self.configuration.observer else { return try await self.call(method, request, options) }
        let start = NIODeadline.now()
        var failure: RPCError?
        defer { observer.callFinished(method.name, start.timeUntilNow, failure) }
        do {
            return try await self.call(method, request, options)
        } catch {
            failure = error
            throw error
        }
    }

    private nonisolated func call<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, _ request: Request, _ options: CallOptions
    ) async throws(RPCError) -> Response {
        if let host = options.forwardedHost { return try await self.forward(method, request, to: host, options) }
        // One deadline over all that follows: another connection, or another way, gets what is left of it.
        let deadline = options.timeout.map { NIODeadline.after($0) }
        if let field = method.batchField, let answer = try await self.batched(field, request, options, deadline) {
            return try Response(received: answer, from: self.address)
        }
        let frame = self.configuration.compressed(
            try request.framed(limit: self.configuration.maxSendMessageSize))
        let answer = try await self.onConnection { connection throws(RPCError) in
            try await connection.unary(
                path: method.path, message: frame, metadata: options.metadata, deadline: deadline)
        }
        return try Response(received: answer, from: self.address)
    }

    /// Sends the request through the batch stream. Nil where it must go as a call of its own: batching is off, the server
    /// has none, or the call has metadata, which the envelope has no place for.
    private nonisolated func batched(
        _ field: Int, _ request: some Message, _ options: CallOptions, _ deadline: NIODeadline?
    ) async throws(RPCError) -> [UInt8]? {
        guard self.configuration.batch != nil, options.metadata.isEmpty,
            !self.batchUnsupported.load(ordering: .relaxed)
        else { return nil }
        let payload = try request.encoded(limit: self.configuration.maxSendMessageSize)
        do throws(RPCError) {
            return try await self.onConnection { connection throws(RPCError) in
                try await connection.command(
                    field: field, payload: payload, priority: options.priority, deadline: deadline)
            }
        } catch {
            guard error.code == .unimplemented, error.delivery == .notSent else { throw error }
            self.batchUnsupported.store(true, ordering: .relaxed)
            return nil
        }
    }

    /// A call in which either side sends many messages, for the length of `body`. Leaving `body` before the stream is at
    /// its end cancels the call.
    package nonisolated func withStream<Request: Message, Response: Message, Result>(
        _ method: RPCMethod<Request, Response>, options: CallOptions = .init(),
        _ body: (ClientStream<Request, Response>) async throws -> Result
    ) async throws -> Result {
        var options = options
        if let host = options.forwardedHost.take() {
            return try await self.forwarder(to: host).withStream(method, options: options, body)
        }
        let start = NIODeadline.now()
        let deadline = options.timeout.map { NIODeadline.after($0) }
        let metadata = options.metadata
        let (connection, call) = try await self.onConnection { connection throws(RPCError) in
            (connection, try await connection.openStream(path: method.path, metadata: metadata, deadline: deadline))
        }
        defer { connection.release(call) }
        guard let observer = self.configuration.observer else {
            return try await body(ClientStream(connection, call))
        }
        var failure: RPCError?
        defer { observer.callFinished(method.name, start.timeUntilNow, failure) }
        do {
            return try await body(ClientStream(connection, call))
        } catch {
            failure = error as? RPCError
            throw error
        }
    }

    /// Closes every connection; later calls fail. Returns when all are closed.
    ///
    /// - Parameter gracefully: time for calls in flight to finish; nil fails them at once.
    package nonisolated func shutdown(gracefully: Duration? = nil) async {
        await withDiscardingTaskGroup { group in
            for connection in await self.stop() {
                group.addTask { await connection.close(gracefully: gracefully) }
            }
            let forwarding = self.forwarding.withLock { forwarding in
                forwarding.isClosed = true
                return Array(forwarding.pools.values)
            }
            for pool in forwarding {
                group.addTask { await pool.shutdown(gracefully: gracefully) }
            }
        }
    }

    // MARK: - Forwarding

    /// The header that asks a store to hand the call on to another one.
    private static let forwardedHost = "tikv-forwarded-host"

    private nonisolated func forward<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, _ request: Request, to host: String, _ options: CallOptions
    ) async throws(RPCError) -> Response {
        var options = options
        options.forwardedHost = nil
        // Not its `unary`, which would be observed a second time.
        return try await self.forwarder(to: host).call(method, request, options)
    }

    /// The header of a batch stream is for all its commands, so each host has a stream of its own; and a connection of its
    /// own too, so that what happens to it is nothing to the calls for this server itself.
    private nonisolated func forwarder(to host: String) throws(RPCError) -> ConnectionPool {
        let pool: ConnectionPool? = self.forwarding.withLock { forwarding in
            guard !forwarding.isClosed else { return nil }
            if let known = forwarding.pools[host] { return known }
            var configuration = self.configuration
            configuration.metadata.add(host, for: Self.forwardedHost)
            // What is said beside these answers is about other stores.
            let pool = ConnectionPool(
                address: self.address, group: self.group, configuration: configuration, logger: self.logger)
            forwarding.pools[host] = pool
            return pool
        }
        guard let pool else { throw self.closedError }
        return pool
    }

    private nonisolated var closedError: RPCError {
        var error = RPCError(.unavailable, "the client is closed", delivery: .notSent, peer: self.address.description)
        error.isClosedHere = true
        return error
    }

    // MARK: - Finding a connection

    private nonisolated func onConnection<Result>(
        _ body: (Connection) async throws(RPCError) -> Result
    ) async throws(RPCError) -> Result {
        var tried = 0
        var refusals = 0
        while true {
            let connection = try await self.connection()
            do {
                return try await body(connection)
            } catch {
                // A server that holds to its limit of streams counts one that has ended a moment longer than we do.
                if error.isStreamRefused, error.delivery == .notSent, refusals < Self.mostRefusals {
                    refusals += 1
                    continue
                }
                tried += 1
                guard error.delivery == .notSent, error.code == .unavailable, connection.wasReady,
                    tried < Self.mostConnectionsTried
                else { throw error }
                await self.leave(connection)
            }
        }
    }

    private nonisolated func connection() async throws(RPCError) -> Connection {
        let (connection, growth) = self.published.withLock { published in
            guard let connection = published.choose() else { return (nil as Connection?, nil as Growth?) }
            guard published.mayGrow, let growth = Growth(beside: connection) else { return (connection, nil) }
            published.mayGrow = false
            return (connection, growth)
        }
        if let growth { self.eventLoop.execute { self.assumeIsolated { $0.grow(growth) } } }
        if let connection { return connection }
        return try await self.openOrShare()
    }

    private func openOrShare() throws(RPCError) -> Connection {
        if self.isShutDown { throw self.closedError }
        // Somebody else was here first.
        if let connection = self.connections.first(where: { $0.wasReady }) ?? self.connections.first {
            return connection
        }
        if let failure = self.lastFailure, NIODeadline.now() < failure.until { throw failure.error }
        return try self.open()
    }

    /// Opens one more beside those that are up. Calls go there when it is up too.
    private func grow(_ growth: Growth) {
        guard !self.isShutDown, self.connections.count < self.target else { return }
        // Where there is no memory for one more, those there are go on.
        _ = try? self.open(on: growth.eventLoop.flatMap { loop in self.group.makeIterator().first { $0 === loop } })
    }

    private func open(on eventLoop: (any EventLoop)? = nil) throws(RPCError) -> Connection {
        let connection = try Connection(
            to: self.address, on: eventLoop ?? self.nextLoop(), configuration: self.configuration, logger: self.logger,
            onFeedback: self.onFeedback
        ) { [weak self] connection, change in
            guard let self else { return }
            self.eventLoop.execute { self.assumeIsolated { $0.changed(connection, change) } }
        }
        self.connections.append(connection)
        self.publish()
        connection.connect()
        return connection
    }

    /// A loop that has no connection of ours yet, where there is one.
    private func nextLoop() -> any EventLoop {
        let taken = self.connections.map { ObjectIdentifier($0.eventLoop) }
        var loop = self.group.next()
        for _ in 0..<self.target where taken.contains(ObjectIdentifier(loop)) { loop = self.group.next() }
        return loop
    }

    // MARK: - Changes

    private func changed(_ connection: Connection, _ change: Connection.Change) {
        switch change {
        case .ready:
            self.backoff.succeeded()
            self.lastFailure = nil
            self.publish()
        case .draining:
            self.setAside(connection)
        case .closed(let error):
            self.connections.removeAll { $0 === connection }
            self.leaving.removeAll { $0 === connection }
            if !connection.wasReady { self.failed(error) }
            self.publish()
        }
    }

    private func failed(_ error: RPCError) {
        let pause = self.backoff.failed(chance: .random(in: 0...1))
        var failure = error
        failure.delivery = .notSent
        // For those who come during the pause nobody has tried anew; what was wrong may have been put right.
        failure.isPermanent = false
        self.lastFailure = (failure, .after(pause))
        self.logger.debug("connect failed", metadata: ["peer": "\(self.address)", "reason": "\(error.message)"])
        // For the case that others are up: after the pause they may get company again.
        self.eventLoop.scheduleTask(in: TimeAmount(clamping: pause)) { [weak self] in
            self?.assumeIsolated { $0.publish() }
        }
    }

    /// A connection refused a call that it should have taken: it gets no more of them, and closes when it is idle.
    private func leave(_ connection: Connection) {
        self.setAside(connection)
        connection.leave()
    }

    private func setAside(_ connection: Connection) {
        guard let index = self.connections.firstIndex(where: { $0 === connection }) else { return }
        self.leaving.append(self.connections.remove(at: index))
        self.publish()
    }

    private func stop() -> [Connection] {
        self.isShutDown = true
        // Kept until they are closed: a second, less patient shutdown finds them too.
        self.leaving += self.connections
        self.connections = []
        self.publish()
        return self.leaving
    }

    private func publish() {
        let up = self.connections.filter(\.wasReady)
        let connections = up.isEmpty ? self.connections : up
        // One at a time, and none while the address is left alone.
        let mayGrow =
            up.count == self.connections.count && up.count < self.target
            && self.lastFailure.map { NIODeadline.now() >= $0.until } ?? true
        self.published.withLock { published in
            published.connections = connections
            published.mayGrow = mayGrow
        }
    }
}

extension NIODeadline {
    fileprivate var timeUntilNow: Duration { .nanoseconds((NIODeadline.now() - self).nanoseconds) }
}
