// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKVPD

/// How often the low-resolution timestamp is fetched.
@Suite struct AdaptiveIntervalTests {
    @Test func readsShortenItAndTimeBringsItBack() {
        var now = ContinuousClock.now
        var interval = AdaptiveInterval(.seconds(2), now: now)
        func pass(_ duration: Duration) { now = now.advanced(by: duration) }
        func isNear(_ expected: Duration) -> Bool {
            let difference = interval.current - expected
            return difference < .milliseconds(1) && difference > .milliseconds(-1)
        }

        pass(.seconds(2))
        interval.next(at: now)
        #expect(interval.current == .seconds(2) && interval.phase == .normal)
        // A read of older data changes nothing.
        pass(.seconds(1))
        #expect(interval.read(staleness: .seconds(3), at: now) == false)
        interval.next(at: now)
        #expect(interval.current == .seconds(2))
        // A read of fresher data shortens it at once, to a little less than it asks for.
        pass(.seconds(1))
        #expect(interval.read(staleness: .seconds(1), at: now) == true)
        interval.shrink(for: .seconds(1), at: now)
        #expect(interval.current == .milliseconds(900) && interval.phase == .adapting)
        #expect(interval.lastShortRead == now)
        // Reads of the same kind have what they need.
        pass(AdaptiveInterval.recoveryDelay / 2)
        #expect(interval.read(staleness: .seconds(1), at: now) == false)
        #expect(interval.lastShortRead == now)
        // Too soon to grow again.
        #expect(AdaptiveInterval.recoveryDelay == .seconds(5 * 60))
        pass(AdaptiveInterval.recoveryDelay / 2 + .seconds(1))
        interval.ticked(at: now.advanced(by: .seconds(-1)))
        // The last such read was half of the delay and a second ago.
        interval.next(at: now.advanced(by: .seconds(-2)))
        #expect(interval.current == .milliseconds(900) && interval.phase == .adapting)
        // Time enough.
        pass(AdaptiveInterval.recoveryDelay / 2)
        interval.ticked(at: now.advanced(by: .seconds(-1)))
        interval.next(at: now)
        #expect(isNear(.milliseconds(920)) && interval.phase == .recovering)
        interval.ticked(at: now)
        pass(.seconds(2))
        #expect(interval.read(staleness: .milliseconds(920 + 400), at: now) == false)
        interval.next(at: now)
        #expect(isNear(.milliseconds(960)) && interval.phase == .recovering)
        // A read that is nearly as fresh keeps it from growing.
        interval.ticked(at: now)
        pass(.seconds(1))
        #expect(interval.read(staleness: .milliseconds(960 + 100), at: now) == false)
        interval.next(at: now)
        #expect(isNear(.milliseconds(960)) && interval.phase == .adapting)
        // Without more of them it goes all the way back.
        pass(AdaptiveInterval.recoveryDelay)
        interval.ticked(at: now.advanced(by: .seconds(-1)))
        var expected = Duration.milliseconds(980)
        interval.next(at: now)
        while expected < .seconds(2) {
            #expect(isNear(expected) && interval.phase == .recovering)
            interval.ticked(at: now)
            pass(.seconds(1))
            interval.next(at: now)
            expected += .milliseconds(20)
        }
        #expect(interval.current == .seconds(2) && interval.phase == .normal)
    }

    @Test func whatIsConfiguredHoldsUnlessReadsNeedMore() {
        let now = ContinuousClock.now
        var interval = AdaptiveInterval(.seconds(2), now: now)
        interval.configure(.seconds(1))
        #expect(interval.current == .seconds(1))
        interval.configure(.seconds(2))
        #expect(interval.current == .seconds(2))
        // While reads keep it short, a longer configuration waits, and a shorter one holds at once.
        _ = interval.read(staleness: .seconds(1), at: now)
        interval.shrink(for: .seconds(1), at: now)
        interval.configure(.seconds(3))
        #expect(interval.current == .milliseconds(900))
        interval.next(at: now)
        #expect(interval.current == .milliseconds(900) && interval.phase == .adapting)
        interval.configure(.milliseconds(800))
        #expect(interval.current == .milliseconds(800))
        interval.next(at: now)
        #expect(interval.phase == .normal)
    }

    @Test func itIsNeverShorterThanTheLeast() {
        let now = ContinuousClock.now
        var interval = AdaptiveInterval(.seconds(2), now: now)
        #expect(interval.read(staleness: .milliseconds(-5), at: now) == true)
        interval.shrink(for: .milliseconds(-5), at: now)
        #expect(interval.current == .milliseconds(500))
        #expect(interval.read(staleness: .milliseconds(1), at: now) == false)
        // A configuration as short as that is left alone.
        interval.configure(.milliseconds(100))
        interval.next(at: now)
        #expect(interval.current == .milliseconds(100) && interval.phase == .fixed)
        interval.shrink(for: .milliseconds(1), at: now)
        #expect(interval.current == .milliseconds(100) && interval.phase == .fixed)
        interval.configure(.seconds(1))
        #expect(interval.current == .seconds(1))
    }
}
