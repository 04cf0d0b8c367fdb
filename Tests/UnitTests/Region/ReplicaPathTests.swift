// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD

@testable import TiKV

/// Whom requests go to, answer by answer. The names are those of client-go's tables.
@Suite struct ReplicaPathTests {
    enum Read: Sendable {
        case leader, follower, mixed, preferLeader, learner, stale, write, leaderOnly

        var options: ReplicaOptions {
            switch self {
            case .leader: .read(.leader)
            case .follower: .read(.follower)
            case .mixed: .read(.mixed)
            case .preferLeader: .read(.preferLeader)
            case .learner: .read(.learner)
            case .stale: .staleRead()
            case .write: ReplicaOptions()
            case .leaderOnly:
                {
                    var options = ReplicaOptions.read(.leader)
                    options.isLeaderOnly = true
                    return options
                }()
            }
        }
    }

    struct Script: Sendable, CustomTestStringConvertible {
        var name: String
        var read: Read
        var answers: [ReplicaAnswer]
        var path: String
        var waits: [String: Int] = [:]
        var end = SelectorModel.End.answer
        var isValid = true
        var leader = 1
        /// The store whose labels are asked for.
        var labels: Int?
        /// Whether one replica gets less time than the call has.
        var hasReadTimeout = false
        var hasThreshold = false
        var isForwardingOn = false
        var learner: Int?
        var replicas = 3
        var testDescription: String { self.name }

        var options: ReplicaOptions {
            var options = self.read.options
            if self.hasReadTimeout { options.readTimeout = .seconds(1) }
            if self.hasThreshold { options.busyThreshold = .milliseconds(10) }
            if let labels = self.labels { options.labels = ["id": "\(labels)"] }
            return options
        }

        func run(_ model: inout SelectorModel) -> SelectorModel.Outcome {
            model.run(self.options, self.answers, labels: self.labels, isForwardingOn: self.isForwardingOn)
        }
    }

    private func check(_ script: Script, _ model: inout SelectorModel) {
        let outcome = script.run(&model)
        #expect(outcome.path.joined(separator: " ") == script.path)
        #expect(outcome.waits == script.waits)
        #expect(outcome.end == script.end)
        #expect(model.isValid == script.isValid)
    }

    private func check(_ script: Script) {
        var model = SelectorModel(leader: script.leader, replicas: script.replicas, learner: script.learner)
        self.check(script, &model)
    }

    private func path(
        _ model: inout SelectorModel, _ options: ReplicaOptions, _ answers: [ReplicaAnswer], labels: Int? = nil
    ) -> [String] {
        model.run(options, answers, labels: labels).path
    }

    // MARK: - Mixed scripts

    static let cases: [Script] = [
        Script(name: "#01", read: .stale, answers: [.dataNotReady, .busy], path: "1S 2R 3R"),
        Script(name: "#02", read: .stale, answers: [.dataNotReady], path: "2S 1L", labels: 2),
        Script(name: "#03", read: .stale, answers: [.dataNotReady, .busy], path: "2S 1L 2S", labels: 2),
        Script(
            name: "#04", read: .stale, answers: [.dataNotReady, .leader(2)], path: "2S 1L 2L", labels: 2,
            hasReadTimeout: true),
        Script(
            name: "#05", read: .stale, answers: [.timeout, .leader(2)], path: "2S 1L 3S", labels: 2,
            hasReadTimeout: true),
        Script(name: "#06", read: .leader, answers: [.timeout], path: "1L 2R", hasReadTimeout: true),
        Script(name: "#07", read: .leader, answers: [.leader(3), .timeout], path: "1L 3L 2R", hasReadTimeout: true),
        Script(name: "#08", read: .write, answers: [.leader(3), .timeout], path: "1L 3L 2L", waits: ["tikvRPC": 1]),
        Script(
            name: "#09", read: .leader, answers: [.notLeader, .timeout, .leader(2)], path: "1L 2L 3L",
            waits: ["regionScheduling": 1], end: .reroute, hasReadTimeout: true),
        Script(
            name: "#10", read: .stale, answers: [.timeout, .busy, .busy], path: "1S 2S 3S", waits: ["serverBusy": 1],
            end: .reroute, hasReadTimeout: true),
        Script(
            name: "#11", read: .mixed, answers: [.busy, .busy, .timeout], path: "1L 2R 3R", waits: ["serverBusy": 1],
            end: .reroute, hasReadTimeout: true),
        Script(name: "#12", read: .stale, answers: [.busy, .busy], path: "3S 1L 2S", labels: 3),
        Script(
            name: "#13", read: .stale, answers: [.dataNotReady, .busy, .busy, .busy], path: "2S 1L 2S 3S",
            waits: ["serverBusy": 1], end: .reroute, isValid: false, labels: 2),
        Script(
            name: "#14", read: .stale, answers: [.dataNotReady, .busy, .busy], path: "1S 2L 3S 1S",
            waits: [:], leader: 2),
        Script(
            name: "#15", read: .stale, answers: [.dataNotReady, .busy, .busy, .busy], path: "1S 2L 3S 1S",
            waits: ["serverBusy": 1], end: .reroute, isValid: false, leader: 2),
        Script(
            name: "#16", read: .mixed, answers: [.timeout, .busy], path: "2R 1L 3R", labels: 2, hasReadTimeout: true),
        Script(
            name: "#17", read: .stale, answers: [.busy, .busyWithWait], path: "1S 2S 3S", hasReadTimeout: true),
        Script(
            name: "#18", read: .mixed, answers: [.busy, .busy, .busy], path: "1R 2R 3L", waits: ["serverBusy": 1],
            end: .reroute, isValid: false, leader: 3),
        Script(
            name: "#19", read: .preferLeader, answers: [.busy, .busy, .busy], path: "3L 1R 2R",
            waits: ["serverBusy": 1], end: .reroute, isValid: false, leader: 3),
        Script(
            name: "#20", read: .preferLeader, answers: [.busy, .busy, .busy], path: "2R 3L 1R",
            waits: ["serverBusy": 1], end: .reroute, isValid: false, leader: 3, labels: 2),
    ]

    @Test(arguments: Self.cases) func scripts(script: Script) { self.check(script) }

    static let moreCases: [Script] = [
        Script(
            name: "2#01", read: .mixed, answers: [.timeout, .error(.diskFull), .error(.flashbackNotPrepared)],
            path: "2R 1L 3R", waits: ["diskFull": 1], end: .error(.flashbackInProgress), labels: 2,
            hasReadTimeout: true),
        Script(
            name: "2#02", read: .leader, answers: [.notLeader, .leader(3), .timeout], path: "1L 2L 3L",
            waits: ["regionScheduling": 1], end: .reroute, hasReadTimeout: true),
        Script(
            name: "2#03", read: .mixed, answers: [.busy, .busy, .timeout], path: "1L 2R 3R",
            waits: ["serverBusy": 1], end: .reroute, hasReadTimeout: true),
        Script(
            name: "2#04", read: .stale, answers: [.dataNotReady, .notLeader], path: "3S 1L 3R",
            waits: ["regionScheduling": 1], labels: 3),
        Script(
            name: "2#05", read: .mixed, answers: [.error(.flashbackInProgress)], path: "2R 1L", labels: 2,
            hasReadTimeout: true),
        Script(
            name: "2#06", read: .stale, answers: [.dataNotReady, .busy], path: "1S 2R 3R", labels: 1,
            hasReadTimeout: true),
        Script(
            name: "2#07", read: .write, answers: [.timeout, .notLeader, .leader(2), .busy, .timeout],
            path: "1L 2L 3L 2L 2L", waits: ["regionScheduling": 1, "tikvRPC": 2, "serverBusy": 1], end: .reroute,
            isValid: false),
        Script(
            name: "2#08", read: .stale, answers: [.timeout, .error(.regionNotInitialized), .timeout],
            path: "1S 2R 3R", waits: ["regionNotInitialized": 1, "tikvRPC": 2], end: .reroute, isValid: false),
        Script(
            name: "2#09", read: .mixed, answers: [.error(.flashbackInProgress)], path: "3R 1L", labels: 3,
            hasReadTimeout: true),
        Script(
            name: "2#10", read: .mixed, answers: [.timeout, .busy], path: "2R 1L 3R", labels: 2, hasReadTimeout: true),
        Script(
            name: "2#11", read: .mixed, answers: [.timeout, .busy], path: "3R 2L 1R", leader: 2, labels: 3,
            hasReadTimeout: true),
        Script(
            name: "2#12", read: .leader, answers: [.notLeader, .timeout, .leader(2)], path: "1L 2L 3L",
            waits: ["regionScheduling": 1], end: .reroute, hasReadTimeout: true),
    ]

    @Test(arguments: Self.moreCases) func moreScripts(script: Script) { self.check(script) }

    // MARK: - Leader reads

    static let leaderCases: [Script] = [
        Script(name: "#01", read: .leader, answers: [], path: "1L"),
        Script(
            name: "#02", read: .leader, answers: [.busyWithWait, .busy], path: "1L 1L 1L", waits: ["serverBusy": 2]),
        Script(
            name: "#03", read: .leader, answers: Array(repeating: .busy, count: 11),
            path: "1L 1L 2L 3L 1L 1L 1L 1L 1L 1L 1L 1L", waits: ["serverBusy": 11]),
        Script(name: "#04", read: .leader, answers: [.notLeader], path: "1L 2L", waits: ["regionScheduling": 1]),
        Script(
            name: "#05", read: .leader, answers: [.notLeader, .notLeader], path: "1L 2L 3L",
            waits: ["regionScheduling": 2]),
        Script(
            name: "#06", read: .leader, answers: [.notLeader, .notLeader, .notLeader], path: "1L 2L 3L",
            waits: ["regionScheduling": 3], end: .reroute, isValid: false),
        Script(name: "#07", read: .leader, answers: [.leader(3)], path: "1L 3L"),
        Script(name: "#08", read: .leader, answers: [.leader(3), .busy], path: "1L 3L 3L", waits: ["serverBusy": 1]),
        Script(name: "#09", read: .leader, answers: [.timeout], path: "1L 2L", waits: ["tikvRPC": 1]),
        Script(
            name: "#10", read: .leader, answers: [.timeout, .leader(1), .leader(1)], path: "1L 2L 3L",
            waits: ["tikvRPC": 1], end: .reroute, isValid: false),
        Script(
            name: "#11", read: .leader, answers: [.timeout, .busy, .busy], path: "1L 2L 3L",
            waits: ["tikvRPC": 1, "serverBusy": 1], end: .reroute, isValid: false),
        Script(
            name: "#12", read: .leader, answers: [.notLeader, .leader(3), .busyWithWait, .notLeader],
            path: "1L 2L 3L 3L", waits: ["regionScheduling": 2, "serverBusy": 1], end: .reroute, isValid: false,
            hasThreshold: true),
        Script(
            name: "#13", read: .leader, answers: [.notLeader, .leader(3), .busyWithWait, .busy],
            path: "1L 2L 3L 3L 3L", waits: ["regionScheduling": 1, "serverBusy": 2], hasThreshold: true),
    ]

    @Test(arguments: Self.leaderCases) func leaderReads(script: Script) { self.check(script) }

    @Test func whatALeaderReadLearntStaysForTheNext() {
        var model = SelectorModel()
        self.check(
            Script(name: "", read: .leader, answers: [.notLeader], path: "1L 2L", waits: ["regionScheduling": 1]),
            &model)
        self.check(Script(name: "", read: .leader, answers: [.leader(3)], path: "2L 3L"), &model)
        self.check(
            Script(name: "", read: .leader, answers: [.busy], path: "3L 3L", waits: ["serverBusy": 1]), &model)
    }

    @Test func aLeaderThatOnlyTimesOutIsLeftAfterItsTime() {
        var selector = ReplicaSelector(peers: SelectorModel().region.replicas.map(\.peer), options: .init())
        var effects: [ReplicaSelector.Effect] = []
        let stores = Array(repeating: ReplicaSelector.StoreView(), count: 3)
        let first = selector.choose(leader: 0, stores: stores, effects: &effects)
        #expect(first?.index == 0)
        if let first { selector.noteTime(.seconds(50), of: first) }
        let second = selector.choose(leader: 0, stores: stores, effects: &effects)
        #expect(second?.index == 1)
        // A peer that is not tried any more is, once somebody vouches for it.
        let hint = RegionErrorReaction.switchLeader(SelectorModel().region.replicas[0].peer)
        let step = selector.react(
            to: hint, of: ReplicaSelector.Choice(index: 1), leader: 0, stores: stores, effects: &effects)
        #expect(step == .again)
        let third = selector.choose(leader: 0, stores: stores, effects: &effects)
        #expect(third?.index == 0)
    }

    // MARK: - Other reads

    static let followerCases: [Script] = [
        Script(name: "none", read: .follower, answers: [], path: "2R"),
        Script(name: "busy twice", read: .follower, answers: [.busyWithWait, .busy], path: "2R 3R 1L"),
        Script(
            name: "busy all", read: .follower, answers: [.busyWithWait, .busy, .busy], path: "2R 3R 1L",
            waits: ["serverBusy": 1], end: .reroute, isValid: false),
        Script(
            name: "dead, busy", read: .follower, answers: [.timeout, .busy], path: "2R 3R 1L", waits: ["tikvRPC": 1]),
        Script(
            name: "late, busy", read: .follower, answers: [.timeout, .busy], path: "2R 3R 1L", hasReadTimeout: true),
    ]

    @Test(arguments: Self.followerCases) func followerReads(script: Script) { self.check(script) }

    static let mixedCases: [Script] = [
        Script(name: "#01", read: .mixed, answers: [], path: "1L"),
        Script(
            name: "#02", read: .mixed, answers: [.busyWithWait, .error(.staleCommand), .busy], path: "1L 2R 3R",
            waits: ["serverBusy": 1], end: .reroute, isValid: false),
        Script(
            name: "#03", read: .mixed, answers: [.busy, .error(.regionNotFound)], path: "1L 2R", end: .reroute,
            isValid: false),
        Script(name: "#04", read: .mixed, answers: [.timeout, .busy], path: "1L 2R 3R", waits: ["tikvRPC": 1]),
        Script(name: "#05", read: .mixed, answers: [.timeout, .busy], path: "1L 2R 3R", hasReadTimeout: true),
        Script(
            name: "#06", read: .mixed, answers: [.timeout, .busy], path: "2R 1L 3R", waits: ["tikvRPC": 1], labels: 2),
        Script(
            name: "#07", read: .preferLeader, answers: [.timeout, .busy], path: "3L 1R 2R", waits: ["tikvRPC": 1],
            leader: 3),
        Script(
            name: "#08", read: .preferLeader, answers: [.timeout, .busy], path: "2R 3L 1R", waits: ["tikvRPC": 1],
            leader: 3, labels: 2),
    ]

    @Test(arguments: Self.mixedCases) func mixedReads(script: Script) { self.check(script) }

    @Test func aSlowLeaderIsNotPreferred() {
        var model = SelectorModel()
        self.check(Script(name: "#09", read: .preferLeader, answers: [.busy], path: "1L 2R"), &model)
        self.check(
            Script(
                name: "#09", read: .preferLeader, answers: [.busy, .busy, .busy], path: "2R 3R 1L",
                waits: ["serverBusy": 1], end: .reroute, isValid: false), &model)
    }

    @Test func aSlowReplicaIsNotAskedInPlaceOfThePreferredLeader() {
        var model = SelectorModel()
        self.check(Script(name: "#10", read: .preferLeader, answers: [.busy, .busy], path: "1L 2R 3R"), &model)
        self.check(
            Script(
                name: "#10", read: .preferLeader, answers: [.busy, .busy, .busy], path: "3R 1L",
                waits: ["serverBusy": 1], end: .reroute, isValid: false), &model)
    }

    @Test func aLearnerServesLearnerReads() {
        self.check(
            Script(name: "", read: .learner, answers: [.busy], path: "4R 1L", learner: 4, replicas: 4))
    }

    @Test func aSlowStoreIsAvoided() {
        var model = SelectorModel(leader: 3)
        #expect(self.path(&model, .read(.mixed), []) == ["1R"])
        model.stores[0].isSlow = true
        #expect(self.path(&model, .read(.mixed), []) == ["2R"])
        #expect(self.path(&model, .read(.mixed, labels: ["id": "2"]), [], labels: 2) == ["2R"])
        // Not slow comes before having the labels.
        #expect(self.path(&model, .read(.mixed, labels: ["id": "1"]), [], labels: 1) == ["3L"])
        #expect(self.path(&model, .read(.follower), [.busy]) == ["2R", "3L"])
        #expect(self.path(&model, .staleRead(), [.busy]) == ["3S", "1S"])
    }

    // MARK: - Stale reads

    static let staleCases: [Script] = [
        Script(name: "#01", read: .stale, answers: [], path: "1S"),
        Script(name: "#02", read: .stale, answers: [.dataNotReady], path: "1S 2R"),
        Script(name: "#03", read: .stale, answers: [.dataNotReady], path: "2S 1L", labels: 2),
        Script(
            name: "#04", read: .stale, answers: [.dataNotReady, .busy, .busy], path: "1S 2R 3R",
            waits: ["serverBusy": 1], end: .reroute, isValid: false),
        Script(name: "#05", read: .stale, answers: [.dataNotReady, .leader(3)], path: "2S 1L 3L", labels: 2),
        Script(
            name: "#06", read: .stale, answers: [.dataNotReady, .busy, .busy, .busy], path: "2S 1L 2S 3S",
            waits: ["serverBusy": 1], end: .reroute, isValid: false, labels: 2),
        Script(
            name: "#07", read: .stale, answers: [.dataNotReady, .busy, .busy, .busy], path: "1S 2L 3S 1S",
            waits: ["serverBusy": 1], end: .reroute, isValid: false, leader: 2),
        Script(
            name: "#08", read: .stale, answers: [.dataNotReady, .notLeader, .busy, .busy], path: "2S 1L 2R 3R",
            waits: ["regionScheduling": 1, "serverBusy": 1], end: .reroute, isValid: false, labels: 2),
        Script(
            name: "#09", read: .stale, answers: [.dataNotReady, .leader(3), .busy, .leader(2), .busy],
            path: "2S 1L 3L 3L 2L 2L", waits: ["serverBusy": 2], labels: 2),
        Script(
            name: "#11", read: .stale, answers: [.dataNotReady, .error(.regionNotFound)], path: "2S 1L",
            end: .reroute, isValid: false, labels: 2),
        Script(name: "#12", read: .stale, answers: [.timeout, .busy], path: "1S 2S 3S", hasReadTimeout: true),
        Script(
            name: "#13", read: .stale, answers: [.timeout, .busy], path: "2S 1L 3S", labels: 2, hasReadTimeout: true),
        Script(
            name: "#14", read: .stale, answers: [.timeout, .timeout], path: "2S 1L 3S", labels: 2,
            hasReadTimeout: true),
    ]

    @Test(arguments: Self.staleCases) func staleReads(script: Script) { self.check(script) }

    /// #15: who can't be reached is not asked by the next request.
    @Test func staleReadsPassOverDeadStores() {
        var model = SelectorModel()
        self.check(
            Script(
                name: "", read: .stale, answers: [.timeout, .timeout], path: "2S 1L 3R", waits: ["tikvRPC": 2],
                labels: 2), &model)
        self.check(
            Script(
                name: "", read: .stale, answers: [.busy], path: "3S", waits: ["serverBusy": 1], end: .reroute,
                isValid: false, labels: 2), &model)
    }

    // MARK: - Busy leaders

    static let idleCases: [Script] = [
        Script(
            name: "write", read: .write, answers: [.busy, .busy], path: "1L 1L 2L", waits: ["serverBusy": 2],
            hasThreshold: true),
        Script(
            name: "read", read: .leader, answers: [.busyWithWait, .busyWithWait], path: "1L 2R 3R",
            hasThreshold: true),
        Script(
            name: "all", read: .leader, answers: [.busyWithWait, .busyWithWait, .busyWithWait],
            path: "1L 2R 3R 1L", waits: ["serverBusy": 1], hasThreshold: true),
    ]

    @Test(arguments: Self.idleCases) func idleReplicas(script: Script) { self.check(script) }

    @Test func aBusyLeadersReadsGoToTheLeastBusyFromTheStart() {
        var model = SelectorModel()
        model.stores[0].estimatedWait = .milliseconds(60)
        model.stores[1].estimatedWait = .milliseconds(55)
        var options = ReplicaOptions.read(.leader)
        options.busyThreshold = .milliseconds(50)
        #expect(self.path(&model, options, []) == ["3R"])
    }

    static let probeCases: [Script] = [
        Script(name: "a", read: .leader, answers: [.busy], path: "1L 1L", waits: ["serverBusy": 1]),
        Script(name: "b", read: .leader, answers: [.busy, .busy], path: "1L 1L 2L", waits: ["serverBusy": 2]),
        Script(
            name: "d", read: .leader, answers: [.busy, .busy, .leader(1), .busy, .busy], path: "1L 1L 2L 1L 1L 1L",
            waits: ["serverBusy": 4]),
        Script(
            name: "e", read: .leader, answers: [.busy, .busy, .notLeader], path: "1L 1L 2L 3L",
            waits: ["serverBusy": 2, "regionScheduling": 1]),
        Script(
            name: "f", read: .leader, answers: [.busy, .leader(2), .busy, .busy], path: "1L 1L 2L 2L 3L",
            waits: ["serverBusy": 3]),
        Script(
            name: "g", read: .leader, answers: [.busy, .busyWithWait, .busy], path: "1L 1L 1L 2L",
            waits: ["serverBusy": 3]),
        Script(
            name: "h", read: .leader, answers: [.busy, .busy, .notLeader, .notLeader], path: "1L 1L 2L 3L 1L",
            waits: ["serverBusy": 2, "regionScheduling": 2]),
        Script(name: "i", read: .stale, answers: [.busy, .busy], path: "1S 2S 3S"),
        Script(name: "j", read: .follower, answers: [.busy, .busy], path: "2R 3R 1L"),
        Script(
            name: "k", read: .leaderOnly, answers: [.busy, .busy, .busy], path: "1L 1L 1L 1L",
            waits: ["serverBusy": 3]),
        Script(
            name: "l", read: .leader, answers: [.busy, .busy, .busy], path: "1L 1L 1L 1L", waits: ["serverBusy": 3],
            replicas: 1),
    ]

    @Test(arguments: Self.probeCases) func busyLeadersAreDoubted(script: Script) { self.check(script) }

    @Test func whoIsFoundByDoubtIsRemembered() {
        var model = SelectorModel()
        self.check(
            Script(
                name: "c", read: .leader, answers: [.busy, .busy, .leader(3)], path: "1L 1L 2L 3L",
                waits: ["serverBusy": 2]), &model)
        self.check(Script(name: "c", read: .leader, answers: [], path: "3L"), &model)
    }

    // MARK: - Flashback

    static let flashbackCases: [Script] = [
        Script(
            name: "leader", read: .leader, answers: [.error(.flashbackInProgress)], path: "1L",
            end: .error(.flashbackInProgress)),
        Script(
            name: "late", read: .leader,
            answers: [.timeout, .error(.flashbackInProgress), .error(.flashbackInProgress)], path: "1L 2R 3R",
            end: .reroute, hasReadTimeout: true),
        Script(name: "follower", read: .follower, answers: [.error(.flashbackInProgress)], path: "2R 1L"),
    ]

    @Test(arguments: Self.flashbackCases) func flashbacks(script: Script) { self.check(script) }

    // MARK: - Forwarding

    static let proxyCases: [Script] = [
        Script(
            name: "#02", read: .leader, answers: [.timeout, .timeout, .timeout], path: "1L 2>1 3>1",
            waits: ["tikvRPC": 3], end: .reroute, isValid: false, isForwardingOn: true),
        Script(
            name: "#03", read: .leader, answers: [.timeout, .leader(2), .timeout, .busy], path: "1L 2>1 2L 3>2",
            waits: ["tikvRPC": 2, "serverBusy": 1], end: .reroute, isValid: false, isForwardingOn: true),
        Script(
            name: "#04", read: .leader, answers: [.timeout, .busyWithWait, .busyWithWait], path: "1L 2>1 3>1",
            waits: ["tikvRPC": 1, "serverBusy": 2], end: .reroute, isValid: false, isForwardingOn: true),
        Script(
            name: "#05", read: .write, answers: [.notLeader], path: "1L 2L", waits: ["regionScheduling": 1],
            isForwardingOn: true),
        Script(
            name: "#06", read: .write, answers: [.timeout, .notLeader], path: "1L 2>1 3L",
            waits: ["tikvRPC": 1, "regionScheduling": 1], isForwardingOn: true),
        Script(
            name: "#07", read: .write, answers: [.leader(2), .timeout, .notLeader], path: "1L 2L 3>2",
            waits: ["tikvRPC": 1, "regionScheduling": 1], end: .reroute, isValid: false, isForwardingOn: true),
    ]

    @Test(arguments: Self.proxyCases) func forwarding(script: Script) { self.check(script) }

    /// #01, and the way back.
    @Test func theStoreBetweenIsRememberedUntilTheLeaderIsBack() {
        var model = SelectorModel()
        self.check(
            Script(
                name: "", read: .leader, answers: [.timeout], path: "1L 2>1", waits: ["tikvRPC": 1],
                isForwardingOn: true), &model)
        #expect(model.proxy == 1)
        // Its other regions need not be loaded anew.
        #expect(!model.stores[0].isEpochStale)
        self.check(Script(name: "", read: .leader, answers: [], path: "2>1", isForwardingOn: true), &model)
        model.stores[0].liveness = .reachable
        self.check(Script(name: "", read: .leader, answers: [], path: "1L", isForwardingOn: true), &model)
        #expect(model.proxy == nil)
    }

    @Test func allProxiesFailingCostsTheStoreItsEpoch() {
        var model = SelectorModel()
        _ = model.run(.read(.leader), [.timeout, .busyWithWait, .busyWithWait], isForwardingOn: true)
        #expect(model.stores[0].isEpochStale)
    }
}
