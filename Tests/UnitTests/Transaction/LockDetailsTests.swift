// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKV

/// What pessimistic locks took, summed up.
@Suite struct LockDetailsTests {
    private static func details(slowest: Duration) -> LockDetails {
        var details = LockDetails()
        details.callCount = 1
        details.keyCount = 3
        details.regionCount = 2
        details.requestCount = 4
        details.retryCount = 5
        details.waitCount = 6
        details.conflictCount = 7
        details.fairCount = 8
        details.knownCount = 9
        details.time = .seconds(10)
        details.requestTime = .seconds(11)
        details.resolveTime = .seconds(12)
        details.slowestRequest = .init(regionID: UInt64(slowest / .seconds(1)), time: slowest)
        return details
    }

    @Test func detailsAddUp() {
        var sum = Self.details(slowest: .seconds(1))
        sum.merge(Self.details(slowest: .seconds(2)))
        #expect(sum.callCount == 2)
        #expect(sum.keyCount == 6)
        #expect(sum.regionCount == 4)
        #expect(sum.requestCount == 8)
        #expect(sum.retryCount == 10)
        #expect(sum.waitCount == 12)
        #expect(sum.conflictCount == 14)
        #expect(sum.fairCount == 16)
        #expect(sum.knownCount == 18)
        #expect(sum.time == .seconds(20))
        #expect(sum.requestTime == .seconds(22))
        #expect(sum.resolveTime == .seconds(24))
        #expect(sum.slowestRequest == .init(regionID: 2, time: .seconds(2)))
    }

    @Test func theSlowestRequestStays() {
        var sum = Self.details(slowest: .seconds(3))
        sum.merge(Self.details(slowest: .seconds(2)))
        #expect(sum.slowestRequest == .init(regionID: 3, time: .seconds(3)))
        sum.merge(LockDetails())
        #expect(sum.slowestRequest == .init(regionID: 3, time: .seconds(3)))
        sum.note(.init(regionID: 9, time: .seconds(3)))
        #expect(sum.slowestRequest?.regionID == 3)
    }

    @Test func aCopyIsAThingOfItsOwn() {
        let original = Self.details(slowest: .seconds(1))
        var copy = original
        #expect(copy == original)
        copy.merge(original)
        #expect(copy != original)
        #expect(original == Self.details(slowest: .seconds(1)))
    }
}
