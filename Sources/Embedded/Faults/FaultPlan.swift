// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The faults that are still to happen.
struct FaultPlan: Sendable {
    private struct Entry {
        var id: EmbeddedCluster.FaultID
        var fault: EmbeddedCluster.Fault
        var scope: EmbeddedCluster.FaultScope
        /// Nil means without end.
        var remaining: Int?
        /// Nil happens each time.
        var chance: FaultChance?
    }

    private var entries: [Entry] = []
    private var nextID = 1
    private var counts: [EmbeddedCluster.FaultID: Int] = [:]

    var isEmpty: Bool { self.entries.isEmpty }

    mutating func add(
        _ fault: EmbeddedCluster.Fault, scope: EmbeddedCluster.FaultScope, times: Int?
    ) -> EmbeddedCluster.FaultID {
        let id = EmbeddedCluster.FaultID(number: self.nextID)
        self.nextID += 1
        if times.map({ $0 > 0 }) ?? true {
            self.entries.append(Entry(id: id, fault: fault, scope: scope, remaining: times))
        }
        return id
    }

    /// Faults of which one or another happens to some of the requests, without end.
    mutating func add(_ chance: FaultChance, scope: EmbeddedCluster.FaultScope) -> EmbeddedCluster.FaultID {
        let id = EmbeddedCluster.FaultID(number: self.nextID)
        self.nextID += 1
        if let first = chance.faults.first {
            self.entries.append(Entry(id: id, fault: first, scope: scope, remaining: nil, chance: chance))
        }
        return id
    }

    /// How often a fault has happened.
    func count(of id: EmbeddedCluster.FaultID) -> Int { self.counts[id] ?? 0 }

    /// Says how often the fault would still have happened; nil where it is used up, or never ends.
    @discardableResult
    mutating func remove(_ id: EmbeddedCluster.FaultID) -> Int? {
        guard let index = self.entries.firstIndex(where: { $0.id == id }) else { return nil }
        return self.entries.remove(at: index).remaining
    }

    mutating func removeAll() {
        self.entries = []
    }

    /// The first fault that is for this request, used up by one.
    mutating func take(rpc: String, server: EmbeddedCluster.Server, regionID: UInt64?) -> EmbeddedCluster.Fault? {
        for index in self.entries.indices
        where self.entries[index].scope.matches(
            rpc: rpc, server: server, regionID: regionID)
        {
            if self.entries[index].chance != nil {
                guard let drawn = self.entries[index].chance?.draw(), server.isStore || !drawn.isRegionError else {
                    continue
                }
                self.counts[self.entries[index].id, default: 0] += 1
                return drawn
            }
            guard server.isStore || !self.entries[index].fault.isRegionError else { continue }
            return self.use(index)
        }
        return nil
    }

    private mutating func use(_ index: Int) -> EmbeddedCluster.Fault {
        let fault = self.entries[index].fault
        self.counts[self.entries[index].id, default: 0] += 1
        if let remaining = self.entries[index].remaining {
            self.entries[index].remaining = remaining - 1
            if remaining == 1 { self.entries.remove(at: index) }
        }
        return fault
    }
}
