// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

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

    /// Requests by the resource group, and by the tag, that they name.
    private(set) var groups: [String: Int] = [:]
    private(set) var tags: [[UInt8]: Int] = [:]

    mutating func note(_ context: Kvrpcpb_Context) {
        let group = context.resourceControlContext.resourceGroupName
        if !group.isEmpty { self.groups[group, default: 0] += 1 }
        if !context.resourceGroupTag.isEmpty { self.tags[[UInt8](context.resourceGroupTag), default: 0] += 1 }
    }

    /// - Parameter server: nil adds all of them up.
    func count(of rpc: String, on server: EmbeddedCluster.Server?) -> Int {
        self.counts.reduce(0) { sum, entry in
            entry.key.rpc == rpc && server?.covers(entry.key.server) ?? true ? sum + entry.value : sum
        }
    }
}
