// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Is told what a client's connections and calls do: what a program that watches its own traffic builds on.
///
/// Set one as ``ClientConfiguration/observer``. Implement what you want to hear of; everything has an implementation that
/// does nothing. Without an observer none of it is counted, measured or put together.
///
/// It is called on the client's event loops and in the tasks of calls, often, and from several threads at once: it must
/// not wait, and should do little.
public protocol ClientObserver: Sendable {
    /// A connection is being opened, is up, takes no new calls, or is gone.
    func connectionChanged(_ change: ConnectionChange)
    /// Bytes came in on a connection, as they are above TLS.
    func bytesReceived(_ count: Int, from address: String)
    /// Bytes went out on a connection, as they are above TLS.
    func bytesSent(_ count: Int, to address: String)
    /// A stream was opened or closed: the number of those open on this connection now. A call by itself is a stream, and
    /// so are all batched requests of a connection together.
    func streamsChanged(_ openStreams: Int, connection: UInt64, to address: String)
    /// One message of a `BatchCommands` stream was sent.
    func batchSent(commands: Int, bytes: Int, to address: String)
    /// A request that went, or was to go, through a `BatchCommands` stream is over: what it waited for, and how long.
    func batchedRequestEnded(_ request: BatchedRequest)
    /// An RPC is over: it was answered, or failed. One call of a client may be several RPCs.
    func rpcFinished(_ rpc: FinishedRPC)
    /// A store said something new about its health.
    func storeReported(_ report: StoreHealthReport)
}

extension ClientObserver {
    /// Does nothing.
    public func connectionChanged(_ change: ConnectionChange) {}
    /// Does nothing.
    public func bytesReceived(_ count: Int, from address: String) {}
    /// Does nothing.
    public func bytesSent(_ count: Int, to address: String) {}
    /// Does nothing.
    public func streamsChanged(_ openStreams: Int, connection: UInt64, to address: String) {}
    /// Does nothing.
    public func batchSent(commands: Int, bytes: Int, to address: String) {}
    /// Does nothing.
    public func batchedRequestEnded(_ request: BatchedRequest) {}
    /// Does nothing.
    public func rpcFinished(_ rpc: FinishedRPC) {}
    /// Does nothing.
    public func storeReported(_ report: StoreHealthReport) {}
}

/// A connection's new state, for a ``ClientObserver``.
public struct ConnectionChange: Sendable {
    /// A state of a connection. More may come with later versions.
    public struct State: Sendable, Hashable, CustomStringConvertible {
        /// The state's name, such as `ready`.
        public let description: String

        /// The connect has begun.
        public static let connecting = State(description: "connecting")
        /// The server's first settings have arrived: calls are sent.
        public static let ready = State(description: "ready")
        /// It takes no new calls; those under way may finish.
        public static let draining = State(description: "draining")
        /// It is gone, or never came up.
        public static let closed = State(description: "closed")
    }

    /// The server as `host:port`.
    public let address: String
    /// Tells the connections of a process apart.
    public let connection: UInt64
    /// The new state.
    public let state: State
    /// Time since the connect began.
    public let elapsed: Duration
    /// Calls that waited for the connection until now.
    public let waitingCalls: Int
    /// Why it was closed; empty otherwise.
    public let reason: String
}

/// An RPC that is over, for a ``ClientObserver``.
public struct FinishedRPC: Sendable {
    /// The server as `host:port`.
    public let address: String
    /// The RPC's name, such as `RawGet`.
    public let method: String
    /// From the time it was asked for until its caller had the answer: waiting for a connection, for others and for the
    /// server.
    public let duration: Duration
    /// How it ended.
    public let outcome: Outcome
    /// The gRPC status by name, such as `unavailable`, where there was no answer; nil where there was one, even one that
    /// says that the request went to the wrong place.
    public let failure: String?

    /// How an RPC ended. More may come with later versions.
    public struct Outcome: Sendable, Hashable, CustomStringConvertible {
        /// The outcome's name, such as `timeout`.
        public let description: String

        /// It was answered.
        public static let ok = Outcome(description: "ok")
        /// Its time was over.
        public static let timeout = Outcome(description: "timeout")
        /// Its task was cancelled.
        public static let cancelled = Outcome(description: "cancelled")
        /// The client was closed meanwhile.
        public static let closed = Outcome(description: "closed")
        /// Everything else.
        public static let failed = Outcome(description: "failed")
    }
}

/// What became of one request of a `BatchCommands` stream, for a ``ClientObserver``.
public struct BatchedRequest: Sendable {
    /// The server as `host:port`.
    public let address: String
    /// Time until it was put into a message: behind others, and waiting for company where a policy says so. No time here
    /// and below is less than a nanosecond.
    public let queued: Duration
    /// Time from then on until its answer came, or it ended without one; nil where it never was in a message.
    public let unanswered: Duration?
    /// All of its time.
    public let total: Duration
    /// Requests in its message; 0 where it never was in one.
    public let requestsInMessage: Int
    /// How it ended; where that is not ``FinishedRPC/Outcome/ok``, in ``unanswered``, or in ``queued`` where that is nil.
    public let outcome: FinishedRPC.Outcome
}

/// What a store says about its own health, for a ``ClientObserver``.
public struct StoreHealthReport: Sendable {
    /// The store.
    public let storeID: UInt64
    /// 1 (healthy) to 100 (slow).
    public let slowScore: Int
}
