// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// PD's members and which of them leads.
struct PDMembers: Sendable {
    struct Member: Sendable {
        var id: Int
        /// `host:port`; the same after a restart.
        var address = ""
        var isRunning = true
    }

    private(set) var list: [Member] = [Member(id: 1)]
    /// Nil while nobody is elected.
    private(set) var leaderID: Int? = 1

    init(count: Int = 1) {
        self.list = (1...max(1, count)).map { Member(id: $0) }
    }

    subscript(id: Int) -> Member? { self.list.first { $0.id == id } }

    var leader: Member? { self.leaderID.flatMap { self[$0] } }

    func member(at address: String) -> Member? { self.list.first { $0.address == address } }

    private var hasMajority: Bool { self.list.count(where: { $0.isRunning }) * 2 > self.list.count }

    mutating func setAddress(_ address: String, of id: Int) {
        guard let index = self.list.firstIndex(where: { $0.id == id }) else { return }
        self.list[index].address = address
    }

    /// - Parameter electing: whether another member takes over at once, where enough of them are running.
    /// - Returns: whether there is another leader now.
    mutating func stop(_ id: Int, electing: Bool) -> Bool {
        guard let index = self.list.firstIndex(where: { $0.id == id }) else { return false }
        self.list[index].isRunning = false
        if self.leaderID == id { self.leaderID = nil }
        return electing && self.elect()
    }

    mutating func start(_ id: Int) -> Bool {
        guard let index = self.list.firstIndex(where: { $0.id == id }) else { return false }
        self.list[index].isRunning = true
        return self.elect()
    }

    /// Makes a member lead that is running; false where it isn't.
    mutating func transferLeader(to id: Int) -> Bool {
        guard self[id]?.isRunning == true else { return false }
        self.leaderID = id
        return true
    }

    mutating func resignLeader() {
        self.leaderID = nil
    }

    /// Gives PD a leader where it has none and enough members are running; without enough, the leader steps down.
    ///
    /// - Returns: whether there is another leader now.
    mutating func elect() -> Bool {
        guard self.hasMajority else {
            self.leaderID = nil
            return false
        }
        guard self.leaderID == nil, let next = self.list.first(where: { $0.isRunning }) else { return false }
        self.leaderID = next.id
        return true
    }
}
