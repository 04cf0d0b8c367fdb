// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

/// How one RPC failed, for interceptors. The client deals with it; the call may succeed all the same.
public struct RPCFailure: Error, Sendable {
    let error: RPCError

    init(_ error: RPCError) {
        self.error = error
    }

    /// The gRPC status by name, such as `unavailable`. A failure of the connection takes the nearest one.
    public var status: String { "\(self.error.code)" }

    /// Whether the request left this process, so that a write may have taken effect.
    public var wasSent: Bool { self.error.delivery != .notSent }

    /// What happened. The words may be a server's own, and then contain keys.
    public var detail: String { self.error.message }
}

extension RPCFailure: CustomStringConvertible {
    /// The status and the store's address, without anything that a server said.
    public var description: String { "\(self.status) (\(self.error.peer))" }
}
