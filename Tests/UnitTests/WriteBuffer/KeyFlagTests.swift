// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVWriteBuffer

/// Each flag of a key by itself, and what a stage that is taken back leaves of it.
@Suite struct KeyFlagTests {
    static let flags: [(KeyFlags, staysAfterRollBack: Bool)] = [
        (.presumeNotExists, false), (.locked, true), (.needLocked, false), (.lockedValueExists, true),
        (.needCheckExists, false), (.prewriteOnly, false), (.readable, false), (.newlyInserted, false),
        (.assertExist, false), (.assertNotExist, false), (.needConstraintCheckInPrewrite, true),
        (.previousPresumeNotExists, false), (.lockedInShareMode, true),
    ]

    @Test(arguments: Self.flags.indices) func aFlagIsSetAloneAndOutlivesItsStageOrNot(index: Int) throws {
        let (flag, stays) = Self.flags[index]
        var buffer = WriteBuffer()
        let stage = buffer.stage()
        try buffer.put(bytes("a"), value: bytes("1"), flags: .set(flag))
        try buffer.updateFlags(bytes("b"), .set(flag))
        #expect(buffer.flags(of: bytes("a")) == flag)
        #expect(buffer.flags(of: bytes("b")) == flag)
        try buffer.rollBack(stage)
        #expect(buffer.flags(of: bytes("a")) == (stays ? flag : nil))
        #expect(buffer.flags(of: bytes("b")) == (stays ? flag : nil))
        #expect(buffer.value(of: bytes("a")) == nil)
    }

    @Test(arguments: Self.flags.indices) func aFlagIsTakenAwayAlone(index: Int) throws {
        let all = KeyFlags(Self.flags.map(\.0))
        let flag = Self.flags[index].0
        var buffer = WriteBuffer()
        try buffer.updateFlags(bytes("a"), .set(all))
        try buffer.updateFlags(bytes("a"), .clear(flag))
        #expect(buffer.flags(of: bytes("a")) == all.subtracting(flag))
        #expect(all.subtracting(flag) != all)
    }
}
