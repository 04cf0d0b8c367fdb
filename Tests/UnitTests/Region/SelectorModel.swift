// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto

@testable import TiKV

/// What a replica answers.
enum ReplicaAnswer: Sendable, Equatable {
    case busy
    case busyWithWait
    case dataNotReady
    case notLeader
    case leader(Int)
    /// No answer in time; where the request has no time of its own for that, the store is found dead.
    case timeout
    case error(RegionErrorName)
}

/// The other errors, by name.
enum RegionErrorName: String, Sendable, CaseIterable {
    case staleCommand, maxTimestampNotSynced, proposalInMergingMode, readIndexNotReady, regionNotInitialized, diskFull
    case regionNotFound, keyNotInRegion, epochNotMatch, storeNotMatch, raftEntryTooLarge, recoveryInProgress
    case flashbackNotPrepared, flashbackInProgress, isWitness, mismatchPeerID, bucketVersionNotMatch, unknown

    var proto: Errorpb_Error {
        var error = Errorpb_Error()
        switch self {
        case .staleCommand: error.staleCommand = .init()
        case .maxTimestampNotSynced: error.maxTimestampNotSynced = .init()
        case .proposalInMergingMode: error.proposalInMergingMode = .init()
        case .readIndexNotReady: error.readIndexNotReady = .init()
        case .regionNotInitialized: error.regionNotInitialized = .init()
        case .diskFull: error.diskFull = .init()
        case .regionNotFound: error.regionNotFound = .init()
        case .keyNotInRegion: error.keyNotInRegion = .init()
        case .epochNotMatch: error.epochNotMatch = .init()
        case .storeNotMatch: error.storeNotMatch = .init()
        case .raftEntryTooLarge: error.raftEntryTooLarge = .init()
        case .recoveryInProgress: error.recoveryInProgress = .init()
        case .flashbackNotPrepared: error.flashbackNotPrepared = .init()
        case .flashbackInProgress: error.flashbackInProgress = .init()
        case .isWitness: error.isWitness = .init()
        case .mismatchPeerID: error.mismatchPeerID = .init()
        case .bucketVersionNotMatch: error.bucketVersionNotMatch = .init()
        case .unknown: error.message = "an error of next year"
        }
        return error
    }
}

/// A region of a few replicas, and what is known of their stores: what requests share. Stores are numbered from 1.
struct SelectorModel {
    /// How a request ended.
    enum End: Sendable, Equatable {
        case answer
        /// The region must be located anew.
        case reroute
        case error(TiKVError.Code)
    }

    struct Outcome {
        /// Such as `1L 2R 3S 2>1`: store and kind of read; a request for a leader over another store.
        var path: [String] = []
        var waits: [String: Int] = [:]
        var end = End.answer
    }

    var leader: Int
    var isValid = true
    var proxy: Int?
    var stores: [ReplicaSelector.StoreView]
    var isToBeReloaded = false
    let region: CachedRegion

    init(leader: Int = 1, replicas: Int = 3, learner: Int? = nil) {
        var description = RegionDescription.sample(
            1, leader: UInt64(leader), stores: (1...replicas).map { UInt64($0) })
        if let learner { description.peers[learner - 1].role = .learner }
        let region = CachedRegion(
            description, stores: { StoreRecord(id: $0) }, now: .now, timeToLive: .seconds(600))
        // There are always peers that can be asked.
        guard let region else { preconditionFailure("a region of no replicas") }
        self.region = region
        self.leader = leader - 1
        self.stores = Array(repeating: .init(), count: replicas)
    }

    private func proto(_ answer: ReplicaAnswer) -> Errorpb_Error {
        var error = Errorpb_Error()
        switch answer {
        case .busy: error.serverIsBusy.reason = "busy"
        case .busyWithWait: error.serverIsBusy.estimatedWaitMs = 10
        case .dataNotReady: error.dataIsNotReady.regionID = 1
        case .notLeader: error.notLeader.regionID = 1
        case .leader(let store):
            error.notLeader.leader.id = 10 + UInt64(store)
            error.notLeader.leader.storeID = UInt64(store)
        case .error(let name): return name.proto
        case .timeout: break
        }
        return error
    }

    /// Sends one request, which gets these answers and then a good one.
    mutating func run(
        _ options: ReplicaOptions, _ answers: [ReplicaAnswer], labels: Int? = nil, isForwardingOn: Bool = false
    ) -> Outcome {
        var rest = answers[...]
        return self.run(options, labels: labels, isForwardingOn: isForwardingOn) { _ in rest.popFirst() }
    }

    /// Sends one request, to which each choice gets an answer; nil is a good one.
    mutating func run(
        _ options: ReplicaOptions, labels: Int? = nil, isForwardingOn: Bool = false,
        answer: (ReplicaSelector.Choice) -> ReplicaAnswer?
    ) -> Outcome {
        for index in self.stores.indices { self.stores[index].isPreferred = labels.map { $0 == index + 1 } ?? true }
        var outcome = Outcome()
        var selector = ReplicaSelector(
            peers: self.region.replicas.map(\.peer), options: options, isForwardingOn: isForwardingOn)
        // Far more than any of them takes.
        for _ in 0..<100 {
            var effects: [ReplicaSelector.Effect] = []
            let choice = selector.choose(
                leader: self.leader, proxy: self.proxy, stores: self.stores, isRegionValid: self.isValid,
                effects: &effects)
            self.apply(effects)
            guard let choice else {
                if let wait = selector.owedWait() { outcome.waits[wait.kind.name, default: 0] += 1 }
                outcome.end = .reroute
                return outcome
            }
            if let wait = selector.owedWait(before: choice) { outcome.waits[wait.kind.name, default: 0] += 1 }
            let kind = choice.isStaleRead ? "S" : choice.isReplicaRead ? "R" : "L"
            outcome.path.append(
                choice.proxy.map { "\($0 + 1)>\(choice.index + 1)" } ?? "\(choice.index + 1)\(kind)")
            guard let answer = answer(choice) else {
                var effects: [ReplicaSelector.Effect] = []
                selector.succeeded(choice, leader: self.leader, effects: &effects)
                self.apply(effects)
                return outcome
            }
            switch self.react(answer, choice, &selector) {
            case .again: break
            case .wait(let kind, _): outcome.waits[kind.name, default: 0] += 1
            case .reroute(let kind):
                if let kind, kind != .regionMiss { outcome.waits[kind.name, default: 0] += 1 }
                outcome.end = .reroute
                return outcome
            case .undetermined:
                outcome.end = .error(.undetermined)
                return outcome
            case .fail(let code, _):
                outcome.end = .error(code)
                return outcome
            }
        }
        outcome.path.append("…")
        return outcome
    }

    private mutating func react(
        _ answer: ReplicaAnswer, _ choice: ReplicaSelector.Choice, _ selector: inout ReplicaSelector
    ) -> ReplicaSelector.Step {
        var effects: [ReplicaSelector.Effect] = []
        defer { self.apply(effects) }
        if answer == .timeout {
            if selector.tookTooLong(choice) { return .again }
            let receiver = choice.proxy ?? choice.index
            self.stores[receiver].liveness = .unreachable
            return selector.unanswered(choice, liveness: .unreachable, leader: self.leader, effects: &effects)
        }
        return selector.react(
            to: RegionErrorReaction(self.proto(answer), region: self.region), of: choice, leader: self.leader,
            stores: self.stores, effects: &effects)
    }

    private mutating func apply(_ effects: [ReplicaSelector.Effect]) {
        for effect in effects {
            switch effect {
            case .switchLeader(let index): self.leader = index
            case .invalidate, .reloadOnAccess: self.isValid = false
            case .reloadLater: self.isToBeReloaded = true
            case .setProxy(let index): self.proxy = index
            case .markSlow(let index): self.stores[index].isSlow = true
            case .estimatedWait(let index, let wait): self.stores[index].estimatedWait = wait
            case .failed(let index):
                self.stores[index].isEpochStale = true
                self.stores[index].isSlow = true
            case .reconnect, .install, .buckets: break
            }
        }
    }
}
