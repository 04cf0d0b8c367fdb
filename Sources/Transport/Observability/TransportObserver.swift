// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Is told what happens on the connections to one address. Called on event loops and by callers' tasks: it must not wait.
package protocol TransportObserver: Sendable {
    func connectionChanged(_ change: ConnectionStateChange)
    func bytesReceived(_ count: Int)
    func bytesSent(_ count: Int)
    /// Streams that are open on one connection, after one was opened or closed.
    func streamsChanged(_ change: StreamCountChange)
    /// One message of a batch stream went out.
    func batchSent(commands: Int, bytes: Int)
    /// A command that was in a batch stream is over, with an answer or without.
    func commandEnded(_ stages: CommandStages)
    /// A call is over, for its caller.
    func callFinished(_ method: String, _ duration: Duration, _ error: RPCError?)
}

/// A connection is in another state.
package struct ConnectionStateChange: Sendable {
    package enum State: Sendable {
        case connecting
        case ready
        case draining
        case closed
    }

    /// Tells the connections of a process apart.
    package var connection: UInt64
    package var state: State
    /// Since the connect began.
    package var elapsed: Duration
    /// Calls that waited for the connection to be ready, or to fail.
    package var waitingCalls: Int
    /// Why it was closed; empty otherwise.
    package var reason: String
}

/// The number of a connection's open streams.
package struct StreamCountChange: Sendable {
    package var connection: UInt64
    package var openStreams: Int
}
