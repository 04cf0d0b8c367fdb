// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVTransport

@testable import TiKVPD

/// What the client tells from the timestamps that it has, in virtual time.
@Suite(.timeLimit(.minutes(1))) struct PDOracleTests {
    private let clock = VirtualClock(jumps: false)
    private let pd = ScriptedClock(Timestamp(physical: 1_700_000_000_000, logical: 0))

    private func run<Result: Sendable>(
        _ source: ScriptedTSO, interval: Duration = .seconds(2), _ body: (PDOracle) async throws -> Result
    ) async throws -> Result {
        let oracle = PDOracle(source: source, updateInterval: interval, clock: self.clock, random: { 0.5 })
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await oracle.run() }
            defer { group.cancelAll() }
            return try await body(oracle)
        }
    }

    private func source() -> ScriptedTSO {
        let pd = self.pd
        return ScriptedTSO { _, count in pd.answer(count) }
    }

    private var deadline: Deadline { Deadline(after: .seconds(3600), from: self.clock.now) }

    private func code(_ body: () async throws(PDError) -> Void) async -> PDError.Code? {
        do throws(PDError) {
            try await body()
            return nil
        } catch {
            return error.code
        }
    }

    // MARK: - What is known

    @Test func theTimeOfALockIsCountedByTheLastTimestamp() async throws {
        try await self.run(self.source()) { oracle in
            #expect(oracle.isExpired(lock: .zero, timeToLive: .seconds(1)))
            let now = try await oracle.timestamp(deadline: self.deadline)
            let lock = Timestamp(physical: now.physical + 10, logical: 1)
            #expect(oracle.timeUntilExpired(lock: lock, timeToLive: .milliseconds(15)) == .milliseconds(25))
            #expect(!oracle.isExpired(lock: lock, timeToLive: .milliseconds(15)))
            let old = Timestamp(physical: now.physical - 15, logical: 1)
            #expect(oracle.timeUntilExpired(lock: old, timeToLive: .milliseconds(15)) == .zero)
            #expect(oracle.isExpired(lock: old, timeToLive: .milliseconds(15)))
        }
    }

    @Test func aStaleTimestampIsThatMuchBehind() async throws {
        try await self.run(self.source()) { oracle in
            // Asks PD where nothing is known yet.
            let first = try await oracle.staleTimestamp(.seconds(10), deadline: self.deadline)
            #expect(self.pd.current.duration(since: first) == .seconds(10))
            self.clock.advance(by: .milliseconds(1500))
            let second = try await oracle.staleTimestamp(.seconds(10), deadline: self.deadline)
            #expect(second.duration(since: first) == .milliseconds(1500))
            let code = await self.code { () async throws(PDError) in
                _ = try await oracle.staleTimestamp(.seconds(Int64(1e12)), deadline: self.deadline)
            }
            #expect(code == .invalidTimestamp)
        }
    }

    /// Whatever comes late or is fetched meanwhile: PD's clock is never overestimated, as long as both clocks go at one rate.
    @Test func aStaleTimestampIsNeverInTheFuture() {
        let start = ContinuousClock.now
        var cache = TimestampCache(now: start)
        #expect(cache.estimate(.zero, at: start) == nil)
        let physical: UInt64 = 1_700_000_000_000
        for step in 0..<1000 {
            let now = start.advanced(by: .milliseconds(step * 7))
            let actual = Timestamp(physical: physical + UInt64(step * 7), logical: 0)
            if let estimate = cache.estimate(.zero, at: now) { #expect(estimate <= actual) }
            // What comes is as old as its way was long; now and then an older one comes after a newer.
            let age = UInt64(step % 13) * 3
            cache.received(Timestamp(physical: actual.physical - age, logical: 0), at: now)
            if let estimate = cache.estimate(.zero, at: now) { #expect(estimate <= actual) }
        }
    }

    @Test func theLastTimestampIsNeverBehindOneThatWasHandedOut() async throws {
        try await self.run(self.source()) { oracle in
            let deadline = self.deadline
            let isBehind = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        var last = Timestamp.zero
                        for _ in 0..<10 {
                            let timestamp = try await oracle.timestamp(deadline: deadline)
                            guard let known = oracle.lowResolutionTimestamp, known >= timestamp, known >= last else {
                                return true
                            }
                            last = known
                        }
                        return false
                    }
                }
                return try await group.contains(true)
            }
            #expect(!isBehind)
        }
    }

    // MARK: - Freshness

    @Test func theLowResolutionTimestampAdvancesAtItsInterval() async throws {
        let source = self.source()
        try await self.run(source) { oracle in
            #expect(oracle.lowResolutionTimestamp == nil)
            let first = try await oracle.timestamp(deadline: self.deadline)
            // Its loop waits, beside the look at the deadlines and the watch over the stream.
            await self.clock.waitForSleepers(3)
            self.clock.advance(by: .milliseconds(1999))
            #expect(oracle.lowResolutionTimestamp == first)
            self.clock.advance(by: .milliseconds(1))
            while oracle.lowResolutionTimestamp == first { await Task.yield() }
            for interval in [Duration.milliseconds(50), .milliseconds(150), .milliseconds(500)] {
                try oracle.setUpdateInterval(interval)
                for round in 1...3 {
                    // Its loop has come round, and waits for this long from the moment of the last one.
                    while self.clock.waits.count(where: { $0 == interval }) < round { await Task.yield() }
                    let last = oracle.lowResolutionTimestamp
                    let requests = source.requests.count
                    self.clock.advance(by: interval - .milliseconds(1))
                    for _ in 0..<20 { await Task.yield() }
                    #expect(oracle.lowResolutionTimestamp == last && source.requests.count == requests)
                    self.clock.advance(by: .milliseconds(1))
                    while oracle.lowResolutionTimestamp == last { await Task.yield() }
                    #expect(source.requests.count == requests + 1)
                }
            }
            let code = await self.code { () async throws(PDError) in try oracle.setUpdateInterval(.zero) }
            #expect(code == .invalidTimestamp)
        }
    }

    @Test func staleReadsMakeItFresherAndOthersDoNot() async throws {
        try await self.run(self.source()) { oracle in
            let now = try await oracle.timestamp(deadline: self.deadline)
            let read = Timestamp(physical: now.physical - 1000, logical: 0)
            try await oracle.validate(readTimestamp: read, isStaleRead: false, deadline: self.deadline)
            try await oracle.validate(
                readTimestamp: Timestamp(rawValue: self.pd.current.rawValue + 1), isStaleRead: false,
                deadline: self.deadline)
            #expect(oracle.updateInterval == .seconds(2))
            try await oracle.validate(readTimestamp: read, isStaleRead: true, deadline: self.deadline)
            while oracle.updateInterval == .seconds(2) { await Task.yield() }
            #expect(oracle.updateInterval == .milliseconds(900))
        }
    }

    // MARK: - Checks of reads

    @Test func aReadOfTheFutureIsRefused() async throws {
        let source = self.source()
        try await self.run(source) { oracle in
            let last = try await oracle.timestamp(deadline: self.deadline)
            func code(_ offset: UInt64, isStaleRead: Bool = false) async -> PDError.Code? {
                let read = Timestamp(rawValue: self.pd.current.rawValue + offset)
                return await self.code { () async throws(PDError) in
                    try await oracle.validate(
                        readTimestamp: read, isStaleRead: isStaleRead, deadline: self.deadline)
                }
            }
            let before = source.requests.count
            #expect(await code(0) == nil)
            #expect(source.requests.count == before)
            // The next timestamp, and the one after it, are asked for; not the third.
            #expect(await code(1) == nil)
            #expect(await code(2) == nil)
            #expect(await code(3) == .invalidTimestamp)
            // Another client was further on.
            let read = Timestamp(rawValue: self.pd.current.rawValue + 100)
            self.pd.advance(to: read)
            try await oracle.validate(readTimestamp: read, isStaleRead: true, deadline: self.deadline)
            // The latest there is can be read, but not from a replica that may lag behind.
            try await oracle.validate(readTimestamp: .max, isStaleRead: false, deadline: self.deadline)
            let stale = await self.code { () async throws(PDError) in
                try await oracle.validate(readTimestamp: .max, isStaleRead: true, deadline: self.deadline)
            }
            #expect(stale == .invalidTimestamp)
            let absurd = await self.code { () async throws(PDError) in
                try await oracle.validate(
                    readTimestamp: Timestamp(rawValue: .max - 1), isStaleRead: false, deadline: self.deadline)
            }
            #expect(absurd == .invalidTimestamp)
            #expect(last < self.pd.current)
        }
    }

    @Test func checksAtTheSameTimeShareAQuestion() async throws {
        let gate = ScriptedGate()
        let isHeld = Atomic(false)
        let pd = self.pd
        let source = ScriptedTSO { _, count in
            if isHeld.load(ordering: .relaxed) { await gate.pass() }
            return pd.answer(count)
        }
        try await self.run(source) { oracle in
            let last = try await oracle.timestamp(deadline: self.deadline)
            isHeld.store(true, ordering: .relaxed)
            // The question will bring 10 more than now; the next one, one more than that.
            pd.advance(to: Timestamp(rawValue: last.rawValue + 9))
            let before = source.requests.count
            let deadline = self.deadline
            let hasGivenUp = ScriptedGate()
            let codes: [UInt64: PDError.Code] = await withTaskGroup(of: (UInt64, PDError.Code?).self) { group in
                for offset in [UInt64(5), 10, 50, 60, 70] {
                    group.addTask {
                        do throws(PDError) {
                            try await oracle.validate(
                                readTimestamp: Timestamp(rawValue: last.rawValue + offset), isStaleRead: true,
                                deadline: deadline)
                            return (offset, nil)
                        } catch {
                            return (offset, error.code)
                        }
                    }
                }
                group.addTask {
                    await withTaskGroup(of: PDError.Code?.self) { inner in
                        inner.addTask {
                            do throws(PDError) {
                                try await oracle.validate(
                                    readTimestamp: Timestamp(rawValue: last.rawValue + 7), isStaleRead: true,
                                    deadline: deadline)
                                return nil
                            } catch {
                                return error.code
                            }
                        }
                        while source.requests.count == before { await Task.yield() }
                        inner.cancelAll()
                        let code = await inner.next() ?? nil
                        hasGivenUp.open()
                        return (7, code)
                    }
                }
                await hasGivenUp.pass()
                gate.open()
                return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            #expect(codes == [50: .invalidTimestamp, 60: .invalidTimestamp, 70: .invalidTimestamp, 7: .cancelled])
            // One for all, or two where the one who asked was the one that gave up; and one more for those that failed.
            #expect(source.requests.count - before <= 6)
        }
    }

    /// A timestamp of another client, handed out after the question that our check shares was asked.
    @Test func aSharedQuestionThatBeganTooEarlyIsAskedAgain() async throws {
        let gate = ScriptedGate()
        let isHeld = Atomic(false)
        let pd = self.pd
        let source = ScriptedTSO { _, count in
            guard isHeld.exchange(false, ordering: .relaxed) else { return pd.answer(count) }
            // PD answers at once; the answer takes its time.
            let answer = pd.answer(count)
            await gate.pass()
            return answer
        }
        try await self.run(source) { oracle in
            let last = try await oracle.timestamp(deadline: self.deadline)
            isHeld.store(true, ordering: .relaxed)
            let deadline = self.deadline
            async let early: Void = oracle.validate(
                readTimestamp: Timestamp(rawValue: last.rawValue + 1), isStaleRead: false, deadline: deadline)
            while isHeld.load(ordering: .relaxed) { await Task.yield() }
            let foreign = Timestamp(rawValue: pd.current.rawValue + 5)
            pd.advance(to: foreign)
            async let late: Void = oracle.validate(readTimestamp: foreign, isStaleRead: false, deadline: deadline)
            // It waits for the question that is under way: with a look at its own deadline, beside the oracle's three waits.
            await self.clock.waitForSleepers(4)
            gate.open()
            try await early
            try await late
        }
    }
}
