// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD

/// What a call may wait in all, what its parts share, and what is told of it in the end.
@Suite struct BackoffBudgetTests {
    private let long = Duration.seconds(10_000)

    private func wait(
        _ backoff: inout Backoff, _ kind: BackoffKind, atMost longest: Duration? = nil, reason: String? = nil
    ) -> Duration? {
        backoff.next(kind, remaining: self.long, random: 0.5, atMost: longest, reason: reason)
    }

    @Test func aWaitCanBeCapped() {
        var backoff = Backoff(budget: .seconds(2))
        #expect(self.wait(&backoff, .txnLockFast, atMost: .milliseconds(5)) == .milliseconds(5))
        #expect(backoff.total == .milliseconds(5))
        // The cap is of this wait only.
        #expect(self.wait(&backoff, .txnLockFast) == .milliseconds(15))
        #expect(backoff.total == .milliseconds(20))
    }

    @Test func aBudgetEndsTheWaitsAndTheLongestKindIsTheReason() {
        var backoff = Backoff(budget: .milliseconds(200))
        while self.wait(&backoff, .regionMiss) != nil, backoff.waits(.regionMiss) < 4 {}
        #expect(self.wait(&backoff, .tikvRPC) == .milliseconds(75))
        #expect(self.wait(&backoff, .tikvRPC) == .milliseconds(150))
        #expect(self.wait(&backoff, .regionMiss) == nil)
        #expect(self.wait(&backoff, .tikvRPC) == nil)
        #expect(backoff.longest == .tikvRPC)
        #expect(backoff.report == "waited 255ms: regionMiss 4 times (30ms), tikvRPC 2 times (225ms)")
    }

    @Test func copiesGoOnFromWhereTheOriginalWas() {
        var backoff = Backoff(budget: .milliseconds(70))
        #expect(self.wait(&backoff, .tikvRPC, reason: "refused") == .milliseconds(75))
        var copy = backoff
        #expect(copy.total == backoff.total && copy.counts == backoff.counts && copy.reasons == ["refused"])
        #expect(self.wait(&copy, .tikvRPC) == nil)
        #expect(self.wait(&backoff, .regionMiss) == nil)
        #expect(copy.longest == backoff.longest)
    }

    @Test func aPartsWaitsAreTakenBack() {
        var backoff = Backoff(budget: .seconds(2))
        _ = self.wait(&backoff, .tikvRPC, reason: "first")
        var part = backoff
        _ = self.wait(&part, .txnLock, reason: "second")
        #expect(backoff.attempts == 1)
        backoff.merge(part)
        #expect(backoff.total == part.total)
        #expect(backoff.waits(.txnLock) == 1 && backoff.waits(.tikvRPC) == 1)
        #expect(backoff.reasons == ["first", "second"])
        #expect(backoff.budget == .seconds(2))
    }

    @Test func patienceWithABusyServerCountsApartUpToALimit() {
        var backoff = Backoff(budget: .seconds(1))
        // Far over the budget, and not counted against it.
        #expect(self.wait(&backoff, .serverBusy) == .milliseconds(1500))
        #expect(self.wait(&backoff, .serverBusy) == .milliseconds(3000))
        #expect(self.wait(&backoff, .regionMiss) == .milliseconds(2))
        #expect(backoff.excluded == .milliseconds(4500))
        while backoff.excluded < .seconds(600) { _ = self.wait(&backoff, .serverBusy) }
        #expect(self.wait(&backoff, .serverBusy) == nil)
        #expect(self.wait(&backoff, .regionMiss) == .milliseconds(4))
    }

    @Test func theLastThreeReasonsAreKept() {
        var backoff = Backoff()
        for number in 1...5 { _ = self.wait(&backoff, .regionMiss, reason: "reason \(number)") }
        #expect(backoff.reasons == ["reason 3", "reason 4", "reason 5"])
    }

    @Test func decorrelatedWaitsGrowFromTheLastOne() {
        let kind = BackoffKind("test", base: .milliseconds(10), cap: .milliseconds(100), jitter: .decorrelated)
        #expect(kind.delay(attempt: 0, random: 0.5) == .milliseconds(20))
        #expect(kind.delay(attempt: 1, random: 0.5, last: .milliseconds(20)) == .milliseconds(35))
        #expect(kind.delay(attempt: 9, random: 0.9, last: .milliseconds(90)) == .milliseconds(100))
        #expect(kind.delay(attempt: 3, random: 0, last: .milliseconds(90)) == .milliseconds(10))
    }

    @Test func theLengthsAreTiKVs() {
        func lengths(_ kind: BackoffKind) -> [Duration] { [kind.base, kind.cap] }
        #expect(lengths(.tikvRPC) == [.milliseconds(100), .seconds(2)])
        #expect(lengths(.tiflashRPC) == [.milliseconds(100), .seconds(2)])
        #expect(lengths(.tiflashServerBusy) == [.seconds(2), .seconds(10)])
        #expect(lengths(.pdRPC) == [.milliseconds(500), .seconds(3)])
        #expect(lengths(.regionMiss) == [.milliseconds(2), .milliseconds(500)])
        #expect(lengths(.regionScheduling) == [.milliseconds(2), .milliseconds(500)])
        #expect(lengths(.serverBusy) == [.seconds(2), .seconds(10)])
        #expect(lengths(.diskFull) == [.milliseconds(500), .seconds(5)])
        #expect(lengths(.recoveryInProgress) == [.milliseconds(100), .seconds(10)])
        #expect(lengths(.isWitness) == [.seconds(1), .seconds(10)])
        #expect(lengths(.maxTimestampNotSynced) == [.milliseconds(2), .milliseconds(500)])
        #expect(lengths(.staleCommand) == [.milliseconds(2), .seconds(1)])
        #expect(lengths(.regionNotInitialized) == [.milliseconds(2), .seconds(1)])
        #expect(lengths(.txnLock) == [.milliseconds(100), .seconds(3)])
        #expect(lengths(.txnLockFast) == [.milliseconds(10), .seconds(3)])
        #expect(lengths(.txnNotFound) == [.milliseconds(2), .milliseconds(500)])
        #expect(lengths(.commitTSLag) == [.milliseconds(2), .milliseconds(500)])
        for kind: BackoffKind in [
            .tikvRPC, .tiflashRPC, .pdRPC, .serverBusy, .tiflashServerBusy, .txnLock, .txnLockFast, .recoveryInProgress,
        ] { #expect(kind.jitter == .equal) }
        for kind: BackoffKind in [.txnNotFound, .maxTimestampNotSynced, .commitTSLag, .regionMiss, .diskFull] {
            #expect(kind.jitter == .none)
        }
        #expect(BackoffKind.serverBusy.excludedUpTo == .seconds(600))
        #expect(BackoffKind.tiflashServerBusy.excludedUpTo == .zero)
    }
}
