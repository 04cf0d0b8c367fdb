// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD

@Suite struct BackoffTests {
    @Test func waitsDoubleUpToTheCap() {
        var backoff = Backoff()
        let waits = (0..<5).map { _ in
            backoff.next(.regionMiss, remaining: .seconds(100), random: 0.5)
        }
        #expect(waits == [.milliseconds(2), .milliseconds(4), .milliseconds(8), .milliseconds(16), .milliseconds(32)])
        for _ in 0..<20 { _ = backoff.next(.regionMiss, remaining: .seconds(100), random: 0.5) }
        #expect(backoff.next(.regionMiss, remaining: .seconds(100), random: 0.5) == .milliseconds(500))
    }

    @Test func equalJitterLiesBetweenHalfAndAll() {
        #expect(BackoffKind.tikvRPC.delay(attempt: 0, random: 0) == .milliseconds(50))
        #expect(BackoffKind.tikvRPC.delay(attempt: 0, random: 0.5) == .milliseconds(75))
        #expect(BackoffKind.tikvRPC.delay(attempt: 1000, random: 0) == .seconds(1))
    }

    /// From half of the length to all of it, or the length itself.
    @Test func theJitterOfStoresInTrouble() {
        func range(_ kind: BackoffKind, attempt: Int) -> [Duration] {
            [0.0, 0.5, 1].map { kind.delay(attempt: attempt, random: $0) }
        }
        #expect(range(.recoveryInProgress, attempt: 0) == [50, 75, 100].map { .milliseconds($0) })
        #expect(range(.recoveryInProgress, attempt: 99) == [5, 7.5, 10].map { .seconds($0) })
        #expect(range(.isWitness, attempt: 0) == [500, 750, 1000].map { .milliseconds($0) })
        #expect(range(.isWitness, attempt: 99) == [5, 7.5, 10].map { .seconds($0) })
        #expect(range(.diskFull, attempt: 0) == [500, 500, 500].map { .milliseconds($0) })
        #expect(range(.diskFull, attempt: 99) == [5, 5, 5].map { .seconds($0) })
    }

    @Test func fullJitterReachesDownToNothing() {
        let kind = BackoffKind("test", base: .milliseconds(100), cap: .seconds(1), jitter: .full)
        #expect(kind.delay(attempt: 0, random: 0) == .zero)
        #expect(kind.delay(attempt: 2, random: 0.5) == .milliseconds(200))
    }

    @Test func kindsCountForThemselves() {
        var backoff = Backoff()
        _ = backoff.next(.regionMiss, remaining: .seconds(10), random: 0)
        _ = backoff.next(.regionMiss, remaining: .seconds(10), random: 0)
        #expect(backoff.next(.tikvRPC, remaining: .seconds(10), random: 0) == .milliseconds(50))
        #expect(backoff.next(.regionMiss, remaining: .seconds(10), random: 0) == .milliseconds(8))
        #expect(backoff.longest == .tikvRPC)
        #expect(backoff.attempts == 4)
        #expect(backoff.total == .milliseconds(2 + 4 + 50 + 8))
    }

    @Test func aWaitBeyondTheDeadlineIsCutOnceAndThenRefused() {
        var backoff = Backoff()
        #expect(backoff.next(.serverBusy, remaining: .milliseconds(400), random: 0.5) == .milliseconds(300))
        #expect(backoff.next(.serverBusy, remaining: .milliseconds(100), random: 0.5) == nil)
        #expect(backoff.next(.regionMiss, remaining: .milliseconds(100), random: 0.5) == nil)
    }

    @Test func noTimeMeansNoWait() {
        var backoff = Backoff()
        #expect(backoff.next(.regionMiss, remaining: .zero, random: 0.5) == nil)
    }

    @Test func theServersHintTakesThePlaceOfTheLength() {
        var backoff = Backoff()
        #expect(
            backoff.next(.serverBusy, remaining: .seconds(10), random: 0.9, hint: .milliseconds(7)) == .milliseconds(7))
    }

    @Test func deadlinesOfAbsurdTimeoutsDoNotOverflow() {
        let now = ContinuousClock.now
        #expect(!Deadline(after: .seconds(Int64.max), from: now).hasPassed(at: now))
        #expect(Deadline(after: .seconds(-5), from: now).hasPassed(at: now))
        #expect(Deadline(after: .seconds(-5), from: now).remaining(at: now) == .zero)
    }
}
