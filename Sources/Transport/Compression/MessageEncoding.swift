// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How the messages of one direction of a call may be compressed: what `grpc-encoding` says.
enum MessageEncoding: Sendable, Equatable {
    /// What both roles accept, as `grpc-accept-encoding` says it.
    static let accepted = "identity,gzip"

    case identity
    case gzip
    /// One that is not known here. Messages that are not compressed can be read all the same.
    case other(String)

    init(_ header: String?) {
        switch header {
        case nil, "identity": self = .identity
        case "gzip": self = .gzip
        case let name?: self = .other(name)
        }
    }

    /// Whether a peer with this `grpc-accept-encoding` header takes gzip.
    static func isGZipAccepted(_ header: String?) -> Bool {
        guard let header else { return false }
        return header.split(separator: ",").contains { $0.drop { $0 == " " }.prefix { $0 != " " } == "gzip" }
    }

    /// The message that a compressed one stands for.
    ///
    /// - Parameter limit: the most bytes that it may have.
    func decompress(_ message: [UInt8], limit: Int) throws(RPCError) -> [UInt8] {
        switch self {
        case .gzip:
            return try GZip.decompress(message, limit: limit)
        case .identity:
            throw RPCError(.internalError, "a message is compressed, which was not agreed on")
        case .other(let name):
            throw RPCError(
                .internalError, "a message is compressed with '\(name)', which is not supported; gzip is")
        }
    }
}

/// How a client compresses what it sends. What it receives may always be compressed.
package enum Compression: Sendable {
    case none
    case gzip
}
