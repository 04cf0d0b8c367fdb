// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// Much data: what goes over the wire for it, counted.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl, "counts requests"))
struct RawSizeTests {
    private static func name(_ number: Int) -> String { "k\(100_000 + number)" }

    @Test func tenThousandKeysOfAHundredRegions() async throws {
        let splits = (1..<100).map { Array(Self.name($0 * 100).utf8) }
        try await TestCluster.withControl(.init(splitKeys: splits)) { client, cluster in
            cluster.scatterLeaders()
            let pairs = (0..<10_000).map { KeyValue(Key(Self.name($0)), Value("\($0)")) }
            try await client.batchPut(pairs)
            let (scans, lookUps) = (cluster.requestCount("ScanRegions"), cluster.requestCount("GetRegion"))
            let keys = pairs.map(\.key).shuffled()
            let found = try await client.batchGet(keys + [Key("absent")])
            #expect(found == Dictionary(uniqueKeysWithValues: pairs.map { ($0.key, $0.value) }))
            // One request a region, and none to PD, which was asked when the keys were written.
            #expect(cluster.requestCount("RawBatchGet") == 100)
            #expect(cluster.requestCount("ScanRegions") == scans)
            #expect(cluster.requestCount("GetRegion") == lookUps)
        }
    }

    @Test(arguments: [false, true]) func aScanHoldsOnePageAtATime(isReversed: Bool) async throws {
        var configuration = ClientConfiguration()
        configuration.raw.scanPageSize = 500
        configuration.raw.batchPutSizeLimit = 256 * 1024
        let splits = (1..<4).map { Array(Self.name($0 * 10_000).utf8) }
        try await TestCluster.withControl(.init(splitKeys: splits), configuration: configuration) { client, cluster in
            let count = 40_000
            try await client.batchPut((0..<count).lazy.map { KeyValue(Key(Self.name($0)), Value("\($0)")) })
            var found = 0
            for try await (key, value) in client.scan(.everything, reversed: isReversed) {
                let number = isReversed ? count - 1 - found : found
                #expect(key == Key(Self.name(number)) && value == Value("\(number)"))
                found += 1
                // So many pages have been asked for, and none ahead; at the end of a region, an empty one.
                if found.isMultiple(of: 2500) {
                    let regions = (found - 1) / 10_000
                    #expect(cluster.requestCount("RawScan") <= found / 500 + regions)
                }
            }
            #expect(found == count)
            #expect(cluster.requestCount("RawScan") <= count / 500 + 4)
        }
    }
}
