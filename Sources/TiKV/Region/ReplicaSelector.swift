// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// Which replica of a region one request goes to next.
///
/// It remembers what the request has met at each of them. Everything else is told it: who leads, and how the stores do, at
/// the moment of the choice. What its decisions mean for others, who share the region and its stores, it returns as
/// effects.
struct ReplicaSelector: Sendable {
    /// How often a leader is asked by one request.
    static let leaderAttempts = 10
    /// How long a leader is asked by one request, in all.
    static let leaderTime = Duration.seconds(50)
    /// After so many answers that the leader is busy, without saying for how long, somebody else is asked whether it still
    /// leads.
    static let busyAnswersBeforeProbe = 2

    /// What a request has met at a replica.
    struct Marks: OptionSet, Sendable, Hashable {
        let rawValue: UInt8
        /// It did not answer within the time for a read.
        static let timedOut = Marks(rawValue: 1)
        /// It does not have the data of a stale read yet.
        static let dataNotReady = Marks(rawValue: 2)
        /// It does not lead.
        static let notLeader = Marks(rawValue: 4)
        static let busy = Marks(rawValue: 8)
        /// It should lead, but is so busy that it may not even know that it doesn't.
        static let suspect = Marks(rawValue: 16)
    }

    struct Replica: Sendable {
        let peer: PeerDescription
        var attempts = 0
        var time: Duration = .zero
        var marks: Marks = []

        func isExhausted(_ attempts: Int, time: Duration? = nil) -> Bool {
            self.attempts >= attempts || time.map { self.time >= $0 } ?? false
        }
    }

    /// How a replica's store does at the moment.
    struct StoreView: Sendable, Hashable {
        var liveness: StoreLiveness = .reachable
        /// It has failed since the region was loaded.
        var isEpochStale = false
        /// PD says that it is gone, or it is not one of TiKV.
        var isGone = false
        var isResolved = true
        var isSlow = false
        /// It is one of those that the request prefers.
        var isPreferred = true
        var estimatedWait: Duration = .zero
    }

    /// Whom to send to, and how.
    struct Choice: Sendable, Hashable {
        var index: Int
        /// The replica to send it to in place of the one that shall have it.
        var proxy: Int?
        var isReplicaRead = false
        var isStaleRead = false
    }

    /// What others must know of.
    enum Effect: Sendable, Hashable {
        case switchLeader(Int)
        case invalidate(RegionInvalidation)
        case reloadOnAccess
        case reloadLater
        case setProxy(Int?)
        case markSlow(Int)
        case estimatedWait(Int, Duration)
        /// The store of the replica does not answer.
        case failed(Int)
        /// PD should be asked about the store of the replica, and connections to it be made anew.
        case reconnect(Int)
        case install([RegionDescription], from: Int)
        case buckets(RegionBuckets)
    }

    /// A wait that a store is owed before it is asked again.
    struct Wait: Sendable, Hashable {
        var kind: BackoffKind
        var hint: Duration?
    }

    let options: ReplicaOptions
    let isForwardingOn: Bool
    var mode: ReplicaReadMode
    var busyThreshold: Duration
    var replicas: [Replica]
    /// How often a choice was made.
    private(set) var choices = 0
    /// One more choice is allowed although the region is not believed any more.
    var mayUseInvalidRegion = false
    /// By replica. Waits that are not taken while there is somebody else to ask.
    private var owed: [Int: Wait] = [:]
    var busyCount = (peer: UInt64(0), count: 0)
    var isProbed = false

    init(peers: [PeerDescription], options: ReplicaOptions, isForwardingOn: Bool = false) {
        self.options = options
        self.isForwardingOn = isForwardingOn
        self.mode = options.mode
        self.busyThreshold = options.busyThreshold
        self.replicas = peers.map { Replica(peer: $0) }
    }

    /// Notes a request that was sent to the leader without this being asked.
    mutating func noteAttempt(at index: Int) {
        self.choices += 1
        self.replicas[index].attempts += 1
    }

    /// Notes how long a replica, and who stood between, took.
    mutating func noteTime(_ time: Duration, of choice: Choice) {
        self.replicas[choice.index].time += time
        if let proxy = choice.proxy { self.replicas[proxy].time += time }
    }

    // MARK: - Choosing

    /// The next choice; nil where there is nobody to ask any more.
    ///
    /// - Parameters:
    ///   - leader: who leads as far as known by now.
    ///   - proxy: over whom the leader was reached last.
    ///   - stores: of each replica.
    ///   - isRegionValid: whether the region is believed.
    ///   - random: from 0 up to 1; picks among those that are as good.
    mutating func choose(
        leader: Int, proxy: Int? = nil, stores: [StoreView], isRegionValid: Bool = true, random: Double = 0,
        effects: inout [Effect]
    ) -> Choice? {
        if self.mayUseInvalidRegion {
            self.mayUseInvalidRegion = false
        } else if !isRegionValid {
            return nil
        }
        self.choices += 1
        let group = ReplicaGroup(replicas: self.replicas, stores: stores, leader: leader, random: random)
        let choice =
            self.mode == .leader
            ? self.chooseLeader(group, proxy: proxy, effects: &effects) : self.chooseAny(group, effects: &effects)
        guard let choice else { return nil }
        self.replicas[choice.index].attempts += 1
        if let proxy = choice.proxy { self.replicas[proxy].attempts += 1 }
        return choice
    }

    private mutating func chooseLeader(
        _ group: ReplicaGroup, proxy: Int?, effects: inout [Effect]
    ) -> Choice? {
        let leader = group.leader
        if self.isForwardingOn {
            if group.stores[leader].liveness != .unreachable || group.replicas[leader].marks.contains(.notLeader) {
                if proxy != nil { effects.append(.setProxy(nil)) }
            } else if let proxy = group.proxy(preferring: proxy) {
                return Choice(index: leader, proxy: proxy)
            } else {
                effects += [.failed(leader), .reloadOnAccess]
                return nil
            }
        }
        if group.canLead(leader), !group.replicas[leader].marks.contains(.suspect) {
            let isBusy =
                group.stores[leader].estimatedWait > self.busyThreshold || group.replicas[leader].marks.contains(.busy)
            guard self.busyThreshold > .zero, self.options.isRead, isBusy else { return Choice(index: leader) }
            var idle = ReplicaScore()
            idle.busyThreshold = self.busyThreshold
            if let other = group.best(idle, effects: &effects) { return Choice(index: other, isReplicaRead: true) }
            // All of them are as busy: the leader, however long it takes.
            self.busyThreshold = .zero
            return Choice(index: leader)
        }
        // Others are asked whether they lead; for the data, only where the leader had its time for a read.
        let isLate = self.options.isRead && group.replicas[leader].marks.contains(.timedOut)
        var others = ReplicaScore()
        others.isLeaderOnly = self.options.isLeaderOnly
        others.mustBeElectable = !isLate
        guard let other = self.best(others, group, effects: &effects) else { return nil }
        return Choice(index: other, isReplicaRead: isLate && other != leader)
    }

    private mutating func chooseAny(_ group: ReplicaGroup, effects: inout [Effect]) -> Choice? {
        let leader = group.leader
        // A stale read that failed tries the leader next, who has everything.
        if self.options.isStaleRead, self.choices == 2, group.canLead(leader),
            !group.replicas[leader].isExhausted(1)
        {
            return Choice(index: leader)
        }
        var score = ReplicaScore()
        score.triesLeader = self.mode == .mixed || self.mode == .preferLeader
        score.prefersLeader = self.mode == .preferLeader
        score.isLeaderOnly = self.options.isLeaderOnly
        score.prefersLearners = self.mode == .learner
        score.hasLabels = !self.options.labels.isEmpty
        guard let index = self.best(score, group, effects: &effects) else { return nil }
        guard self.options.isStaleRead else {
            return Choice(index: index, isReplicaRead: self.options.isRead && index != leader)
        }
        // The first try takes what the replica has, unless it is neither near nor the leader: then it may as well ask the
        // leader how far it must have come. Later ones do so too, once the leader was asked and can tell.
        let isFirst = self.choices == 1 && (group.stores[index].isPreferred || index == leader)
        let leaderState = group.replicas[leader]
        let canReplicaRead = leaderState.attempts > 0 && leaderState.marks.isDisjoint(with: [.timedOut, .busy])
        return !isFirst && canReplicaRead
            ? Choice(index: index, isReplicaRead: true) : Choice(index: index, isStaleRead: true)
    }

    /// The best of all; where there is none, what that means for the region.
    private mutating func best(
        _ score: ReplicaScore, _ group: ReplicaGroup, effects: inout [Effect]
    ) -> Int? {
        if let index = group.best(score, effects: &effects) { return index }
        // The leader was only set aside to ask others whether it still leads.
        if self.replicas[group.leader].marks.contains(.suspect) {
            self.replicas[group.leader].marks.remove(.suspect)
            if group.canLead(group.leader) { return group.leader }
        }
        // Who was not given the time to answer may be right all the same.
        if !self.replicas.contains(where: { $0.marks.contains(.timedOut) }) { effects.append(.invalidate(.exhausted)) }
        return nil
    }

    // MARK: - Waits that are owed

    mutating func owe(_ wait: Wait, at index: Int) {
        self.owed[index] = wait
    }

    /// The wait to take before this choice is sent.
    mutating func owedWait(before choice: Choice) -> Wait? {
        self.owed.removeValue(forKey: choice.index)
    }

    /// The wait to take where there was no choice: the longest that is owed.
    func owedWait() -> Wait? {
        self.owed.values.max { $0.kind.base < $1.kind.base }
    }
}
