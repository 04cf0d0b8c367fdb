// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKV

@Suite
struct LocalLatchesTests {
    private func keys(_ names: String...) -> [[UInt8]] { names.map { Array($0.utf8) } }

    private func timestamp(seconds: UInt64) -> UInt64 { seconds * 1_000 << 18 }

    @Test
    func aSecondTransactionWaitsForTheFirst() {
        var latches = LocalLatches()
        let first = latches.acquire(self.keys("a", "b", "c"), start: 10)
        #expect(first.grant == .held)
        let second = latches.acquire(self.keys("d", "e", "b"), start: 20)
        #expect(second.grant == .waiting)

        // Committed before the second began: nothing stands in its way.
        let woken = latches.release(first.id, committed: 15)
        #expect(woken.map(\.id) == [second.id])
        #expect(woken.map(\.grant) == [.held])
        let third = latches.acquire(self.keys("b"), start: 30)
        #expect(third.grant == .waiting)
        // Committed after the third began: it learns that it is stale.
        let stale = latches.release(second.id, committed: 40)
        #expect(stale.map(\.grant) == [.stale])
        #expect(latches.release(third.id, committed: nil).isEmpty)
    }

    @Test
    func oneThatBeganBeforeACommitIsStaleAtOnceAndHoldsNothing() {
        var latches = LocalLatches()
        let first = latches.acquire(self.keys("a"), start: 10)
        _ = latches.release(first.id, committed: 20)
        let second = latches.acquire(self.keys("a"), start: 15)
        #expect(second.grant == .stale)
        #expect(latches.release(second.id, committed: nil).isEmpty)
        #expect(latches.acquire(self.keys("a"), start: 21).grant == .held)
    }

    @Test
    func whoeverWaitsBehindAStaleOneGoesOn() {
        var latches = LocalLatches()
        let holder = latches.acquire(self.keys("a"), start: 10)
        let stale = latches.acquire(self.keys("a"), start: 11)
        let fresh = latches.acquire(self.keys("a"), start: 30)
        #expect(stale.grant == .waiting)
        #expect(fresh.grant == .waiting)
        let woken = latches.release(holder.id, committed: 20)
        #expect(woken.map(\.id) == [stale.id, fresh.id])
        #expect(woken.map(\.grant) == [.stale, .held])
    }

    @Test
    func oneThatGivesUpWaitingLeavesTheQueue() {
        var latches = LocalLatches()
        let holder = latches.acquire(self.keys("a"), start: 1)
        let first = latches.acquire(self.keys("a"), start: 2)
        let second = latches.acquire(self.keys("a"), start: 3)
        #expect(latches.release(first.id, committed: nil).isEmpty)
        #expect(latches.release(holder.id, committed: nil).map(\.id) == [second.id])
    }

    @Test
    func oldKeysThatNobodyHoldsAreDropped() {
        var latches = LocalLatches()
        let now = self.timestamp(seconds: 1_000)
        let held = latches.acquire(self.keys("held"), start: now)
        for (name, seconds) in [("old", 870), ("recent", 890)] {
            let claim = latches.acquire(self.keys(name), start: self.timestamp(seconds: UInt64(seconds)))
            _ = latches.release(claim.id, committed: self.timestamp(seconds: UInt64(seconds)) + 1)
        }
        #expect(latches.count == 3)
        latches.collect(at: now)
        #expect(latches.count == 2)
        // What is remembered still counts.
        #expect(latches.acquire(self.keys("recent"), start: self.timestamp(seconds: 880)).grant == .stale)
        #expect(latches.acquire(self.keys("held"), start: now).grant == .waiting)
        #expect(latches.acquire(self.keys("old"), start: self.timestamp(seconds: 860)).grant == .held)
        _ = latches.release(held.id, committed: nil)
    }

    @Test
    func keysOfCommitsLongAgoGoByThemselves() {
        var latches = LocalLatches(threshold: 100)
        for number in 0..<1_000 {
            let start = self.timestamp(seconds: UInt64(number) * 10)
            let claim = latches.acquire([[UInt8(number & 255), UInt8(number >> 8)]], start: start)
            _ = latches.release(claim.id, committed: start + 1)
        }
        #expect(latches.count <= 101)
    }

    // MARK: - Waiting for them

    @Test
    func tasksWaitForEachOther() async throws {
        let table = LatchTable()
        let first = try await table.acquire([[1]], start: 10)
        async let second = table.acquire([[1]], start: 30)
        table.release(first, committed: 20)
        table.release(try await second, committed: nil)
        let error = await #expect(throws: TiKVError.self) { _ = try await table.acquire([[1]], start: 15) }
        #expect(error?.code == .writeConflict)
        #expect(error?.isRetryable == true)
        #expect(error?.transaction?.conflict?.reason == .latch)
        #expect(error?.transaction?.startTimestamp == 15)
    }

    @Test
    func aTaskThatIsCancelledWaitsNoLonger() async throws {
        let table = LatchTable()
        let first = try await table.acquire([[1]], start: 10)
        await withTaskGroup(of: TiKVError.Code?.self) { group in
            group.addTask {
                do throws(TiKVError) {
                    _ = try await table.acquire([[1]], start: 20)
                    return nil
                } catch {
                    return error.code
                }
            }
            group.cancelAll()
            let code = await group.next() ?? nil
            #expect(code == .cancelled)
        }
        table.release(first, committed: nil)
        _ = try await table.acquire([[1]], start: 30)
    }
}
