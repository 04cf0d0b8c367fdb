// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD

@testable import TiKV

/// Who may run again after a conflict, and when.
@Suite(.timeLimit(.minutes(1)))
struct RetryTurnsTests {
    private let clock = VirtualClock(jumps: false)

    private func waiting(_ count: Int, _ turns: RetryTurns, _ key: Key) async {
        while turns.waiterCount(key) != count { await Task.yield() }
    }

    @Test func oneAtATimeInTheOrderInWhichTheyCame() async throws {
        let turns = RetryTurns(clock: self.clock)
        let first = try #require(await turns.enter("a", deadline: nil))
        #expect(!first.hasWaited)
        async let second = turns.enter("a", deadline: nil)
        await self.waiting(1, turns, "a")
        async let third = turns.enter("a", deadline: nil)
        await self.waiting(2, turns, "a")
        // Another key is another queue.
        let other = try #require(await turns.enter("b", deadline: nil))
        #expect(!other.hasWaited)
        turns.leave(first.turn)
        let next = try #require(await second)
        #expect(next.hasWaited)
        #expect(turns.waiterCount("a") == 1)
        turns.leave(next.turn)
        let last = try #require(await third)
        #expect(last.hasWaited)
        turns.leave(last.turn)
        #expect(await turns.enter("a", deadline: nil)?.hasWaited == false)
    }

    /// The one before may wait for the very one that waits for it.
    @Test func nobodyWaitsForLong() async throws {
        let turns = RetryTurns(clock: self.clock)
        let first = try #require(await turns.enter("a", deadline: nil))
        async let second = turns.enter("a", deadline: nil)
        async let third = turns.enter("a", deadline: Deadline(after: .milliseconds(10), from: self.clock.now))
        await self.clock.waitForSleepers(2)
        self.clock.advance(by: .milliseconds(10))
        let shorter = await third
        #expect(shorter == nil)
        #expect(turns.waiterCount("a") == 1)
        self.clock.advance(by: RetryTurns.patience)
        let longer = await second
        #expect(longer == nil)
        #expect(turns.waiterCount("a") == 0)
        turns.leave(first.turn)
        #expect(await turns.enter("a", deadline: nil)?.hasWaited == false)
    }

    @Test func whoeverIsCancelledLeavesTheQueue() async throws {
        let turns = RetryTurns(clock: self.clock)
        let first = try #require(await turns.enter("a", deadline: nil))
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { await turns.enter("a", deadline: nil) == nil }
            await self.waiting(1, turns, "a")
            group.cancelAll()
            #expect(await group.next() == true)
        }
        #expect(turns.waiterCount("a") == 0)
        // Given back twice it is nobody else's.
        turns.leave(first.turn)
        let second = try #require(await turns.enter("a", deadline: nil))
        turns.leave(first.turn)
        async let third = turns.enter("a", deadline: nil)
        await self.waiting(1, turns, "a")
        turns.leave(second.turn)
        #expect(await third?.hasWaited == true)
    }
}
