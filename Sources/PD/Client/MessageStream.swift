// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import SwiftProtobuf
package import TiKVTransport

/// A caller's end of a call in which either side may send many messages: one of a connection, or a stand-in in tests.
///
/// One task sends and one reads; they may be different tasks.
package protocol MessageStream<Request, Response>: Sendable {
    associatedtype Request: Message
    associatedtype Response: Message

    /// Sends one message; returns when there is room for another.
    func send(_ request: Request) async throws(RPCError)

    /// No more requests follow. The responses still do.
    func finish()

    /// The next response; nil when the server has ended the call with status OK.
    func next() async throws(RPCError) -> Response?
}

extension ClientStream: MessageStream {}
