// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap
import TiKVPD

@testable import TiKV

/// The tree of regions against a plain sorted list.
@Suite(.timeLimit(.minutes(1))) struct RegionIndexTests {
    private func region(_ id: UInt64, _ start: [UInt8], _ end: [UInt8]) throws -> CachedRegion {
        var description = RegionDescription.sample(id)
        description.startKey = start
        description.endKey = end
        return try #require(
            CachedRegion(description, stores: { StoreRecord(id: $0) }, now: .now, timeToLive: .seconds(600)))
    }

    /// Keys of several kinds: of one table, with a long common beginning; short ones; ones that are prefixes of others.
    private static func key(_ number: Int) -> [UInt8] {
        let bytes = [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
        switch number % 5 {
        case 0: return Array("t_0000000000000000_r".utf8) + bytes
        case 1: return Array("t_0000000000000000_r".utf8) + bytes + [0]
        case 2: return bytes
        case 3: return Array("t_0000000000000000_r".utf8) + bytes + [UInt8](repeating: 255, count: 9)
        default: return [UInt8](repeating: 0, count: number % 11)
        }
    }

    private func check(_ index: RegionIndex, _ model: [CachedRegion], _ key: [UInt8]) {
        let at = model.last { KeyOrder.compare($0.startKey, key) <= 0 }
        let before = model.last { KeyOrder.compare($0.startKey, key) < 0 }
        #expect(index.region(containing: key) === (at?.contains(key) == true ? at : nil))
        #expect(index.last(before: key, orEqual: true) === at)
        #expect(index.last(before: key, orEqual: false) === before)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func randomChanges(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var index = RegionIndex()
        var model: [CachedRegion] = []
        let keys = (0..<6_000).map { Self.key($0) }
        var copies: [(index: RegionIndex, model: [CachedRegion])] = []
        for step in 0..<3_000 {
            let start = keys[Int(random.next() % UInt64(keys.count))]
            let place = model.firstIndex { KeyOrder.compare($0.startKey, start) >= 0 } ?? model.count
            if random.next() % 4 == 0, place < model.count {
                let isRemoved = index.remove(model[place])
                let isRemovedAgain = index.remove(model[place])
                #expect(isRemoved && !isRemovedAgain)
                model.remove(at: place)
                continue
            }
            let isThere = place < model.count && model[place].startKey == start
            let next = isThere ? place + 1 : place
            // Up to the next one, or a gap before it.
            let end = next < model.count ? model[next].startKey : random.next() % 2 == 0 ? [] : start + [1]
            let region = try self.region(UInt64(step + 1), start, random.next() % 3 == 0 ? start + [0, 0] : end)
            // It would reach into the next.
            if next < model.count, region.endKey.isEmpty || KeyOrder.isLess(end, region.endKey) { continue }
            index.insert(region)
            if isThere { model[place] = region } else { model.insert(region, at: place) }
            if step % 500 == 0 { copies.append((index, model)) }
        }
        copies.append((index, model))
        // Earlier copies are as they were.
        for (index, model) in copies {
            #expect(index.ascending().elementsEqual(model) { $0 === $1 })
            #expect(index.last === model.last)
            for key in keys.prefix(1_500) { self.check(index, model, key) }
            let from = keys[Int(random.next() % UInt64(keys.count))]
            let rest = model.filter { KeyOrder.compare($0.startKey, from) >= 0 }
            #expect(index.ascending(from: from).elementsEqual(rest) { $0 === $1 })
        }
        for region in model.shuffled(using: &random) {
            let isRemoved = index.remove(region)
            #expect(isRemoved)
        }
        let first = index.ascending().next0
        #expect(index.last == nil && index.region(containing: [1]) == nil && first == nil)
    }

    @Test func manyThatFollowEachOther() throws {
        func key(_ number: Int) -> [UInt8] {
            Array("t_region_".utf8) + (0..<8).reversed().map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        }
        var index = RegionIndex()
        let count = 5_000
        for number in 0..<count {
            index.insert(
                try self.region(
                    UInt64(number + 1), number == 0 ? [] : key(number), number == count - 1 ? [] : key(number + 1)))
        }
        for number in 0..<count {
            #expect(index.region(containing: key(number))?.id == UInt64(number + 1))
            #expect(index.region(containing: key(number) + [9])?.id == UInt64(number + 1))
        }
        #expect(index.region(containing: [])?.id == 1)
        #expect(index.region(containing: [255])?.id == UInt64(count))
    }

    @Test func secondsAreThoseOfTheStandardLibrary() {
        let durations: [Duration] = [
            .zero, .seconds(1), .milliseconds(999), .nanoseconds(999_999_999), .seconds(-1),
            .seconds(86_400 * 365 * 300),
            .seconds(3) - .nanoseconds(1), .seconds(4_000_000), .seconds(5_000_000) + .milliseconds(500),
        ]
        for duration in durations { #expect(duration.wholeSeconds == duration.components.seconds) }
    }
}

extension RegionIndex.Ascending {
    fileprivate var next0: CachedRegion? {
        var copy = self
        return copy.next()
    }
}
