// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TiKVOrderedMap
import TiKVPD

@testable import TiKV

@Suite struct KeyCodecTests {
    private typealias Samples = CodecSamples

    private func bound(_ prefix: [UInt8], _ text: String = "") -> [UInt8] { MemComparable.encode(prefix + text.utf8) }

    // MARK: - Keys and ranges

    @Test func outsideOfV2KeysAreAsTheyAre() throws {
        for codec in [KeyCodec.v1(.raw), .v1(.raw, hasTimeToLive: true), .v1(.transaction)] {
            #expect(!codec.changesKeys)
            #expect(codec.keyspace == nil)
            #expect(codec.encode([1, 2]) == [1, 2])
            #expect(try codec.decode([0x78, 2]) == [0x78, 2])
            let span = KeySpan(start: [1], end: [])
            #expect(codec.encode(span) == span)
            #expect(try codec.decode(span) == span)
        }
    }

    @Test func keysOfV2HaveThePrefix() throws {
        let codec = try Samples.codec()
        #expect(codec.keyspace?.id == Samples.id)
        #expect(codec.encode([1, 2]) == Samples.prefix + [1, 2])
        #expect(try codec.decode(Samples.prefix + [1, 2]) == [1, 2])
        #expect(try codec.decode([] as [UInt8]).isEmpty)
        for key: [UInt8] in [Samples.end, Samples.previousPrefix + [1], [0x78, 0, 0x10, 0x92], [0x72]] {
            #expect(throws: KeyCodecError.outsideOfKeyspace) { try codec.decode(key) }
        }
    }

    @Test func emptyBoundsOfRangesAreThoseOfTheKeyspace() throws {
        let codec = try Samples.codec()
        let spans: [(KeySpan, KeySpan)] = [
            (KeySpan(start: [], end: []), KeySpan(start: Samples.prefix, end: Samples.end)),
            (KeySpan(start: [], end: [0x7a]), KeySpan(start: Samples.prefix, end: Samples.prefix + [0x7a])),
            (KeySpan(start: [0x61], end: []), KeySpan(start: Samples.prefix + [0x61], end: Samples.end)),
            (
                KeySpan(start: [0x61], end: [0x7a]),
                KeySpan(start: Samples.prefix + [0x61], end: Samples.prefix + [0x7a])
            ),
        ]
        for (plain, encoded) in spans {
            #expect(codec.encode(plain) == encoded)
            #expect(try codec.decode(encoded) == plain)
        }
        // A reversed one begins with its upper bound.
        let (upper, lower) = codec.encode(start: Samples.key(""), end: Samples.key("a"), isReversed: true)
        #expect([UInt8](upper) == Samples.end)
        #expect(lower == Samples.encoded("a"))
    }

    // MARK: - Regions

    @Test func boundsOfRegionsAreComparableButForRawDataOfV1() throws {
        let span = KeySpan(start: [1], end: [])
        #expect(KeyCodec.v1(.raw).encodeRegionRange(span) == span)
        #expect(try KeyCodec.v1(.raw).decodeRegionRange(span) == span)
        let encoded = KeySpan(start: MemComparable.encode([1]), end: [])
        let codec = KeyCodec.v1(.transaction)
        #expect(codec.encodeRegionRange(span) == encoded)
        #expect(codec.encodeRegionKey([1]) == encoded.start)
        #expect(try codec.decodeRegionRange(encoded) == span)
        #expect(try codec.decodeRegionKey([]) == [])
        #expect(throws: KeyCodecError.undecodable) { try codec.decodeRegionRange(KeySpan(start: [1], end: [])) }
    }

    @Test func regionsAreCutToTheKeyspace() throws {
        let codec = try Samples.codec()
        func decoded(_ start: [UInt8], _ end: [UInt8]) throws(KeyCodecError) -> KeySpan {
            try codec.decodeRegionRange(KeySpan(start: start, end: end))
        }
        let whole = KeySpan(start: [], end: [])
        #expect(try decoded([], []) == whole)
        #expect(try decoded(self.bound(Samples.prefix), self.bound(Samples.end)) == whole)
        #expect(try decoded(self.bound(Samples.previousPrefix, "x"), self.bound(Samples.end, "x")) == whole)
        #expect(try decoded([], self.bound(Samples.prefix, "m")) == KeySpan(start: [], end: [0x6d]))
        #expect(try decoded(self.bound(Samples.prefix, "m"), []) == KeySpan(start: [0x6d], end: []))
        #expect(
            try decoded(self.bound(Samples.prefix, "a"), self.bound(Samples.prefix, "b"))
                == KeySpan(start: [0x61], end: [0x62]))
        for (start, end) in [
            ([], self.bound(Samples.prefix)), (self.bound(Samples.previousPrefix), self.bound(Samples.prefix)),
            (self.bound(Samples.end), []), (self.bound(Samples.end, "a"), self.bound(Samples.end, "b")),
        ] as [([UInt8], [UInt8])] {
            #expect(throws: KeyCodecError.outsideOfKeyspace) { try decoded(start, end) }
        }
    }

    @Test func onlyBoundsInsideOfTheKeyspaceMustMakeSense() throws {
        let codec = try Samples.codec()
        #expect(
            try codec.decodeRegionRange(KeySpan(start: [0x61], end: [0x7a])) == KeySpan(start: [], end: []))
        #expect(throws: KeyCodecError.undecodable) {
            try codec.decodeRegionRange(KeySpan(start: Samples.prefix + [1, 2, 3, 4, 5], end: []))
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func codecsDecodeWhatTheyEncodeAndKeepTheOrder(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let id = UInt32.random(in: 0...Keyspace.maximumID, using: &random)
        for mode in Keyspace.Mode.allCases {
            for codec in [KeyCodec.v1(mode), .v2(try Keyspace(mode, id: id, name: ""))] {
                var last: [UInt8] = []
                for _ in 0..<100 {
                    let key = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                        UInt8.random(in: 0...255, using: &random)
                    }
                    #expect(try codec.decode(codec.encode(key)) == key)
                    #expect(try codec.decodeRegionKey(codec.encodeRegionKey(key)) == key)
                    let order = KeyOrder.compare(key, last).signum()
                    #expect(KeyOrder.compare(codec.encode(key), codec.encode(last)).signum() == order)
                    #expect(
                        KeyOrder.compare(codec.encodeRegionKey(key), codec.encodeRegionKey(last)).signum() == order)
                    let span = order > 0 ? KeySpan(start: last, end: key) : KeySpan(start: key, end: [])
                    #expect(try codec.decode(codec.encode(span)) == span)
                    #expect(try codec.decodeRegionRange(codec.encodeRegionRange(span)) == span)
                    last = key
                }
            }
        }
    }

    /// What a keyspace sees of a chain of regions is a chain without holes, from one end to the other.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func regionsOfAnyClusterCoverTheKeyspaceOnce(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let codec = try Samples.codec()
        var bounds: [[UInt8]] = (0..<30).map { _ in
            let prefix = [Samples.previousPrefix, Samples.prefix, Samples.end].randomElement(using: &random) ?? []
            return MemComparable.encode(prefix + [UInt8.random(in: 0...9, using: &random)])
        }
        bounds = Set(bounds).sorted { KeyOrder.isLess($0, $1) }
        var next: [UInt8]? = []
        for (start, end) in zip([[]] + bounds, bounds + [[]]) {
            guard let part = try? codec.decodeRegionRange(KeySpan(start: start, end: end)) else { continue }
            #expect(part.start == next)
            next = part.end.isEmpty ? nil : part.end
        }
        #expect(next == nil)
    }

    // MARK: - Buckets

    @Test func bucketsAreCutToTheKeyspace() throws {
        let codec = try Samples.codec()
        let before = ["a", "b", "c"].map { self.bound(Samples.previousPrefix, $0) }
        let inside = ["a", "b", "c"].map { self.bound(Samples.prefix, $0) }
        let after = ["", "a", "b", "c"].map { self.bound(Samples.end, $0) }
        let letters: [[UInt8]] = [[0x61], [0x62], [0x63]]
        #expect(try codec.decodeBucketKeys(before + inside + after) == [[]] + letters + [[]])
        #expect(
            try codec.decodeBucketKeys(before + [self.bound(Samples.prefix)] + inside + [[]]) == [[]] + letters + [[]])
        #expect(
            try codec.decodeBucketKeys([[]] + before + [self.bound(Samples.prefix)] + inside + [[]])
                == [[]] + letters + [[]])
        #expect(try codec.decodeBucketKeys(inside) == letters)
        #expect(try codec.decodeBucketKeys([]) == [])
        #expect(throws: KeyCodecError.undecodable) { try codec.decodeBucketKeys([[0x61]]) }
    }

    @Test func bucketsOutsideOfV2AreOfTheWholeRegion() throws {
        let bounds = [[], MemComparable.encode([1]), MemComparable.encode([2]), []]
        #expect(try KeyCodec.v1(.transaction).decodeBucketKeys(bounds) == [[], [1], [2], []])
        #expect(try KeyCodec.v1(.raw).decodeBucketKeys([[], [1], []]) == [[], [1], []])
        #expect(throws: KeyCodecError.undecodable) { try KeyCodec.v1(.transaction).decodeBucketKeys([[1]]) }
    }
}
