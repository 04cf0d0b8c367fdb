// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD

@testable import TiKV

@Suite struct LockWaitBackoffTests {
    private func wait(_ waits: inout LockWaitBackoff, for starts: UInt64...) -> Duration? {
        waits.met(starts)
        return waits.backoff.next(.writeLock, remaining: .seconds(60), random: 1)
    }

    @Test func waitsForTheSameOneGrowAndForAnotherOneBeginAnew() {
        var waits = LockWaitBackoff()
        #expect(self.wait(&waits, for: 1, 2) == .milliseconds(10))
        #expect(self.wait(&waits, for: 2) == .milliseconds(20))
        // Who came beside it does not matter.
        #expect(self.wait(&waits, for: 2, 3) == .milliseconds(40))
        #expect(self.wait(&waits, for: 4) == .milliseconds(10))
        for _ in 0..<10 { _ = self.wait(&waits, for: 4) }
        #expect(self.wait(&waits, for: 4) == .milliseconds(500))
    }
}
