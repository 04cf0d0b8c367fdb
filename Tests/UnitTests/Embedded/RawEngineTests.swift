// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKVEmbedded

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite struct RawEngineTests {
    private func key(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func familiesAreApart() {
        var engine = RawEngine()
        engine.put(self.key("k"), Data("d".utf8), ttl: 0, in: .default, now: 0)
        engine.put(self.key("k"), Data("w".utf8), ttl: 0, in: .write, now: 0)
        #expect(engine.get(self.key("k"), in: .default, now: 0) == Data("d".utf8))
        #expect(engine.get(self.key("k"), in: .write, now: 0) == Data("w".utf8))
        #expect(engine.get(self.key("k"), in: .lock, now: 0) == nil)
        engine.delete(self.key("k"), in: .default)
        #expect(engine.get(self.key("k"), in: .default, now: 0) == nil)
        #expect(engine.get(self.key("k"), in: .write, now: 0) == Data("w".utf8))
    }

    @Test func emptyValueIsAValue() {
        var engine = RawEngine()
        engine.put([], Data(), ttl: 0, in: .default, now: 0)
        #expect(engine.get([], in: .default, now: 0) == Data())
    }

    @Test func valuesExpire() {
        var engine = RawEngine()
        engine.put([1], Data([1]), ttl: 10, in: .default, now: 100)
        engine.put([2], Data([2]), ttl: 0, in: .default, now: 100)
        engine.put([3], Data([3]), ttl: .max, in: .default, now: 100)
        #expect(engine.timeToLive([1], in: .default, now: 104) == 6)
        #expect(engine.timeToLive([2], in: .default, now: 104) == 0)
        #expect(engine.get([1], in: .default, now: 109) == Data([1]))
        #expect(engine.get([1], in: .default, now: 110) == nil)
        #expect(engine.timeToLive([1], in: .default, now: 110) == nil)
        #expect(engine.get([3], in: .default, now: 1 << 40) == Data([3]))
        let all = RawRange(start: [], end: [])
        #expect(engine.entries(.default).scan(all, limit: 1, now: 110).map(\.key) == [[2]])
        engine.put([1], Data([4]), ttl: 0, in: .default, now: 111)
        #expect(engine.get([1], in: .default, now: 1 << 40) == Data([4]))
    }

    @Test func compareAndSwap() {
        var engine = RawEngine()
        func swap(_ expected: UInt8?, _ value: UInt8?, now: UInt64 = 0, ttl: UInt64 = 0) -> (UInt8?, Bool) {
            let result = engine.compareAndSwap(
                [9], expected: expected.map { Data([$0]) }, value: value.map { Data([$0]) }, ttl: ttl, in: .default,
                now: now)
            return (result.previous?.first, result.succeeded)
        }
        #expect(swap(1, 2) == (nil, false))
        #expect(swap(nil, 2) == (nil, true))
        #expect(swap(nil, 3) == (2, false))
        #expect(swap(2, 3, now: 10, ttl: 5) == (2, true))
        #expect(swap(3, 4, now: 15) == (nil, false), "an expired value is none")
        #expect(swap(nil, 4, now: 15) == (nil, true))
        #expect(swap(4, nil) == (4, true))
        #expect(engine.get([9], in: .default, now: 0) == nil)
    }

    @Test func snapshotsDoNotMove() {
        var engine = RawEngine()
        for byte in UInt8(0)..<200 { engine.put([byte], Data([byte]), ttl: 0, in: .default, now: 0) }
        let entries = engine.entries(.default)
        engine.deleteRange(from: [10], to: nil, in: .default)
        #expect(entries.scan(RawRange(start: [], end: []), limit: .max, now: 0).count == 200)
        #expect(engine.entries(.default).count == 10)
    }

    @Test(arguments: 0..<6) func scansAgreeWithAPlainSearch(seed: UInt64) {
        var random = SplitMix(seed: seed)
        var engine = RawEngine()
        var model: [[UInt8]: (Data, UInt64?)] = [:]
        for step in 0..<600 {
            let key = (0..<Int.random(in: 0...2, using: &random)).map { _ in UInt8.random(in: 0..<40, using: &random) }
            let now = UInt64(step)
            if Bool.random(using: &random) {
                let ttl = UInt64.random(in: 0..<300, using: &random)
                engine.put(key, Data(key), ttl: ttl, in: .default, now: now)
                model[key] = (Data(key), ttl == 0 ? nil : now + ttl)
            } else if step % 5 == 0 {
                engine.delete(key, in: .default)
                model[key] = nil
            }
            let bounds = (0..<2).map { _ in (0..<2).map { _ in UInt8.random(in: 0..<40, using: &random) } }
                .sorted { $0.lexicographicallyPrecedes($1) }
            let range = RawRange(start: bounds[0], end: bounds[1])
            let limit = Int.random(in: 0..<20, using: &random)
            let live = model.filter { $0.value.1 == nil || $0.value.1! > now }.keys
                .filter { !$0.lexicographicallyPrecedes(range.start) && $0.lexicographicallyPrecedes(range.end) }
                .sorted { $0.lexicographicallyPrecedes($1) }
            #expect(
                engine.entries(.default).scan(range, limit: limit, now: now).map(\.key) == Array(live.prefix(limit)))
            #expect(
                engine.entries(.default).reverseScan(range, limit: limit, now: now).map(\.key)
                    == Array(live.reversed().prefix(limit)))
        }
    }

    @Test func checksumOfKnownText() {
        var crc = CRC64()
        crc.update("123456789".utf8)
        #expect(crc.value == 0x995D_C9BB_DF19_39FA)
        #expect(CRC64().value == 0)
    }

    @Test func checksumDoesNotDependOnOrderAndCountsBytes() {
        var engine = RawEngine()
        engine.put(self.key("1234"), Data("56789".utf8), ttl: 0, in: .default, now: 0)
        let all = RawRange(start: [], end: [])
        #expect(engine.entries(.default).checksum([all], now: 0) == (0x995D_C9BB_DF19_39FA, 1, 9))
        engine.put(self.key("12345"), Data("6789".utf8), ttl: 0, in: .default, now: 0)
        #expect(engine.entries(.default).checksum([all], now: 0) == (0, 2, 18))
        #expect(
            engine.entries(.default).checksum([RawRange(start: self.key("12345"), end: [])], now: 0)
                == (0x995D_C9BB_DF19_39FA, 1, 9))
    }

    @Test func keysOutsideTheRawAPIAreEncodedInGroups() {
        #expect(MemComparable.encode([]) == [0, 0, 0, 0, 0, 0, 0, 0, 247])
        #expect(MemComparable.encode([1, 2, 3]) == [1, 2, 3, 0, 0, 0, 0, 0, 250])
        #expect(
            MemComparable.encode([1, 2, 3, 4, 5, 6, 7, 8])
                == [1, 2, 3, 4, 5, 6, 7, 8, 255, 0, 0, 0, 0, 0, 0, 0, 0, 247])
    }
}
