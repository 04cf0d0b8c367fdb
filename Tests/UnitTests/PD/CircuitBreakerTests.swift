// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKVPD

/// When questions for regions are held back.
@Suite struct CircuitBreakerTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Int) -> ContinuousClock.Instant { self.start.advanced(by: .seconds(seconds)) }

    private func breaker(percentage: Int = 50, trials: Int = 1) -> CircuitBreaker {
        CircuitBreaker(
            .init(
                window: .seconds(2), minimumRate: 2, errorPercentage: percentage, coolDown: .seconds(10), trials: trials
            ),
            now: self.start)
    }

    private func end(_ breaker: inout CircuitBreaker, _ outcomes: [Bool], at second: Int) {
        for overloaded in outcomes {
            let isAdmitted = breaker.admits(at: self.at(second))
            #expect(isAdmitted)
            breaker.ended(overloaded: overloaded, at: self.at(second))
        }
    }

    @Test func isOffUnlessConfigured() {
        var breaker = self.breaker(percentage: 0)
        self.end(&breaker, Array(repeating: true, count: 100), at: 1)
        self.end(&breaker, [true], at: 3)
        #expect(breaker.admits(at: self.at(3)) == true)
        #expect(CircuitBreaker(.init(), now: self.start).isOff)
    }

    @Test func opensWhenTooManyOfEnoughCallsFail() {
        var breaker = self.breaker()
        self.end(&breaker, [true, true, false], at: 1)
        self.end(&breaker, [false], at: 2)
        #expect(breaker.admits(at: self.at(3)) == false)
        #expect(breaker.admits(at: self.at(11)) == false)
        // One call is let through after a while; when it fails, the wait begins anew.
        #expect(breaker.admits(at: self.at(12)) == true)
        #expect(breaker.admits(at: self.at(12)) == false)
        breaker.ended(overloaded: true, at: self.at(12))
        #expect(breaker.admits(at: self.at(21)) == false)
        #expect(breaker.admits(at: self.at(22)) == true)
        breaker.ended(overloaded: false, at: self.at(22))
        #expect(breaker.admits(at: self.at(22)) == true)
        #expect(breaker.admits(at: self.at(22)) == true)
    }

    @Test func staysClosedForFewCallsAndFewFailures() {
        var few = self.breaker()
        self.end(&few, [true, true], at: 1)
        self.end(&few, [true], at: 2)
        #expect(few.admits(at: self.at(2)) == true)
        var good = self.breaker()
        self.end(&good, [true, false, false, false], at: 1)
        self.end(&good, [false], at: 2)
        #expect(good.admits(at: self.at(2)) == true)
    }

    @Test func allTrialsMustSucceed() {
        var breaker = self.breaker(trials: 2)
        self.end(&breaker, [true, true, true], at: 1)
        self.end(&breaker, [true], at: 2)
        #expect(breaker.admits(at: self.at(12)) == true)
        #expect(breaker.admits(at: self.at(12)) == true)
        #expect(breaker.admits(at: self.at(12)) == false)
        breaker.ended(overloaded: false, at: self.at(12))
        #expect(breaker.admits(at: self.at(12)) == false)
        breaker.ended(overloaded: false, at: self.at(12))
        #expect(breaker.admits(at: self.at(12)) == true)
    }

    @Test func aTrialThatWasGivenUpLetsAnotherGo() {
        var breaker = self.breaker()
        self.end(&breaker, [true, true, true], at: 1)
        self.end(&breaker, [true], at: 2)
        #expect(breaker.admits(at: self.at(12)) == true)
        #expect(breaker.admits(at: self.at(12)) == false)
        breaker.abandoned()
        #expect(breaker.admits(at: self.at(12)) == true)
        breaker.ended(overloaded: false, at: self.at(12))
        #expect(breaker.admits(at: self.at(12)) == true)
    }
}
