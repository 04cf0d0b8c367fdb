// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How a call failed: a gRPC status, or what the transport itself met before a status could arrive.
///
/// Status codes are those of the gRPC protocol; a failure of the transport takes the nearest one
/// (`unavailable` for a broken connection, `deadlineExceeded` for the caller's own deadline).
package struct RPCError: Error, Sendable {
    /// The status codes of gRPC, with their numbers on the wire.
    package enum Code: Int, Sendable {
        case ok = 0
        case cancelled = 1
        case unknown = 2
        case invalidArgument = 3
        case deadlineExceeded = 4
        case notFound = 5
        case alreadyExists = 6
        case permissionDenied = 7
        case resourceExhausted = 8
        case failedPrecondition = 9
        case aborted = 10
        case outOfRange = 11
        case unimplemented = 12
        case internalError = 13
        case unavailable = 14
        case dataLoss = 15
        case unauthenticated = 16
    }

    /// What is known of the request's way to the server. A write may only be called failed when it was not sent.
    package enum Delivery: Sendable {
        /// The request never left this process, or the peer said that it did not look at it.
        case notSent
        /// The request was on its way and no answer came: the server may or may not have acted on it.
        case unknown
        /// The server itself answered with this status.
        case answered
    }

    package var code: Code
    package var message: String
    package var delivery: Delivery
    /// Metadata that came with the status (trailers); empty for failures of the transport.
    package var metadata: Metadata
    /// The peer as `host:port`, where there was one.
    package var peer: String
    /// A connect failed, and would again: the two sides do not agree on TLS, or on each other's certificates.
    package var isPermanent: Bool
    /// It was this client that closed the connection, or is closed as a whole.
    package var isClosedHere = false
    /// Whether the peer refused this one stream unseen (REFUSED_STREAM): the connection is as good as before.
    package var isStreamRefused = false

    package init(
        _ code: Code, _ message: String, delivery: Delivery = .unknown, metadata: Metadata = [:], peer: String = "",
        isPermanent: Bool = false
    ) {
        self.code = code
        self.message = message
        self.delivery = delivery
        self.metadata = metadata
        self.peer = peer
        self.isPermanent = isPermanent
    }
}

extension RPCError: CustomStringConvertible {
    package var description: String {
        let place = self.peer.isEmpty ? "" : " (\(self.peer))"
        return self.message.isEmpty ? "\(self.code)\(place)" : "\(self.code): \(self.message)\(place)"
    }
}
