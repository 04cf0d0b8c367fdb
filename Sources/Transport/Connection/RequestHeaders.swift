// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Makes the headers of requests. What does not change from call to call is made once per path.
struct RequestHeaders {
    private let authority: String
    private let scheme: String
    private let compression: Compression
    private let metadata: Metadata
    private var byPath: [String: HeaderList] = [:]
    private var more = HeaderList()

    init(authority: String, scheme: String, compression: Compression = .none, metadata: Metadata = [:]) {
        self.metadata = metadata
        self.compression = compression
        self.authority = authority
        self.scheme = scheme
    }

    /// - Parameter timeout: in nanoseconds.
    /// - Returns: the fixed part, and what only this call has.
    mutating func make(path: String, timeout: Int64?, metadata: Metadata) -> (HeaderList, HeaderList?) {
        let base = self.base(path)
        guard timeout != nil || !metadata.isEmpty else { return (base, nil) }
        self.more.removeAll()
        if let timeout {
            self.more.add("grpc-timeout", ascii: GRPCTimeout.encode(nanoseconds: timeout), indexed: false)
        }
        self.more.add(metadata)
        return (base, self.more)
    }

    private mutating func base(_ path: String) -> HeaderList {
        if let known = self.byPath[path] { return known }
        var headers = HeaderList()
        headers.add(":method", "POST")
        headers.add(":scheme", self.scheme)
        headers.add(":path", path)
        headers.add(":authority", self.authority)
        headers.add("te", "trailers")
        headers.add("content-type", "application/grpc")
        headers.add("grpc-accept-encoding", MessageEncoding.accepted)
        if self.compression == .gzip { headers.add("grpc-encoding", "gzip") }
        headers.add("user-agent", "tikv-swift")
        headers.add(self.metadata)
        self.byPath[path] = headers
        return headers
    }
}
