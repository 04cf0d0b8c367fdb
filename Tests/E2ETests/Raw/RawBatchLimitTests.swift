// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// How batches are cut by default: 512 keys, or 16 KiB of pairs.
@Suite(.timeLimit(.minutes(2)), .enabled(if: TestCluster.hasControl, "counts requests"))
struct RawBatchLimitTests {
    @Test func oneKeyOverTheLimitMakesAnotherRequest() async throws {
        try await TestCluster.withControl { client, cluster in
            for (count, requests) in [(512, 1), (513, 2), (1024, 2), (1025, 3)] {
                let keys = (0..<count).map { Key("k\(100_000 + $0)") }
                let gets = cluster.requestCount("RawBatchGet")
                let deletes = cluster.requestCount("RawBatchDelete")
                _ = try await client.batchGet(keys)
                try await client.batchDelete(keys)
                #expect(cluster.requestCount("RawBatchGet") - gets == requests)
                #expect(cluster.requestCount("RawBatchDelete") - deletes == requests)
            }
        }
    }

    @Test func pairsGoInPiecesOf16KiB() async throws {
        try await TestCluster.withControl { client, cluster in
            // Of 1 KiB each.
            for (count, requests) in [(16, 1), (17, 2), (40, 3)] {
                let puts = cluster.requestCount("RawBatchPut")
                try await client.batchPut(
                    (0..<count).map { (Key("key\(100_00 + $0)"), Value([UInt8](repeating: 7, count: 1024 - 8))) })
                #expect(cluster.requestCount("RawBatchPut") - puts == requests)
            }
        }
    }
}
