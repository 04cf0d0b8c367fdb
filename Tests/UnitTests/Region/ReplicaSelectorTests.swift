// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD

@testable import TiKV

/// What one choice depends on.
@Suite struct ReplicaSelectorTests {
    private typealias Value = ReplicaScore.Value
    private let peers = SelectorModel(replicas: 4, learner: 4).region.replicas.map(\.peer)
    private let healthy = Array(repeating: ReplicaSelector.StoreView(), count: 4)

    private func selector(_ options: ReplicaOptions, _ count: Int = 3, forwards: Bool = false) -> ReplicaSelector {
        ReplicaSelector(peers: Array(self.peers.prefix(count)), options: options, isForwardingOn: forwards)
    }

    private func indices(
        _ selector: inout ReplicaSelector, _ count: Int, leader: Int = 0,
        stores: [ReplicaSelector.StoreView]? = nil
    ) -> [Int?] {
        var effects: [ReplicaSelector.Effect] = []
        return (0..<count).map { _ in
            selector.choose(leader: leader, stores: stores ?? self.healthy, effects: &effects)?.index
        }
    }

    private func owed(_ selector: inout ReplicaSelector) -> ReplicaSelector.Wait? {
        selector.owedWait(before: ReplicaSelector.Choice(index: 0))
    }

    // MARK: - Score

    private func value(
        _ score: ReplicaScore, isLeader: Bool, learner: Bool = false, attempts: Int = 0,
        _ change: (inout ReplicaSelector.StoreView) -> Void = { _ in }
    ) -> Value {
        var replica = ReplicaSelector.Replica(peer: self.peers[learner ? 3 : 0])
        replica.attempts = attempts
        var store = ReplicaSelector.StoreView()
        change(&store)
        return score.value(of: replica, store, isLeader: isLeader)
    }

    @Test func theScoreOfOrdinaryReplicas() {
        let score = ReplicaScore()
        #expect(self.value(score, isLeader: true) == [.preferred, .notSlow, .notAttempted])
        #expect(self.value(score, isLeader: false) == [.preferred, .ordinary, .notSlow, .notAttempted])
        #expect(self.value(score, isLeader: true) { $0.isSlow = true } == [.preferred, .notAttempted])
        #expect(self.value(score, isLeader: false) { $0.isSlow = true } == [.preferred, .ordinary, .notAttempted])
        #expect(self.value(score, isLeader: false, attempts: 1) == [.preferred, .ordinary, .notSlow])
    }

    @Test func theScoreOfALeaderThatIsWanted() {
        var score = ReplicaScore()
        score.triesLeader = true
        #expect(self.value(score, isLeader: true) { $0.isSlow = true } == [.preferred, .ordinary, .notAttempted])
        score.hasLabels = true
        #expect(
            self.value(score, isLeader: true) {
                $0.isSlow = true
                $0.isPreferred = false
            } == [.preferredLeader, .notAttempted])
        score.prefersLeader = true
        #expect(self.value(score, isLeader: true) { $0.isSlow = true } == [.preferred, .ordinary, .notAttempted])
        #expect(self.value(score, isLeader: true) == [.preferred, .preferredLeader, .notSlow, .notAttempted])
    }

    @Test func theScoreOfLearners() {
        var score = ReplicaScore()
        score.prefersLearners = true
        #expect(self.value(score, isLeader: false) == [.preferred, .notSlow, .notAttempted])
        #expect(self.value(score, isLeader: false, learner: true) == [.preferred, .ordinary, .notSlow, .notAttempted])
        #expect(self.value(score, isLeader: false) { $0.isPreferred = false } == [.notSlow, .notAttempted])
    }

    @Test func theBitsOfAScoreFromHighToLow() {
        let order: [Value] = [.notSlow, .preferred, .preferredLeader, .ordinary, .notAttempted]
        for index in 1..<order.count {
            let lower = order[index...].reduce(into: Value()) { $0.formUnion($1) }
            #expect(lower < order[index - 1])
        }
    }

    // MARK: - Choices

    @Test func aRegionThatIsNotBelievedHasNoChoice() {
        var selector = self.selector(.staleRead())
        var effects: [ReplicaSelector.Effect] = []
        let first = selector.choose(leader: 0, stores: self.healthy, isRegionValid: false, effects: &effects)
        #expect(first == nil)
        #expect(self.indices(&selector, 1) == [0])
        let last = selector.choose(leader: 0, stores: self.healthy, isRegionValid: false, effects: &effects)
        #expect(last == nil)
        #expect(effects.isEmpty)
    }

    @Test func aStaleReadVisitsAllOnce() {
        var selector = self.selector(.staleRead())
        #expect(self.indices(&selector, 4) == [0, 1, 2, nil])
    }

    @Test func aLeaderReadTriesTheLeaderTenTimesAndTheOthersOnce() {
        var selector = self.selector(.read(.leader))
        #expect(self.indices(&selector, 13) == Array(repeating: 0, count: 10) + [1, 2, nil])
        var effects: [ReplicaSelector.Effect] = []
        let last = selector.choose(leader: 0, stores: self.healthy, effects: &effects)
        #expect(last == nil)
        #expect(effects == [.invalidate(.exhausted)])
    }

    @Test func aFollowerReadTriesFollowersAndThenTheLeader() {
        var selector = self.selector(.read(.follower))
        #expect(self.indices(&selector, 4) == [1, 2, 0, nil])
    }

    @Test func amongEqualsChanceDecides() {
        var effects: [ReplicaSelector.Effect] = []
        for (random, index) in [(0.0, 1), (0.49, 1), (0.5, 2), (0.99, 2)] {
            var selector = self.selector(.read(.follower))
            let choice = selector.choose(leader: 0, stores: self.healthy, random: random, effects: &effects)
            #expect(choice?.index == index)
        }
        for (random, index) in [(0.0, 0), (0.4, 1), (0.9, 2)] {
            var selector = self.selector(.read(.mixed))
            let choice = selector.choose(leader: 0, stores: self.healthy, random: random, effects: &effects)
            #expect(choice?.index == index)
        }
    }

    @Test func aFailedReplicaIsPassedOver() {
        var stores = self.healthy
        stores[1].isEpochStale = true
        var followers = self.selector(.read(.follower))
        #expect(self.indices(&followers, 3, stores: stores) == [2, 0, nil])
        stores[0].liveness = .unreachable
        var mixed = self.selector(.read(.mixed))
        #expect(self.indices(&mixed, 2, stores: stores) == [2, nil])
    }

    @Test func aStaleReplicaOfAHealthyStoreIsToBeLoadedAnew() {
        var stores = self.healthy
        stores[1].isEpochStale = true
        var effects: [ReplicaSelector.Effect] = []
        var selector = self.selector(.read(.follower))
        _ = selector.choose(leader: 0, stores: stores, effects: &effects)
        #expect(effects == [.reloadLater])
        stores[1].liveness = .unreachable
        effects = []
        selector = self.selector(.read(.follower))
        _ = selector.choose(leader: 0, stores: stores, effects: &effects)
        #expect(effects.isEmpty)
    }

    @Test func labelsDecideWhereTheyMayAndAreIgnoredByLeaderReads() {
        var stores = self.healthy
        for index in 0..<3 { stores[index].isPreferred = index == 2 }
        for (mode, index) in [(ReplicaReadMode.mixed, 2), (.follower, 2), (.leader, 0)] {
            var selector = self.selector(.read(mode, labels: ["zone": "z3"]))
            #expect(self.indices(&selector, 1, stores: stores) == [index])
        }
        // Nobody has them.
        stores[2].isPreferred = false
        var selector = self.selector(.read(.mixed, labels: ["zone": "z9"]))
        #expect(self.indices(&selector, 1, stores: stores) == [0])
    }

    @Test func theLeaderAloneIsTheLeaderAlone() {
        var options = ReplicaOptions.read(.mixed, labels: ["zone": "z2"])
        options.isLeaderOnly = true
        var stores = self.healthy
        for index in 0..<3 { stores[index].isPreferred = index == 1 }
        var selector = self.selector(options)
        #expect(self.indices(&selector, 2, stores: stores) == [0, nil])
    }

    @Test func preferringTheLeaderFallsBackToTheOthers() {
        var stores = self.healthy
        var selector = self.selector(.read(.preferLeader))
        #expect(self.indices(&selector, 1, stores: stores) == [0])
        for dead in 0..<3 {
            stores[dead].liveness = .unreachable
            var selector = self.selector(.read(.preferLeader))
            #expect(self.indices(&selector, 1, stores: stores) == [dead < 2 ? dead + 1 : nil])
        }
    }

    @Test func whoCannotLeadIsNotAskedWhetherItDoes() {
        var stores = self.healthy
        stores[0].liveness = .unreachable
        stores[1].liveness = .unreachable
        stores[2].liveness = .unreachable
        var selector = self.selector(.init(), 4)
        #expect(self.indices(&selector, 1, stores: stores) == [nil])
    }

    @Test func aStoreThatIsGoneIsNobody() {
        var stores = self.healthy
        stores[0].isGone = true
        var selector = self.selector(.read(.leader))
        #expect(self.indices(&selector, 3, stores: stores) == [1, 2, nil])
    }

    @Test func aStoreThatOnlySaysNoIsNotPassedBy() {
        // It answers, if only that it does not serve: others lead, and nobody stands between.
        var stores = self.healthy
        stores[0].liveness = .unknown
        var effects: [ReplicaSelector.Effect] = []
        var selector = self.selector(.read(.leader), forwards: true)
        let choice = selector.choose(leader: 0, stores: stores, effects: &effects)
        #expect(choice == ReplicaSelector.Choice(index: 1))
    }

    @Test func aStaleReadDoesNotTryALeaderThatCannotBeReached() {
        var stores = self.healthy
        stores[0].liveness = .unreachable
        for index in 0..<3 { stores[index].isPreferred = index == 1 }
        var selector = self.selector(.staleRead(labels: ["zone": "z2"]))
        #expect(self.indices(&selector, 3, stores: stores) == [1, 2, nil])
    }

    // MARK: - Waits

    @Test func aStaleReadMayAlwaysGoOnAtOnceALeaderReadOnlyWithoutALeader() {
        var stale = self.selector(.staleRead())
        for _ in 0..<3 {
            _ = self.indices(&stale, 1)
            #expect(stale.canGoOnAtOnce(leader: 0, stores: self.healthy))
        }
        var leader = self.selector(.read(.leader))
        for number in 0..<12 {
            _ = self.indices(&leader, 1)
            #expect(leader.canGoOnAtOnce(leader: 0, stores: self.healthy) == (number >= 9))
        }
    }

    @Test func waitsAreOwedByStore() {
        var selector = self.selector(.staleRead())
        #expect(selector.owedWait() == nil)
        #expect(self.owed(&selector) == nil)
        selector.owe(.init(kind: .regionScheduling), at: 0)
        selector.owe(.init(kind: .tikvRPC), at: 1)
        selector.owe(.init(kind: .diskFull), at: 2)
        // The latest counts.
        selector.owe(.init(kind: .serverBusy, hint: .milliseconds(3)), at: 1)
        #expect(self.owed(&selector)?.kind == .regionScheduling)
        #expect(self.owed(&selector) == nil)
        #expect(selector.owedWait() == .init(kind: .serverBusy, hint: .milliseconds(3)))
    }
}
