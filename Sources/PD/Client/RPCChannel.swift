// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import SwiftProtobuf
package import TiKVProto
package import TiKVTransport

/// What carries calls to one peer: a pool of connections, or a stand-in in tests.
package protocol RPCChannel: Sendable {
    func unary<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, _ request: Request, options: CallOptions
    ) async throws(RPCError) -> Response

    /// A call in which either side sends many messages, for the length of `body`. Leaving `body` before the stream is at
    /// its end cancels the call.
    func withMessages<Request: Message, Response: Message, Result>(
        _ method: RPCMethod<Request, Response>, options: CallOptions,
        _ body: (any MessageStream<Request, Response>) async throws -> Result
    ) async throws -> Result

    /// Closes every connection; calls in flight may finish for as long as `gracefully` says.
    func shutdown(gracefully: Duration?) async
}

extension RPCChannel {
    /// For channels that carry single messages only.
    package func withMessages<Request: Message, Response: Message, Result>(
        _ method: RPCMethod<Request, Response>, options: CallOptions,
        _ body: (any MessageStream<Request, Response>) async throws -> Result
    ) async throws -> Result {
        throw RPCError(.unimplemented, "this channel has no streams", delivery: .notSent)
    }
}

extension ConnectionPool: RPCChannel {
    package nonisolated func withMessages<Request: Message, Response: Message, Result>(
        _ method: RPCMethod<Request, Response>, options: CallOptions,
        _ body: (any MessageStream<Request, Response>) async throws -> Result
    ) async throws -> Result {
        try await self.withStream(method, options: options) { stream in try await body(stream) }
    }
}
