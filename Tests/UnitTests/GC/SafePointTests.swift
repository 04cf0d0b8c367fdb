// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import Testing
import TiKVPD

@testable import TiKV

/// How a client knows what garbage collection has come to.
@Suite(.timeLimit(.minutes(1))) struct SafePointTests {
    /// PD, whose answers a test makes up.
    private final class Store: SafePointStore {
        struct State {
            var safePoint: Result<UInt64, PDError> = .success(0)
            var entries: [String: [UInt8]] = [:]
            var questions = 0
        }

        let state = Mutex(State())

        func txnSafePoint(keyspaceID: UInt32?, deadline: Deadline) async throws(PDError) -> UInt64 {
            try self.state.withLock { state throws(PDError) in
                state.questions += 1
                return try state.safePoint.get()
            }
        }

        func entry(_ key: String, deadline: Deadline) async throws(PDError) -> [UInt8]? {
            self.state.withLock { $0.entries[key] }
        }
    }

    private static let deadline = Deadline(after: .seconds(10), from: .now)
    private static let entry = "/tidb/store/gcworker/saved_safe_point"

    private func oldStore(_ value: String?) -> Store {
        let store = Store()
        store.state.withLock { state in
            state.safePoint = .failure(PDError(.unimplemented, ""))
            state.entries[Self.entry] = value.map { Array($0.utf8) }
        }
        return store
    }

    private func load(_ store: Store) async throws(PDError) -> UInt64 {
        try await SafePointLoader(store: store).load(keyspaceID: nil, deadline: Self.deadline) { false }
    }

    @Test(arguments: [
        (nil, 0), ("", 0), ("1", 1), ("459579321342754819", 459_579_321_342_754_819),
        ("18446744073709551615", UInt64.max),
    ])
    func anEntryHoldsANumber(value: String?, expected: UInt64) async throws {
        #expect(try await self.load(self.oldStore(value)) == expected)
    }

    @Test(arguments: ["abcde", "459579321342754819abcdefg", "18446744073709551616", "-1", "+1", " 1"])
    func whatIsNoNumberIsAnError(value: String) async {
        let store = self.oldStore(value)
        let error = await #expect(throws: PDError.self) { try await self.load(store) }
        #expect(error?.code == .server)
    }

    @Test func otherFailuresAreNoReasonToLookElsewhere() async {
        let store = Store()
        store.state.withLock { $0.safePoint = .failure(PDError(.unreachable, "gone")) }
        for count in 1...2 {
            let error = await #expect(throws: PDError.self) { try await self.load(store) }
            #expect(error?.code == .unreachable)
            #expect(store.state.withLock { $0.questions } == count)
        }
    }

    // MARK: - What is remembered

    @Test func whatBeganBeforeTheSafePointIsGone() {
        let start = ContinuousClock.now
        var cache = SafePointCache()
        #expect(cache.verdict(on: 5, now: start) == .unknown)
        cache.received(10, at: start)
        #expect(cache.verdict(on: 9, now: start) == .collected(safePoint: 10))
        #expect(cache.verdict(on: 10, now: start) == .visible)
        // It never goes back.
        cache.received(7, at: start.advanced(by: .seconds(1)))
        #expect(cache.verdict(on: 9, now: start) == .collected(safePoint: 10))
    }

    @Test func whatIsOldIsNotTrusted() {
        let start = ContinuousClock.now
        var cache = SafePointCache()
        cache.received(10, at: start)
        #expect(cache.verdict(on: 11, now: start.advanced(by: .seconds(90))) == .visible)
        #expect(cache.verdict(on: 11, now: start.advanced(by: .seconds(91))) == .outdated)
        // What is gone stays gone.
        #expect(cache.verdict(on: 9, now: start.advanced(by: .seconds(500))) == .collected(safePoint: 10))
    }

    private final class Answers: Sendable {
        let state = Mutex<(answer: Result<UInt64, TiKVError>, questions: Int)>((.success(10), 0))

        func answer() throws(TiKVError) -> UInt64 {
            try self.state.withLock { state throws(TiKVError) in
                state.questions += 1
                return try state.answer.get()
            }
        }
    }

    private func watch(_ answers: Answers, _ clock: VirtualClock) -> SafePointWatch {
        SafePointWatch(clock: clock, logger: Logger(label: "test")) { _ async throws(TiKVError) in
            try answers.answer()
        }
    }

    @Test func theFirstReadAsksAndOthersDoNot() async throws {
        let clock = VirtualClock(jumps: false)
        let answers = Answers()
        let watch = self.watch(answers, clock)
        let deadline = Deadline(after: .seconds(10), from: clock.now)
        // The latest data are there in any case.
        try await watch.check(.max, deadline: deadline)
        #expect(answers.state.withLock { $0.questions } == 0)
        try await watch.check(10, deadline: deadline)
        try await watch.check(11, deadline: deadline)
        #expect(answers.state.withLock { $0.questions } == 1)
        let error = await #expect(throws: TiKVError.self) { try await watch.check(9, deadline: deadline) }
        #expect(error?.code == .gcTooEarly)
        #expect(error?.isRetryable == true)
    }

    @Test func whereNobodyCanSayReadsFail() async throws {
        let clock = VirtualClock(jumps: false)
        let answers = Answers()
        let watch = self.watch(answers, clock)
        answers.state.withLock { $0.answer = .failure(TiKVError(.pdUnreachable, "gone")) }
        let deadline = Deadline(after: .seconds(1000), from: clock.now)
        let first = await #expect(throws: TiKVError.self) { try await watch.check(11, deadline: deadline) }
        #expect(first?.code == .safePointUnavailable)
        answers.state.withLock { $0.answer = .success(10) }
        try await watch.check(11, deadline: deadline)
        answers.state.withLock { $0.answer = .failure(TiKVError(.pdUnreachable, "gone")) }
        clock.advance(by: .seconds(90))
        try await watch.check(11, deadline: deadline)
        clock.advance(by: .seconds(1))
        let last = await #expect(throws: TiKVError.self) { try await watch.check(11, deadline: deadline) }
        #expect(last?.code == .safePointUnavailable)
    }

    @Test func itIsKeptFreshOnceAnybodyReads() async throws {
        let clock = VirtualClock(jumps: false)
        let answers = Answers()
        let watch = self.watch(answers, clock)
        let deadline = Deadline(after: .seconds(1000), from: clock.now)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await watch.run() }
            defer { group.cancelAll() }
            try await watch.check(11, deadline: deadline)
            answers.state.withLock { $0.answer = .failure(TiKVError(.pdUnreachable, "gone")) }
            let before = answers.state.withLock { $0.questions }
            while answers.state.withLock({ $0.questions }) < before + 2 {
                await clock.waitForSleepers(1)
                clock.advance(by: .seconds(1))
            }
            // Asked again and again after a failure.
            answers.state.withLock { $0.answer = .success(20) }
            while watch.safePoint < 20 {
                await clock.waitForSleepers(1)
                clock.advance(by: .seconds(1))
            }
        }
        let error = await #expect(throws: TiKVError.self) { try await watch.check(11, deadline: deadline) }
        #expect(error?.code == .gcTooEarly)
    }
}
