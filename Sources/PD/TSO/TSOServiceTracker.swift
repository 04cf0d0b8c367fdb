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

    mutating func failed(_ address: PeerAddress) {
        self.suspect = address
    }

    /// Reads an answer about the group of a keyspace: each member's address, and whether it is the primary.
    static func group(id: UInt32, members: [(address: String, isPrimary: Bool)]) -> Group {
        Group(id: id, primary: members.first { $0.isPrimary }.flatMap { PeerAddress($0.address) })
    }
}
