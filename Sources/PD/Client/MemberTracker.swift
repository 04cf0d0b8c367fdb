// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

/// What is known of PD's members: the addresses given, those found, the leader, and the cluster they belong to.
struct MemberTracker: Sendable {
    /// One answer to `GetMembers`.
    struct Answer: Sendable {
        var clusterID: UInt64
        /// Client URLs of each member.
        var members: [[String]]
        /// Client URLs of the leader; empty while there is none.
        var leader: [String]
    }

    enum Outcome: Sendable, Equatable {
        /// The leader, at an address to be used for what needs the leader.
        case leader(PeerAddress)
        case noLeader
        case clusterIDMismatch(expected: UInt64, actual: UInt64)
        /// An answer without a cluster: this member is starting, or isn't PD.
        case invalid
    }

    /// The cluster that the first answer came from; no other is accepted afterwards.
    private(set) var clusterID: UInt64?
    private(set) var leader: PeerAddress?
    private let endpoints: [PeerAddress]
    private var members: [PeerAddress] = []
    /// The leader's own URL, as members name it to each other.
    private(set) var leaderURL: String?
    /// The address that failed last: it is asked last.
    private var suspect: PeerAddress?
    /// Members that could not be reached when they were called last.
    private var unreachable: Set<PeerAddress> = []

    init(endpoints: [PeerAddress]) {
        self.endpoints = endpoints
    }

    /// Whom to ask for the members, in this order: those found before those given, a suspect at the end.
    var candidates: [PeerAddress] {
        var seen: Set<PeerAddress> = []
        var list = (self.members + self.endpoints).filter { seen.insert($0).inserted }
        if let suspect = self.suspect, let index = list.firstIndex(of: suspect) {
            list.append(list.remove(at: index))
        }
        return list
    }

    /// The members that don't lead, as far as known, with those that could not be reached at the end.
    var followers: [PeerAddress] {
        let followers = self.members.filter { $0 != self.leader }
        return followers.filter { !self.unreachable.contains($0) } + followers.filter { self.unreachable.contains($0) }
    }

    /// Every address that is of use.
    var addresses: Set<PeerAddress> {
        Set(self.members).union(self.endpoints).union(self.leader.map { [$0] } ?? [])
    }

    /// Who passes calls on to the leader; nil where that one can be reached itself, as far as known, or nobody else can.
    var proxy: PeerAddress? {
        guard let leader = self.leader, self.unreachable.contains(leader) else { return nil }
        return self.followers.first { !self.unreachable.contains($0) }
    }

    /// Takes in an answer to `GetMembers`.
    ///
    /// An answer of another cluster changes nothing.
    mutating func received(_ answer: Answer) -> Outcome {
        guard answer.clusterID != 0 else { return .invalid }
        if let known = self.clusterID, known != answer.clusterID {
            return .clusterIDMismatch(expected: known, actual: answer.clusterID)
        }
        self.clusterID = answer.clusterID
        let found = answer.members.compactMap { Self.address($0) }
        if !found.isEmpty {
            self.members = found
            self.unreachable.formIntersection(found)
        }
        guard let leader = Self.address(answer.leader) else {
            self.leader = nil
            self.leaderURL = nil
            return .noLeader
        }
        self.leader = leader
        self.leaderURL = answer.leader.first { Self.address([$0]) == leader }
        return .leader(leader)
    }

    /// A call to this address failed, or it says that it doesn't lead.
    ///
    /// - Parameter isUnreachable: whether it gave no answer at all.
    /// - Returns: whether it was thought to lead; a report that comes late changes nothing.
    mutating func failed(_ address: PeerAddress, isUnreachable: Bool = false) -> Bool {
        self.suspect = address
        if isUnreachable { self.unreachable.insert(address) }
        guard self.leader == address else { return false }
        self.leader = nil
        return true
    }

    /// An address that could not be reached answers again.
    mutating func reached(_ address: PeerAddress) {
        self.unreachable.remove(address)
    }

    private static func address(_ urls: [String]) -> PeerAddress? {
        for url in urls {
            if let address = PeerAddress(url, defaultPort: 2379) { return address }
        }
        return nil
    }
}
