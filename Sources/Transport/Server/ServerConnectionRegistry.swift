// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import NIOCore
internal import Synchronization

/// The connections that a server has open, on all its event loops.
final class ServerConnectionRegistry: Sendable {
    private struct State: Sendable {
        var connections: [ObjectIdentifier: ServerConnection] = [:]
        var executors: [ObjectIdentifier: EventLoopTaskExecutor] = [:]
        var isClosing = false
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
        let isClosing = self.state.withLock { state in
            state.connections[ObjectIdentifier(connection)] = connection
            return state.isClosing
        }
        if isClosing { connection.close() }
        return connection
    }

    /// Closes every connection; calls back when all are closed. New ones are closed as they come.
    func closeAll(_ onEmpty: @escaping @Sendable () -> Void) {
        let open = self.state.withLock { state in
            state.isClosing = true
            if !state.connections.isEmpty { state.onEmpty = onEmpty }
            return Array(state.connections.values)
        }
        if open.isEmpty { return onEmpty() }
        for connection in open { connection.close() }
    }

    private func remove(_ connection: ServerConnection) {
        let done = self.state.withLock { state in
            state.connections[ObjectIdentifier(connection)] = nil
            return state.connections.isEmpty ? state.onEmpty.take() : nil
        }
        done?()
    }
}
