// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// Every raw operation with every API version, over several regions.
@Suite(.timeLimit(.minutes(3))) struct RawVersionTests {
    private static let splits: [[UInt8]] = [Array("b".utf8), Array("m".utf8), Array("m5".utf8), Array("x".utf8)]

    private func withSpace(
        _ version: APIVersion, isAtomic: Bool = false, splits: [[UInt8]] = Self.splits,
        _ body: (TestCluster.Space) async throws -> Void
    ) async throws {
        try await TestCluster.withSpace(
            splits: splits, configuration: .raw(version, isAtomic: isAtomic), body)
    }

    @Test(arguments: TestCluster.versions) func singleKeysAndBatches(version: APIVersion) async throws {
        try await self.withSpace(version) { space in
            let keys = ["a", "b", "l", "m", "m4", "m5", "z"].map { space.key($0) }
            #expect(try await space.client.get(keys[0]) == nil)
            try await space.client.put(keys[0], value: "0")
            #expect(try await space.client.get(keys[0]) == "0")
            try await space.client.batchPut(keys.map { ($0, Value($0.bytes)) })
            #expect(
                try await space.client.batchGet(keys)
                    == Dictionary(uniqueKeysWithValues: keys.map { ($0, Value($0.bytes)) }))
            try await space.client.batchDelete(Array(keys.prefix(3)))
            try await space.client.delete(keys[3])
            #expect(Set(try await space.client.batchGet(keys).keys) == Set(keys.dropFirst(4)))
        }
    }

    @Test(arguments: TestCluster.versions, [false, true])
    func scansAndRanges(version: APIVersion, isReversed: Bool) async throws {
        try await self.withSpace(version) { space in
            let names = (0..<40).map { Array("\(UnicodeScalar(UInt8(0x61 + $0 / 2)))\($0 % 2 * 5)".utf8) }
            try await space.client.batchPut(names.map { (space.key($0), Value($0)) })
            func keys(_ scan: RawScan) async throws -> [[UInt8]] {
                var keys: [[UInt8]] = []
                for try await (key, value) in scan {
                    #expect(value.bytes == space.name(key))
                    keys.append(space.name(key))
                }
                return keys
            }
            let expected = isReversed ? Array(names.reversed()) : names
            #expect(try await keys(space.client.scan(space.range, reversed: isReversed)) == expected)
            #expect(
                try await keys(space.client.scan(space.range, limit: 17, reversed: isReversed))
                    == Array(expected.prefix(17)))
            let middle = space.range(Array("b5".utf8), Array("m5".utf8))
            let found = try await keys(space.client.scan(middle, reversed: isReversed))
            #expect(found.count == 22 && Set(found) == Set(names[3..<25]))
            try await space.client.deleteRange(middle)
            #expect(Set(try await keys(space.client.scan(space.range))) == Set(names[..<3] + names[25...]))
        }
    }

    @Test(arguments: TestCluster.versions, [false, true])
    func theWholeOfWhatAClientSees(version: APIVersion, isReversed: Bool) async throws {
        guard TestCluster.hasControl else { return }
        try await self.withSpace(version) { space in
            // At the very ends of what may be a key.
            let keys: [Key] = [
                [0], [0, 0], space.key("a"), space.key("z"), [0xff], Key([UInt8](repeating: 0xff, count: 90)),
            ]
            try await space.client.batchPut(keys.map { ($0, "v") })
            var found: [Key] = []
            for try await (key, _) in space.client.scan(.everything, reversed: isReversed) { found.append(key) }
            #expect(found == (isReversed ? keys.reversed() : keys))
            #expect(try await space.client.checksum(.everything).pairCount == 6)
            try await space.client.deleteRange(.everything)
            #expect(try await space.client.checksum(.everything) == RawChecksum())
        }
    }

    @Test(arguments: TestCluster.versions) func compareAndSwap(version: APIVersion) async throws {
        try await self.withSpace(version, isAtomic: true) { space in
            let (client, key) = (space.client, space.key("kv"))
            let first = try await client.compareAndSwap(key, expected: nil, value: "hello world")
            #expect(first == RawSwap(isSwapped: true, previous: nil))
            #expect(
                try await client.compareAndSwap(key, expected: "hello", value: "world")
                    == RawSwap(isSwapped: false, previous: "hello world"))
            #expect(try await client.get(key) == "hello world")
            #expect(
                try await client.compareAndSwap(key, expected: nil, value: "world")
                    == RawSwap(isSwapped: false, previous: "hello world"))
            #expect(
                try await client.compareAndSwap(key, expected: "hello world", value: "world")
                    == RawSwap(isSwapped: true, previous: "hello world"))
            #expect(try await client.get(key) == "world")

            #expect(try await client.putIfAbsent(key, value: "other") == "world")
            #expect(try await client.compareAndDelete(key, expected: "other").isSwapped == false)
            #expect(
                try await client.compareAndDelete(key, expected: "world")
                    == RawSwap(isSwapped: true, previous: "world"))
            #expect(try await client.get(key) == nil)
            #expect(try await client.compareAndDelete(key, expected: "").isSwapped == false)
            #expect(try await client.putIfAbsent(key, value: "other") == nil)
            #expect(try await client.get(key) == "other")
        }
    }

    @Test(arguments: TestCluster.versions) func anEmptyValueIsAValue(version: APIVersion) async throws {
        try await self.withSpace(version, isAtomic: true) { space in
            let (client, key, other) = (space.client, space.key("k"), space.key("k1"))
            let puts: [() async throws -> Void] = [
                { try await client.put(key, value: "") },
                { try await client.batchPut([(key, "")]) },
                { try await client.compareAndSwap(key, expected: nil, value: "") },
            ]
            for put in puts {
                try await put()
                #expect(try await client.get(key) == "")
                #expect(try await client.batchGet([key, other]) == [key: ""])
                #expect(try await space.pairs(client.scan(space.range)) == [Array("k".utf8): []])
                #expect(try await space.pairs(client.scan(space.range, reversed: true)) == [Array("k".utf8): []])
                // Nothing is not the same as a value of no bytes, either way.
                #expect(try await client.compareAndSwap(key, expected: nil, value: "x").previous == "")
                try await client.delete(key)
                #expect(try await client.get(key) == nil)
                #expect(try await client.batchGet([key, other]).isEmpty)
                #expect(try await space.pairs(client.scan(space.range)).isEmpty)
                #expect(try await space.pairs(client.scan(space.range, reversed: true)).isEmpty)
                #expect(
                    try await client.compareAndSwap(key, expected: "", value: "x")
                        == RawSwap(isSwapped: false, previous: nil))
            }
            try await client.put(key, value: "")
            #expect(
                try await client.compareAndSwap(key, expected: "", value: "val")
                    == RawSwap(isSwapped: true, previous: ""))
            #expect(try await client.get(key) == "val")
        }
    }

    @Test(arguments: TestCluster.versions) func checksums(version: APIVersion) async throws {
        let splits = (1..<20).map { Array("key@\(100_000 + $0 * 1024)".utf8) }
        try await self.withSpace(version, splits: splits) { space in
            let names = (0..<20_480).map { Array("key@\(100_000 + $0)".utf8) }
            try await space.client.batchPut(
                names.map { (space.key($0), Value("v" + String(decoding: $0, as: UTF8.self))) })
            // Stores hash keys as they know them, in API V2 with the prefix of the keyspace.
            let prefix: [UInt8] = version == .v2 ? [0x72, 0, 0, 0] : []
            func expected(_ names: some Sequence<[UInt8]>) -> RawChecksum {
                var sum = RawChecksum()
                for name in names {
                    let pair = prefix + space.key(name).bytes + Array("v".utf8) + name
                    sum.crc64Xor ^= crc64(pair)
                    sum.pairCount += 1
                    sum.byteCount += UInt64(pair.count)
                }
                return sum
            }
            #expect(try await space.client.checksum(space.range) == expected(names))
            let part = space.range(names[1000], names[9000])
            #expect(try await space.client.checksum(part) == expected(names[1000..<9000]))
            #expect(try await space.client.checksum(space.range(names[5], names[5])) == RawChecksum())
        }
    }

    @Test(arguments: TestCluster.versions, [false, true])
    func batchScans(version: APIVersion, isReversed: Bool) async throws {
        var configuration = ClientConfiguration.raw(version)
        configuration.raw.scanPageSize = 4
        try await TestCluster.withSpace(splits: Self.splits, configuration: configuration) { space in
            var model = ModelMap()
            for number in 0..<120 {
                model.put(Array("\(UnicodeScalar(UInt8(0x61 + number % 26)))\(number)".utf8), [UInt8(number)])
            }
            try await space.client.batchPut(model.values.map { (space.key($0.key), Value($0.value)) })
            var random = SeededRandom(11)
            func bound() -> [UInt8] {
                Int.random(in: 0..<5, using: &random) == 0
                    ? []
                    : (model.values.keys.randomElement(using: &random) ?? []) + (Bool.random(using: &random) ? [] : [0])
            }
            for limit in [0, 1, 3, 4, 9, 1000] {
                // Some of them overlap, some are empty, some reach to the end.
                let bounds = (0..<8).map { _ in
                    var (start, end) = (bound(), bound())
                    if !end.isEmpty, end.lexicographicallyPrecedes(start) { swap(&start, &end) }
                    return (start, end)
                }
                let found = try await space.client.batchScan(
                    bounds.map { space.range($0, $1) }, limit: limit, reversed: isReversed)
                #expect(
                    found.map { $0.map { space.name($0.key) } }
                        == bounds.map { model.keys($0, $1, limit: limit, reversed: isReversed) })
                #expect(found.joined().allSatisfy { $0.value.bytes == model.values[space.name($0.key)] })
            }
            let keys = try await space.client.batchScan(
                [space.range], limit: 1000, reversed: isReversed, keysOnly: true)
            #expect(keys[0].count == 120 && keys[0].allSatisfy { $0.value.isEmpty })
            #expect(try await space.client.batchScan([], limit: 3).isEmpty)
        }
    }
}

/// CRC-64/XZ, a bit at a time: apart from the one that the embedded stores use.
func crc64(_ bytes: some Sequence<UInt8>) -> UInt64 {
    var crc = UInt64.max
    for byte in bytes {
        crc ^= UInt64(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xC96C_5795_D787_0F42 : crc >> 1 }
    }
    return ~crc
}
