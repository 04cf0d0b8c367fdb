// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Returns the IP addresses of a host, in the order in which they are worth trying; throws where it has none.
package typealias HostLookUp = @Sendable (_ host: String) async throws -> [String]

/// How a client's connection behaves.
package struct ConnectionConfiguration: Sendable {
    /// Time for everything from name resolution to the peer's first settings.
    package var connectTimeout: Duration
    package var http2: HTTP2Configuration
    /// TLS; nil speaks plaintext. Connections with one source, to any number of peers, share its certificates.
    package var tls: TLSContextSource?
    /// How messages are compressed that are sent; those that are received may always be.
    package var compression: Compression
    /// The most bytes that one received message may have, after it was decompressed too.
    package var maxReceiveMessageSize: Int
    /// The most bytes that one sent message may have.
    package var maxSendMessageSize: Int
    /// A connection on which nothing arrived for this long is probed by a PING, with calls or without. Nil: never.
    package var keepAliveInterval: Duration?
    /// Whether to probe while no call is open. PD's server counts such PINGs as abuse and hangs up after a few.
    package var keepAliveWithoutCalls: Bool
    /// Time that the peer has to answer the PING (or to send anything at all) before the connection is given up.
    package var keepAliveTimeout: Duration
    /// A connection without calls for this long, or up to twice as long, is closed; nil keeps it.
    package var idleTimeout: Duration?
    /// Headers of every call on the connection.
    package var metadata: Metadata
    /// Is told what happens; nil costs a branch.
    package var observer: (any TransportObserver)?
    /// Looks up a host name in place of the system; nil leaves it to the system.
    package var resolve: HostLookUp?
    /// How commands go through a `BatchCommands` stream; nil sends each as a call of its own.
    package var batch: BatchConfiguration?

    package init(
        connectTimeout: Duration = .seconds(5),
        http2: HTTP2Configuration = .init(),
        tls: TLSContextSource? = nil,
        compression: Compression = .none,
        maxReceiveMessageSize: Int = 1 << 30,
        maxSendMessageSize: Int = 1 << 30,
        keepAliveInterval: Duration? = .seconds(10),
        keepAliveWithoutCalls: Bool = true,
        keepAliveTimeout: Duration = .seconds(3),
        idleTimeout: Duration? = .seconds(180),
        metadata: Metadata = [:],
        observer: (any TransportObserver)? = nil,
        resolve: HostLookUp? = nil,
        batch: BatchConfiguration? = .init()
    ) {
        self.connectTimeout = connectTimeout
        self.http2 = http2
        self.tls = tls
        self.compression = compression
        self.maxReceiveMessageSize = maxReceiveMessageSize
        self.maxSendMessageSize = maxSendMessageSize
        self.keepAliveInterval = keepAliveInterval
        self.keepAliveWithoutCalls = keepAliveWithoutCalls
        self.keepAliveTimeout = keepAliveTimeout
        self.idleTimeout = idleTimeout
        self.metadata = metadata
        self.observer = observer
        self.resolve = resolve
        self.batch = batch
    }

    /// A message in its frame as it is to be sent.
    func compressed(_ frame: [UInt8]) -> [UInt8] {
        switch self.compression {
        case .none: frame
        case .gzip: GZip.compress(frame: frame)
        }
    }
}
