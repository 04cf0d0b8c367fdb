// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

extension ClientConfiguration {
    /// Connections, to PD and to stores.
    public struct Connection: Sendable {
        /// How long it may take to connect, from looking up the name to the server's first settings; default 5 s. After a
        /// connect that failed the address is left alone for 0.1 s, growing to 3 s, in which calls fail at once with what
        /// was wrong, and go on to another replica or wait.
        public var connectTimeout: Duration = .seconds(5)

        /// The most connections to each store; default 4, at least 1.
        public var connectionsPerStore: Int = 4

        /// Requests that go to a store in one message of its `BatchCommands` stream; default 128. Requests made at the same
        /// time share a message, none waits for company. 0 sends each request as a call of its own, as is done anyway with
        /// stores that have no such stream.
        public var maximumBatchSize: Int = 128

        /// Requests of ordinary priority that may be without an answer at once on one connection; what is over it waits,
        /// and its deadline ends it unsent. Default no limit.
        public var maximumInFlight: Int = .max

        /// A connection on which nothing has arrived for this long is asked for a sign of life (an HTTP/2 PING); nil never
        /// asks. Default 10 s. PD is asked only while a call to it is under way.
        public var keepAliveInterval: Duration? = .seconds(10)

        /// How long the sign of life may take before the connection is given up; the calls on it are tried elsewhere.
        /// Default 3 s, at least 0.05 s.
        public var keepAliveTimeout: Duration = .seconds(3)

        /// Bytes of the largest answer that is accepted; default 1 GiB. A larger one is
        /// ``TiKVError/Code/entryTooLarge``.
        public var maximumResponseSize: Int = 1 << 30

        /// Bytes of the largest request that is sent; default 1 GiB. A larger one is ``TiKVError/Code/entryTooLarge``, and
        /// is not sent.
        public var maximumRequestSize: Int = 1 << 30

        /// Bytes that a server may send ahead on one call or stream before it has to wait until they are read; default
        /// 8 MiB, at most 2³¹-1. All requests of a batch stream share it.
        public var streamWindow: Int = 8 << 20

        /// The same for all calls of a connection together; default 128 MiB.
        public var connectionWindow: Int = 128 << 20

        /// TLS to PD and stores alike; nil, the default, speaks plaintext.
        public var tls: TLS?

        /// Settings; what is not named has its default.
        public init(
            connectTimeout: Duration = .seconds(5), connectionsPerStore: Int = 4, maximumBatchSize: Int = 128,
            tls: TLS? = nil
        ) {
            self.connectTimeout = connectTimeout
            self.connectionsPerStore = connectionsPerStore
            self.maximumBatchSize = maximumBatchSize
            self.tls = tls
        }
    }
}

// MARK: - For the transport

extension ClientConfiguration.Connection {
    /// These settings as the transport takes them, without TLS, which reads files.
    var forTransport: ConnectionConfiguration {
        var connection = ConnectionConfiguration()
        connection.connectTimeout = self.connectTimeout
        connection.keepAliveInterval = self.keepAliveInterval
        connection.keepAliveTimeout = max(self.keepAliveTimeout, .milliseconds(50))
        connection.maxReceiveMessageSize = self.maximumResponseSize
        connection.maxSendMessageSize = self.maximumRequestSize
        connection.http2.streamWindow = min(max(self.streamWindow, 1), Int(Int32.max))
        connection.http2.connectionWindow = min(max(self.connectionWindow, 65_535), Int(Int32.max))
        connection.batch =
            self.maximumBatchSize > 0
            ? BatchConfiguration(maxBatchSize: self.maximumBatchSize, maxInFlight: max(self.maximumInFlight, 1)) : nil
        return connection
    }
}
