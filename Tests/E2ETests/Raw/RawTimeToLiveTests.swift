// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// Values that are gone after a time.
@Suite(.timeLimit(.minutes(2))) struct RawTimeToLiveTests {
    private func with(
        _ version: APIVersion, isAtomic: Bool = false, _ body: (RawClient, EmbeddedCluster) async throws -> Void
    ) async throws {
        try await TestCluster.withControl(
            .init(apiVersion: .init(version)), configuration: .raw(version, isAtomic: isAtomic), body)
    }

    @Test(.enabled(if: TestCluster.hasControl, "sets the clock"), arguments: [APIVersion.v1ttl, .v2])
    func valuesExpire(version: APIVersion) async throws {
        try await self.with(version) { client, cluster in
            try await client.put("k", value: "v", ttl: .seconds(20))
            cluster.advanceClock(by: .seconds(10))
            let left = try #require(try await client.timeToLive(of: "k")?.remaining)
            #expect(left > .zero && left <= .seconds(10))
            #expect(try await client.get("k") == "v")
            cluster.advanceClock(by: .seconds(10))
            #expect(try await client.get("k") == nil)
            #expect(try await client.timeToLive(of: "k") == nil)
            #expect(try await client.batchGet(["k"]).isEmpty)
            #expect(try await client.checksum(.everything) == RawChecksum())
            var found: [Key] = []
            for try await (key, _) in client.scan(.everything) { found.append(key) }
            for try await (key, _) in client.scan(.everything, reversed: true) { found.append(key) }
            #expect(found.isEmpty)
        }
    }

    @Test(arguments: TestCluster.versionsWithTimeToLive) func withoutATimeTheyLiveForever(
        version: APIVersion
    ) async throws {
        try await TestCluster.withSpace(configuration: .raw(version)) { space in
            let key = space.key("k")
            #expect(try await space.client.timeToLive(of: key) == nil)
            try await space.client.put(key, value: "v")
            #expect(try await space.client.timeToLive(of: key) == .forever)
            // A put replaces the time to live together with the value.
            try await space.client.put(key, value: "v", ttl: .seconds(1000))
            #expect(try await space.client.timeToLive(of: key) != .forever)
            try await space.client.put(key, value: "v")
            #expect(try await space.client.timeToLive(of: key) == .forever)
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "sets the clock"), arguments: [APIVersion.v1ttl, .v2])
    func eachOfABatchHasItsOwn(version: APIVersion) async throws {
        try await self.with(version) { client, cluster in
            try await client.batchPut([
                RawEntry("a", value: "1", ttl: .seconds(10)), RawEntry("b", value: "2"),
                RawEntry("c", value: "3", ttl: .seconds(100)),
            ])
            try await client.batchPut([("d", "4"), ("e", "5")], ttl: .seconds(10))
            try await client.batchPut([("f", "6")])
            #expect(try await client.timeToLive(of: "b") == .forever)
            #expect(try await client.batchGet(["a", "b", "c", "d", "e", "f"]).count == 6)
            cluster.advanceClock(by: .seconds(20))
            #expect(try await client.batchGet(["a", "b", "c", "d", "e", "f"]) == ["b": "2", "c": "3", "f": "6"])
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "sets the clock"), arguments: [APIVersion.v1ttl, .v2])
    func swapsHaveOneToo(version: APIVersion) async throws {
        try await self.with(version, isAtomic: true) { client, cluster in
            #expect(try await client.putIfAbsent("k", value: "1", ttl: .seconds(10)) == nil)
            #expect(try await client.putIfAbsent("k", value: "2") == "1")
            cluster.advanceClock(by: .seconds(20))
            // What has expired is not there.
            #expect(
                try await client.compareAndSwap("k", expected: "1", value: "3")
                    == .init(isSwapped: false, previous: nil))
            #expect(try await client.compareAndSwap("k", expected: nil, value: "3", ttl: .seconds(50)).isSwapped)
            let left = try #require(try await client.timeToLive(of: "k")?.remaining)
            #expect(left > .seconds(40) && left <= .seconds(50))
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "sets the clock"))
    func aPartOfASecondCountsAsOne() async throws {
        try await self.with(.v1ttl) { client, _ in
            try await client.put("k", value: "v", ttl: .milliseconds(999_001))
            let left = try #require(try await client.timeToLive(of: "k")?.remaining)
            #expect(left >= .seconds(998) && left <= .seconds(1000))
            try await client.put("k", value: "v", ttl: .seconds(Int64.max))
            #expect(try await client.get("k") == "v")
        }
    }

    @Test func timesThatCannotBeAreRefused() async throws {
        let client = try RawClient(pd: ["127.0.0.1:1"], configuration: .raw(.v1ttl))
        for ttl in [Duration.zero, .seconds(-1)] {
            #expect(await failure { try await client.put("k", value: "v", ttl: ttl) }?.code == .invalidArgument)
            #expect(await failure { try await client.batchPut([("k", "v")], ttl: ttl) }?.code == .invalidArgument)
            let entries = await failure { try await client.batchPut([RawEntry("k", value: "v", ttl: ttl)]) }
            #expect(entries?.code == .invalidArgument)
        }
    }

    /// A store of V1 may not survive being asked for one, so nothing is sent.
    @Test func withV1ThereIsNone() async throws {
        let client = try RawClient(pd: ["127.0.0.1:1"], configuration: .raw(.v1, isAtomic: true))
        let errors = [
            await failure { try await client.put("k", value: "v", ttl: .seconds(1)) },
            await failure { try await client.batchPut([("k", "v")], ttl: .seconds(1)) },
            await failure { try await client.putIfAbsent("k", value: "v", ttl: .seconds(1)) },
            await failure { try await client.timeToLive(of: "k") },
        ]
        #expect(errors.map { $0?.code } == [.invalidArgument, .invalidArgument, .invalidArgument, .invalidArgument])
        #expect(errors[0]?.message.contains("v1ttl") == true)
    }
}
