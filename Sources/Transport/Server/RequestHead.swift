// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The headers of a request, read: a call to answer, or the reason why there is none.
enum RequestHead: Sendable {
    case call(path: String, metadata: Metadata, timeLimit: Duration?)
    /// To be answered by a gRPC status alone.
    case refuse(RPCError)
    /// Not gRPC at all: to be answered by an HTTP status alone.
    case refuseHTTP(status: String)

    init(_ block: HeaderBlock) {
        guard block[":method"] == "POST" else {
            self = .refuseHTTP(status: "405")
            return
        }
        guard let type = block["content-type"], type.hasPrefix("application/grpc") else {
            self = .refuseHTTP(status: "415")
            return
        }
        guard let path = block[":path"] else {
            self = .refuse(RPCError(.internalError, "the request has no path"))
            return
        }
        if let encoding = block["grpc-encoding"], encoding != "identity" {
            self = .refuse(RPCError(.unimplemented, "compression '\(encoding)' is not supported"))
            return
        }
        var limit: Duration?
        if let text = block["grpc-timeout"] {
            guard let nanoseconds = GRPCTimeout.decode(text.utf8) else {
                self = .refuse(RPCError(.internalError, "grpc-timeout '\(text)' is not a time"))
                return
            }
            limit = .nanoseconds(nanoseconds)
        }
        self = .call(path: path, metadata: block.metadata, timeLimit: limit)
    }
}
