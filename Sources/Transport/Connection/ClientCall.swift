// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// What a caller hands to a connection to start a call.
struct CallStart: Sendable {
    var path: String
    /// The first message in its frame; nil where messages follow by `send`.
    var message: [UInt8]?
    var metadata: Metadata
    var deadline: NIODeadline?
    var handle: CallHandle
    var completion: CallCompletion
}

/// Who waits for the call.
enum CallCompletion: Sendable {
    /// One message, or an error.
    case unary(CheckedContinuation<Result<[UInt8], RPCError>, Never>)
    /// The stream is open, or could not be opened; messages are asked for one by one.
    case stream(opened: CheckedContinuation<RPCError?, Never>)
}

/// One call in flight on a connection.
struct ClientCall {
    enum Kind {
        case unary(message: [UInt8]?, CheckedContinuation<Result<[UInt8], RPCError>, Never>)
        case stream(InboundMessages<CheckedContinuation<InboundMessages<Never>.Next, Never>>)
        /// The connection's own stream of commands.
        case batch
    }

    let stream: HTTP2Stream
    let handle: CallHandle
    let deadline: NIODeadline?
    var response: ResponseMachine
    var kind: Kind
    /// The caller has no more to send.
    var isHalfClosed: Bool
    /// The stream is gone; the call is kept for its reader.
    var isClosed = false
    /// Senders that wait for the peer's window.
    var senders: [CheckedContinuation<RPCError?, Never>] = []
}
