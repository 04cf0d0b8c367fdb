// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

/// The servers that hand out timestamps in PD's place; none where PD does that itself.
struct TSOServiceTracker: Sendable {
    /// What such a server says about the keyspace's group.
    struct Group: Sendable, Equatable {
        var id: UInt32
        /// Where its timestamps come from; nil while nobody does that.
        var primary: PeerAddress?
    }

    private(set) var servers: [PeerAddress] = []
    /// The one that was found last, which need not be among those that PD names.
    private var primary: PeerAddress?
    private var suspect: PeerAddress?

    /// Whom to ask for the group, the one that failed last at the end.
    var candidates: [PeerAddress] {
        guard let suspect = self.suspect, self.servers.contains(suspect) else { return self.servers }
        return self.servers.filter { $0 != suspect } + [suspect]
    }

    /// Takes in what PD says about its services.
    mutating func received(isIndependent: Bool, urls: [String]) {
        self.servers = isIndependent ? urls.compactMap { PeerAddress($0) } : []
    }

    /// Every address that is of use.
    var addresses: Set<PeerAddress> {
        guard !self.servers.isEmpty else { return [] }
        return Set(self.servers).union(self.primary.map { [$0] } ?? [])
    }

    mutating func failed(_ address: PeerAddress) {
        self.suspect = address
        if self.primary == address { self.primary = nil }
    }

    /// Timestamps are about to be asked of this one.
    mutating func found(_ address: PeerAddress) {
        self.primary = address
    }

    /// Reads an answer about the group of a keyspace: each member's address, and whether it is the primary.
    static func group(id: UInt32, members: [(address: String, isPrimary: Bool)]) -> Group {
        Group(id: id, primary: members.first { $0.isPrimary }.flatMap { PeerAddress($0.address) })
    }
}
