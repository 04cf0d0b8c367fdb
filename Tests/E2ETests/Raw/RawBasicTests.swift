// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// What the raw client does on any cluster, embedded or real.
@Suite(.timeLimit(.minutes(2))) struct RawBasicTests {
    @Test func putGetDelete() async throws {
        try await TestCluster.withSpace { space in
            let key = space.key("key")
            #expect(try await space.client.get(key) == nil)
            try await space.client.put(key, value: "one")
            #expect(try await space.client.get(key) == "one")
            try await space.client.put(key, value: "two")
            #expect(try await space.client.get(key) == "two")
            try await space.client.delete(key)
            #expect(try await space.client.get(key) == nil)
            try await space.client.delete(key)
        }
    }

    @Test func aValueOfNoBytesIsAValue() async throws {
        try await TestCluster.withSpace { space in
            let (empty, missing) = (space.key("empty"), space.key("missing"))
            try await space.client.put(empty, value: Value())
            #expect(try await space.client.get(empty) == Value())
            #expect(try await space.client.batchGet([empty, missing]) == [empty: Value()])
            #expect(try await space.pairs(space.client.scan(space.range)) == [Array("empty".utf8): []])
            #expect(try await space.pairs(space.client.scan(space.range, reversed: true)) == [Array("empty".utf8): []])
            try await space.client.batchPut([(space.key("other"), Value())])
            #expect(try await space.client.get(space.key("other")) == Value())
        }
    }

    @Test func keysAndValuesAreAnyBytes() async throws {
        try await TestCluster.withSpace(splits: [[0x40], [0x80], [0xff]]) { space in
            let names: [[UInt8]] = (0...255).flatMap { byte in [[UInt8(byte)], [UInt8(byte), 0], [UInt8(byte), 0xff]] }
            try await space.client.batchPut(names.map { (space.key($0), Value($0.reversed())) })
            for name in names { #expect(try await space.client.get(space.key(name))?.bytes == name.reversed()) }
            var found: [[UInt8]] = []
            for try await (key, value) in space.client.scan(space.range) {
                found.append(space.name(key))
                #expect(value.bytes == space.name(key).reversed())
            }
            #expect(found == names.sorted { $0.lexicographicallyPrecedes($1) })
        }
    }

    @Test func largeKeysAndValues() async throws {
        try await TestCluster.withSpace { space in
            let key = space.key([UInt8](repeating: 0x6b, count: 4096 - space.prefix.count))
            let value = Value([UInt8](repeating: 0xab, count: 3_000_000))
            try await space.client.put(key, value: value)
            #expect(try await space.client.get(key) == value)
        }
    }

    @Test func batchesSpanRegions() async throws {
        let splits = (1..<20).map { Array("k\($0 * 250 + 10_000)".utf8) }
        try await TestCluster.withSpace(splits: splits) { space in
            func key(_ number: Int) -> Key { space.key("k\(number + 10_000)") }
            try await space.client.batchPut((0..<5000).map { (key($0), Value("value \($0)")) })
            let values = try await space.client.batchGet((0..<5100).map { key($0) })
            #expect(values.count == 5000)
            #expect((0..<5000).allSatisfy { values[key($0)] == Value("value \($0)") })
            // The same key twice is one.
            #expect(try await space.client.batchGet([key(1), key(1)]).count == 1)
            try await space.client.batchDelete((0..<5000).filter { !$0.isMultiple(of: 2) }.map { key($0) })
            let rest = try await space.client.batchGet((0..<5000).map { key($0) })
            #expect(rest.count == 2500)
            #expect(rest[key(2)] == "value 2" && rest[key(3)] == nil)
        }
    }

    @Test func batchPutGetDelete() async throws {
        try await TestCluster.withSpace { space in
            let (first, second) = (space.key("k1"), space.key("k2"))
            try await space.client.batchPut([(first, "v1"), (second, "v2")])
            #expect(try await space.client.batchGet([second, first]) == [first: "v1", second: "v2"])
            try await space.client.batchDelete([first, second])
            #expect(try await space.client.get(first) == nil)
            #expect(try await space.client.get(second) == nil)
        }
    }

    @Test func ofSeveralPairsForAKeyTheLastIsWritten() async throws {
        try await TestCluster.withSpace { space in
            try await space.client.batchPut([
                (space.key("a"), "1"), (space.key("b"), "2"), (space.key("a"), "3"),
            ])
            #expect(
                try await space.client.batchGet([space.key("a"), space.key("b")])
                    == [space.key("a"): "3", space.key("b"): "2"])
        }
    }

    @Test func batchesOfNothingAreDone() async throws {
        try await TestCluster.withSpace { space in
            #expect(try await space.client.batchGet([]).isEmpty)
            try await space.client.batchPut([])
            try await space.client.batchDelete([])
        }
    }

    @Test func putsLargerThanABatchGoInPieces() async throws {
        try await TestCluster.withSpace(splits: [Array("5".utf8)]) { space in
            let pairs = (0..<10).map { (space.key("\($0)"), Value([UInt8](repeating: UInt8($0), count: 20_000))) }
            try await space.client.batchPut(pairs.map { (key: $0.0, value: $0.1) })
            let values = try await space.client.batchGet(pairs.map(\.0))
            #expect(pairs.allSatisfy { values[$0.0] == $0.1 })
        }
    }

    @Test func manyCallsAtOnce() async throws {
        try await TestCluster.withSpace(splits: [Array("3".utf8), Array("6".utf8)]) { space in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        let key = space.key("\(number)")
                        try await space.client.put(key, value: Value("\(number)"))
                        #expect(try await space.client.get(key) == Value("\(number)"))
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await space.pairs(space.client.scan(space.range)).count == 500)
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "writes to families that a real cluster keeps its own records in"))
    func columnFamiliesKeepKeysApart() async throws {
        try await TestCluster.withControl { client, cluster in
            try await client.put("k", value: "default")
            try await client.put("k", value: "write", columnFamily: .write)
            try await client.batchPut([("k", "lock")], columnFamily: .lock)
            #expect(try await client.get("k") == "default")
            #expect(try await client.get("k", columnFamily: .default) == "default")
            #expect(try await client.get("k", columnFamily: .write) == "write")
            #expect(try await client.batchGet(["k"], columnFamily: .lock) == ["k": "lock"])
            try await client.deleteRange(.everything, columnFamily: .write)
            #expect(try await client.get("k", columnFamily: .write) == nil)
            #expect(try await client.get("k") == "default")
            let error = await failure { try await client.get("k", columnFamily: "nonsense", timeout: .seconds(5)) }
            #expect(error?.code == .serverError)

            var configuration = ClientConfiguration()
            configuration.raw.columnFamily = .lock
            try await RawClient.withClient(pd: cluster.pdEndpoints, configuration: configuration) { other in
                let stored = try await other.get("k")
                #expect(stored == "lock")
                #expect(try await other.get("k", columnFamily: .default) == "default")
            }
        }
    }
}
