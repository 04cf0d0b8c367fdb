// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD

@testable import TiKV

/// One region error and then success, for every error and every kind of read.
@Suite struct ReplicaErrorMatrixTests {
    static let retried: [ReplicaAnswer] = [
        .busy, .busyWithWait, .error(.staleCommand), .error(.maxTimestampNotSynced), .error(.proposalInMergingMode),
        .error(.readIndexNotReady), .error(.regionNotInitialized), .error(.diskFull), .error(.unknown),
    ]

    private func wait(_ answer: ReplicaAnswer, isLeaderRead: Bool) -> [String: Int] {
        switch answer {
        case .busy, .busyWithWait: isLeaderRead ? ["serverBusy": 1] : [:]
        case .error(.maxTimestampNotSynced): ["maxTimestampNotSynced": 1]
        case .error(.proposalInMergingMode), .error(.readIndexNotReady): ["regionScheduling": 1]
        case .error(.regionNotInitialized): ["regionNotInitialized": 1]
        case .error(.diskFull): ["diskFull": 1]
        default: [:]
        }
    }

    private func check(
        _ answer: ReplicaAnswer, _ options: ReplicaOptions, _ path: [String], isLeaderRead: Bool = false
    ) {
        var model = SelectorModel()
        let outcome = model.run(options, [answer])
        #expect(outcome.path == path, "\(answer)")
        #expect(outcome.end == .answer, "\(answer)")
        #expect(outcome.waits == self.wait(answer, isLeaderRead: isLeaderRead), "\(answer)")
        #expect(model.isValid, "\(answer)")
    }

    @Test(arguments: Self.retried) func retriedErrors(answer: ReplicaAnswer) {
        self.check(answer, .read(.leader), ["1L", "1L"], isLeaderRead: true)
        self.check(answer, ReplicaOptions(), ["1L", "1L"], isLeaderRead: true)
        self.check(answer, .read(.follower), ["2R", "3R"])
        self.check(answer, .read(.mixed), ["1L", "2R"])
        self.check(answer, .read(.preferLeader), ["1L", "2R"])
        let isBusy = answer == .busy || answer == .busyWithWait
        self.check(answer, .staleRead(), ["1S", isBusy ? "2S" : "2R"])
    }

    struct End: Sendable {
        var error: RegionErrorName
        var end: SelectorModel.End
        var isValid: Bool
        var waits: [String: Int] = [:]
    }

    static let ends: [End] = [
        End(error: .regionNotFound, end: .reroute, isValid: false),
        End(error: .keyNotInRegion, end: .reroute, isValid: false),
        End(error: .epochNotMatch, end: .reroute, isValid: false),
        End(error: .storeNotMatch, end: .reroute, isValid: false),
        End(error: .raftEntryTooLarge, end: .error(.entryTooLarge), isValid: true),
        End(error: .recoveryInProgress, end: .reroute, isValid: false, waits: ["recoveryInProgress": 1]),
        End(error: .flashbackNotPrepared, end: .error(.flashbackInProgress), isValid: true),
        End(error: .isWitness, end: .reroute, isValid: false, waits: ["isWitness": 1]),
        End(error: .mismatchPeerID, end: .reroute, isValid: false),
        End(error: .bucketVersionNotMatch, end: .reroute, isValid: true),
    ]

    @Test(arguments: Self.ends) func errorsThatEndTheTry(end: End) {
        for options in [ReplicaOptions.read(.leader), ReplicaOptions(), .read(.mixed), .staleRead()] {
            var model = SelectorModel()
            let outcome = model.run(options, [.error(end.error)])
            #expect(outcome.path.count == 1, "\(end.error)")
            #expect(outcome.end == end.end, "\(end.error)")
            #expect(outcome.waits == end.waits, "\(end.error)")
            #expect(model.isValid == end.isValid, "\(end.error)")
        }
    }

    @Test func aFollowerThatHasNoSuchRegionSendsToTheLeader() {
        for (options, labels, path) in [
            (ReplicaOptions.read(.follower), nil, ["2R", "1L"]), (.staleRead(labels: ["id": "2"]), 2, ["2S", "1L"]),
        ] as [(ReplicaOptions, Int?, [String])] {
            var model = SelectorModel()
            let outcome = model.run(options, [.error(.regionNotFound)], labels: labels)
            #expect(outcome.path == path)
            #expect(outcome.end == .answer)
            // For others it is not believed any more.
            #expect(!model.isValid)
        }
    }

    @Test func whatTheLeaderSaysAfterAReplicaReadCounts() {
        var model = SelectorModel()
        let outcome = model.run(
            .read(.follower), [.error(.regionNotFound), .error(.mismatchPeerID)])
        #expect(outcome.path == ["2R", "1L"])
        #expect(outcome.end == .reroute)
        #expect(!model.isValid)
    }

    @Test func aHintOutsideTheRegionEndsTheTry() {
        var model = SelectorModel()
        let outcome = model.run(.read(.leader), [.leader(9)])
        #expect(outcome.path == ["1L"])
        #expect(outcome.end == .reroute)
        #expect(!model.isValid)
    }
}
