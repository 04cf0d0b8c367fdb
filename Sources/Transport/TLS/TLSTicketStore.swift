// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The sessions that a client may resume, by peer: a few of the newest for each, for a bounded number of peers.
///
/// A resumed session is not verified again, so a store belongs to one set of trust roots, and the key holds everything
/// that verification depends on besides.
struct TLSTicketStore {
    struct Key: Hashable, Sendable {
        var name: TLSPeerName
        var port: Int
    }

    private static let ticketsPerPeer = 4

    private let peerLimit: Int
    private var tickets: [Key: [TLSTicket]] = [:]
    /// Peers by the last time that they gave a ticket, the oldest first.
    private var order: [Key] = []

    init(peerLimit: Int = 256) {
        self.peerLimit = peerLimit
    }

    var peerCount: Int { self.tickets.count }

    mutating func put(_ ticket: TLSTicket, for key: Key) {
        if let place = self.order.firstIndex(of: key) { self.order.remove(at: place) }
        self.order.append(key)
        var known = self.tickets[key] ?? []
        known.append(ticket)
        if known.count > Self.ticketsPerPeer { known.removeFirst() }
        self.tickets[key] = known
        if self.order.count > self.peerLimit { self.tickets[self.order.removeFirst()] = nil }
    }

    /// The newest, which is gone from the store where it is for one use.
    mutating func take(for key: Key) -> TLSTicket? {
        while let newest = self.tickets[key]?.last {
            if newest.isForOneUse || !newest.isResumable { self.tickets[key]?.removeLast() }
            if newest.isResumable { return newest }
        }
        return nil
    }

    /// Nothing of what this peer gave is to be used again.
    mutating func forget(_ key: Key) {
        self.tickets[key] = nil
        self.order.removeAll { $0 == key }
    }
}
