// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// What makes one replica better than another for a request.
struct ReplicaScore: Sendable {
    /// The parts of a score; each outweighs all after it.
    struct Value: OptionSet, Sendable, Hashable, Comparable {
        let rawValue: Int
        static let notSlow = Value(rawValue: 16)
        static let preferred = Value(rawValue: 8)
        static let preferredLeader = Value(rawValue: 4)
        static let ordinary = Value(rawValue: 2)
        static let notAttempted = Value(rawValue: 1)

        static func < (lhs: Value, rhs: Value) -> Bool { lhs.rawValue < rhs.rawValue }
    }

    /// The leader is as good as another.
    var triesLeader = false
    /// The leader is better than the others.
    var prefersLeader = false
    var prefersLearners = false
    var isLeaderOnly = false
    /// Replicas that can't become leader won't do.
    var mustBeElectable = false
    /// The request prefers stores by label.
    var hasLabels = false
    /// Only replicas that would not let a request wait as long, and not the leader.
    var busyThreshold: Duration = .zero

    /// Whether a replica may be asked at all.
    func allows(_ replica: ReplicaSelector.Replica, _ store: ReplicaSelector.StoreView, isLeader: Bool) -> Bool {
        if store.isGone || store.isEpochStale || store.liveness == .unreachable { return false }
        // What a replica did not have for a stale read, it can ask its leader for; the leader itself has everything.
        let attempts = replica.marks.contains(.dataNotReady) && !isLeader ? 2 : 1
        if replica.isExhausted(attempts) { return false }
        if self.isLeaderOnly && !isLeader { return false }
        if self.mustBeElectable && !isLeader && !replica.peer.canLead { return false }
        if self.busyThreshold > .zero {
            if isLeader || replica.marks.contains(.busy) || store.estimatedWait > self.busyThreshold { return false }
        }
        return !(self.prefersLeader && store.isSlow && !isLeader)
    }

    func value(
        of replica: ReplicaSelector.Replica, _ store: ReplicaSelector.StoreView, isLeader: Bool
    ) -> Value {
        var value: Value = []
        if !store.isSlow { value.insert(.notSlow) }
        if store.isPreferred { value.insert(.preferred) }
        if replica.attempts == 0 { value.insert(.notAttempted) }
        if !isLeader {
            if !self.prefersLearners || replica.peer.role == .learner { value.insert(.ordinary) }
        } else if self.prefersLeader {
            value.insert(store.isSlow ? .ordinary : .preferredLeader)
        } else if self.triesLeader {
            // Among those with the labels, the leader needs no round trip of its own.
            value.insert(self.hasLabels ? .preferredLeader : .ordinary)
        }
        return value
    }
}

/// The replicas of a region at the moment of a choice.
struct ReplicaGroup: Sendable {
    let replicas: [ReplicaSelector.Replica]
    let stores: [ReplicaSelector.StoreView]
    let leader: Int
    let random: Double

    /// Whether the replica that should lead can be asked.
    ///
    /// One that can't be reached is not: where a group sleeps, only a request to another replica makes it elect a new leader.
    func canLead(_ index: Int) -> Bool {
        let (replica, store) = (self.replicas[index], self.stores[index])
        return store.liveness == .reachable && !store.isEpochStale && !store.isGone
            && !replica.isExhausted(ReplicaSelector.leaderAttempts, time: ReplicaSelector.leaderTime)
            && replica.marks.isDisjoint(with: [.timedOut, .notLeader])
    }

    /// The best replica by a score; nil where none will do.
    func best(_ score: ReplicaScore, effects: inout [ReplicaSelector.Effect]) -> Int? {
        var best: (value: ReplicaScore.Value, indices: [Int]) = ([], [])
        var isOutOfDate = false
        for (index, replica) in self.replicas.enumerated() {
            let store = self.stores[index]
            let isLeader = index == self.leader
            if store.isEpochStale, isLeader || (store.liveness == .reachable && store.isResolved) { isOutOfDate = true }
            guard score.allows(replica, store, isLeader: isLeader) else { continue }
            let value = score.value(of: replica, store, isLeader: isLeader)
            if best.indices.isEmpty || best.value < value {
                best = (value, [index])
            } else if best.value == value {
                best.indices.append(index)
            }
        }
        // It is only avoided because the region was loaded before the store failed.
        if isOutOfDate { effects.append(.reloadLater) }
        guard !best.indices.isEmpty else { return nil }
        return best.indices[min(Int(self.random * Double(best.indices.count)), best.indices.count - 1)]
    }

    /// Over whom to reach a leader that can't be reached itself.
    func proxy(preferring known: Int?) -> Int? {
        if let known, self.replicas.indices.contains(known), self.canForward(known) { return known }
        return self.replicas.indices.first { self.canForward($0) }
    }

    private func canForward(_ index: Int) -> Bool {
        let store = self.stores[index]
        return index != self.leader && !self.replicas[index].isExhausted(1) && store.liveness == .reachable
            && !store.isEpochStale && !store.isGone
    }
}
