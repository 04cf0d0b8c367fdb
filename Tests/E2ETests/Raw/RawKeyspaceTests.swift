// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// API V2: keyspaces, and stores that belong to one version only.
@Suite(.timeLimit(.minutes(2)), .enabled(if: TestCluster.hasControl, "needs clusters of its own"))
struct RawKeyspaceTests {
    @Test func aKeyspaceThatIsNotThereIsNamed() async throws {
        try await TestCluster.withControl(
            .init(apiVersion: .v2), configuration: .raw(.v2, keyspace: "nowhere")
        ) { client, cluster in
            for _ in 0..<2 {
                let error = await failure { try await client.get("k") }
                #expect(error?.code == .keyspaceUnavailable)
                #expect(error?.message.contains("nowhere") == true)
            }
            #expect(cluster.requestCount("RawGet") == 0)
            #expect(cluster.requestCount("LoadKeyspace") == 2)
        }
    }

    @Test func itsNumberIsAskedOnce() async throws {
        try await TestCluster.withControl(
            .init(apiVersion: .v2), configuration: .raw(.v2, keyspace: "DEFAULT")
        ) { client, cluster in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<20 { group.addTask { try await client.put("k\(number)", value: "v") } }
                try await group.waitForAll()
            }
            #expect(cluster.requestCount("LoadKeyspace") == 1)
        }
    }

    @Test func clientAndStoresMustHaveTheSameVersion() async throws {
        let pairs: [(EmbeddedCluster.APIVersion, APIVersion)] = [(.v2, .v1), (.v2, .v1ttl), (.v1, .v2), (.v1ttl, .v2)]
        for (stores, version) in pairs {
            try await TestCluster.withControl(.init(apiVersion: stores), configuration: .raw(version)) { client, _ in
                let errors = [
                    await failure { try await client.get("k") },
                    await failure { try await client.put("k", value: "v") },
                    await failure { try await client.batchGet(["k"]) },
                    await failure { for try await _ in client.scan(.everything) {} },
                ]
                for error in errors {
                    #expect(error?.code == .serverError)
                    #expect(error?.detail.contains("Api version in request does not match") == true)
                }
            }
        }
    }

    @Test func thereAreNoColumnFamilies() async throws {
        try await TestCluster.withControl(.init(apiVersion: .v2), configuration: .raw(.v2)) { client, cluster in
            try await client.put("k", value: "v", columnFamily: .default)
            #expect(try await client.get("k", columnFamily: "default") == "v")
            let errors = [
                await failure { try await client.get("k", columnFamily: .write) },
                await failure { try await client.batchPut([("k", "v")], columnFamily: .lock) },
                await failure { for try await _ in client.scan(.everything, columnFamily: "other") {} },
            ]
            #expect(errors.map { $0?.code } == [.invalidArgument, .invalidArgument, .invalidArgument])
            #expect(cluster.requestCount("RawScan") == 0)
        }
    }

    /// Regions of other data in the same cluster are none of the client's, however they are cut.
    @Test func regionsThatReachBeyondTheKeyspaceAreCut() async throws {
        let version = EmbeddedCluster.APIVersion.v2
        let splits = [
            version.regionKey(forRaw: []), version.regionKey(forRaw: Array("m".utf8)),
            version.regionKey(forRaw: [], keyspaceID: 1), version.regionKey(forTransactional: Array("a".utf8)),
        ]
        try await TestCluster.withControl(.init(splitKeys: splits, apiVersion: version), configuration: .raw(.v2)) {
            client, cluster in
            try await client.batchPut([("a", "1"), ("m", "2"), ("z", "3")])
            var keys: [Key] = []
            for try await (key, _) in client.scan(.everything) { keys.append(key) }
            for try await (key, _) in client.scan(.everything, reversed: true) { keys.append(key) }
            #expect(keys == ["a", "m", "z", "z", "m", "a"])
            // The same in one region for all, and in one cut anew under the client's feet.
            for region in cluster.regions.dropFirst() {
                if let first = cluster.regions.first { try cluster.merge(first.id, into: region.id) }
            }
            #expect(cluster.regions.count == 1)
            #expect(try await client.batchGet(["a", "m", "z"]).count == 3)
            try cluster.split(region: cluster.regions[0].id, keys: splits)
            #expect(try await client.batchGet(["a", "m", "z"]).count == 3)
            try await client.deleteRange(.everything)
            #expect(try await client.checksum(.everything).pairCount == 0)
        }
    }
}
