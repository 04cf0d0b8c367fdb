// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKV

/// What commits took, summed up.
@Suite struct CommitDetailsTests {
    private static func details(slowest: Duration, wait: Duration? = nil) -> CommitDetails {
        var details = CommitDetails()
        details.keyCount = 3
        details.size = 100
        details.regionCount = 2
        details.prewriteCount = 4
        details.lockCount = 1
        details.prewriteTime = .seconds(2)
        details.slowestPrewrite = slowest
        details.timestampTime = .milliseconds(5)
        details.commitTime = .seconds(1)
        details.commitRetries = 2
        details.slowestCommit = slowest
        details.wait = wait.map {
            .init(target: Timestamp(rawValue: 9), firstTimestamp: Timestamp(rawValue: 8), retries: 1, time: $0)
        }
        return details
    }

    @Test func detailsAddUp() {
        var sum = Self.details(slowest: .seconds(1))
        sum.merge(Self.details(slowest: .seconds(2), wait: .seconds(1)))
        #expect(sum.keyCount == 6)
        #expect(sum.size == 200)
        #expect(sum.regionCount == 4)
        #expect(sum.prewriteCount == 8)
        #expect(sum.lockCount == 2)
        #expect(sum.prewriteTime == .seconds(4))
        #expect(sum.slowestPrewrite == .seconds(2))
        #expect(sum.timestampTime == .milliseconds(10))
        #expect(sum.commitTime == .seconds(2))
        #expect(sum.commitRetries == 4)
        #expect(sum.slowestCommit == .seconds(2))
        #expect(sum.wait?.time == .seconds(1))
    }

    @Test func theSlowestRequestStays() {
        var sum = Self.details(slowest: .seconds(2), wait: .seconds(3))
        sum.merge(Self.details(slowest: .seconds(1), wait: .seconds(1)))
        #expect(sum.slowestPrewrite == .seconds(2))
        #expect(sum.wait?.time == .seconds(3))
        sum.merge(CommitDetails())
        #expect(sum.slowestPrewrite == .seconds(2))
        #expect(sum.wait?.time == .seconds(3))
    }

    @Test func aCopyIsAThingOfItsOwn() {
        let original = Self.details(slowest: .seconds(1), wait: .seconds(1))
        var copy = original
        #expect(copy == original)
        copy.merge(original)
        #expect(copy != original)
        #expect(original == Self.details(slowest: .seconds(1), wait: .seconds(1)))
    }
}
