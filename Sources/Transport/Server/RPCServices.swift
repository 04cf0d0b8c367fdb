// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import SwiftProtobuf
package import TiKVProto

/// The calls that a server answers, by path.
///
/// A handler that throws an `RPCError` answers with that status, any other error with status UNKNOWN and the error's
/// description. Its task is cancelled when the client resets the call or goes away, and when the call's deadline
/// passes. Handlers run on the event loop of the call's connection: they may wait, but must not compute for long.
package struct RPCServices: Sendable {
    enum Handler: Sendable {
        /// One message in; one message out, in its frame.
        case unary(@Sendable ([UInt8], ServerCall) async throws -> [UInt8])
        case stream(@Sendable (ServerStreamCore, ServerCall) async throws -> Void)
    }

    private(set) var handlers: [String: Handler] = [:]
    /// The most bytes that one message may have, either way.
    package var maxMessageSize = 1 << 30

    package init() {}

    /// Answers a call of one message each way.
    package mutating func register<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>,
        unary handler: @escaping @Sendable (Request, ServerCall) async throws -> Response
    ) {
        let limit = self.maxMessageSize
        self.handlers[method.path] = .unary { bytes, call in
            let request: Request
            do {
                request = try Request(serializedBytes: bytes, partial: true)
            } catch {
                throw RPCError(.internalError, "\(Request.protoMessageName) cannot be decoded: \(error)")
            }
            return try await handler(request, call).framed(limit: limit)
        }
    }

    /// Answers a call in which either side may send many messages; when the handler returns, the call ends with OK.
    package mutating func register<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>,
        stream handler: @escaping @Sendable (ServerStream<Request, Response>, ServerCall) async throws -> Void
    ) {
        let limit = self.maxMessageSize
        self.handlers[method.path] = .stream { core, call in
            try await handler(ServerStream(core, messageLimit: limit), call)
        }
    }
}
