// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// Scans and range deletes, held against a model.
@Suite(.timeLimit(.minutes(2))) struct RawScanTests {
    /// 3000 keys over a dozen regions, with gaps, and region bounds both on keys and between them.
    private static let splits: [[UInt8]] = [
        [0x01], [0x10], [0x10, 0x00], [0x20, 0x80], [0x21], [0x55], [0x80], [0x80, 0xff], [0xf0],
    ]

    private func fill(_ space: TestCluster.Space, count: Int, seed: UInt64) async throws -> ModelMap {
        var random = SeededRandom(seed)
        var model = ModelMap()
        for number in 0..<count {
            let length = Int.random(in: 1...4, using: &random)
            let key = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            model.put(key, Array("\(number)".utf8))
        }
        try await space.client.batchPut(model.values.map { (space.key($0.key), Value($0.value)) })
        return model
    }

    @Test func scansEqualTheModel() async throws {
        var configuration = ClientConfiguration()
        configuration.raw.scanPageSize = 100
        try await TestCluster.withSpace(splits: Self.splits, configuration: configuration) { space in
            let model = try await self.fill(space, count: 3000, seed: 1)
            var random = SeededRandom(2)
            func bound() -> [UInt8] {
                if Int.random(in: 0..<6, using: &random) == 0 { return [] }
                if Bool.random(using: &random), let key = model.values.keys.randomElement(using: &random) { return key }
                if Int.random(in: 0..<4, using: &random) == 0 { return Self.splits.randomElement(using: &random) ?? [] }
                return (0..<2).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            }
            for _ in 0..<60 {
                var (start, end) = (bound(), bound())
                if !end.isEmpty, end.lexicographicallyPrecedes(start) { swap(&start, &end) }
                let limit = [nil, 0, 1, 5, 99, 100, 101, 1000].randomElement(using: &random) ?? nil
                let reversed = Bool.random(using: &random)
                let keysOnly = Int.random(in: 0..<4, using: &random) == 0
                var found: [[UInt8]] = []
                let scan = space.client.scan(
                    space.range(start, end), limit: limit, reversed: reversed, keysOnly: keysOnly)
                for try await (key, value) in scan {
                    found.append(space.name(key))
                    #expect(value.bytes == (keysOnly ? [] : model.values[space.name(key)]))
                }
                #expect(
                    found == model.keys(start, end, limit: limit, reversed: reversed),
                    "\(start)..<\(end) limit \(String(describing: limit)) reversed \(reversed)")
            }
        }
    }

    @Test func aScanCanBeLeftAndBegunAgain() async throws {
        try await TestCluster.withSpace(splits: Self.splits) { space in
            let model = try await self.fill(space, count: 300, seed: 3)
            let scan = space.client.scan(space.range)
            for _ in 0..<2 {
                var first: [[UInt8]] = []
                for try await (key, _) in scan {
                    first.append(space.name(key))
                    if first.count == 7 { break }
                }
                #expect(first == model.keys([], [], limit: 7))
            }
            var iterator = scan.makeAsyncIterator()
            for _ in 0..<model.values.count { #expect(try await iterator.next() != nil) }
            #expect(try await iterator.next() == nil)
            #expect(try await iterator.next() == nil)
        }
    }

    @Test func rangeDeletesEqualTheModel() async throws {
        let splits: [[UInt8]] = [Array("b".utf8), Array("c".utf8), Array("d".utf8)]
        try await TestCluster.withSpace(splits: splits) { space in
            var model = ModelMap()
            for letter in "abcd" {
                for digit in 0..<10 { model.put(Array("\(letter)\(digit)".utf8), [1]) }
            }
            try await space.client.batchPut(model.values.map { (space.key($0.key), Value($0.value)) })
            for (start, end) in [("b", "c0"), ("c11", "c12"), ("d0", "d0"), ("c5", "d5"), ("a", "z")] {
                try await space.client.deleteRange(space.key(start)..<space.key(end))
                let (low, high) = (Array(start.utf8), Array(end.utf8))
                model.remove { !$0.lexicographicallyPrecedes(low) && $0.lexicographicallyPrecedes(high) }
                #expect(try await space.pairs(space.client.scan(space.range)) == model.values, "\(start)..<\(end)")
            }
        }
    }

    @Test(.enabled(if: TestCluster.hasControl, "removes and reads all keys of the cluster"))
    func everythingMeansEverything() async throws {
        try await TestCluster.withControl(.init(splitKeys: [[0x40], [0x80], [0xc0]])) { client, _ in
            let keys = (0...255).map { Key([UInt8($0), 1]) } + [Key([UInt8](repeating: 0xff, count: 8192))]
            try await client.batchPut(keys.map { ($0, "v") })
            var found: [Key] = []
            for try await (key, _) in client.scan(.everything) { found.append(key) }
            #expect(found == keys)
            found = []
            for try await (key, _) in client.scan(.everything, reversed: true) { found.append(key) }
            #expect(found == keys.reversed())
            found = []
            for try await (key, _) in client.scan(.everything, limit: 1, reversed: true) { found.append(key) }
            #expect(found == [keys[256]])
            // With a bound at one end only.
            try await client.deleteRange(..<[0x41])
            try await client.deleteRange([0xc1]...)
            found = []
            for try await (key, _) in client.scan(.everything) { found.append(key) }
            #expect(found == Array(keys[0x41...0xc0]))
            try await client.deleteRange(.everything)
            for try await (key, _) in client.scan(.everything) { Issue.record("left over: \(key.debugDescription)") }
        }
    }

    /// The cases that client-go's tests of its raw client check.
    @Test func smallScans() async throws {
        try await TestCluster.withSpace(splits: [Array("k2".utf8), Array("k5".utf8)]) { space in
            for name in ["k1", "k3", "k5", "k7"] { try await space.client.put(space.key(name), value: Value(name)) }
            func names(
                _ start: String, _ end: String, limit: Int? = nil, reversed: Bool = false
            ) async throws -> [String] {
                var names: [String] = []
                let range = space.range(Array(start.utf8), Array(end.utf8))
                for try await (key, _) in space.client.scan(range, limit: limit, reversed: reversed) {
                    names.append(String(decoding: space.name(key), as: UTF8.self))
                }
                return names
            }
            #expect(try await names("", "", limit: 1) == ["k1"])
            #expect(try await names("k1", "", limit: 2) == ["k1", "k3"])
            #expect(try await names("", "", limit: 10) == ["k1", "k3", "k5", "k7"])
            #expect(try await names("k2", "", limit: 2) == ["k3", "k5"])
            #expect(try await names("k2", "", limit: 3) == ["k3", "k5", "k7"])
            #expect(try await names("", "k1") == [])
            #expect(try await names("k1", "k3") == ["k1"])
            #expect(try await names("k1", "k5") == ["k1", "k3"])
            #expect(try await names("", "z", limit: 1, reversed: true) == ["k7"])
            #expect(try await names("", "z", limit: 10, reversed: true) == ["k7", "k5", "k3", "k1"])
            #expect(try await names("", "k2", limit: 10, reversed: true) == ["k1"])
            #expect(try await names("", "k6", limit: 2, reversed: true) == ["k5", "k3"])
            #expect(try await names("k3", "k7", reversed: true) == ["k5", "k3"])
        }
    }

    @Test func tenKeysBackwards() async throws {
        try await TestCluster.withSpace(splits: [Array("key:7".utf8)]) { space in
            for number in 0..<10 {
                try await space.client.put(space.key("key:\(number)"), value: Value("value:\(number)"))
            }
            func found(_ start: String, _ end: String, limit: Int) async throws -> [String] {
                var found: [String] = []
                let range = space.range(Array(start.utf8), Array(end.utf8))
                for try await (key, value) in space.client.scan(range, limit: limit, reversed: true) {
                    found.append(String(decoding: space.name(key) + Array("=".utf8) + value.bytes, as: UTF8.self))
                }
                return found
            }
            let expected = (0...9).reversed().map { "key:\($0)=value:\($0)" }
            #expect(try await found("key:", "key:~", limit: 5) == Array(expected[0..<5]))
            #expect(try await found("key:3", "key:5", limit: 5) == ["key:4=value:4", "key:3=value:3"])
            #expect(try await found("key:", "key:", limit: 5) == [])
        }
    }

    /// As many pairs in as many regions as client-go's tests of its raw client have.
    @Test func twentyThousandPairs() async throws {
        @Sendable func name(_ number: Int) -> [UInt8] { Array("key@\(number + 100_000)".utf8) }
        var configuration = ClientConfiguration()
        configuration.raw.scanPageSize = 10_240
        let splits = (1..<20).map { name($0 * 1024) }
        try await TestCluster.withSpace(splits: splits, configuration: configuration) { space in
            try await space.client.batchPut((0..<20_480).map { (space.key(name($0)), Value("value@\($0)")) })
            var count = 0
            var isRight = true
            for try await (key, value) in space.client.scan(space.range(name(0), []), limit: 10_240) {
                if key != space.key(name(count)) || value != Value("value@\(count)") { isRight = false }
                count += 1
            }
            #expect(isRight)
            #expect(count == 10_240)
            try await space.client.deleteRange(space.range)
            for number in [0, 1, 2, 4096, 20_479] {
                #expect(try await space.client.get(space.key(name(number))) == nil)
            }
            #expect(try await space.pairs(space.client.scan(space.range)).isEmpty)
        }
    }
}
