// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// Calls over many keys while stores leave and come back.
@Suite(.timeLimit(.minutes(2)), .enabled(if: TestCluster.hasControl, "stops stores"))
struct RawStoreChangeTests {
    /// Five regions, and a client that knows where they are; then the store that leads the first one is gone.
    private func withStoreGone(_ body: (RawClient, [Key]) async throws -> Void) async throws {
        let splits: [[UInt8]] = ["b", "c", "d", "e"].map { Array($0.utf8) }
        try await TestCluster.withControl(.init(splitKeys: splits)) { client, cluster in
            cluster.scatterLeaders()
            let keys = ["a", "b", "c", "d", "e"].flatMap { letter in (0..<10).map { Key("\(letter)\($0)") } }
            try await client.batchPut(keys.map { ($0, Value($0.bytes)) })
            let leader = try #require(cluster.region(containing: keys[0].bytes)?.leaderStoreID)
            try await cluster.stopStore(leader)
            try await body(client, keys)
            try await cluster.startStore(leader)
            try await body(client, keys)
        }
    }

    @Test func batchesGoOn() async throws {
        try await self.withStoreGone { client, keys in
            try await client.batchPut(keys.map { ($0, Value($0.bytes)) })
            let found = try await client.batchGet(keys)
            #expect(keys.map { found[$0]?.bytes } == keys.map(\.bytes))
            try await client.batchDelete(keys)
            #expect(try await client.batchGet(keys).isEmpty)
            try await client.batchPut(keys.map { ($0, Value($0.bytes)) })
        }
    }

    @Test func scansGoOn() async throws {
        try await self.withStoreGone { client, keys in
            var found: [Key] = []
            for try await (key, value) in client.scan(keys[3]..., limit: 20) {
                found.append(key)
                #expect(value.bytes == key.bytes)
            }
            #expect(found == Array(keys[3..<23]))
            // A reversed scan begins before its upper bound.
            found = []
            for try await (key, value) in client.scan(..<keys[44], limit: 30, reversed: true, keysOnly: true) {
                found.append(key)
                #expect(value.isEmpty)
            }
            #expect(found == Array(keys[14..<44].reversed()))
            #expect(try await client.checksum(.everything).pairCount == UInt64(keys.count))
        }
    }
}
