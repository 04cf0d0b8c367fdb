// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Header fields that a peer sent, in order.
package struct HeaderBlock: Sendable {
    package private(set) var fields: [(name: String, value: String)] = []

    package init() {}

    package init(_ fields: [(name: String, value: String)]) {
        self.fields = fields
    }

    package mutating func append(_ name: String, _ value: String) {
        self.fields.append((name, value))
    }

    /// The first value of this name.
    package subscript(_ name: String) -> String? {
        self.fields.first { $0.name == name }?.value
    }

    /// The custom metadata: what neither HTTP/2 nor gRPC keeps for itself.
    package var metadata: Metadata {
        var metadata = Metadata()
        for (name, value) in self.fields where !Self.isReserved(name) { metadata.add(value, for: name) }
        return metadata
    }

    private static func isReserved(_ name: String) -> Bool {
        switch name {
        case "te", "content-type", "user-agent", "grpc-status", "grpc-message", "grpc-timeout", "grpc-encoding",
            "grpc-accept-encoding", "grpc-status-details-bin":
            true
        default:
            name.hasPrefix(":")
        }
    }
}
