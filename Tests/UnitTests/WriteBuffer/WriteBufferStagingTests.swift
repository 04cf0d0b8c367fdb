// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVWriteBuffer

@Suite
struct WriteBufferStagingTests {
    @Test
    func rollingBackDropsTheStagesWrites() throws {
        var buffer = WriteBuffer()
        for number in 0..<5_000 { try buffer.put(key(number), value: key(number)) }
        let before = try entries(buffer)
        let stage = buffer.stage()
        for number in 0..<10_000 { try buffer.put(key(number), value: key(number + 1)) }
        #expect(buffer.count == 10_000)
        #expect(buffer.size == 80_000)
        try buffer.rollBack(stage)
        #expect(buffer.count == 5_000)
        #expect(buffer.size == 40_000)
        for number in 0..<10_000 {
            #expect(buffer.value(of: key(number)) == (number < 5_000 ? .put(key(number)) : nil))
        }
        #expect(try entries(buffer) == before)
        #expect(try entries(buffer, WriteBuffer.Cursor(isReversed: true)) == before.reversed())
    }

    @Test
    func releasingKeepsCountAndSizeOfOverwrittenKeys() throws {
        var buffer = WriteBuffer()
        for number in 0..<5_000 { try buffer.put(key(number), value: key(number)) }
        let stage = buffer.stage()
        for number in 0..<5_000 { try buffer.put(key(number), value: key(number + 1)) }
        try buffer.release(stage)
        #expect(buffer.count == 5_000)
        #expect(buffer.size == 40_000)
        let expected = (0..<5_000).map { BufferEntry(key: key($0), value: .put(key($0 + 1)), flags: []) }
        for entry in expected { #expect(buffer.value(of: entry.key) == entry.value) }
        #expect(try entries(buffer) == expected)
        #expect(try entries(buffer, WriteBuffer.Cursor(isReversed: true)) == expected.reversed())
    }

    @Test
    func theLastStageThatWroteAKeyWins() throws {
        var buffer = WriteBuffer()
        for (range, offset) in [(0..<600, 0), (300..<900, 1)] {
            let stage = buffer.stage()
            for number in range { try buffer.put(key(number), value: key(number + offset)) }
            try buffer.release(stage)
        }
        for number in 0..<900 {
            #expect(buffer.value(of: key(number)) == .put(key(number < 300 ? number : number + 1)))
        }
        #expect(buffer.count == 900)
    }

    @Test
    func onlyWritesWhoseStagesWereAllReleasedStay() throws {
        var buffer = WriteBuffer()
        // Keys that leave a remainder of n by 5 belong to stage n; 1 and 3 are taken back, and 2 with 1, 4 with 3.
        let outer = buffer.stage()
        for number in stride(from: 0, to: 1_000, by: 5) { try buffer.put(key(number), value: bytes("outer")) }
        let first = buffer.stage()
        for number in stride(from: 1, to: 1_000, by: 5) { try buffer.put(key(number), value: bytes("first")) }
        let second = buffer.stage()
        for number in stride(from: 2, to: 1_000, by: 5) { try buffer.put(key(number), value: bytes("second")) }
        for number in stride(from: 0, to: 1_000, by: 10) { try buffer.put(key(number), value: bytes("over")) }
        try buffer.release(second)
        try buffer.rollBack(first)
        let third = buffer.stage()
        for number in stride(from: 3, to: 1_000, by: 5) { try buffer.put(key(number), value: bytes("third")) }
        let fourth = buffer.stage()
        for number in stride(from: 4, to: 1_000, by: 5) { try buffer.put(key(number), value: bytes("fourth")) }
        try buffer.rollBack(fourth)
        try buffer.release(third)
        try buffer.release(outer)
        for number in 0..<1_000 {
            let expected: BufferedValue? =
                switch number % 5 {
                case 0: .put(bytes("outer"))
                case 3: .put(bytes("third"))
                default: nil
                }
            #expect(buffer.value(of: key(number)) == expected)
        }
        #expect(buffer.count == 400)
        #expect(try keys(buffer).count == 400)
    }

    @Test
    func stagedWritesAreVisibleAtOnce() throws {
        var buffer = WriteBuffer()
        try buffer.put(bytes("x"), value: bytes("0"))
        let first = buffer.stage()
        try buffer.put(bytes("x"), value: bytes("longer"))
        #expect(buffer.value(of: bytes("x")) == .put(bytes("longer")))
        try buffer.rollBack(first)
        #expect(buffer.value(of: bytes("x")) == .put(bytes("0")))
        let second = buffer.stage()
        try buffer.delete(bytes("x"))
        try buffer.put(bytes("y"), value: bytes("1"))
        try buffer.release(second)
        #expect(buffer.value(of: bytes("x")) == .delete)
        #expect(buffer.value(of: bytes("y")) == .put(bytes("1")))
    }

    @Test
    func aHundredNestedStagesOverOneKey() throws {
        var buffer = WriteBuffer()
        try buffer.put(bytes("x"), value: key(0))
        var stages: [WriteBuffer.Stage] = []
        for depth in 1...100 {
            stages.append(buffer.stage())
            try buffer.put(bytes("x"), value: key(depth))
        }
        #expect(buffer.stageDepth == 100)
        for depth in stride(from: 100, through: 1, by: -1) {
            if depth.isMultiple(of: 2) {
                // Released into the stage below, which is then taken back with it.
                try buffer.release(stages[depth - 1])
                #expect(buffer.value(of: bytes("x")) == .put(key(depth)))
            } else {
                try buffer.rollBack(stages[depth - 1])
                #expect(buffer.value(of: bytes("x")) == .put(key(depth - 1)))
            }
        }
        #expect(buffer.value(of: bytes("x")) == .put(key(0)))
        #expect(buffer.stageDepth == 0)
    }

    @Test
    func stagesThatAreNotTheNewestCannotEnd() throws {
        var buffer = WriteBuffer()
        try buffer.release(.none)
        try buffer.rollBack(.none)
        let outer = buffer.stage()
        let inner = buffer.stage()
        #expect(throws: WriteBufferError.notTheNewestStage) { try buffer.release(outer) }
        #expect(throws: WriteBufferError.notTheNewestStage) { try buffer.rollBack(outer) }
        try buffer.put(key(1), value: key(1))
        try buffer.release(inner)
        // It has ended: nothing of it is left to take back, and it cannot end again.
        try buffer.rollBack(inner)
        #expect(throws: WriteBufferError.notTheNewestStage) { try buffer.release(inner) }
        #expect(buffer.value(of: key(1)) == .put(key(1)))
        try buffer.rollBack(outer)
        #expect(buffer.isEmpty == true)
        try buffer.rollBack(outer)
    }

    @Test
    func inspectingShowsWhatAStageAndThoseInsideChanged() throws {
        var buffer = WriteBuffer()
        for number in 0..<500 { try buffer.put(key(number), value: key(number)) }
        let outer = buffer.stage()
        for number in 400..<700 { try buffer.put(key(number), value: key(number + 1)) }
        let inner = buffer.stage()
        for number in 600..<800 { try buffer.put(key(number), value: key(number + 2)) }
        try buffer.delete(key(0))

        func changed(_ stage: WriteBuffer.Stage) -> [[UInt8]: BufferedValue?] {
            var seen: [[UInt8]: BufferedValue?] = [:]
            buffer.inspect(stage) {
                #expect(seen[$0.key] == nil)
                seen[$0.key] = .some($0.value)
            }
            return seen
        }
        var expected: [[UInt8]: BufferedValue?] = [key(0): .delete]
        for number in 600..<800 { expected[key(number)] = .put(key(number + 2)) }
        #expect(changed(inner) == expected)
        for number in 400..<600 { expected[key(number)] = .put(key(number + 1)) }
        #expect(changed(outer) == expected)
        #expect(changed(.none).isEmpty)
    }

    @Test
    func whatMakesABufferDirty() throws {
        var written = WriteBuffer()
        #expect(written.isDirty == false)
        try written.put(key(1), value: key(1))
        #expect(written.isDirty == true)

        var released = WriteBuffer()
        let outer = released.stage()
        let inner = released.stage()
        try released.put(key(1), value: key(1))
        try released.release(inner)
        #expect(released.isDirty == false)
        try released.release(outer)
        #expect(released.isDirty == true)

        var takenBack = WriteBuffer()
        let stage = takenBack.stage()
        try takenBack.put(key(1), value: key(1), flags: .set(.presumeNotExists))
        try takenBack.rollBack(stage)
        #expect(takenBack.isDirty == false)
        let empty = takenBack.stage()
        try takenBack.release(empty)
        #expect(takenBack.isDirty == false)

        var locked = WriteBuffer()
        let other = locked.stage()
        try locked.put(key(1), value: key(1), flags: .set(.locked))
        try locked.rollBack(other)
        #expect(locked.isDirty == true)
    }

    @Test
    func lockFlagsOutliveARollBack() throws {
        var buffer = WriteBuffer()
        try buffer.put(bytes("old"), value: bytes("1"), flags: .set(.assertExist))
        let stage = buffer.stage()
        try buffer.updateFlags(bytes("old"), KeyFlagChange(set: [.needLocked, .locked], cleared: .assertExist))
        try buffer.put(
            bytes("locked"), value: bytes("2"), flags: .set([.locked, .lockedValueExists, .presumeNotExists]))
        try buffer.put(bytes("plain"), value: bytes("3"), flags: .set(.presumeNotExists))
        try buffer.updateFlags(bytes("flag"), .set([.locked, .needLocked]))
        try buffer.updateFlags(bytes("gone"), .set(.needLocked))
        try buffer.rollBack(stage)

        #expect(buffer.entry(of: bytes("old"))?.flags == [.assertExist, .locked])
        #expect(buffer.value(of: bytes("old")) == .put(bytes("1")))
        #expect(
            buffer.entry(of: bytes("locked"))
                == BufferEntry(key: bytes("locked"), value: nil, flags: [.locked, .lockedValueExists]))
        #expect(buffer.flags(of: bytes("flag")) == [.locked])
        #expect(buffer.flags(of: bytes("plain")) == nil)
        #expect(buffer.flags(of: bytes("gone")) == nil)
        #expect(buffer.count == 1)
        #expect(try keys(buffer) == [bytes("old")])
        #expect(
            try keys(buffer, WriteBuffer.Cursor(includesFlagged: true)) == [
                bytes("flag"), bytes("locked"), bytes("old"),
            ]
        )
        #expect(
            try keys(buffer, WriteBuffer.Cursor(isReversed: true, includesFlagged: true))
                == [bytes("old"), bytes("locked"), bytes("flag")])

        try buffer.updateFlags(bytes("new"), .set(.locked))
        #expect(buffer.flags(of: bytes("new")) == [.locked])
    }

    @Test
    func aKeyKeptByARollBackOutlivesTheNextOne() throws {
        var buffer = WriteBuffer()
        let outer = buffer.stage()
        let inner = buffer.stage()
        try buffer.put(bytes("locked"), value: bytes("1"), flags: .set(.locked))
        try buffer.rollBack(inner)
        try buffer.put(bytes("other"), value: bytes("2"))
        try buffer.rollBack(outer)
        try buffer.put(bytes("third"), value: bytes("xxxxxxxxx"))
        #expect(buffer.flags(of: bytes("locked")) == [.locked])
        #expect(
            try keys(buffer, WriteBuffer.Cursor(includesFlagged: true)) == [bytes("locked"), bytes("third")])
    }

    @Test
    func repeatedStagesDoNotMakeMemoryGrow() throws {
        var buffer = WriteBuffer()
        func round() throws {
            let stage = buffer.stage()
            for number in 0..<2_000 {
                // A few keys are locked and stay; the rest goes.
                let isLocked = number.isMultiple(of: 500)
                try buffer.put(key(number), value: key(number), flags: isLocked ? .set(.locked) : .none)
                try buffer.put(key(number), value: [UInt8](repeating: 1, count: 20))
            }
            try buffer.rollBack(stage)
        }
        try round()
        try round()
        let footprint = buffer.totalFootprint
        for _ in 0..<50 { try round() }
        #expect(buffer.totalFootprint <= footprint)
        #expect(buffer.keyCount == 4)
    }

    // MARK: - Checkpoints

    @Test
    func revertingDropsExactlyWhatCameLater() throws {
        var buffer = WriteBuffer()
        for number in 0..<100 { try buffer.put(key(number), value: bytes("first")) }
        let first = buffer.checkpoint()
        let stage = buffer.stage()
        for number in 50..<150 { try buffer.put(key(number), value: bytes("second")) }
        try buffer.release(stage)
        let second = buffer.checkpoint()
        for number in 100..<200 { try buffer.put(key(number), value: bytes("third")) }

        try buffer.revert(to: second)
        for number in 0..<200 {
            let expected: BufferedValue? =
                number < 50 ? .put(bytes("first")) : number < 150 ? .put(bytes("second")) : nil
            #expect(buffer.value(of: key(number)) == expected)
        }
        try buffer.put(key(0), value: bytes("fourth"))
        try buffer.revert(to: first)
        #expect(buffer.count == 100)
        for number in 0..<100 { #expect(buffer.value(of: key(number)) == .put(bytes("first"))) }
        #expect(throws: WriteBufferError.checkpointIsGone) { try buffer.revert(to: second) }
        // The first can be used again.
        try buffer.delete(key(7))
        try buffer.revert(to: first)
        #expect(buffer.value(of: key(7)) == .put(bytes("first")))
        buffer.drop(first)
        #expect(throws: WriteBufferError.checkpointIsGone) { try buffer.revert(to: first) }
    }

    @Test
    func readingAtACheckpointSeesTheStateOfThen() throws {
        var buffer = WriteBuffer()
        for number in 0..<300 { try buffer.put(key(number), value: key(number)) }
        try buffer.updateFlags(key(1_000), .set(.locked))
        let checkpoint = buffer.checkpoint()
        let before = try entries(buffer)
        let stage = buffer.stage()
        for number in 200..<400 { try buffer.put(key(number), value: key(0)) }
        try buffer.delete(key(10))
        #expect(try buffer.value(of: key(10), at: checkpoint) == .put(key(10)))
        #expect(try buffer.value(of: key(250), at: checkpoint) == .put(key(250)))
        #expect(try buffer.value(of: key(350), at: checkpoint) == nil)
        #expect(try buffer.value(of: key(1_000), at: checkpoint) == nil)
        #expect(try entries(buffer, WriteBuffer.Cursor(at: checkpoint)) == before)
        #expect(try entries(buffer, WriteBuffer.Cursor(isReversed: true, at: checkpoint)) == before.reversed())
        #expect(
            try keys(buffer, WriteBuffer.Cursor(from: key(290), to: key(310), at: checkpoint))
                == (290..<300).map { key($0) })
        try buffer.rollBack(stage)
        #expect(try entries(buffer, WriteBuffer.Cursor(at: checkpoint)) == before)
    }

    @Test
    func anIterationAtACheckpointSurvivesWrites() throws {
        for isReversed in [false, true] {
            var buffer = WriteBuffer()
            for number in stride(from: 0, to: 20_000, by: 20) { try buffer.put(key(number), value: key(number)) }
            let checkpoint = buffer.checkpoint()
            let expected = try entries(buffer)
            var cursor = WriteBuffer.Cursor(isReversed: isReversed, at: checkpoint)
            var seen: [BufferEntry] = []
            var dice = Dice(seed: 7)
            while let entry = try buffer.next(&cursor) {
                seen.append(entry)
                // New keys around the place, which split the leaves there, and new values of old keys.
                for _ in 0..<5 {
                    try buffer.put(key(Int.random(in: 0..<20_000, using: &dice)), value: bytes("later"))
                }
            }
            #expect(seen == (isReversed ? expected.reversed() : expected))
        }
    }

    @Test
    func anIterationAtACheckpointThatIsGoneIsAnError() throws {
        var buffer = WriteBuffer()
        let first = buffer.checkpoint()
        try buffer.put(key(1), value: key(1))
        let second = buffer.checkpoint()
        var cursor = WriteBuffer.Cursor(at: second)
        try buffer.revert(to: first)
        #expect(throws: WriteBufferError.checkpointIsGone) { try buffer.next(&cursor) }
    }

    @Test
    func olderValuesOfAKeyCanBeSearched() throws {
        var buffer = WriteBuffer()
        try buffer.put(bytes("k"), value: bytes("0"))
        let first = buffer.stage()
        try buffer.put(bytes("k"), value: bytes("1"))
        let second = buffer.stage()
        try buffer.delete(bytes("k"))
        try buffer.updateFlags(bytes("k"), .set(.needLocked))

        #expect(buffer.value(of: bytes("k"), where: { _ in true }) == .delete)
        #expect(buffer.value(of: bytes("k"), where: { $0.bytes != nil }) == .put(bytes("1")))
        #expect(buffer.value(of: bytes("k"), where: { $0 == .put(bytes("0")) }) == .put(bytes("0")))
        #expect(buffer.value(of: bytes("k"), where: { _ in false }) == nil)
        #expect(buffer.value(of: bytes("other"), where: { _ in true }) == nil)
        try buffer.rollBack(second)
        #expect(buffer.value(of: bytes("k"), where: { $0 == .delete }) == nil)
        try buffer.rollBack(first)
        #expect(buffer.value(of: bytes("k"), where: { $0 != .put(bytes("0")) }) == nil)
    }

    // MARK: - Against a model

    @Test(arguments: 0..<20)
    func randomWritesStagesAndCheckpointsFollowTheModel(seed: UInt64) throws {
        var dice = Dice(seed: seed + 1)
        var buffer = WriteBuffer()
        var model = BufferModel()
        var marks: [(stage: WriteBuffer.Stage?, checkpoint: WriteBuffer.Checkpoint?, model: BufferModel)] = []
        let flagSets: [KeyFlags] = [[], .locked, .presumeNotExists, [.needLocked, .lockedValueExists], .assertExist]
        for _ in 0..<3_000 {
            let key = key(Int.random(in: 0..<(seed.isMultiple(of: 2) ? 60 : 3_000), using: &dice))
            let flags = flagSets[Int.random(in: 0..<flagSets.count, using: &dice)]
            let change = Bool.random(using: &dice) ? KeyFlagChange.set(flags) : .clear(flags)
            switch Int.random(in: 0..<100, using: &dice) {
            case 0..<60:
                let value = [UInt8](
                    repeating: UInt8.random(in: 0...255, using: &dice), count: Int.random(in: 0..<40, using: &dice))
                try buffer.put(key, value: value, flags: change)
                model.write(key, .put(value), change)
            case 60..<75:
                try buffer.delete(key, flags: change)
                model.write(key, .delete, change)
            case 75..<85:
                try buffer.updateFlags(key, change)
                model.updateFlags(key, change)
            case 85..<90:
                marks.append((buffer.stage(), nil, model))
            case 90..<92:
                marks.append((nil, buffer.checkpoint(), model))
            case 92..<95:
                guard let index = marks.lastIndex(where: { $0.stage != nil }), let stage = marks[index].stage else {
                    break
                }
                try buffer.release(stage)
                marks.remove(at: index)
            case 95..<98:
                guard let index = marks.lastIndex(where: { $0.stage != nil }), let stage = marks[index].stage else {
                    break
                }
                try buffer.rollBack(stage)
                model.goBack(to: marks[index].model)
                marks.removeSubrange(index...)
            default:
                let places = marks.indices.filter { marks[$0].checkpoint != nil }
                guard let index = places.randomElement(using: &dice), let checkpoint = marks[index].checkpoint else {
                    break
                }
                try buffer.revert(to: checkpoint)
                model.goBack(to: marks[index].model)
                marks.removeSubrange((index + 1)...)
            }
            if Int.random(in: 0..<50, using: &dice) == 0 { try self.compare(buffer, model) }
        }
        try self.compare(buffer, model)
    }

    private func compare(_ buffer: borrowing WriteBuffer, _ model: BufferModel) throws {
        let expected = model.sorted
        let forward = try entries(buffer, WriteBuffer.Cursor(includesFlagged: true))
        #expect(forward == expected)
        let reversed = try entries(buffer, WriteBuffer.Cursor(isReversed: true, includesFlagged: true))
        #expect(reversed == expected.reversed())
        let count = buffer.count
        #expect(count == expected.count { $0.value != nil })
        let size = buffer.size
        #expect(size == model.size)
        for entry in expected.prefix(20) {
            let found = buffer.entry(of: entry.key)
            #expect(found == entry)
        }
    }
}
