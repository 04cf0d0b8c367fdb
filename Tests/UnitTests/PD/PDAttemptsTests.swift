// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVTransport

@testable import TiKVPD

/// What a call that ran out of time says about its tries.
@Suite struct PDAttemptsTests {
    private let one = PeerAddress(host: "a", port: 1)
    private let two = PeerAddress(host: "b", port: 2)

    @Test func aTryCutShortByTheDeadlineHidesNoReason() {
        var attempts = PDAttempts()
        attempts.record(self.one, "wrong certificate")
        var round = PDAttempts()
        round.record(self.one, "the deadline passed", .cutShort)
        round.record(self.two, "the deadline passed", .cutShort)
        attempts.merge(round)
        #expect(attempts.list.map(\.reason) == ["wrong certificate", "the deadline passed"])
        #expect(attempts.expired().code == .unreachable)
        attempts.record(self.two, "refused")
        #expect(attempts.list.map(\.reason) == ["wrong certificate", "refused"])
    }

    @Test func silenceOfAllIsADeadlineAndNoUnreachablePD() {
        var attempts = PDAttempts()
        attempts.record(self.one, "refused")
        attempts.record(self.one, "no answer", .silence)
        #expect(attempts.expired().code == .deadlineExceeded)
        attempts.record(self.two, "refused")
        #expect(attempts.expired().code == .unreachable)
    }
}
