// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension ReplicaSelector {
    /// How a request goes on after a try.
    enum Step: Sendable, Equatable {
        /// With the next choice, at once.
        case again
        /// With the next choice, after a wait.
        case wait(BackoffKind, hint: Duration? = nil)
        /// The region must be located anew, after a wait where one is named.
        case reroute(BackoffKind?)
        /// Not at all: it was taken, and its result is not known.
        case undetermined
        /// Not at all.
        case fail(TiKVError.Code, String)
    }

    // MARK: - Answers

    /// A replica answered with a region error.
    mutating func react(
        to reaction: RegionErrorReaction, of choice: Choice, leader: Int, stores: [StoreView],
        effects: inout [Effect]
    ) -> Step {
        let index = choice.index
        switch reaction {
        case .undetermined: return .undetermined
        case .fail(let code, let message): return .fail(code, message)
        case .switchLeader(let peer):
            self.replicas[index].marks.insert(.notLeader)
            self.learnLeader(peer, stores: stores, effects: &effects)
            return .again
        case .findLeader:
            self.replicas[index].marks.insert(.notLeader)
            return .wait(.regionScheduling)
        case .reloadPeers:
            effects.append(.invalidate(.storeNotFound))
            return .reroute(nil)
        case .retry(let kind, let hint): return .wait(kind, hint: hint)
        case .busy(let estimatedWait, let hint, let isLate):
            if isLate, self.tookTooLong(choice) { return .again }
            return self.busy(
                choice, estimatedWait: estimatedWait, hint: hint, leader: leader, stores: stores, effects: &effects)
        case .tryNextPeer: return .again
        case .dataNotReady:
            self.replicas[index].marks.insert(.dataNotReady)
            return .again
        case .late:
            _ = self.tookTooLong(choice)
            return .again
        case .peerGone: return self.peerGone(index, leader: leader, effects: &effects)
        case .reload(let reason, let kind):
            effects.append(.invalidate(reason))
            return .reroute(kind)
        case .install(let regions):
            effects.append(.install(regions, from: index))
            return .reroute(nil)
        case .buckets(let buckets):
            effects.append(.buckets(buckets))
            return .reroute(nil)
        case .reloadStore:
            effects += [.reconnect(index), .invalidate(.storeNotFound)]
            return .reroute(nil)
        case .flashback(let message):
            guard choice.isReplicaRead, index != leader else { return .fail(.flashbackInProgress, message) }
            self.busyThreshold = .zero
            self.mode = .leader
            return .again
        }
    }

    /// A replica answered the request.
    mutating func succeeded(_ choice: Choice, leader: Int, effects: inout [Effect]) {
        if let proxy = choice.proxy { effects.append(.setProxy(proxy)) }
        // It took what only a leader takes.
        if choice.index != leader, !choice.isReplicaRead, !choice.isStaleRead {
            effects.append(.switchLeader(choice.index))
        }
    }

    // MARK: - No answer

    /// A read had no answer within the time for one replica.
    ///
    /// - Returns: false where the request has no such time.
    mutating func tookTooLong(_ choice: Choice) -> Bool {
        guard self.options.readTimeout != nil, self.options.isRead else { return false }
        self.replicas[choice.index].marks.insert(.timedOut)
        return true
    }

    /// There was no answer, and this is what a look at the store (the one that stands between, where there is one) found.
    mutating func unanswered(
        _ choice: Choice, liveness: StoreLiveness, leader: Int, effects: inout [Effect]
    ) -> Step {
        let canForward =
            self.isForwardingOn && self.mode == .leader && choice.proxy == nil && choice.index == leader
            && liveness == .unreachable && self.replicas.count > 1
        // With somebody to forward it, the leader's store may stay what it is: not all of its regions are to be reloaded.
        if liveness != .reachable, !canForward { effects.append(.failed(choice.proxy ?? choice.index)) }
        return .wait(self.options.engine == .tikv ? .tikvRPC : .tiflashRPC)
    }

    // MARK: - Private

    private mutating func learnLeader(_ peer: PeerDescription, stores: [StoreView], effects: inout [Effect]) {
        guard let index = self.replicas.firstIndex(where: { $0.peer.id == peer.id }),
            stores[index].liveness == .reachable
        else { return }
        if self.replicas[index].isExhausted(Self.leaderAttempts, time: Self.leaderTime) {
            // One more chance, now that somebody vouches for it.
            self.replicas[index].attempts = Self.leaderAttempts - 1
            self.replicas[index].time = .zero
        }
        self.replicas[index].marks.subtract([.notLeader, .suspect])
        effects.append(.switchLeader(index))
        let group = ReplicaGroup(replicas: self.replicas, stores: stores, leader: index, random: 0)
        if group.canLead(index) { self.mode = .leader }
    }

    private mutating func busy(
        _ choice: Choice, estimatedWait: Duration?, hint: Duration?, leader: Int, stores: [StoreView],
        effects: inout [Effect]
    ) -> Step {
        let index = choice.index
        if let estimatedWait {
            effects.append(.estimatedWait(index, estimatedWait))
            if self.busyThreshold > .zero, self.options.isRead { self.replicas[index].marks.insert(.busy) }
        } else {
            effects.append(.markSlow(index))
            if index == leader { self.countBusyLeader(index) }
        }
        let wait = Wait(kind: self.options.engine == .tikv ? .serverBusy : .tiflashServerBusy, hint: hint)
        guard self.canGoOnAtOnce(leader: leader, stores: stores) else { return .wait(wait.kind, hint: wait.hint) }
        self.owe(wait, at: index)
        self.replicas[index].marks.insert(.busy)
        return .again
    }

    /// A store can be so busy that it refuses requests before it finds out that it does not lead any more.
    private mutating func countBusyLeader(_ index: Int) {
        guard self.mode == .leader, !self.options.isStaleRead, !self.options.isLeaderOnly, !self.isProbed else {
            return
        }
        let peer = self.replicas[index].peer.id
        self.busyCount = (peer, self.busyCount.peer == peer ? self.busyCount.count + 1 : 1)
        guard self.busyCount.count >= Self.busyAnswersBeforeProbe else { return }
        self.replicas[index].marks.insert(.suspect)
        self.isProbed = true
    }

    /// Whether there is somebody else to ask, so that a wait can be put off.
    func canGoOnAtOnce(leader: Int, stores: [StoreView]) -> Bool {
        guard self.mode == .leader else { return true }
        let group = ReplicaGroup(replicas: self.replicas, stores: stores, leader: leader, random: 0)
        return !group.canLead(leader) || self.replicas[leader].marks.contains(.busy)
    }

    private mutating func peerGone(_ index: Int, leader: Int, effects: inout [Effect]) -> Step {
        effects.append(.invalidate(.regionNotFound))
        guard !self.replicas[leader].isExhausted(1) else { return .reroute(.regionMiss) }
        // Others stop using the region, but this request may ask its leader: a follower may be late to have it.
        self.mode = .leader
        self.mayUseInvalidRegion = true
        return .again
    }
}
