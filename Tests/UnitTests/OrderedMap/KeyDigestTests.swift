// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

/// Keys as numbers: what they say of a key's place is what the keys say.
@Suite struct KeyDigestTests {
    /// Keys whose order numbers alone don't tell: prefixes of each other, zeros at the end, long common beginnings.
    private static let awkward: [[UInt8]] = {
        let beginnings: [[UInt8]] = [[], [0], Array("t_table".utf8), [UInt8](repeating: 7, count: 17)]
        let ends: [[UInt8]] = [
            [], [0], [0, 0], [1], [255], [255, 255, 255, 255, 255, 255, 255, 255], [1, 2, 3, 4, 5, 6, 7, 8, 9],
        ]
        let keys = Set(beginnings.flatMap { beginning in ends.map { beginning + $0 } })
        return keys.sorted { KeyOrder.compare($0, $1) < 0 }
    }()

    private func check(_ digest: KeyDigest, _ keys: [[UInt8]], _ key: [UInt8]) {
        for orEqual in [false, true] {
            let place = digest.count(before: key, orEqual: orEqual) { keys[$0] }
            let expected = keys.count {
                let order = KeyOrder.compare($0, key)
                return order < 0 || orEqual && order == 0
            }
            #expect(place == expected, "\(key) among \(keys)")
        }
        let place = digest.place(of: key)
        if place.isDecided {
            #expect(place.upper == keys.count { KeyOrder.compare($0, key) < 0 })
            #expect(!keys.contains(key))
        }
    }

    @Test func everyKeyHasItsPlace() {
        for start in Self.awkward.indices {
            for end in start...Self.awkward.count {
                let keys = Array(Self.awkward[start..<end])
                let digest = KeyDigest(keys)
                for key in Self.awkward { self.check(digest, keys, key) }
            }
        }
    }

    @Test func keysComeAndGo() {
        let all = Self.awkward
        for start in stride(from: 0, to: all.count - 2, by: 3) {
            var keys = [all[start], all[start + 2]]
            var digest = KeyDigest(keys)
            keys.insert(all[start + 1], at: 1)
            // Between others a key begins as they do.
            let isInserted = digest.insert(all[start + 1], at: 1)
            #expect(isInserted)
            for key in all { self.check(digest, keys, key) }
            keys.remove(at: 0)
            digest.remove(at: 0)
            for key in all { self.check(digest, keys, key) }
        }
        var digest = KeyDigest([Array("t1".utf8), Array("t2".utf8)])
        let isInserted = digest.insert(Array("z".utf8), at: 2)
        #expect(!isInserted)
        #expect(digest.count == 2)
    }

    @Test func otherNumbersAreInTheSameTerms() {
        var digest = KeyDigest([Array("tb".utf8), Array("td".utf8)])
        for (index, key) in ["tc", "te", "u", ""].enumerated() { digest.insertOther(Array(key.utf8), at: index) }
        #expect(digest.place(of: Array("tb~".utf8)).head < digest.other(0))
        #expect(digest.place(of: Array("td".utf8)).head > digest.other(0))
        #expect(digest.place(of: Array("td".utf8)).head < digest.other(1))
        // What is after all that begins alike, and the end of all keys.
        #expect(digest.other(2) == .max && digest.other(3) == .max)
        digest.removeOther(at: 0)
        #expect(digest.place(of: Array("td".utf8)).head < digest.other(0))
        let isInserted = digest.insert(Array("tc".utf8), at: 1)
        #expect(isInserted)
        #expect(digest.place(of: Array("td".utf8)).head < digest.other(0))
        #expect(digest.place(of: Array("tcc".utf8)).upper == 2)
    }
}
