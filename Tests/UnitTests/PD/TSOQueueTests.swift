// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKVPD

/// Who shares a request, and who gets which timestamp.
@Suite struct TSOQueueTests {
    private let start = ContinuousClock.now
    private func deadline(_ seconds: Int) -> ContinuousClock.Instant { self.start.advanced(by: .seconds(seconds)) }

    private func queue(
        _ ids: ClosedRange<UInt64>, limits: TSOLimits = .init()
    ) -> TSOQueue<UInt64> {
        var queue = TSOQueue<UInt64>(limits: limits)
        for id in ids { queue.add(id, id: id, deadline: self.deadline(Int(id))) }
        return queue
    }

    @Test func callersThatComeTogetherShareARequestAndGetItsPartsInOrder() throws {
        var queue = self.queue(1...3)
        #expect(queue.takeRequest(at: self.start) == 3)
        #expect(queue.takeRequest(at: self.start) == nil)
        let given = try queue.answer(TSOAnswer(physical: 7, logical: 10, count: 3))
        #expect(given.map(\.waiter) == [1, 2, 3])
        #expect(given.map(\.timestamp) == [8, 9, 10].map { Timestamp(physical: 7, logical: $0) })
        #expect(queue.last == Timestamp(physical: 7, logical: 10))
        #expect(queue.isEmpty)
    }

    @Test func requestsAreAnsweredInTheirOrder() throws {
        var queue = self.queue(1...2)
        #expect(queue.takeRequest(at: self.start) == 2)
        queue.add(3, id: 3, deadline: self.deadline(3))
        #expect(queue.takeRequest(at: self.start) == 1)
        #expect(try queue.answer(TSOAnswer(physical: 1, logical: 2, count: 2)).map(\.waiter) == [1, 2])
        #expect(try queue.answer(TSOAnswer(physical: 1, logical: 3, count: 1)).map(\.waiter) == [3])
    }

    @Test func aRequestIsNoLargerThanTheLimit() {
        var queue = self.queue(1...10, limits: TSOLimits(batchSize: 4))
        #expect(queue.takeRequest(at: self.start) == 4)
        #expect(queue.takeRequest(at: self.start) == 4)
        #expect(queue.takeRequest(at: self.start) == 2)
    }

    @Test func beyondAFewRequestsOneMoreMustBeWorthIt() throws {
        var queue = self.queue(1...1, limits: TSOLimits(eagerRequests: 1, requests: 2, worthwhile: 3))
        #expect(queue.takeRequest(at: self.start) == 1)
        for id in UInt64(2)...3 { queue.add(id, id: id, deadline: self.deadline(9)) }
        #expect(queue.takeRequest(at: self.start) == nil)
        queue.add(4, id: 4, deadline: self.deadline(9))
        #expect(queue.takeRequest(at: self.start) == 3)
        for id in UInt64(5)...20 { queue.add(id, id: id, deadline: self.deadline(9)) }
        // Not beyond the limit, however many wait.
        #expect(queue.takeRequest(at: self.start) == nil)
        _ = try queue.answer(TSOAnswer(physical: 1, logical: 1, count: 1))
        #expect(queue.takeRequest(at: self.start) == 16)
    }

    @Test func aCallerThatGivesUpLeavesTheOthersTheirPlaces() throws {
        var queue = self.queue(1...3)
        #expect(queue.cancel(2) == 2)
        #expect(queue.takeRequest(at: self.start) == 2)
        #expect(queue.cancel(1) == 1)
        #expect(queue.cancel(1) == nil)
        let given = try queue.answer(TSOAnswer(physical: 1, logical: 9, count: 2))
        // The first of the two timestamps is given to nobody.
        #expect(given.map(\.waiter) == [3])
        #expect(given.map(\.timestamp.logical) == [9])
    }

    @Test func callersWhoseTimeIsOverAreTakenOut() throws {
        var queue = self.queue(1...2)
        _ = queue.takeRequest(at: self.start)
        queue.add(3, id: 3, deadline: self.deadline(1))
        queue.add(4, id: 4, deadline: self.deadline(8))
        #expect(queue.earliestDeadline == self.deadline(1))
        #expect(Set(queue.expire(at: self.deadline(1))) == [1, 3])
        #expect(queue.earliestDeadline == self.deadline(2))
        #expect(try queue.answer(TSOAnswer(physical: 1, logical: 2, count: 2)).map(\.waiter) == [2])
        #expect(queue.takeRequest(at: self.start) == 1)
    }

    @Test func whatABrokenStreamOwedComesFirstOnTheNext() throws {
        var queue = self.queue(1...2)
        _ = queue.takeRequest(at: self.start)
        queue.add(3, id: 3, deadline: self.deadline(9))
        _ = queue.takeRequest(at: self.start)
        queue.add(4, id: 4, deadline: self.deadline(9))
        _ = queue.cancel(2)
        queue.streamEnded()
        #expect(queue.inFlightCount == 0)
        #expect(queue.takeRequest(at: self.start) == 3)
        #expect(try queue.answer(TSOAnswer(physical: 1, logical: 3, count: 3)).map(\.waiter) == [1, 3, 4])
    }

    @Test(arguments: [
        // The same again, one that overlaps, and one from the past.
        TSOAnswer(physical: 5, logical: 2, count: 1), TSOAnswer(physical: 5, logical: 1, count: 1),
        TSOAnswer(physical: 4, logical: 200_000, count: 1),
    ])
    func timestampsThatGoBackAreGivenToNobody(_ answer: TSOAnswer) throws {
        var queue = self.queue(1...2)
        _ = queue.takeRequest(at: self.start)
        _ = try queue.answer(TSOAnswer(physical: 5, logical: 2, count: 2))
        queue.add(3, id: 3, deadline: self.deadline(9))
        _ = queue.takeRequest(at: self.start)
        #expect(throws: TSOViolation.self) { try queue.answer(answer) }
        // The caller is still there, for a better answer.
        queue.streamEnded()
        #expect(queue.takeRequest(at: self.start) == 1)
        #expect(try queue.answer(TSOAnswer(physical: 5, logical: 3, count: 1)).map(\.waiter) == [3])
    }

    @Test(arguments: [
        TSOAnswer(physical: 5, logical: 2, count: 1), TSOAnswer(physical: 5, logical: 2, count: 0),
        TSOAnswer(physical: -1, logical: 2, count: 2), TSOAnswer(physical: 5, logical: 0, count: 2),
        TSOAnswer(physical: 5, logical: 2, count: 2, suffixBits: 60),
    ])
    func answersThatFitNoQuestionAreRefused(_ answer: TSOAnswer) {
        var queue = self.queue(1...2)
        _ = queue.takeRequest(at: self.start)
        #expect(throws: TSOViolation.mismatch) { try queue.answer(answer) }
        var idle = TSOQueue<UInt64>()
        #expect(throws: TSOViolation.mismatch) { try idle.answer(TSOAnswer(physical: 1, logical: 1, count: 1)) }
    }

    @Test func suffixesSpreadTheParts() throws {
        var queue = self.queue(1...2)
        _ = queue.takeRequest(at: self.start)
        let given = try queue.answer(TSOAnswer(physical: 5, logical: 11, count: 2, suffixBits: 2))
        #expect(given.map(\.timestamp.logical) == [7, 11])
    }

    @Test func timestampsAreMillisecondsAndACount() {
        let timestamp = Timestamp(physical: 1_700_000_000_000, logical: 5)
        #expect(timestamp.rawValue == 1_700_000_000_000 << 18 + 5)
        #expect(timestamp.physical == 1_700_000_000_000 && timestamp.logical == 5)
        #expect(Timestamp(rawValue: timestamp.rawValue) == timestamp)
        #expect(Timestamp(physical: 1, logical: 1 << 18) == Timestamp(physical: 2, logical: 0))
        let later = Timestamp(physical: 1_700_000_000_250, logical: 0)
        #expect(later > timestamp && later.duration(since: timestamp) == .milliseconds(250))
        #expect(timestamp.duration(since: later) == .milliseconds(-250))
    }

    @Test(arguments: [
        TSOAnswer(physical: 1, logical: 1 << 18, count: 1), TSOAnswer(physical: 1, logical: .max, count: 1),
        TSOAnswer(physical: 1 << 45, logical: 1, count: 1), TSOAnswer(physical: .max, logical: 1, count: 1),
    ])
    func whatIsNoTimestampIsRefused(answer: TSOAnswer) {
        var queue = self.queue(1...1)
        #expect(queue.takeRequest(at: self.start) == 1)
        #expect(throws: TSOViolation.mismatch) { try queue.answer(answer) }
        #expect(queue.last == .zero)
    }

    @Test func theLargestTimestampIsOne() throws {
        var queue = self.queue(1...2)
        #expect(queue.takeRequest(at: self.start) == 2)
        let given = try queue.answer(TSOAnswer(physical: (1 << 45) - 1, logical: (1 << 18) - 1, count: 2))
        #expect(given.map(\.timestamp.rawValue) == [UInt64(Int64.max) - 1, UInt64(Int64.max)])
    }

    @Test func nothingIsBelowWhatAnotherStreamHadBrought() throws {
        var queue = self.queue(1...1)
        #expect(queue.takeRequest(at: self.start, floor: Timestamp(physical: 7, logical: 5)) == 1)
        let violation = TSOViolation.fallback(
            last: Timestamp(physical: 7, logical: 5), first: Timestamp(physical: 7, logical: 5))
        #expect(throws: violation) { try queue.answer(TSOAnswer(physical: 7, logical: 5, count: 1)) }
        #expect(try queue.answer(TSOAnswer(physical: 7, logical: 6, count: 1)).count == 1)
    }
}
