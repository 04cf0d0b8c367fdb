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

        /// The most connections to each store; default 4, at least 1. The first call opens one; another is opened while
        /// one of those there has 16 calls or more under way.
        public var connectionsPerStore: Int = 4

        /// Requests that go to a store in one message of its `BatchCommands` stream; default 128. Requests made at the same
        /// time share a message; see also ``batchPolicy``. 0 sends each request as a call of its own, as is done anyway with
        /// stores that have no such stream.
        public var maximumBatchSize: Int = 128

        /// Requests of ordinary priority that may be without an answer at once on one connection; what is over it waits,
        /// and its deadline ends it unsent. Default no limit.
        public var maximumInFlight: Int = .max

        /// Whether requests wait a moment for others to share their message; default ``BatchPolicy/basic``, no.
        public var batchPolicy: BatchPolicy = .basic

        /// Requests wait for others, whatever the policy, where a store says that the load of its gRPC threads is above
        /// ``overloadThreshold``: at most this long. Default zero, no wait.
        public var overloadWait: Duration = .zero

        /// In percent of one processor; default 200.
        public var overloadThreshold: Int = 200

        /// Requests that are enough for a message that waits; default 8.
        public var overloadBatchSize: Int = 8

        /// A connection on which nothing has arrived for this long is asked for a sign of life (an HTTP/2 PING); nil never
        /// asks. Default 10 s. PD is asked only while a call to it is under way.
        public var keepAliveInterval: Duration? = .seconds(10)

        /// How long the sign of life may take before the connection is given up; the calls on it are tried elsewhere.
        /// Default 3 s, at least 0.05 s.
        public var keepAliveTimeout: Duration = .seconds(3)

        /// A connection that nobody has used for this long is closed, after at most twice this time, and opened again when
        /// it is needed; nil keeps it. Default 3 minutes.
        public var idleTimeout: Duration? = .seconds(180)

        /// Looks up the IP addresses of a host name in place of the system's own resolver, such as by asking a DNS server
        /// of one's own; nil, the default, leaves it to the system. It is called for every connect, whose time it is part
        /// of, and not for IP addresses. Several addresses are tried as "happy eyeballs" does (RFC 8305); an error it
        /// throws is a connect that failed.
        public var resolveHost: (@Sendable (_ host: String) async throws -> [String])?

        /// How requests are compressed; default ``Compression/none``. Servers may compress their answers whatever this says.
        public var compression: Compression = .none

        /// Bytes of the largest answer that is accepted; default 1 GiB. Of a compressed one, the bytes that it
        /// stands for. A larger one is ``TiKVError/Code/entryTooLarge``.
        public var maximumResponseSize: Int = 1 << 30

        /// Bytes of the largest request that is sent; default 1 GiB. A larger one is ``TiKVError/Code/entryTooLarge``, and
        /// is not sent.
        public var maximumRequestSize: Int = 1 << 30

        /// Bytes that a server may send ahead on one call or stream before it has to wait until they are read; default
        /// 128 MiB, at most 2³¹-1. All requests of a batch stream share it.
        public var streamWindow: Int = 128 << 20

        /// The same for all calls of a connection together; default 128 MiB.
        public var connectionWindow: Int = 128 << 20

        /// Headers of every gRPC call to PD and to stores, such as a token that a proxy between asks for; default none. Names are in
        /// lower case, of letters, digits, `-`, `_` and `.`, and begin neither with `grpc-` nor with `:`; others are left
        /// out, and so are values that are not printable ASCII.
        public var headers: [String: String] = [:]

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

extension ClientConfiguration.Connection {
    /// How requests are compressed on their way.
    public struct Compression: Sendable, Hashable {
        let wrapped: TiKVTransport.Compression

        /// Not at all.
        public static let none = Compression(wrapped: .none)

        /// With gzip, where that makes a message smaller: less traffic, for processor time on both sides. For stores that
        /// are far away.
        public static let gzip = Compression(wrapped: .gzip)
    }
}

extension ClientConfiguration.Connection {
    /// Whether the first request of a message of a `BatchCommands` stream waits for more: what client-go calls
    /// `batch-policy`.
    ///
    /// What is asked for in one turn of an event loop shares a message under each of these, so that messages grow with the
    /// load by themselves; a wait makes them larger yet, which spares stores some work and costs each request time.
    public struct BatchPolicy: Sendable, Hashable, CustomStringConvertible {
        let wrapped: TiKVTransport.BatchPolicy
        /// The policy's name, or `custom` and its parameters.
        public let description: String

        /// Nothing waits.
        public static let basic = BatchPolicy(wrapped: .basic, description: "basic")
        /// Waits up to 100 µs where requests have come at short intervals lately; client-go's default.
        public static let standard = BatchPolicy(wrapped: .standard, description: "standard")
        /// Everything waits up to 100 µs.
        public static let positive = BatchPolicy(wrapped: .positive, description: "positive")

        private init(wrapped: TiKVTransport.BatchPolicy, description: String) {
            self.wrapped = wrapped
            self.description = description
        }

        /// Reads a policy in client-go's notation: `basic`, `standard`, `positive`, or `custom` with parameters in JSON,
        /// such as `custom {"v":1,"t":0.0001,"n":5,"w":0.2,"p":0.8,"q":0.8}`; nil where it is none of them.
        public init?(_ text: String) {
            guard let policy = TiKVTransport.BatchPolicy(text) else { return nil }
            self.init(wrapped: policy, description: text)
        }

        /// Whether two policies are written alike.
        public static func == (lhs: BatchPolicy, rhs: BatchPolicy) -> Bool { lhs.description == rhs.description }

        /// By the description.
        public func hash(into hasher: inout Hasher) { hasher.combine(self.description) }
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
        connection.idleTimeout = self.idleTimeout
        connection.resolve = self.resolveHost
        connection.compression = self.compression.wrapped
        for (name, value) in self.headers.sorted(by: { $0.key < $1.key }) where Self.isHeader(name, value) {
            connection.metadata.add(value, for: name)
        }
        connection.maxReceiveMessageSize = self.maximumResponseSize
        connection.maxSendMessageSize = self.maximumRequestSize
        connection.http2.streamWindow = min(max(self.streamWindow, 1), Int(Int32.max))
        connection.http2.connectionWindow = min(max(self.connectionWindow, 65_535), Int(Int32.max))
        connection.batch =
            self.maximumBatchSize > 0
            ? BatchConfiguration(
                maxBatchSize: self.maximumBatchSize, maxInFlight: max(self.maximumInFlight, 1),
                policy: self.batchPolicy.wrapped,
                overload: BatchConfiguration.Overload(
                    threshold: UInt64(max(self.overloadThreshold, 0)), wait: self.overloadWait,
                    commands: self.overloadBatchSize)) : nil
        return connection
    }

    /// Whether it may be sent: anything else would cost the connection.
    static func isHeader(_ name: String, _ value: String) -> Bool {
        let allowed = { (byte: UInt8) in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
            default: false
            }
        }
        let reserved = ["content-type", "te", "connection", "host", "user-agent", "transfer-encoding", "upgrade"]
        return !name.isEmpty && name.utf8.allSatisfy(allowed) && !name.hasPrefix("grpc-") && !name.hasSuffix("-bin")
            && !reserved.contains(name) && value.utf8.allSatisfy { (0x20...0x7e).contains($0) }
    }
}
