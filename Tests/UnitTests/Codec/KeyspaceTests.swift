// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVOrderedMap

@testable import TiKV

@Suite struct KeyspaceTests {
    struct Bounds: Sendable {
        var mode: Keyspace.Mode
        var id: UInt32
        var prefix: [UInt8]
        var end: [UInt8]
    }

    @Test(arguments: [
        Bounds(mode: .raw, id: 0, prefix: [0x72, 0, 0, 0], end: [0x72, 0, 0, 1]),
        Bounds(mode: .raw, id: 0xff_fffe, prefix: [0x72, 255, 255, 254], end: [0x72, 255, 255, 255]),
        // The carry goes on from byte to byte, and for the last keyspace into the mode's.
        Bounds(mode: .transaction, id: 0xff, prefix: [0x78, 0, 0, 255], end: [0x78, 0, 1, 0]),
        Bounds(mode: .transaction, id: 0xffff, prefix: [0x78, 0, 255, 255], end: [0x78, 1, 0, 0]),
        Bounds(mode: .raw, id: 0xff_ffff, prefix: [0x72, 255, 255, 255], end: [0x73]),
        Bounds(mode: .transaction, id: 0xff_ffff, prefix: [0x78, 255, 255, 255], end: [0x79]),
    ])
    func bounds(_ expected: Bounds) throws {
        let keyspace = try Keyspace(expected.mode, id: expected.id, name: "k")
        #expect(keyspace.prefix == expected.prefix)
        #expect(keyspace.end == expected.end)
        #expect(keyspace.id == expected.id)
        #expect(MemComparable.decode(keyspace.encodedPrefix) == expected.prefix)
        #expect(MemComparable.decode(keyspace.encodedEnd) == expected.end)
    }

    @Test(arguments: [0x100_0000, UInt32.max])
    func numbersOfMoreThan24BitsAreRefused(id: UInt32) {
        #expect(throws: KeyCodecError.keyspaceIDTooLarge(id)) { try Keyspace(.raw, id: id, name: "k") }
    }

    @Test func theNumberIsReadFromAKey() throws {
        #expect(try Keyspace.id(ofKey: [0x78, 1, 2, 3, 1, 2, 3, 4]) == 0x010203)
        #expect(try Keyspace.id(ofKey: [0x72, 1, 2, 3, 1, 2, 3, 4]) == 0x010203)
        #expect(try Keyspace.id(ofKey: [0x72, 0xff, 0xff, 0xff]) == Keyspace.maximumID)
        for key: [UInt8] in [[0x74, 0, 0, 1, 1], [0x78, 0, 0], [0x72], []] {
            #expect(throws: KeyCodecError.notAKeyOfV2) { try Keyspace.id(ofKey: key) }
        }
    }

    @Test func aKeyIsCutIntoPrefixAndTheRest() throws {
        let (prefix, key) = try Keyspace.split([0x72, 1, 2, 3, 9, 8])
        #expect(prefix == [0x72, 1, 2, 3])
        #expect(key == [9, 8])
        #expect(try Keyspace.split([0x78, 1, 2, 3]).key.isEmpty)
        #expect(throws: KeyCodecError.notAKeyOfV2) { try Keyspace.split([0x74, 1, 2, 3, 9, 8]) }
        // Outside of API V2 a key has no prefix.
        #expect(try KeyCodec.v1(.transaction).decode([0x74, 1, 2, 3]) == [0x74, 1, 2, 3])
    }

    @Test func modesAreInTheOrderOfTheirKeys() {
        let prefixes = Keyspace.modePrefixes
        #expect(prefixes == [[0x72], [0x78]])
        #expect(zip(prefixes, prefixes.dropFirst()).allSatisfy { KeyOrder.isLess($0, $1) })
    }
}
