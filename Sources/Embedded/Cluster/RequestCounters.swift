// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How many requests each server has got, by RPC.
struct RequestCounters: Sendable {
    private struct Entry: Hashable {
        var server: EmbeddedCluster.Server
        var rpc: String
    }

    private var counts: [Entry: Int] = [:]

    mutating func count(_ rpc: String, on server: EmbeddedCluster.Server) {
        self.counts[Entry(server: server, rpc: rpc), default: 0] += 1
    }

    /// - Parameter server: nil adds all of them up.
    func count(of rpc: String, on server: EmbeddedCluster.Server?) -> Int {
        self.counts.reduce(0) { sum, entry in
            entry.key.rpc == rpc && server?.covers(entry.key.server) ?? true ? sum + entry.value : sum
        }
    }
}
