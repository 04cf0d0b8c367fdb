// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Where a server listens: a DNS name or an IP address, and a port.
package struct PeerAddress: Sendable, Hashable {
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, `http://host:port`, `[::1]:2379`; nil where it is none of them.
    ///
    /// - Parameter defaultPort: taken where the text names no port; nil makes the port obligatory.
    package init?(_ text: String, defaultPort: Int? = nil) {
        var rest = Substring(text)
        for scheme in ["http://", "https://"] where rest.hasPrefix(scheme) {
            rest.removeFirst(scheme.count)
        }
        if let slash = rest.firstIndex(of: "/") {
            guard rest.index(after: slash) == rest.endIndex else { return nil }
            rest = rest[..<slash]
        }
        let host: Substring
        let port: Substring?
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            host = rest[rest.index(after: rest.startIndex)..<end]
            let tail = rest[rest.index(after: end)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { return nil }
            port = tail.isEmpty ? nil : tail.dropFirst()
        } else {
            let parts = rest.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let first = parts.first else { return nil }
            host = first
            port = parts.count == 2 ? parts[1] : nil
        }
        let isBroken = host.contains { $0.isWhitespace || $0 == "," || $0 == "[" || $0 == "]" }
        guard !host.isEmpty, !isBroken else { return nil }
        guard let number = port.map({ Int($0) }) ?? defaultPort, (1...65535).contains(number) else { return nil }
        self.init(host: String(host), port: number)
    }
}

extension PeerAddress: CustomStringConvertible {
    package var description: String {
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }
}
