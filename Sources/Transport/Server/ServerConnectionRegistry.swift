// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import NIOCore
internal import Synchronization

/// The connections that a server has open, on all its event loops.
final class ServerConnectionRegistry: Sendable {
    private struct Closing: Sendable {
        /// Time for calls under way; nil ends them at once.
        var grace: Duration?

        func lessPatient(_ other: Closing) -> Closing {
            Closing(grace: self.grace.flatMap { mine in other.grace.map { min(mine, $0) } })
        }

        func close(_ connection: ServerConnection) {
            if let grace = self.grace { connection.close(gracefully: grace) } else { connection.close() }
        }
    }

    private struct State: Sendable {
        var connections: [ObjectIdentifier: ServerConnection] = [:]
        var executors: [ObjectIdentifier: EventLoopTaskExecutor] = [:]
        var closing: Closing?
        var onEmpty: (@Sendable () -> Void)?
    }

    private let services: RPCServices
    private let configuration: HTTP2Configuration
    private let logger: Logger
    private let state = Mutex(State())

    init(services: RPCServices, configuration: HTTP2Configuration, logger: Logger) {
        self.services = services
        self.configuration = configuration
        self.logger = logger
    }

    func makeConnection(on eventLoop: any EventLoop) throws(RPCError) -> ServerConnection {
        let executor = self.state.withLock { state in
            if let known = state.executors[ObjectIdentifier(eventLoop)] { return known }
            let executor = EventLoopTaskExecutor(eventLoop)
            state.executors[ObjectIdentifier(eventLoop)] = executor
            return executor
        }
        let connection = try ServerConnection(
            on: eventLoop, executor: executor, services: self.services, configuration: self.configuration,
            logger: self.logger
        ) { [weak self] connection in self?.remove(connection) }
        let closing = self.state.withLock { state in
            state.connections[ObjectIdentifier(connection)] = connection
            return state.closing
        }
        closing?.close(connection)
        return connection
    }

    /// Closes every connection; calls back when all are closed. New ones are closed as they come. May be called again,
    /// with less patience.
    ///
    /// - Parameter grace: time for calls under way to finish; nil ends them at once.
    func closeAll(gracefully grace: Duration? = nil, _ onEmpty: @escaping @Sendable () -> Void) {
        let closing = Closing(grace: grace)
        let open = self.state.withLock { state in
            state.closing = state.closing.map { $0.lessPatient(closing) } ?? closing
            if !state.connections.isEmpty { state.onEmpty = onEmpty }
            return Array(state.connections.values)
        }
        if open.isEmpty { return onEmpty() }
        for connection in open { closing.close(connection) }
    }

    private func remove(_ connection: ServerConnection) {
        let done = self.state.withLock { state in
            state.connections[ObjectIdentifier(connection)] = nil
            return state.connections.isEmpty ? state.onEmpty.take() : nil
        }
        done?()
    }
}
