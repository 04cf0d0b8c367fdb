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
    }

    private var entries: [Entry] = []
    private var nextID = 1

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
        let index = self.entries.firstIndex {
            $0.scope.matches(rpc: rpc, server: server, regionID: regionID)
                && (server.isStore || !$0.fault.isRegionError)
        }
        guard let index else { return nil }
        let fault = self.entries[index].fault
        if let remaining = self.entries[index].remaining {
            self.entries[index].remaining = remaining - 1
            if remaining == 1 { self.entries.remove(at: index) }
        }
        return fault
    }
}
