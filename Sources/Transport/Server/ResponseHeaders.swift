// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The header lists that a server sends.
enum ResponseHeaders {
    /// Before the first message.
    static let start: HeaderList = {
        var headers = HeaderList()
        headers.add(":status", "200")
        headers.add("content-type", "application/grpc")
        return headers
    }()

    /// The same where messages may be compressed.
    static let startWithGZip: HeaderList = {
        var headers = Self.start
        headers.add("grpc-encoding", "gzip")
        return headers
    }()

    /// After the last message of a call that went well.
    static let ok: HeaderList = {
        var headers = HeaderList()
        headers.add("grpc-status", "0")
        return headers
    }()

    static func trailers(_ error: RPCError) -> HeaderList {
        var headers = HeaderList()
        Self.add(error, to: &headers)
        return headers
    }

    /// Headers that are the whole response.
    static func only(_ error: RPCError) -> HeaderList {
        var headers = Self.start
        Self.add(error, to: &headers)
        return headers
    }

    static func http(status: String) -> HeaderList {
        var headers = HeaderList()
        headers.add(":status", status)
        return headers
    }

    private static func add(_ error: RPCError, to headers: inout HeaderList) {
        headers.add("grpc-status", "\(error.code.rawValue)")
        if !error.message.isEmpty {
            headers.add("grpc-message", ascii: StatusMessage.encode(error.message).prefix(8 << 10), indexed: false)
        }
        headers.add(error.metadata)
    }
}
