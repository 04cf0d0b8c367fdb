// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD

@testable import TiKV

/// The tokens of one resource group.
@Suite struct GroupTokensTests {
    private let start = ContinuousClock.now

    private func at(_ seconds: Double) -> ContinuousClock.Instant {
        self.start.advanced(by: .milliseconds(Int64(seconds * 1000)))
    }

    private func reads(_ units: Double) -> Consumption { Consumption(readUnits: units, readRequests: 1) }

    private func grant(_ tokens: Double, over trickle: Duration = .zero, burst: Int64 = 100) -> TokenGrant {
        TokenGrant(
            group: "g", tokens: ResourceGroup.Bucket(fillRate: 100, burstLimit: burst, tokens: tokens),
            trickleTime: trickle)
    }

    // MARK: - The bucket

    @Test func tokensMayBeTakenInAdvance() {
        var bucket = TokenBucket(tokens: 10, fillRate: 5, burstLimit: 0, now: self.start)
        #expect(bucket.reserve(10, at: self.start, atMost: .seconds(1)) == .taken(wait: .zero))
        #expect(bucket.reserve(5, at: self.start, atMost: .seconds(1)) == .taken(wait: .seconds(1)))
        // Behind those who wait already.
        #expect(bucket.reserve(5, at: self.start, atMost: .seconds(1)) == .refused)
        #expect(bucket.reserve(5, at: self.start, atMost: .seconds(2)) == .taken(wait: .seconds(2)))
        #expect(bucket.reserve(5, at: self.at(3), atMost: .zero) == .taken(wait: .zero))
    }

    @Test func withoutARateThereIsNothingToWaitFor() {
        var bucket = TokenBucket(tokens: 1, fillRate: 0, burstLimit: 0, now: self.start)
        #expect(bucket.reserve(2, at: self.at(100), atMost: .seconds(1000)) == .refused)
        bucket.charge(5, at: self.at(100))
        #expect(bucket.available(at: self.at(100)) == -4)
        bucket.charge(-5, at: self.at(100))
        #expect(bucket.reserve(1, at: self.at(100), atMost: .zero) == .taken(wait: .zero))
    }

    @Test func noMoreThanTheBurstIsKept() {
        let bucket = TokenBucket(tokens: 0, fillRate: 10, burstLimit: 20, now: self.start)
        #expect(bucket.available(at: self.at(1)) == 10)
        #expect(bucket.available(at: self.at(10)) == 20)
    }

    @Test func anUnlimitedGroupNeverWaits() {
        var bucket = TokenBucket(tokens: 0, fillRate: 0, burstLimit: -1, now: self.start)
        #expect(bucket.reserve(1e12, at: self.start, atMost: .zero) == .taken(wait: .zero))
        #expect(bucket.available(at: self.start) == 0)
    }

    // MARK: - The group

    private func group(rate: UInt64 = 100, burst: Int64 = 100) -> GroupTokens {
        GroupTokens(
            ResourceGroup(name: "g", requestUnits: ResourceGroup.Bucket(fillRate: rate, burstLimit: burst)),
            now: self.start)
    }

    @Test func aGroupAsksAtOnceAndThenByPeriod() throws {
        var group = self.group()
        let firstTaken = group.takeRequest(at: self.start)
        let first = try #require(firstTaken)
        #expect(first == TokenRequest(group: "g", units: 0))
        // One question at a time.
        #expect(group.takeRequest(at: self.at(1)) == nil)
        group.received(self.grant(1000), at: self.at(1))
        _ = group.reserve(self.reads(150), at: self.at(1), atMost: .zero)
        #expect(group.takeRequest(at: self.at(3)) == nil)
        let nextTaken = group.takeRequest(at: self.at(5))
        let next = try #require(nextTaken)
        #expect(next.consumption.readUnits == 150 && next.consumption.readRequests == 1)
        group.received(self.grant(0), at: self.at(5))
        // Hardly anything used is told later.
        _ = group.reserve(self.reads(1), at: self.at(6), atMost: .zero)
        #expect(group.takeRequest(at: self.at(10)) == nil)
        #expect(group.takeRequest(at: self.at(25))?.consumption.readUnits == 1)
    }

    @Test func whatIsUsedUpIsAskedForSooner() throws {
        var group = self.group()
        _ = group.takeRequest(at: self.start)
        group.received(self.grant(0), at: self.start)
        #expect(!group.isLow(at: self.start))
        _ = group.reserve(self.reads(99.5), at: self.at(1), atMost: .zero)
        #expect(group.isLow(at: self.at(1)))
        let requestTaken = group.takeRequest(at: self.at(1))
        let request = try #require(requestTaken)
        // For as long as the period at the present rate, of which the past weighs half.
        #expect(abs(request.units - (99.5 / 2 * 5 - 0.5)) < 1e-6)
    }

    @Test func tokensOverSomeTimeComeInBitByBitAndEnd() {
        var group = self.group()
        _ = group.reserve(self.reads(100), at: self.start, atMost: .zero)
        _ = group.takeRequest(at: self.start)
        group.received(self.grant(50, over: .seconds(5)), at: self.start)
        #expect(group.reserve(self.reads(20), at: self.start, atMost: .seconds(5)) == .taken(wait: .seconds(2)))
        group.tick(at: self.at(7))
        #expect(abs(group.bucket.available(at: self.at(7)) - 30) < 1e-6)
        #expect(group.bucket.available(at: self.at(100)) == group.bucket.available(at: self.at(7)))
    }

    @Test func whatHadNotComeInIsNotLost() {
        var group = self.group()
        _ = group.reserve(self.reads(100), at: self.start, atMost: .zero)
        _ = group.takeRequest(at: self.start)
        group.received(self.grant(50, over: .seconds(5)), at: self.start)
        // 20 have come in after two seconds, 30 not.
        group.received(self.grant(10), at: self.at(2))
        #expect(abs(group.bucket.available(at: self.at(2)) - 60) < 1e-6)
    }

    @Test func anAnswerThatIsLostIsAskedForAgain() {
        var group = self.group()
        _ = group.reserve(self.reads(10), at: self.start, atMost: .zero)
        #expect(group.takeRequest(at: self.start)?.consumption.readUnits == 10)
        #expect(group.takeRequest(at: self.at(2)) == nil)
        // What was reported may have been counted: not again.
        #expect(group.takeRequest(at: self.at(3))?.consumption.readUnits == 0)
        group.failed()
        #expect(group.takeRequest(at: self.at(5)) != nil)
    }

    @Test func aStoreHearsWhatWasUsedOfOthers() {
        var group = self.group(burst: -1)
        func use(_ units: Double, on store: UInt64) -> Double {
            _ = group.reserve(self.reads(units), at: self.start, atMost: .zero)
            return group.penalty(store: store, own: self.reads(units)).readUnits
        }
        #expect(use(10, on: 1) == 0)
        #expect(use(5, on: 2) == 0)
        #expect(use(1, on: 1) == 5)
        #expect(use(1, on: 2) == 1)
    }
}
