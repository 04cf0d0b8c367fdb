// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The headers of a request, read: a call to answer, or the reason why there is none.
enum RequestHead: Sendable {
    case call(Call)
    struct Call: Sendable {
        var path: String
        var metadata: Metadata
        var timeLimit: Duration?
        /// How the request's messages may be compressed.
        var encoding = MessageEncoding.identity
        /// The answers may be compressed.
        var acceptsGZip = false
    }

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
        let encoding = MessageEncoding(block["grpc-encoding"])
        if case .other(let name) = encoding {
            // The reserved header tells the client what it may use instead.
            self = .refuse(
                RPCError(
                    .unimplemented, "compression '\(name)' is not supported",
                    metadata: ["grpc-accept-encoding": MessageEncoding.accepted]))
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
        self = .call(
            Call(
                path: path, metadata: block.metadata, timeLimit: limit, encoding: encoding,
                acceptsGZip: MessageEncoding.isGZipAccepted(block["grpc-accept-encoding"])))
    }
}
