// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKV

@Suite struct MemComparableTests {
    @Test func groupsOfEightWithAMarker() {
        #expect(MemComparable.encode([]) == [0, 0, 0, 0, 0, 0, 0, 0, 0xf7])
        #expect(MemComparable.encode([1, 2, 3]) == [1, 2, 3, 0, 0, 0, 0, 0, 0xfa])
        #expect(MemComparable.encode([1, 2, 3, 0]) == [1, 2, 3, 0, 0, 0, 0, 0, 0xfb])
        #expect(
            MemComparable.encode([1, 2, 3, 4, 5, 6, 7, 8])
                == [1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0xf7])
        #expect(
            MemComparable.encode([1, 2, 3, 4, 5, 6, 7, 8, 9])
                == [1, 2, 3, 4, 5, 6, 7, 8, 0xff, 9, 0, 0, 0, 0, 0, 0, 0, 0xf8])
    }

    @Test(
        arguments: [
            [], [1], [UInt8](repeating: 0, count: 8),
            // A padding over eight, padding that isn't zero, a last group that is full, a full group's place taken by a padded.
            [0, 0, 0, 0, 0, 0, 0, 0, 0xf6], [1, 2, 3, 4, 0, 0, 1, 0, 0xfb], [1, 2, 3, 4, 5, 6, 7, 8, 0xff],
            [1, 0, 0, 0, 0, 0, 0, 0, 0xf8, 0, 0, 0, 0, 0, 0, 0, 0, 0xf7],
            [1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
        ] as [[UInt8]])
    func whatIsNoEncodingIsNotDecoded(bytes: [UInt8]) {
        #expect(MemComparable.decode(bytes) == nil)
    }

    /// Keys of few different bytes, so that many share prefixes and end in zeros.
    private static func key(_ random: inout SeededRandom) -> [UInt8] {
        (0..<Int.random(in: 0...20, using: &random)).map { _ in [0, 1, 0xfe, 0xff].randomElement(using: &random) ?? 0 }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func decodesWhatItEncodesAndKeepsTheOrder(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var last: [UInt8] = []
        for _ in 0..<500 {
            let key = Self.key(&random)
            let encoded = MemComparable.encode(key)
            #expect(encoded.count == MemComparable.encodedSize(of: key.count))
            #expect(MemComparable.decode(encoded) == key)
            let order = KeyOrder.compare(key, last).signum()
            #expect(KeyOrder.compare(encoded, MemComparable.encode(last)).signum() == order)
            // So that what follows a key never mixes with another key.
            if key != last { #expect(!MemComparable.encode(last).starts(with: encoded)) }
            last = key
        }
    }

    /// Whatever bytes come, either they are an encoding, and then the only one of their key, or they are refused.
    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func anyBytesAreEitherTheEncodingOfAKeyOrNone(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<2000 {
            var bytes = MemComparable.encode(Self.key(&random))
            bytes[Int.random(in: 0..<bytes.count, using: &random)] =
                [0, 1, 0xf7, 0xf8, 0xff].randomElement(using: &random) ?? 0
            if let key = MemComparable.decode(bytes) { #expect(MemComparable.encode(key) == bytes) }
        }
    }
}
