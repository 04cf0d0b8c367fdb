// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@Suite struct OrderedMapTests {
    @Test func emptyMapHasNothing() {
        var map = OrderedMap<Int>()
        #expect(map.isEmpty && map.first == nil && map.last == nil)
        #expect(map[[]] == nil && map.floor([1]) == nil && map.ceiling([]) == nil)
        #expect(Array(map.ascending()).isEmpty && Array(map.descending()).isEmpty)
        #expect(map.removeValue(forKey: [1]) == nil)
        #expect(map.removeAll(from: [], to: nil) == 0)
    }

    @Test func ordersBytewiseWithPrefixesFirst() {
        var map = OrderedMap<Int>()
        let keys: [[UInt8]] = [[0xFF], [], [0x7F, 0], [0x80], [0x7F], [0xFF, 0xFF], [0]]
        for (index, key) in keys.enumerated() { map[key] = index }
        #expect(map.ascending().map(\.key) == [[], [0], [0x7F], [0x7F, 0], [0x80], [0xFF], [0xFF, 0xFF]])
        #expect(map[[]] == 1)
        #expect(map.first?.key == [] && map.last?.key == [0xFF, 0xFF])
        #expect(map.lower([]) == nil && map.floor([])?.value == 1 && map.higher([])?.key == [0])
    }

    @Test func settingNilRemovesAndUpdateReturnsTheOldValue() {
        var map = OrderedMap<Int>()
        #expect(map.updateValue(1, forKey: [1]) == nil)
        #expect(map.updateValue(2, forKey: [1]) == 1)
        map[[1]] = nil
        #expect(map.isEmpty && map[[1]] == nil)
    }

    /// Enough keys for all three levels to split, in each order that is easy to get wrong.
    @Test(arguments: ["ascending", "descending", "shuffled"])
    func manyKeysInAnyOrder(order: String) {
        var random = SplitMix(seed: 11)
        var numbers = Array(0..<40_000)
        if order == "descending" { numbers.reverse() }
        if order == "shuffled" { numbers.shuffle(using: &random) }
        var map = OrderedMap<Int>()
        for number in numbers { map[self.key(number)] = number }
        #expect(map.count == 40_000)
        #expect(map.ascending().map(\.value) == Array(0..<40_000))
        #expect(map.descending().map(\.value) == (0..<40_000).reversed())
        #expect((0..<40_000).allSatisfy { map[self.key($0)] == $0 })
        numbers.shuffle(using: &random)
        for number in numbers.prefix(39_990) { #expect(map.removeValue(forKey: self.key(number)) == number) }
        #expect(map.ascending().map(\.value) == numbers.suffix(10).sorted())
    }

    @Test func removesRangesAcrossAllLevels() {
        var map = OrderedMap<Int>()
        for number in 0..<50_000 { map[self.key(number)] = number }
        let before = map
        #expect(map.removeAll(from: self.key(100), to: self.key(49_900)) == 49_800)
        #expect(map.count == 200)
        #expect(map.ascending().map(\.value) == Array(0..<100) + Array(49_900..<50_000))
        #expect(map.removeAll(from: self.key(50), to: self.key(50)) == 0)
        #expect(map.removeAll(from: self.key(60), to: self.key(50)) == 0)
        #expect(map.removeAll(from: self.key(50), to: nil) == 150)
        #expect(map.last?.value == 49)
        #expect(map.removeAll(from: [], to: nil) == 50)
        #expect(map.isEmpty && before.count == 50_000)
        #expect(before.ascending().map(\.value) == Array(0..<50_000))
    }

    /// Random operations against a sorted array; every look-up, both directions, and snapshots that must not move.
    @Test(arguments: 0..<16) func agreesWithASortedArray(seed: Int) {
        var random = SplitMix(seed: UInt64(seed))
        var map = OrderedMap<Int>()
        var model = SortedArrayModel()
        var snapshots: [(OrderedMap<Int>, SortedArrayModel)] = []
        // Few different keys make hits likely; many make deep trees.
        let space = [40, 600, 5_000, 30_000][seed % 4]
        // Keys that begin alike, for longer than the map looks at once, and now and then one that does not.
        let prefix = Array("a prefix of some length/".utf8.prefix([0, 3, 8, 24][seed / 4]))
        for step in 0..<4_000 {
            let key = self.key(Int.random(in: 0..<space, using: &random), below: prefix, random: &random)
            let other = self.key(Int.random(in: 0..<space, using: &random), below: prefix, random: &random)
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<60:
                #expect(map.updateValue(step, forKey: key) == model.set(key, step))
            case 60..<85:
                #expect(map.removeValue(forKey: key) == model.remove(key))
            case 85:
                #expect(map.removeAll(from: key, to: other) == model.removeAll(from: key, to: other))
            case 86 where step % 7 == 0:
                #expect(map.removeAll(from: key, to: nil) == model.removeAll(from: key, to: nil))
            case 87 where snapshots.count < 4:
                snapshots.append((map, model))
            case 88..<92:
                let length = Int.random(in: 0..<300, using: &random)
                #expect(
                    map.ascending(from: key).prefix(length).map(\.value) == model.ascending(key).prefix(length).map(\.1)
                )
            case 92..<96:
                let length = Int.random(in: 0..<300, using: &random)
                #expect(
                    map.descending(before: key).prefix(length).map(\.value)
                        == model.descending(key, orEqual: false).prefix(length).map(\.1))
                #expect(
                    map.descending(through: key).prefix(3).map(\.value)
                        == model.descending(key, orEqual: true).prefix(3).map(\.1))
            default:
                #expect(map[key] == model.ascending(key).first.flatMap { $0.0 == key ? $0.1 : nil })
                #expect(map.floor(key)?.value == model.descending(key, orEqual: true).first?.1)
                #expect(map.lower(key)?.value == model.descending(key, orEqual: false).first?.1)
                #expect(map.ceiling(key)?.value == model.ascending(key).first?.1)
                #expect(map.higher(key)?.value == model.ascending(key).first { $0.0 != key }?.1)
            }
            #expect(map.count == model.entries.count)
        }
        snapshots.append((map, model))
        for (map, model) in snapshots {
            #expect(map.ascending().map(\.key) == model.entries.map(\.0))
            #expect(map.ascending().map(\.value) == model.entries.map(\.1))
            #expect(map.descending().map(\.value) == model.entries.map(\.1).reversed())
        }
    }

    // MARK: - Keys

    private func key(_ number: Int) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
    }

    /// Keys of several lengths, so that prefixes of each other occur.
    private func key(_ number: Int, below prefix: [UInt8], random: inout SplitMix) -> [UInt8] {
        let key = Array(self.key(number).suffix(Int.random(in: 1...4, using: &random)))
        switch Int.random(in: 0..<200, using: &random) {
        case 0: return key
        case 1: return Array(prefix.dropLast())
        case 2: return prefix + key + [UInt8](repeating: 0, count: 9)
        default: return prefix + key
        }
    }
}

/// What the map should do, done slowly.
private struct SortedArrayModel {
    var entries: [([UInt8], Int)] = []

    private func index(_ key: [UInt8]) -> Int {
        var low = 0
        var high = self.entries.count
        while low < high {
            let middle = (low + high) / 2
            if self.entries[middle].0.lexicographicallyPrecedes(key) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func set(_ key: [UInt8], _ value: Int) -> Int? {
        let index = self.index(key)
        if index < self.entries.count, self.entries[index].0 == key {
            defer { self.entries[index].1 = value }
            return self.entries[index].1
        }
        self.entries.insert((key, value), at: index)
        return nil
    }

    mutating func remove(_ key: [UInt8]) -> Int? {
        let index = self.index(key)
        guard index < self.entries.count, self.entries[index].0 == key else { return nil }
        return self.entries.remove(at: index).1
    }

    mutating func removeAll(from lower: [UInt8], to upper: [UInt8]?) -> Int {
        let start = self.index(lower)
        let end = upper.map { self.index($0) } ?? self.entries.count
        guard start < end else { return 0 }
        self.entries.removeSubrange(start..<end)
        return end - start
    }

    func ascending(_ key: [UInt8]) -> ArraySlice<([UInt8], Int)> { self.entries[self.index(key)...] }

    func descending(_ key: [UInt8], orEqual: Bool) -> [([UInt8], Int)] {
        var end = self.index(key)
        if orEqual, end < self.entries.count, self.entries[end].0 == key { end += 1 }
        return self.entries[..<end].reversed()
    }
}

/// A small seeded generator, so that a failure can be seen again.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
