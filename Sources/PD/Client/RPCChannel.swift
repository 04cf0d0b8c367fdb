// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import SwiftProtobuf
package import TiKVProto
package import TiKVTransport

/// What carries unary calls to one peer: a pool of connections, or a stand-in in tests.
package protocol RPCChannel: Sendable {
    func unary<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, _ request: Request, options: CallOptions
    ) async throws(RPCError) -> Response

    /// Closes every connection; calls in flight may finish for as long as `gracefully` says.
    func shutdown(gracefully: Duration?) async
}
