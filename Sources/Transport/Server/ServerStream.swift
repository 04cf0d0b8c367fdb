// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import SwiftProtobuf

/// The handler's end of a streaming call, in bytes.
struct ServerStreamCore: Sendable {
    let connection: ServerConnection
    let stream: HTTP2Stream
}

/// The handler's end of a streaming call. One task reads and one sends; they may be different tasks.
package final class ServerStream<Request: Message, Response: Message>: Sendable {
    private let core: ServerStreamCore
    private let messageLimit: Int

    init(_ core: ServerStreamCore, messageLimit: Int) {
        self.core = core
        self.messageLimit = messageLimit
    }

    /// The next request; nil when the client has no more. Throws `cancelled` when the call is gone.
    package func next() async throws(RPCError) -> Request? {
        guard let bytes = try await self.core.connection.next(on: self.core.stream) else { return nil }
        do {
            return try Request(serializedBytes: bytes, partial: true)
        } catch {
            throw RPCError(.internalError, "\(Request.protoMessageName) cannot be decoded: \(error)")
        }
    }

    /// Sends one response; returns when there is room for another.
    package func send(_ response: Response) async throws(RPCError) {
        let frame = try response.framed(limit: self.messageLimit)
        try await self.core.connection.send(frame, on: self.core.stream)
    }
}
