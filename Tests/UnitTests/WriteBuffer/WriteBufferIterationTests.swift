// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVWriteBuffer

@Suite
struct WriteBufferIterationTests {
    @Test
    func allKeysComeInOrder() throws {
        var dice = Dice(seed: 3)
        var buffer = WriteBuffer()
        for number in (0..<10_000).shuffled(using: &dice) { try buffer.put(key(number), value: key(number)) }
        let expected = (0..<10_000).map { key($0) }
        #expect(try keys(buffer) == expected)
        #expect(try keys(buffer, WriteBuffer.Cursor(isReversed: true)) == expected.reversed())
    }

    @Test
    func anIterationFromAKeyStandsOnIt() throws {
        var buffer = WriteBuffer()
        var empty = WriteBuffer.Cursor(from: key(0))
        #expect(try buffer.next(&empty) == nil)
        for number in 0..<1_000 { try buffer.put(key(number * 2), value: key(number)) }
        for number in 0..<999 {
            var cursor = WriteBuffer.Cursor(from: key(number * 2))
            #expect(try buffer.next(&cursor)?.key == key(number * 2))
            #expect(try buffer.next(&cursor)?.key == key(number * 2 + 2))
            var between = WriteBuffer.Cursor(from: key(number * 2 + 1))
            #expect(try buffer.next(&between)?.key == key(number * 2 + 2))
            var before = WriteBuffer.Cursor(to: key(number * 2 + 1), isReversed: true)
            #expect(try buffer.next(&before)?.key == key(number * 2))
        }
    }

    @Test
    func anIterationOfNothingIsOverAtOnce() throws {
        let buffer = WriteBuffer()
        for isReversed in [false, true] {
            var cursor = WriteBuffer.Cursor(isReversed: isReversed)
            #expect(try buffer.next(&cursor) == nil)
            var bounded = WriteBuffer.Cursor(from: bytes("a"), to: bytes("z"), isReversed: isReversed)
            #expect(try buffer.next(&bounded) == nil)
        }
    }

    @Test
    func anIterationWithoutBoundsBeginsAtTheLeastKey() throws {
        var buffer = WriteBuffer()
        try buffer.put(bytes("b"), value: [1])
        try buffer.put(bytes("d"), value: [2])
        try buffer.put([], value: [3])
        #expect(try keys(buffer) == [[], bytes("b"), bytes("d")])
        #expect(try keys(buffer, WriteBuffer.Cursor(from: bytes("a"))) == [bytes("b"), bytes("d")])
        #expect(try keys(buffer, WriteBuffer.Cursor(from: bytes("e"))) == [])
    }

    @Test
    func anIterationGoesPastTheLastKeyOnce() throws {
        var buffer = WriteBuffer()
        for number in 0..<300 { try buffer.put(key(number), value: [1]) }
        var cursor = WriteBuffer.Cursor()
        while try buffer.next(&cursor) != nil {}
        #expect(try buffer.next(&cursor) == nil)
        // One that is written behind it afterwards is still to come.
        try buffer.put(key(300), value: [2])
        #expect(try buffer.next(&cursor)?.key == key(300))
        #expect(try buffer.next(&cursor) == nil)
    }

    @Test
    func boundsWithNothingBetweenGiveNothing() throws {
        var buffer = WriteBuffer()
        for number in stride(from: 0, to: 1_000, by: 10) { try buffer.put(key(number), value: [1]) }
        let checkpoint = buffer.checkpoint()
        for isReversed in [false, true] {
            for (lower, upper) in [(10, 10), (11, 19), (500, 400), (991, 2_000), (15, 15)] {
                for checkpoint in [nil, checkpoint] {
                    let cursor = WriteBuffer.Cursor(
                        from: key(lower), to: key(upper), isReversed: isReversed, at: checkpoint)
                    #expect(try keys(buffer, cursor).isEmpty)
                }
            }
            // The lower bound is in it, the upper is not.
            let found = try keys(buffer, WriteBuffer.Cursor(from: key(10), to: key(30), isReversed: isReversed))
            #expect(found == (isReversed ? [key(20), key(10)] : [key(10), key(20)]))
        }
    }

    @Test
    func anIterationSeesWritesThatAreStillToCome() throws {
        var buffer = WriteBuffer()
        for number in stride(from: 0, to: 100, by: 10) { try buffer.put(key(number), value: [1]) }
        var cursor = WriteBuffer.Cursor()
        #expect(try buffer.next(&cursor)?.key == key(0))
        #expect(try buffer.next(&cursor)?.key == key(10))
        try buffer.put(key(5), value: [2])
        try buffer.put(key(15), value: [2])
        let stage = buffer.stage()
        try buffer.put(key(17), value: [2])
        #expect(try buffer.next(&cursor)?.key == key(15))
        #expect(try buffer.next(&cursor)?.key == key(17))
        try buffer.rollBack(stage)
        #expect(try buffer.next(&cursor)?.key == key(20))
        var reversed = WriteBuffer.Cursor(isReversed: true)
        #expect(try buffer.next(&reversed)?.key == key(90))
        try buffer.put(key(95), value: [2])
        try buffer.put(key(85), value: [2])
        #expect(try buffer.next(&reversed)?.key == key(85))
        #expect(try buffer.next(&reversed)?.key == key(80))
    }
}
