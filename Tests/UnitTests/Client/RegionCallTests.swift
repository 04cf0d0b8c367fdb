// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD

@testable import TiKV

/// What a call that ran out of time says.
@Suite struct RegionCallTests {
    @Test func aTryCutShortByTheDeadlineHidesNoReason() {
        let start = ContinuousClock.now
        var call = RegionCall(deadline: Deadline(after: .seconds(1), from: start), isWrite: false)
        call.record(.storeUnreachable, "wrong certificate", address: "a:1")
        call.recordCutShort("the deadline passed", address: "a:1")
        #expect(call.expired().message.contains("wrong certificate"))
        #expect(call.expired().attempts.map(\.reason) == ["wrong certificate"])
        call.recordCutShort("the deadline passed", address: "b:2")
        #expect(call.expired().message.contains("the deadline passed"))
        #expect(call.expired().attempts.map(\.address) == ["a:1", "b:2"])
    }
}
