// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVWriteBuffer

@Suite
struct WriteBufferTests {
    @Test
    func tenThousandKeysReadBack() throws {
        var buffer = WriteBuffer()
        for number in 0..<10_000 { try buffer.put(key(number), value: key(number)) }
        #expect(buffer.count == 10_000)
        #expect(buffer.size == 80_000)
        for number in 0..<10_000 { #expect(buffer.value(of: key(number)) == .put(key(number))) }
        #expect(buffer.value(of: key(10_000)) == nil)
    }

    @Test
    func aFewKeysReadBack() throws {
        var buffer = WriteBuffer()
        let pairs = ["": "nothing", "a": "1", "ab": "2", "abc": "", "b": "3"]
        for (name, value) in pairs { try buffer.put(bytes(name), value: bytes(value)) }
        for (name, value) in pairs { #expect(buffer.value(of: bytes(name)) == .put(bytes(value))) }
        #expect(buffer.value(of: bytes("aa")) == nil)
    }

    @Test
    func overwritingReadsBackTheLastValue() throws {
        var buffer = WriteBuffer()
        for number in 0..<1_000 { try buffer.put(key(number), value: key(number)) }
        for round in 1...3 {
            let stage = buffer.stage()
            for number in stride(from: 0, to: 1_000, by: round) {
                try buffer.put(key(number), value: key(number * 100))
                try buffer.put(key(number), value: key(number * 10 + round))
            }
            try buffer.release(stage)
        }
        for number in 0..<1_000 {
            let round = number % 3 == 0 ? 3 : number % 2 == 0 ? 2 : 1
            #expect(buffer.value(of: key(number)) == .put(key(number * 10 + round)))
        }
        #expect(buffer.count == 1_000)
        #expect(buffer.size == 8_000)
    }

    @Test
    func deletesAreRemembered() throws {
        var buffer = WriteBuffer()
        try buffer.put(bytes("a"), value: bytes("1"))
        try buffer.delete(bytes("a"))
        try buffer.delete(bytes("b"))
        #expect(buffer.value(of: bytes("a")) == .delete)
        #expect(buffer.value(of: bytes("b")) == .delete)
        #expect(buffer.count == 2)
        #expect(buffer.size == 2)
        try buffer.put(bytes("b"), value: bytes("again"))
        #expect(buffer.value(of: bytes("b")) == .put(bytes("again")))
        #expect(buffer.size == 7)
    }

    @Test
    func removingAllLeavesAnEmptyBufferOfUse() throws {
        var buffer = WriteBuffer()
        for number in 0..<1_000 { try buffer.put(key(number), value: key(number)) }
        buffer.removeAll()
        #expect(buffer.isEmpty == true)
        #expect(buffer.count == 0)
        #expect(buffer.size == 0)
        #expect(buffer.isDirty == false)
        #expect(buffer.totalFootprint == 0)
        #expect(buffer.value(of: key(1)) == nil)
        #expect(try keys(buffer).isEmpty)
        try buffer.put(key(1), value: key(2))
        #expect(buffer.value(of: key(1)) == .put(key(2)))
        #expect(try keys(buffer) == [key(1)])
    }

    @Test
    func aBufferNeverWrittenToUsesNoMemory() throws {
        var buffer = WriteBuffer()
        let stage = buffer.stage()
        #expect(buffer.value(of: key(1)) == nil)
        #expect(try keys(buffer).isEmpty)
        try buffer.rollBack(stage)
        #expect(buffer.totalFootprint == 0)
    }

    @Test
    func theMemoryHookIsToldEveryChange() throws {
        let told = Told()
        var buffer = WriteBuffer(onFootprint: { told.append($0) })
        try buffer.put(key(1), value: [UInt8](repeating: 1, count: 100))
        #expect(told.all == [buffer.memoryFootprint])
        // Fits into what is held.
        try buffer.put(key(1), value: [UInt8](repeating: 2, count: 100))
        #expect(told.all.count == 1)
        try buffer.put(key(2), value: [UInt8](repeating: 1, count: 1 << 20))
        #expect(told.all.last == buffer.memoryFootprint)
        #expect(buffer.memoryFootprint > 1 << 20)
        buffer.removeAll()
        #expect(told.all.last == 0)
    }

    @Test
    func theKeyWrittenLastNeedsNoSearch() throws {
        var buffer = WriteBuffer()
        try buffer.put(key(1), value: key(1))
        try buffer.put(key(2), value: key(2))
        let before = buffer.recentHits
        try buffer.updateFlags(key(2), .set(.locked))
        #expect(buffer.recentHits == before + 1)
        try buffer.put(key(1), value: key(3))
        #expect(buffer.recentHits == before + 1)
        #expect(buffer.value(of: key(1)) == .put(key(3)))
    }

    // MARK: - Limits

    @Test
    func writesOverTheLimitsAreRefused() throws {
        var buffer = WriteBuffer(limits: WriteBuffer.Limits(entrySize: 500, totalSize: 1_000))
        let error = #expect(throws: WriteBufferError.self) {
            try buffer.put(bytes("x"), value: [UInt8](repeating: 0, count: 500))
        }
        #expect(error == .entryTooLarge(size: 501, limit: 500))
        #expect(buffer.isEmpty == true)

        try buffer.put(bytes("x"), value: [UInt8](repeating: 0, count: 499))
        try buffer.put(bytes("yz"), value: [UInt8](repeating: 0, count: 498))
        let total = #expect(throws: WriteBufferError.self) { try buffer.delete(bytes("z")) }
        #expect(total == .transactionTooLarge(size: 1_001, limit: 1_000))
        #expect(buffer.value(of: bytes("z")) == nil)
        // What makes it smaller is always taken.
        try buffer.delete(bytes("x"))
        #expect(buffer.size == 501)
        try buffer.delete([UInt8](repeating: 1, count: 499))
        #expect(buffer.size == 1_000)
    }

    @Test
    func keysOverTheCountLimitAreRefused() throws {
        var buffer = WriteBuffer(limits: WriteBuffer.Limits(count: 2))
        try buffer.put(key(1), value: [])
        try buffer.delete(key(2))
        let error = #expect(throws: WriteBufferError.self) { try buffer.put(key(3), value: []) }
        #expect(error == .tooManyKeys(count: 3, limit: 2))
        try buffer.put(key(2), value: [1])
    }

    @Test
    func keysLongerThanTiKVTakesAreRefused() throws {
        var buffer = WriteBuffer()
        let longest = [UInt8](repeating: 7, count: 65_535)
        try buffer.put(longest, value: [UInt8](repeating: 1, count: 3 << 20))
        #expect(buffer.value(of: longest) == .put([UInt8](repeating: 1, count: 3 << 20)))
        let error = #expect(throws: WriteBufferError.self) { try buffer.put(longest + [7], value: [1]) }
        #expect(error == .keyTooLarge(size: 65_536, limit: 65_535))
        #expect(throws: WriteBufferError.self) { try buffer.delete(longest + [7]) }
        #expect(throws: WriteBufferError.self) { try buffer.updateFlags(longest + [7], .set(.locked)) }
        #expect(buffer.count == 1)
    }

    // MARK: - Flags

    @Test
    func flagsComeWithTheKey() throws {
        var buffer = WriteBuffer()
        try buffer.updateFlags(bytes("a"), .set([.presumeNotExists, .needLocked]))
        #expect(buffer.flags(of: bytes("a")) == [.presumeNotExists, .needLocked])
        #expect(buffer.value(of: bytes("a")) == nil)
        #expect(buffer.count == 0)
        #expect(buffer.keyCount == 1)
        try buffer.put(bytes("a"), value: bytes("1"), flags: .assert(exists: false))
        #expect(buffer.flags(of: bytes("a")) == [.presumeNotExists, .needLocked, .assertNotExist])
        try buffer.updateFlags(bytes("a"), .clear(.presumeNotExists))
        try buffer.updateFlags(bytes("a"), .assert(exists: true))
        #expect(
            buffer.entry(of: bytes("a"))
                == BufferEntry(key: bytes("a"), value: .put(bytes("1")), flags: [.needLocked, .assertExist]))
        try buffer.updateFlags(bytes("a"), .assert(exists: nil))
        #expect(buffer.flags(of: bytes("a")) == [.needLocked, .assertExist, .assertNotExist])
        #expect(buffer.flags(of: bytes("b")) == nil)
    }

    @Test
    func writingAgainClearsTemporaryFlags() throws {
        var buffer = WriteBuffer()
        try buffer.put(bytes("a"), value: bytes("1"), flags: .set([.needConstraintCheckInPrewrite, .locked]))
        #expect(buffer.flags(of: bytes("a")) == [.needConstraintCheckInPrewrite, .locked])
        try buffer.put(bytes("a"), value: bytes("2"))
        #expect(buffer.flags(of: bytes("a")) == [.locked])
        try buffer.put(bytes("a"), value: bytes("3"), flags: .set(.needConstraintCheckInPrewrite))
        try buffer.delete(bytes("a"))
        #expect(buffer.flags(of: bytes("a")) == [.locked])
    }
}
