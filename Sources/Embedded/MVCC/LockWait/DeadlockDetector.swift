// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Who waits for whom in the whole cluster, and whether a wait would close a circle (tikv
/// `src/server/lock_manager/deadlock.rs`). In a real cluster the store with the first region keeps it, and edges expire in
/// case their end is not reported; here nothing gets lost.
struct DeadlockDetector: Sendable {
    struct Deadlock: Sendable {
        var lockTS: UInt64
        /// Of the key that the last transaction of the chain waits for.
        var keyHash: UInt64
        /// From the transaction that is waited for, along the waits, to the one that asks; its own wait is the last.
        var chain: [WaitForEntry]
    }

    private struct Edge: Sendable {
        /// At least one; several where a transaction waits for another at more than one key.
        var keys: [(hash: UInt64, key: [UInt8])]
        var resourceGroupTag: [UInt8]
    }

    /// By the transaction that waits, and by the one that it waits for.
    private var edges: [UInt64: [UInt64: Edge]] = [:]

    var isEmpty: Bool { self.edges.isEmpty }

    /// Notes that a transaction waits for the holders of a lock, unless one of them waits for it already.
    ///
    /// - Returns: the circle that there would be.
    mutating func detect(
        _ txn: UInt64, waitingFor holders: [UInt64], at key: [UInt8], resourceGroupTag: [UInt8]
    ) -> Deadlock? {
        let hash = Fingerprint64.hash(key)
        for holder in holders {
            if self.edges[txn]?[holder] == nil, let path = self.path(from: holder, to: txn) {
                var chain = path
                chain.append(
                    WaitForEntry(
                        txn: txn, waitForTxn: holder, keyHash: hash, key: key, resourceGroupTag: resourceGroupTag))
                return Deadlock(lockTS: holder, keyHash: path.last?.keyHash ?? hash, chain: chain)
            }
            self.add(txn, holder, key: key, hash: hash, resourceGroupTag)
        }
        return nil
    }

    private mutating func add(
        _ txn: UInt64, _ holder: UInt64, key: [UInt8], hash: UInt64, _ resourceGroupTag: [UInt8]
    ) {
        var edge = self.edges[txn]?[holder] ?? Edge(keys: [], resourceGroupTag: resourceGroupTag)
        if !edge.keys.contains(where: { $0.hash == hash }) { edge.keys.append((hash, key)) }
        edge.resourceGroupTag = resourceGroupTag
        self.edges[txn, default: [:]][holder] = edge
    }

    /// The waits that lead from one transaction to another.
    private func path(from start: UInt64, to goal: UInt64) -> [WaitForEntry]? {
        var stack = [start]
        var predecessors: [UInt64: UInt64] = [:]
        while let current = stack.popLast() {
            for (next, edge) in self.edges[current] ?? [:] {
                if next == goal {
                    var chain = [self.entry(current, next, edge)]
                    var last = current
                    while last != start, let before = predecessors[last], let edge = self.edges[before]?[last] {
                        chain.append(self.entry(before, last, edge))
                        last = before
                    }
                    return chain.reversed()
                }
                if next != start && predecessors[next] == nil {
                    predecessors[next] = current
                    stack.append(next)
                }
            }
        }
        return nil
    }

    private func entry(_ txn: UInt64, _ holder: UInt64, _ edge: Edge) -> WaitForEntry {
        WaitForEntry(
            txn: txn, waitForTxn: holder, keyHash: edge.keys.first?.hash ?? 0, key: edge.keys.first?.key ?? [],
            resourceGroupTag: edge.resourceGroupTag)
    }

    /// Forgets a wait at one key.
    mutating func remove(_ txn: UInt64, waitingFor holders: [UInt64], at key: [UInt8]) {
        let hash = Fingerprint64.hash(key)
        for holder in holders {
            guard var edge = self.edges[txn]?[holder] else { continue }
            edge.keys.removeAll { $0.hash == hash }
            self.edges[txn]?[holder] = edge.keys.isEmpty ? nil : edge
        }
        if self.edges[txn]?.isEmpty == true { self.edges[txn] = nil }
    }
}
