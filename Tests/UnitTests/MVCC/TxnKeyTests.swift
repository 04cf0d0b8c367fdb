// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKVEmbedded

@Suite struct TxnKeyTests {
    @Test(arguments: [0, 1, 7, 8, 9, 16, 17, 100])
    func encodingIsTakenBack(length: Int) throws {
        let raw = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        #expect(TxnKey(encoded: TxnKey(raw).encoded)?.raw == raw)
    }

    @Test func whatIsNoEncodingIsRefused() {
        let encoded = TxnKey([1, 2, 3]).encoded
        #expect(MemComparable.decode(Array(encoded.dropLast())) == nil)
        #expect(MemComparable.decode(encoded + encoded) == nil)
        #expect(MemComparable.decode([]) == nil)
        #expect(MemComparable.decode(Array("not an encoding".utf8)) == nil)
        // Padding that is not zero.
        #expect(MemComparable.decode([1, 2, 3, 0, 0, 9, 0, 0, 250]) == nil)
    }

    @Test func encodedKeysSortLikePlainOnes() {
        var generator = SplitMix(seed: 7)
        let keys = (0..<300).map { _ in
            (0..<Int.random(in: 0...20, using: &generator)).map { _ in UInt8.random(in: 0...2, using: &generator) }
        }
        for (left, right) in zip(keys, keys.dropFirst()) {
            let order = KeyOrder.compare(TxnKey(left).encoded, TxnKey(right).encoded)
            #expect(order.signum() == KeyOrder.compare(left, right).signum())
        }
    }

    @Test func newerVersionsComeFirstAndNoKeyComesBetween() {
        let key = TxnKey([5]).encoded
        let next = TxnKey([5, 0]).encoded
        let versions = [VersionKey.encode(key, .max), VersionKey.encode(key, 9), VersionKey.encode(key, 8)]
        #expect(KeyOrder.isLess(key, versions[0]))
        #expect(KeyOrder.isLess(versions[0], versions[1]))
        #expect(KeyOrder.isLess(versions[1], versions[2]))
        #expect(KeyOrder.isLess(versions[2], next))
        #expect(VersionKey.timestamp(versions[1]) == 9)
        #expect(VersionKey.key(versions[1]) == key)
        #expect(VersionKey.isVersion(versions[1], of: key))
        #expect(!VersionKey.isVersion(versions[1], of: next))
    }

    private static let vectors: [(text: String, hash: UInt64)] = [
        ("", 0x9AE1_6A3B_2F90_404F), ("a", 0xB345_4265_B6DF_75E3), ("abcd", 0x1A55_02DE_4A1F_8101),
        ("abcdefgh", 0xFEE9_D229_90C8_2909), ("0123456789-0", 0x4968_41E8_3A33_CC91),
        ("size:  a.out:  bad magic", 0x80D7_3B84_3BA5_7DB8),
        ("C is as portable as Stonehedge!!", 0xB944_F8A1_6261_E414),
        ("Discard medicine more than two years old.", 0xE8F8_9AB6_DF9B_DD25),
        (
            "The fugacity of a constituent in a mixture of gases at a given temperature is proportional to its mole "
                + "fraction.  Lewis-Randall Rule", 0x098E_FF69_58C5_E91A
        ),
    ]

    /// Values of FarmHash's own tests, for each way by length.
    @Test(arguments: Self.vectors)
    func fingerprints(text: String, hash: UInt64) {
        #expect(Fingerprint64.hash(Array(text.utf8)) == hash)
    }
}
