// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import Logging
package import NIOCore
package import SwiftProtobuf
internal import Synchronization
package import TiKVProto

/// The connections to one address: an actor that opens and replaces them, and publishes the usable ones so that a call
/// finds its connection without entering the actor.
///
/// Connections are opened when calls come, up to a number, each on an event loop of its own as far as there are any. A
/// call waits on a connection that is being opened, at most until its own deadline. After a failed connect the address
/// is left alone for a while (`ReconnectBackoff`), and calls that come meanwhile get the last connect error at once.
package actor ConnectionPool {
    /// What callers read without entering the actor.
    private struct Published: Sendable {
        var connections: [Connection] = []
        var isComplete = false
        var turn = 0
    }

    package nonisolated let address: PeerAddress
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe self.eventLoop.executor.asUnownedSerialExecutor()
    }

    private nonisolated let eventLoop: any EventLoop
    private nonisolated let configuration: ConnectionConfiguration
    private nonisolated let published = Mutex(Published())
    /// The server has no BatchCommands: remembered for as long as the pool lives.
    private nonisolated let batchUnsupported = Atomic<Bool>(false)
    private let onFeedback: (@Sendable (StoreFeedback) -> Void)?
    private let group: any EventLoopGroup
    private let target: Int
    private let logger: Logger

    private var connections: [Connection] = []
    /// Connections that take no new calls and are not closed yet.
    private var leaving: [Connection] = []
    private var backoff = ReconnectBackoff()
    private var lastFailure: (error: RPCError, until: NIODeadline)?
    private var isShutDown = false

    /// - Parameters:
    ///   - connectionCount: connections to keep; at least one.
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
    /// replaced once; nothing that may have reached the server is sent again.
    package nonisolated func unary<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, _ request: Request, options: CallOptions = .init()
    ) async throws(RPCError) -> Response {
        // One deadline over all that follows: another connection, or another way, gets what is left of it.
        let deadline = options.timeout.map { NIODeadline.after($0) }
        if let field = method.batchField, let answer = try await self.batched(field, request, options, deadline) {
            return try Response(received: answer, from: self.address)
        }
        let frame = try request.framed(limit: self.configuration.maxSendMessageSize)
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
        let deadline = options.timeout.map { NIODeadline.after($0) }
        let (connection, call) = try await self.onConnection { connection throws(RPCError) in
            (
                connection,
                try await connection.openStream(path: method.path, metadata: options.metadata, deadline: deadline)
            )
        }
        defer { connection.release(call) }
        return try await body(ClientStream(connection, call))
    }

    /// Closes every connection; later calls fail. Returns when all are closed.
    ///
    /// - Parameter gracefully: time for calls in flight to finish; nil fails them at once.
    package nonisolated func shutdown(gracefully: Duration? = nil) async {
        await withDiscardingTaskGroup { group in
            for connection in await self.stop() {
                group.addTask { await connection.close(gracefully: gracefully) }
            }
        }
    }

    // MARK: - Finding a connection

    private nonisolated func onConnection<Result>(
        _ body: (Connection) async throws(RPCError) -> Result
    ) async throws(RPCError) -> Result {
        let connection = try await self.connection()
        do {
            return try await body(connection)
        } catch {
            guard error.delivery == .notSent, error.code == .unavailable, connection.wasReady else { throw error }
            await self.leave(connection)
        }
        return try await body(try await self.connection())
    }

    private nonisolated func connection() async throws(RPCError) -> Connection {
        if let connection = self.publishedConnection() { return connection }
        return try await self.openOrShare()
    }

    /// A published connection: that of the caller's own event loop, or the next in turn.
    private nonisolated func publishedConnection() -> Connection? {
        self.published.withLock { published in
            guard published.isComplete else { return nil }
            if published.connections.count == 1 { return published.connections[0] }
            if let own = published.connections.first(where: { $0.eventLoop.inEventLoop }) { return own }
            guard !published.connections.isEmpty else { return nil }
            published.turn = (published.turn + 1) % published.connections.count
            return published.connections[published.turn]
        }
    }

    private func openOrShare() throws(RPCError) -> Connection {
        if self.isShutDown {
            throw RPCError(.unavailable, "the client is closed", delivery: .notSent, peer: self.address.description)
        }
        if let failure = self.lastFailure, NIODeadline.now() < failure.until {
            guard let connection = self.connections.randomElement() else { throw failure.error }
            return connection
        }
        guard self.connections.count < self.target else {
            self.publish()
            return self.connections[Int.random(in: 0..<self.connections.count)]
        }
        let connection = try Connection(
            to: self.address, on: self.nextLoop(), configuration: self.configuration, logger: self.logger,
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
        case .draining:
            self.setAside(connection)
        case .closed(let error):
            self.connections.removeAll { $0 === connection }
            self.leaving.removeAll { $0 === connection }
            self.publish()
            guard !connection.wasReady else { return }
            let pause = self.backoff.failed(chance: .random(in: 0...1))
            var failure = error
            failure.delivery = .notSent
            self.lastFailure = (failure, .after(pause))
            self.logger.debug(
                "connect failed", metadata: ["peer": "\(self.address)", "reason": "\(error.message)"])
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
        let connections = self.connections
        let isComplete = connections.count >= self.target
        self.published.withLock { published in
            published.connections = connections
            published.isComplete = isComplete
        }
    }
}
