// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The numbers of some entries, in the order of their keys.
///
/// Beside each number stand the eight bytes of its key that follow on what all of them share: a search compares numbers in
/// a row, and whole keys only where those are equal.
struct SortedEntries: Sendable {
    private(set) var entries: ContiguousArray<UInt32>
    private var heads: ContiguousArray<UInt64>
    /// How many bytes at the beginning all keys share, or fewer.
    private var shared: Int

    init() {
        self.entries = []
        self.heads = []
        self.shared = 0
    }

    init(_ entries: ContiguousArray<UInt32>, _ table: borrowing EntryTable) {
        self.entries = entries
        self.heads = []
        self.shared = 0
        self.rebuild(table)
    }

    var count: Int { self.entries.count }

    var capacity: Int {
        self.entries.capacity * MemoryLayout<UInt32>.stride + self.heads.capacity * MemoryLayout<UInt64>.stride
    }

    // MARK: - Searching

    /// Where `key` is, or where it would have to go.
    func find(_ key: [UInt8], _ table: borrowing EntryTable) -> (index: Int, found: Bool) {
        if self.entries.isEmpty { return (0, false) }
        if self.shared > 0 {
            let order = table.compare(key, self.entries[0], upTo: self.shared)
            if order != 0 { return (order < 0 ? 0 : self.entries.count, false) }
        }
        let head = EntryTable.head(of: key, from: self.shared)
        var low = self.firstHead(notBelow: head, from: 0)
        guard low < self.heads.count, self.heads[low] == head else { return (low, false) }
        var high = head == .max ? self.heads.count : self.firstHead(notBelow: head + 1, from: low + 1)
        while low < high {
            let middle = (low + high) / 2
            let order = table.compare(key, self.entries[middle])
            if order == 0 { return (middle, true) }
            if order > 0 { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }

    /// The child under which `key` belongs, where these are the first entries of children.
    func child(for key: [UInt8], _ table: borrowing EntryTable) -> Int {
        let place = self.find(key, table)
        return place.found ? place.index : max(0, place.index - 1)
    }

    private func firstHead(notBelow head: UInt64, from start: Int) -> Int {
        var low = start
        var high = self.heads.count
        while low < high {
            let middle = (low + high) / 2
            if self.heads[middle] < head { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: - Changing

    mutating func insert(_ entry: UInt32, at index: Int, _ table: borrowing EntryTable) {
        self.entries.insert(entry, at: index)
        // A key between others begins as they do.
        if index == 0 || index == self.entries.count - 1 {
            let shared = table.sharedPrefix(self.entries[0], self.entries[self.entries.count - 1])
            if shared < self.shared || self.entries.count == 1 { return self.rebuild(table) }
        }
        self.heads.insert(table.head(of: entry, from: self.shared), at: index)
    }

    mutating func remove(at index: Int) {
        self.entries.remove(at: index)
        self.heads.remove(at: index)
    }

    /// Puts another entry in the place of one.
    mutating func replace(at index: Int, with entry: UInt32, _ table: borrowing EntryTable) {
        self.remove(at: index)
        self.insert(entry, at: index, table)
    }

    /// Cuts off what stands from `index` on.
    mutating func split(at index: Int, _ table: borrowing EntryTable) -> SortedEntries {
        let right = SortedEntries(ContiguousArray(self.entries[index...]), table)
        self.entries.removeSubrange(index...)
        self.rebuild(table)
        return right
    }

    private mutating func rebuild(_ table: borrowing EntryTable) {
        self.heads.removeAll(keepingCapacity: true)
        guard let first = self.entries.first, let last = self.entries.last else {
            self.shared = 0
            return
        }
        // What the first and the last of sorted keys share, all of them do.
        self.shared = table.sharedPrefix(first, last)
        for entry in self.entries { self.heads.append(table.head(of: entry, from: self.shared)) }
    }
}
