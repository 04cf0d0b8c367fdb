// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD
import TiKVTransport

@testable import TiKV

/// How well stores do, by this client's measure and by their own word.
@Suite struct StoreHealthTests {
    private let now = ContinuousClock.now

    private func after(_ duration: Duration) -> ContinuousClock.Instant { self.now.advanced(by: duration) }

    private func tick(_ score: inout ServerSlowScore, _ now: ContinuousClock.Instant) -> Bool { score.tick(at: now) }

    @Test func loadAloneMakesNoStoreSlow() {
        var score = ClientSlowScore()
        for milliseconds in Array(1...100) + (1...100).reversed() {
            // As many answers each second, or more.
            score.tick(count: 100 + milliseconds, latency: .milliseconds(milliseconds) * (100 + milliseconds))
            #expect(score.score < StoreHealth.slowThreshold)
        }
    }

    @Test func fewerAnswersThatTakeLongerDo() {
        var score = ClientSlowScore()
        for _ in 0..<10 { score.tick(count: 1000, latency: .milliseconds(1) * 1000) }
        #expect(score.score == 1)
        var (count, milliseconds) = (1000, 1)
        for _ in 0..<8 {
            count = count * 2 / 3
            milliseconds *= 3
            score.tick(count: count, latency: .milliseconds(milliseconds) * count)
        }
        #expect(score.score >= StoreHealth.slowThreshold)
        // It is forgiven in time.
        for _ in 0..<120 { score.tick(count: 1000, latency: .milliseconds(1) * 1000) }
        #expect(score.score == 1)
    }

    @Test func aStoreThatWasMarkedIsSlowForAWhile() {
        var health = StoreHealth()
        #expect(!health.isSlow)
        health.markSlow()
        #expect(health.isSlow)
        for second in 1...20 { _ = health.tick(count: 0, latency: .zero, at: self.after(.seconds(second))) }
        #expect(!health.isSlow)
    }

    @Test func theServersWordCountsAndFades() {
        var score = ServerSlowScore()
        #expect(score.score == 1)
        #expect(!self.tick(&score, self.after(.seconds(1000))))
        score.update(score: 50, sequence: 1, at: self.now)
        #expect(score.score == 50)
        score.update(score: 100, sequence: 2, at: self.after(.seconds(1)))
        #expect(score.score == 100)
        for second in stride(from: 2, through: 121, by: 1) { _ = score.tick(at: self.after(.seconds(second))) }
        #expect(abs(score.score - 60) <= 5)
        for second in stride(from: 122, through: 301, by: 1) { _ = score.tick(at: self.after(.seconds(second))) }
        #expect(score.score <= 5)
        for second in stride(from: 302, through: 331, by: 1) { _ = score.tick(at: self.after(.seconds(second))) }
        #expect(score.score == 1)
    }

    @Test func aSlowStoreThatSaysNothingIsAsked() {
        var score = ServerSlowScore()
        score.update(score: 90, sequence: 1, at: self.now)
        #expect(!self.tick(&score, self.after(.seconds(14))))
        #expect(self.tick(&score, self.after(.seconds(15))))
        // Not every second.
        #expect(!self.tick(&score, self.after(.seconds(16))))
    }

    @Test func reportsTooCloseOrTooLateAreIgnored() {
        var score = ServerSlowScore()
        score.update(score: 100, sequence: 5, at: self.now)
        score.update(score: 1, sequence: 6, at: self.after(.milliseconds(99)))
        #expect(score.score == 100)
        score.update(score: 1, sequence: 4, at: self.after(.milliseconds(200)))
        #expect(score.score == 100)
        score.update(score: 1, sequence: 7, at: self.after(.milliseconds(200)))
        #expect(score.score == 1)
    }

    @Test func eitherSideMakesAStoreSlow() {
        var health = StoreHealth()
        health.markSlow()
        health.feedback(score: 100, sequence: 1, at: self.now)
        #expect(health.isSlow)
        for second in 1...20 { _ = health.tick(count: 0, latency: .zero, at: self.after(.seconds(second))) }
        // The client's own is over, the store's is not.
        #expect(health.client.score < StoreHealth.slowThreshold)
        #expect(health.isSlow)
        health.feedback(score: 1, sequence: 2, at: self.after(.seconds(21)))
        #expect(!health.isSlow)
        #expect(health.server.score == 1)
    }

    @Test func anEstimatedWaitGrowsOld() {
        var health = StoreHealth()
        #expect(health.estimatedWait(at: self.now) == .zero)
        health.noteEstimatedWait(.milliseconds(100), at: self.now)
        #expect(health.estimatedWait(at: self.after(.milliseconds(40))) == .milliseconds(60))
        #expect(health.estimatedWait(at: self.after(.seconds(1))) == .zero)
    }

    @Test func oneStoresReportIsNoOther() async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.on("store1") { _ in PipelineHarness.value("v") }
        _ = try await harness.get()
        harness.report(
            StoreFeedback(transportLayerLoad: 0, health: .init(storeID: 1, sequence: 1, slowScore: 100)), from: "store1"
        )
        #expect(harness.stores.record(1).isSlow)
        #expect(!harness.stores.record(2).isSlow)
        harness.clock.advance(by: .milliseconds(50))
        harness.report(
            StoreFeedback(transportLayerLoad: 0, health: .init(storeID: 1, sequence: 2, slowScore: 1)), from: "store1")
        #expect(harness.stores.record(1).isSlow)
    }

    @Test func anAnswerThatTookForEverMakesAStoreSlow() {
        let record = StoreRecord(id: 1)
        record.answered(after: .seconds(31))
        #expect(record.isSlow)
    }
}
