// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import SwiftProtobuf

/// One call in which either side may send many messages. It belongs to the closure that it was given to.
///
/// One task sends and one reads; they may be different tasks. Cancelling either task cancels the call.
package final class ClientStream<Request: Message, Response: Message>: Sendable {
    private let connection: Connection
    private let call: ClientCall

    init(_ connection: Connection, _ call: ClientCall) {
        self.connection = connection
        self.call = call
    }

    /// Sends one message. Returns when there is room for another: a peer that does not read holds the sender back.
    package func send(_ request: Request) async throws(RPCError) {
        let configuration = self.connection.configuration
        let frame = configuration.compressed(try request.framed(limit: configuration.maxSendMessageSize))
        try await self.connection.send(frame, on: self.call)
    }

    /// No more requests follow. The responses still do.
    package func finish() {
        self.connection.finishSending(on: self.call)
    }

    /// The next response; nil when the server has ended the call with status OK. Any other status is thrown.
    package func next() async throws(RPCError) -> Response? {
        guard let bytes = try await self.connection.next(on: self.call) else { return nil }
        return try Response(received: bytes, from: self.connection.address)
    }
}
