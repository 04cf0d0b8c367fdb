// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// Arguments that can't be right, and some that only look so.
@Suite(.timeLimit(.minutes(2))) struct RawArgumentTests {
    @Test func anEmptyKeyIsRefused() async throws {
        try await TestCluster.withSpace { space in
            let client = space.client
            #expect(await failure { try await client.get("") }?.code == .invalidArgument)
            #expect(await failure { try await client.put("", value: "v") }?.code == .invalidArgument)
            #expect(await failure { try await client.delete("") }?.code == .invalidArgument)
            #expect(await failure { try await client.batchGet([space.key("a"), ""]) }?.code == .invalidArgument)
            #expect(
                await failure { try await client.batchPut([(space.key("a"), "v"), ("", "v")]) }?.code
                    == .invalidArgument)
            #expect(await failure { try await client.batchDelete([""]) }?.code == .invalidArgument)
            // Nothing of the batch was written.
            let stored = try await client.get(space.key("a"))
            #expect(stored == nil)
        }
    }

    @Test func aKeyOverTheLimitIsRefused() async throws {
        try await TestCluster.withSpace { space in
            let long = Key([UInt8](repeating: 1, count: 8193))
            let error = await failure { try await space.client.put(long, value: "v") }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains("8193") == true)
            #expect(await failure { try await space.client.batchGet([long]) }?.code == .invalidArgument)
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "a real store may be set to take more"))
    func aValueOverTheLimitIsRefusedByTheStore() async throws {
        try await TestCluster.withControl { client, cluster in
            let large = Value([UInt8](repeating: 1, count: 9 * 1024 * 1024))
            let error = await failure { try await client.put("k", value: large) }
            #expect(error?.code == .entryTooLarge)
            #expect(error?.isOutcomeUnknown == false)
            #expect(cluster.requestCount("RawPut") == 1)
            let stored = try await client.get("k")
            #expect(stored == nil)
            // In a batch as well; the others of the batch may be written, and the error says so.
            let batch = await failure { try await client.batchPut([("a", "1"), ("k", large), ("z", "2")]) }
            #expect(batch?.code == .entryTooLarge)
        }
    }

    @Test func aColumnFamilyThatDoesNotExistIsAnErrorOfTheServer() async throws {
        var configuration = ClientConfiguration()
        configuration.raw.scanPageSize = 1
        try await TestCluster.withSpace(configuration: configuration) { space in
            let (client, key) = (space.client, space.key("k"))
            try await client.put(key, value: "v")
            let errors = [
                await failure { try await client.get(key, columnFamily: "nope") },
                await failure { try await client.put(key, value: "w", columnFamily: "nope") },
                await failure { try await client.batchGet([key], columnFamily: "nope") },
                await failure { try await client.batchPut([(key, "w")], columnFamily: "nope") },
                await failure { try await space.pairs(client.scan(space.range, columnFamily: "nope")) },
                await failure { try await space.pairs(client.scan(space.range, reversed: true, columnFamily: "nope")) },
            ]
            for error in errors {
                #expect(error?.code == .serverError)
                #expect(error?.detail.contains("nope") == true)
                #expect(error?.message.contains("nope") == false)
            }
        }
    }

    @Test func emptyRangesGiveNothing() async throws {
        try await TestCluster.withSpace { space in
            try await space.client.put(space.key("a"), value: "v")
            let empty = space.key("a")..<space.key("a")
            #expect(try await space.pairs(space.client.scan(empty)).isEmpty)
            #expect(try await space.pairs(space.client.scan(empty, reversed: true)).isEmpty)
            try await space.client.deleteRange(empty)
            #expect(try await space.client.get(space.key("a")) == "v")
        }
    }

    @Test func reversedRangesAreErrors() async throws {
        try await TestCluster.withSpace { space in
            try await space.client.put(space.key("b"), value: "v")
            let wrong = space.key("c")..<space.key("a")
            for reversed in [false, true] {
                let error = await failure { try await space.pairs(space.client.scan(wrong, reversed: reversed)) }
                #expect(error?.code == .invalidArgument)
            }
            #expect(await failure { try await space.client.deleteRange(wrong) }?.code == .invalidArgument)
            #expect(try await space.client.get(space.key("b")) == "v")
        }
    }

    @Test func limits() async throws {
        try await TestCluster.withSpace { space in
            try await space.client.put(space.key("a"), value: "v")
            #expect(try await space.pairs(space.client.scan(space.range, limit: 0)).isEmpty)
            #expect(try await space.pairs(space.client.scan(space.range, limit: .max)).count == 1)
            var iterator = space.client.scan(space.range, limit: -1).makeAsyncIterator()
            do throws(TiKVError) {
                _ = try await iterator.next()
                Issue.record("a negative limit must be refused")
            } catch {
                #expect(error.code == .invalidArgument)
            }
            // After an error the iteration is over.
            #expect(try await iterator.next() == nil)
        }
    }

    @Test(
        arguments: [
            [], [""], ["127.0.0.1:port"], ["127.0.0.1:99999"], ["a b:1"], ["127.0.0.1:2379", "x:y"], ["::1"],
            ["http://127.0.0.1:2379/path"],
        ] as [[String]])
    func addressesThatAreNoneAreRefused(addresses: [String]) {
        let error = #expect(throws: TiKVError.self) { try RawClient(pd: addresses) }
        #expect(error?.code == .invalidArgument)
        if let wrong = addresses.last { #expect(error?.message.contains(wrong) == true) }
    }

    @Test(arguments: [["127.0.0.1"], ["http://127.0.0.1:2379"], ["[::1]:2379"], ["pd0:2379", "pd1:2379"]])
    func addressesInEveryForm(addresses: [String]) throws {
        _ = try RawClient(pd: addresses)
    }
}
