// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVWriteBuffer

@testable import TiKV

@Suite
struct LockBookTests {
    private let now = ContinuousClock.now

    private func entry(_ forUpdate: UInt64, value: String? = nil, conflict: UInt64 = 0) -> LockBook.Entry {
        LockBook.Entry(
            exists: value != nil, value: value.map { bytes($0) }, hasValue: value != nil, conflict: conflict,
            forUpdate: forUpdate)
    }

    private func begin(
        _ book: inout LockBook, _ keys: [String], at forUpdate: UInt64, values: Bool = false, after: Duration = .zero
    ) -> LockBook.Call {
        book.begin(
            keys.map { bytes($0) }, forUpdate: forUpdate, returnsValues: values, now: self.now.advanced(by: after),
            lifetime: .seconds(20))
    }

    @Test
    func theFirstKeyIsThePrimaryUntilItFails() {
        var book = LockBook()
        let first = self.begin(&book, ["a", "b"], at: 10)
        #expect(first.choosesPrimary)
        #expect(first.primary == bytes("a"))
        #expect(!first.isForced)
        let release = book.failed(first, isLocked: true)
        #expect(release == .init(keys: [bytes("a"), bytes("b")], stopsHeartbeat: true))
        #expect(book.primary == nil)
        let second = self.begin(&book, ["b"], at: 20)
        let isUnlocked = book.succeeded(second, [bytes("b"): self.entry(20)])
        #expect(!isUnlocked)
        #expect(book.primary == bytes("b"))
        let third = self.begin(&book, ["a"], at: 15)
        #expect(!third.choosesPrimary)
        #expect(book.forUpdate == 20)
        // A refusal leaves nothing to take back.
        let refusal = book.failed(third, isLocked: false)
        #expect(refusal == .init())
        #expect(book.primary == bytes("b"))
    }

    @Test
    func aPrimaryThatDoesNotExistIsNone() {
        var book = LockBook()
        let call = self.begin(&book, ["a"], at: 10)
        let isUnlocked = book.succeeded(call, [:])
        #expect(isUnlocked)
        #expect(book.primary == nil)
    }

    @Test
    func locksThatAreOldAreTakenAgain() {
        var book = LockBook()
        let begins = book.start(at: self.now)
        #expect(begins)
        let beginsAgain = book.start(at: self.now)
        #expect(!beginsAgain)
        let first = self.begin(&book, ["a"], at: 10)
        #expect(first.isForced)
        _ = book.succeeded(first, [bytes("a"): self.entry(10)])
        _ = book.retry(at: self.now.advanced(by: .seconds(1)))
        var copy = book
        let young = self.begin(&copy, ["a"], at: 20, after: .seconds(2))
        #expect(young.keys == [])
        let old = self.begin(&book, ["a"], at: 20, after: .seconds(20))
        #expect(old.keys == [bytes("a")])
    }

    @Test
    func aConflictIsToldOnceAndKnowsTheValue() {
        var book = LockBook()
        _ = book.start(at: self.now)
        let first = self.begin(&book, ["a"], at: 10)
        _ = book.succeeded(first, [bytes("a"): self.entry(15, value: "1", conflict: 15)])
        #expect(book.releaseTimestamp == 15)
        _ = book.retry(at: self.now)
        let second = self.begin(&book, ["a"], at: 20, values: true)
        #expect(second.keys == [])
        #expect(second.known[bytes("a")]?.conflict == 0)
        #expect(second.known[bytes("a")]?.value == bytes("1"))
        _ = book.done()
        // Prewrite makes sure that it is this lock.
        #expect(book.constraints == [bytes("a"): 15])
    }

    @Test
    func aFailedCallGivesBackWhatTheStageHad() {
        var book = LockBook()
        _ = book.start(at: self.now)
        let first = self.begin(&book, ["a"], at: 10)
        _ = book.succeeded(first, [bytes("a"): self.entry(10)])
        _ = book.retry(at: self.now)
        let second = self.begin(&book, ["a"], at: 20, values: true)
        #expect(second.keys == [bytes("a")])
        // Refused or not: it was locked before.
        let release = book.failed(second, isLocked: false)
        #expect(release == .init(keys: [bytes("a")], stopsHeartbeat: true))
        #expect(book.stageCount == 0)
    }

    @Test
    func commitsWaitAsLongAsTheyMay() {
        var wait = CommitWait(target: 300, patience: .seconds(1))
        let steps = [
            wait.received(301, after: .zero), wait.received(100, after: .zero),
            wait.received(300, after: .milliseconds(400)), wait.received(300, after: .seconds(1)),
        ]
        #expect(steps == [.commit(301), .wait(atMost: .seconds(1)), .wait(atMost: .milliseconds(600)), .fail])
        #expect(wait.firstLag == 100)
        #expect(wait.lags == 3)
        var far = CommitWait(target: 10_000 << 18, patience: .seconds(1))
        let step = far.received(1 << 18, after: .zero)
        #expect(step == .fail)
    }

    @Test
    func largeWritesAreCutBySize() {
        let sizes = [("a", 3), ("b", 3), ("c", 3), ("d", 9), ("e", 1)]
        let keys = PreSplitter.splitKeys(
            0..<5, key: { bytes(sizes[$0].0) }, size: { sizes[$0].1 }, every: 6)
        #expect(keys == [bytes("b"), bytes("d")])
    }

    /// Every flag that a key may have reaches the mutation, whatever is done with the key.
    @Test
    func flagsReachMutations() throws {
        for kind in [Mutation.Kind.put, .delete, .checkNotExists] {
            for mask in 0..<8 {
                let (isLocked, exists, existsNot) = (mask & 1 != 0, mask & 2 != 0, mask & 4 != 0)
                var flags: KeyFlags = []
                if isLocked { flags.insert(.locked) }
                if exists { flags.insert(.assertExist) }
                if existsNot { flags.insert(.assertNotExist) }
                if kind == .checkNotExists { flags.insert(.prewriteOnly) }
                var buffer = WriteBuffer()
                let key = bytes("key\(mask)")
                if kind == .delete {
                    try buffer.delete(key, flags: .set(flags))
                } else {
                    try buffer.put(key, value: [1], flags: .set(flags))
                }
                let plan = try CommitPlan(buffer, isPessimistic: true)
                #expect(plan.mutations.count == 1)
                let mutation = try #require(plan.mutations.first)
                #expect(mutation.key == key)
                #expect(mutation.kind == kind)
                #expect(mutation.isPessimisticLock == isLocked)
                let expected: Mutation.Assertion = exists == existsNot ? .none : exists ? .exist : .notExist
                #expect(mutation.assertion == expected)
            }
        }
    }

    /// Whether the transaction itself made a key, only the write that made it says.
    @Test
    func newlyInsertedIsSaidByTheWriteThatSaysSo() throws {
        var buffer = WriteBuffer()
        try buffer.delete(bytes("a"))
        try buffer.put(bytes("a"), value: [1])
        #expect(buffer.flags(of: bytes("a"))?.contains(.newlyInserted) == false)
        try buffer.updateFlags(bytes("b"), .set(.locked))
        try buffer.put(bytes("b"), value: [1], flags: .set(.newlyInserted))
        #expect(buffer.flags(of: bytes("b"))?.contains(.newlyInserted) == true)
        try buffer.updateFlags(bytes("c"), .set(.locked))
        try buffer.delete(bytes("c"))
        #expect(buffer.flags(of: bytes("c"))?.contains(.newlyInserted) == false)
        try buffer.put(bytes("c"), value: [1])
        #expect(buffer.flags(of: bytes("c"))?.contains(.newlyInserted) == false)
        let plan = try CommitPlan(buffer, isPessimistic: false)
        #expect(plan.mutations.map(\.kind) == [.put, .put, .put])
    }
}
