// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

/// Our transport as a process of its own, for Tests/Foreign: other makers' gRPC is on the other side.
@main enum TransportPeer {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        switch arguments.first {
        case "serve":
            try await PeerServer.run(
                messageLimit: arguments.dropFirst().first.flatMap { Int($0) } ?? 1 << 30,
                compression: arguments.contains("gzip") ? .gzip : .none,
                port: arguments.firstMatch("port=") ?? 0)
        case "client": try await PeerClient.run(arguments.dropFirst().first ?? "{}")
        case "soak" where arguments.count == 3:
            try await PeerSoak.run(arguments.dropFirst().first ?? "", arguments.last.flatMap { Int($0) } ?? 0)
        default:
            print(
                "usage: transport-peer serve [MESSAGE-LIMIT] [gzip] [port=PORT] | client SETTINGS | soak connects|calls COUNT"
            )
        }
    }
}

extension ArraySlice<String> {
    /// The number behind a prefix.
    fileprivate func firstMatch(_ prefix: String) -> Int? {
        self.first { $0.hasPrefix(prefix) }.flatMap { Int($0.dropFirst(prefix.count)) }
    }
}
