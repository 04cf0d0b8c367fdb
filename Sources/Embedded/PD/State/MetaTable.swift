// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// PD's small store: entries, the count of all changes so far, and the changes themselves for those who watch.
struct MetaTable: Sendable {
    struct Entry: Sendable, Hashable {
        var value: [UInt8]
        var createRevision: Int64
        var modRevision: Int64
        var version: Int64
        var lease: Int64
    }

    struct Change: Sendable {
        var revision: Int64
        var key: [UInt8]
        /// Nil where the entry was deleted.
        var entry: Entry?
        var previous: Entry?
    }

    private var entries = OrderedMap<Entry>()
    /// Grows with each change; as in etcd, a store without changes is at 1.
    private(set) var revision: Int64 = 1
    private(set) var changes: [Change] = []
    /// Changes before this one are forgotten.
    private(set) var compactRevision: Int64 = 0

    /// Entries of a range, in order.
    ///
    /// - Parameter rangeEnd: empty for one entry; one zero byte for all from the key on.
    func get(_ key: [UInt8], rangeEnd: [UInt8]) -> [(key: [UInt8], entry: Entry)] {
        guard !rangeEnd.isEmpty else { return self.entries[key].map { [(key, $0)] } ?? [] }
        var found: [(key: [UInt8], entry: Entry)] = []
        for (next, entry) in self.entries.ascending(from: key) {
            guard Self.contains(next, key, rangeEnd) else { break }
            found.append((next, entry))
        }
        return found
    }

    static func contains(_ key: [UInt8], _ start: [UInt8], _ rangeEnd: [UInt8]) -> Bool {
        if rangeEnd.isEmpty { return key == start }
        return KeyOrder.compare(start, key) <= 0 && (rangeEnd == [0] || KeyOrder.isLess(key, rangeEnd))
    }

    mutating func put(_ key: [UInt8], _ value: [UInt8], lease: Int64 = 0) -> Entry? {
        self.revision += 1
        let previous = self.entries[key]
        let entry = Entry(
            value: value, createRevision: previous?.createRevision ?? self.revision, modRevision: self.revision,
            version: (previous?.version ?? 0) + 1, lease: lease)
        self.entries[key] = entry
        self.changes.append(Change(revision: self.revision, key: key, entry: entry, previous: previous))
        return previous
    }

    /// - Returns: what was there; all of it goes in one change.
    mutating func delete(_ key: [UInt8], rangeEnd: [UInt8]) -> [(key: [UInt8], entry: Entry)] {
        let found = self.get(key, rangeEnd: rangeEnd)
        guard !found.isEmpty else { return [] }
        self.revision += 1
        for (key, entry) in found {
            self.entries[key] = nil
            self.changes.append(Change(revision: self.revision, key: key, entry: nil, previous: entry))
        }
        return found
    }

    /// Forgets the changes before a revision.
    mutating func compact(before revision: Int64) {
        self.compactRevision = max(self.compactRevision, min(revision, self.revision))
        self.changes.removeAll { $0.revision < self.compactRevision }
    }
}
