// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVTransport

@testable import TiKVPD

@Suite struct MemberTrackerTests {
    private let a = PeerAddress(host: "a", port: 2379)
    private let b = PeerAddress(host: "b", port: 2379)
    private let c = PeerAddress(host: "c", port: 2379)

    private func answer(_ cluster: UInt64 = 7, leader: String? = "http://b:2379") -> MemberTracker.Answer {
        MemberTracker.Answer(
            clusterID: cluster, members: [["http://b:2379"], ["http://c:2379"]], leader: leader.map { [$0] } ?? [])
    }

    @Test func asksTheGivenAddressesFirstAndTheFoundOnesAfterwards() {
        var tracker = MemberTracker(endpoints: [self.a, self.b])
        #expect(tracker.candidates == [self.a, self.b])
        #expect(tracker.received(self.answer()) == .leader(self.b))
        #expect(tracker.candidates == [self.b, self.c, self.a])
        #expect(tracker.clusterID == 7)
    }

    @Test func aFailedLeaderIsAskedLast() {
        var tracker = MemberTracker(endpoints: [self.a])
        _ = tracker.received(self.answer())
        let didLead = tracker.failed(self.b)
        #expect(didLead)
        #expect(tracker.leader == nil)
        #expect(tracker.candidates == [self.c, self.a, self.b])
    }

    @Test func aLateReportOnAnOldLeaderChangesNothing() {
        var tracker = MemberTracker(endpoints: [self.a])
        _ = tracker.received(self.answer())
        _ = tracker.received(self.answer(leader: "http://c:2379"))
        let didLead = tracker.failed(self.b)
        #expect(!didLead)
        #expect(tracker.leader == self.c)
    }

    @Test func anotherClusterIsRefusedAndChangesNothing() {
        var tracker = MemberTracker(endpoints: [self.a])
        _ = tracker.received(self.answer(7))
        #expect(tracker.received(self.answer(8, leader: "http://c:2379")) == .clusterIDMismatch(expected: 7, actual: 8))
        #expect(tracker.leader == self.b)
        #expect(tracker.clusterID == 7)
    }

    @Test func noLeaderAndNoClusterAreToldApart() {
        var tracker = MemberTracker(endpoints: [self.a])
        #expect(tracker.received(self.answer(0)) == .invalid)
        #expect(tracker.clusterID == nil)
        #expect(tracker.received(self.answer(leader: nil)) == .noLeader)
        #expect(tracker.clusterID == 7)
    }

    @Test func addressesThatAreNoneAreLeftOut() {
        var tracker = MemberTracker(endpoints: [self.a])
        let answer = MemberTracker.Answer(
            clusterID: 1, members: [["://"], ["unix:x", "http://c:2379"]], leader: ["?:x"])
        #expect(tracker.received(answer) == .noLeader)
        #expect(tracker.candidates == [self.c, self.a])
    }
}
