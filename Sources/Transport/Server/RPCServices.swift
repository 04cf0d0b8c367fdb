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

    var handlers: [String: Handler] = [:]
    /// Unary handlers by their field in the envelope of `BatchCommands`.
    private(set) var commands: [Int: @Sendable ([UInt8], ServerCall) async throws -> [UInt8]] = [:]
    /// The most bytes that one message may have, either way.
    package var maxMessageSize = 1 << 30

    /// Whether answers are compressed where the client takes that.
    package var compression = Compression.none

    package init() {}

    /// Answers a call of one message each way.
    package mutating func register<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>,
        unary handler: @escaping @Sendable (Request, ServerCall) async throws -> Response
    ) {
        let limit = self.maxMessageSize
        @Sendable func decoded(_ bytes: [UInt8]) throws(RPCError) -> Request {
            do {
                return try Request(serializedBytes: bytes, partial: true)
            } catch {
                throw RPCError(.internalError, "\(Request.protoMessageName) cannot be decoded: \(error)")
            }
        }
        self.handlers[method.path] = .unary { bytes, call in
            try await handler(try decoded(bytes), call).framed(limit: limit)
        }
        if let field = method.batchField {
            self.commands[field] = { bytes, call in
                try await handler(try decoded(bytes), call).encoded(limit: limit)
            }
        }
    }

    /// Answers `BatchCommands`: each command in a stream's messages goes to the handler that is registered for its call,
    /// and is answered when that handler has returned, whatever its place in the stream.
    ///
    /// A command whose handler fails gets an answer without content, as the envelope has no place for a status; one whose
    /// handler fails with `unavailable` ends the stream with that status. To be called after the handlers are registered.
    package mutating func registerBatchCommands(feedback: @escaping @Sendable () -> StoreFeedback? = { nil }) {
        let dispatcher = BatchDispatcher(commands: self.commands, feedback: feedback)
        self.handlers[TikvpbTikvRPC.batchCommands.path] = .stream { core, call in
            try await dispatcher.serve(core, call)
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
