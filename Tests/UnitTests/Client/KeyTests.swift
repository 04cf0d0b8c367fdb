// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV

@Suite struct KeyTests {
    @Test func literalsAndSequencesMakeKeys() {
        let number = 7
        #expect(("user/\(number)" as Key).bytes == Array("user/7".utf8))
        #expect(([0, 255] as Key).bytes == [0, 255])
        #expect(Key([1, 2, 3].lazy.map { UInt8($0) }).bytes == [1, 2, 3])
        #expect(Key("é").bytes == [0xc3, 0xa9])
        #expect(("v" as Value).bytes == [0x76])
        #expect(Value("abc"[...]).count == 3)
        #expect(Value().isEmpty)
    }

    @Test func orderIsBytewiseWithAPrefixFirst() {
        let sorted: [Key] = [[], [0], [0, 0], [0, 255], [1], [127], [128], [255], [255, 0]]
        #expect(sorted.shuffled().sorted() == sorted)
        #expect(([1] as Key).next == [1, 0])
        #expect(("abc" as Key).hasPrefix("ab"))
        #expect(!("abc" as Key).hasPrefix("b"))
    }

    @Test func descriptionsKeepDataToThemselves() {
        let key: Key = "secret\u{0}\"\\é"
        #expect("\(key)" == "Key(11 bytes)")
        #expect(key.debugDescription == #"Key("secret\x00\"\\\xc3\xa9")"#)
        let value: Value = "secret"
        #expect("\(value)" == "Value(6 bytes)")
        #expect(value.debugDescription == #"Value("secret")"#)
        let range = key..<"x"
        #expect("\(range)" == "Key(11 bytes)..<Key(1 bytes)")
        #expect(range.debugDescription.contains("secret"))
    }

    @Test func rangesComeFromOperators() {
        let half: KeyRange = "a"..<"c"
        #expect(half.contains("a") && half.contains("b\u{7f}") && !half.contains("c"))
        let closed: KeyRange = "a"..."c"
        #expect(closed.contains("c") && !closed.contains("c\u{0}"))
        let from: KeyRange = "b"...
        #expect(from.contains([255, 255]) && !from.contains("a"))
        let upTo: KeyRange = ..<"b"
        #expect(upTo.contains([0]) && !upTo.contains("b"))
        let through: KeyRange = ..."b"
        #expect(through.contains("b") && !through.contains("b\u{0}"))
        #expect(KeyRange.everything.contains([0]) && KeyRange.everything.contains([255]))
        #expect(KeyRange(Range(uncheckedBounds: ("a" as Key, "b" as Key))) == "a"..<"b")
        #expect(KeyRange(ClosedRange(uncheckedBounds: ("a" as Key, "b" as Key))) == "a"..."b")
        #expect(KeyRange(PartialRangeFrom("a" as Key)) == "a"...)
        #expect(KeyRange(PartialRangeUpTo("a" as Key)) == ..<"a")
        #expect(KeyRange(PartialRangeThrough("a" as Key)) == ..."a")
    }

    @Test func keysInTheWrongOrderMakeARangeAndNoTrap() {
        let reversed: KeyRange = "b"..<"a"
        #expect(reversed.isEmpty && reversed.isReversed)
        let empty: KeyRange = "a"..<"a"
        #expect(empty.isEmpty && !empty.isReversed)
        let open: KeyRange = "a"..<""
        #expect(!open.isEmpty && !open.isReversed)
    }

    @Test(
        arguments: [
            ([0x61], [0x62]), ([0x61, 0xff], [0x62]), ([0xff], []), ([0xff, 0xff], []), ([], []),
            ([0x01, 0xff, 0xff], [0x02]),
        ] as [([UInt8], [UInt8])])
    func prefixesEndAtTheNextPrefix(prefix: [UInt8], end: [UInt8]) {
        let range = KeyRange.prefix(Key(prefix))
        #expect(range.start.bytes == prefix)
        #expect(range.end.bytes == end)
        #expect(range.contains(Key(prefix + [255, 255])))
    }
}
