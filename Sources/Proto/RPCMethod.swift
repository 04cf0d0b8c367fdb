// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import SwiftProtobuf

/// One call of a gRPC service: its path on the wire, and the messages it takes and gives.
package struct RPCMethod<Request: Message, Response: Message>: Sendable {
    /// Whether each side sends one message or many.
    package enum Kind: Sendable {
        case unary
        case clientStreaming
        case serverStreaming
        case bidirectional
    }

    /// The value of the `:path` header, such as `/tikvpb.Tikv/RawGet`.
    package let path: String

    /// The method's own name, such as `RawGet`, as it appears in errors, logs and metrics.
    package let name: String

    package let kind: Kind

    /// The number of the request's field in the envelope of `BatchCommands`, and of the answer's; nil for calls that
    /// the envelope does not carry.
    package let batchField: Int?

    package init(service: String, name: String, kind: Kind, batchField: Int? = nil) {
        self.batchField = batchField
        self.path = "/\(service)/\(name)"
        self.name = name
        self.kind = kind
    }
}
