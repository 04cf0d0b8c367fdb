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

    /// The same keys in two keyspaces of one cluster are different keys, whatever is done to them.
    @Test func twoKeyspacesKnowNothingOfEachOther() async throws {
        let version = EmbeddedCluster.APIVersion.v2
        try await EmbeddedCluster.withCluster(.init(storeCount: 2, apiVersion: version)) { cluster in
            let first = try cluster.createKeyspace("first")
            let second = try cluster.createKeyspace("second")
            // Regions that end within a keyspace, and one that is in both.
            try cluster.split(
                region: cluster.regions[0].id,
                keys: [
                    version.regionKey(forRaw: Array("k3".utf8), keyspaceID: first),
                    version.regionKey(forRaw: Array("k6".utf8), keyspaceID: second),
                ])
            cluster.scatterLeaders()
            let configurations = ["first", "second"].map { ClientConfiguration(apiVersion: .v2, keyspace: $0) }
            try await RawClient.withClient(pd: cluster.pdEndpoints, configuration: configurations[0]) { one in
                try await RawClient.withClient(pd: cluster.pdEndpoints, configuration: configurations[1]) { two in
                    try await one.batchPut((0..<9).map { (Key("k\($0)"), Value("one")) })
                    try await two.batchPut((5..<9).map { (Key("k\($0)"), Value("two")) })
                    func pairs(_ client: RawClient, reversed: Bool = false) async throws -> [String] {
                        var pairs: [String] = []
                        for try await (key, value) in client.scan(.everything, reversed: reversed) {
                            pairs.append(String(decoding: key.bytes + value.bytes, as: UTF8.self))
                        }
                        return pairs
                    }
                    let ofOne = (0..<9).map { "k\($0)one" }
                    let ofTwo = (5..<9).map { "k\($0)two" }
                    var found = try await pairs(one)
                    #expect(found == ofOne)
                    found = try await pairs(two)
                    #expect(found == ofTwo)
                    found = try await pairs(two, reversed: true)
                    #expect(found == ofTwo.reversed())
                    let missing = try await two.get("k0")
                    #expect(missing == nil)
                    let values = try await one.batchGet(["k0", "k7"])
                    #expect(values.count == 2)
                    let count = try await two.checksum(.everything).pairCount
                    #expect(count == 4)
                    // Everything is everything of one's own.
                    try await two.deleteRange(.everything)
                    found = try await pairs(two)
                    #expect(found == [])
                    found = try await pairs(one)
                    #expect(found == ofOne)
                }
            }
        }
    }
}
