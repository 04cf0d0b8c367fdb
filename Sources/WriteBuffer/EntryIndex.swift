// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The order of all entries: groups of leaves of entry numbers, so that an insertion moves a few hundred bytes however many
/// keys there are. Keys that come in order leave full leaves behind.
struct EntryIndex: Sendable {
    struct Place: Sendable, Hashable {
        var group = 0
        var leaf = 0
        var index = 0
    }

    private struct Group: Sendable {
        /// The first entry of each leaf.
        var firsts: SortedEntries
        var leaves: ContiguousArray<SortedEntries>
    }

    private static let width = 128

    /// The first entry of each group.
    private var firsts = SortedEntries()
    private var groups: ContiguousArray<Group> = []

    var capacity: Int {
        self.groups.reduce(self.firsts.capacity) { sum, group in
            group.leaves.reduce(sum + group.firsts.capacity) { $0 + $1.capacity + MemoryLayout<SortedEntries>.stride }
        }
    }

    // MARK: - Searching

    /// Where `key` is, or where it would have to go.
    func find(_ key: [UInt8], _ table: borrowing EntryTable) -> (place: Place, found: Bool) {
        guard !self.groups.isEmpty else { return (Place(), false) }
        let group = self.firsts.child(for: key, table)
        let leaf = self.groups[group].firsts.child(for: key, table)
        let (index, found) = self.groups[group].leaves[leaf].find(key, table)
        return (Place(group: group, leaf: leaf, index: index), found)
    }

    /// The entry at a place or, behind the last of a leaf, the next; moves the place to it. Nil behind all.
    func entry(atOrAfter place: inout Place) -> UInt32? {
        while place.group < self.groups.count {
            let leaves = self.groups[place.group].leaves
            while place.leaf < leaves.count {
                let entries = leaves[place.leaf].entries
                if place.index < entries.count { return entries[place.index] }
                place.leaf += 1
                place.index = 0
            }
            place.group += 1
            place.leaf = 0
            place.index = 0
        }
        return nil
    }

    /// The entry before a place; moves the place to it. Nil before all.
    func entry(before place: inout Place) -> UInt32? {
        if place.group >= self.groups.count {
            guard let last = self.groups.indices.last else { return nil }
            place.group = last
            place.leaf = self.groups[last].leaves.count - 1
            place.index = self.groups[last].leaves[place.leaf].count
        }
        while place.index == 0 {
            if place.leaf == 0 {
                if place.group == 0 { return nil }
                place.group -= 1
                place.leaf = self.groups[place.group].leaves.count
            }
            place.leaf -= 1
            place.index = self.groups[place.group].leaves[place.leaf].count
        }
        place.index -= 1
        return self.groups[place.group].leaves[place.leaf].entries[place.index]
    }

    /// Behind the last entry.
    var end: Place { Place(group: self.groups.count) }

    // MARK: - Changing

    /// Puts an entry where `find` said that it belongs.
    mutating func insert(_ entry: UInt32, at place: Place, _ table: borrowing EntryTable) {
        guard !self.groups.isEmpty else {
            let leaf = SortedEntries([entry], table)
            self.groups.append(Group(firsts: leaf, leaves: [leaf]))
            self.firsts = leaf
            return
        }
        let (group, leaf) = (place.group, place.leaf)
        self.groups[group].leaves[leaf].insert(entry, at: place.index, table)
        if place.index == 0 { self.firstChanged(group, leaf, table) }
        let count = self.groups[group].leaves[leaf].count
        guard count > Self.width else { return }

        let leafCut = Self.cut(count, isAtEnd: place.index == count - 1)
        let right = self.groups[group].leaves[leaf].split(at: leafCut, table)
        self.groups[group].firsts.insert(right.entries[0], at: leaf + 1, table)
        self.groups[group].leaves.insert(right, at: leaf + 1)
        let leafCount = self.groups[group].leaves.count
        guard leafCount > Self.width else { return }

        let groupCut = Self.cut(leafCount, isAtEnd: leaf + 1 == leafCount - 1)
        let rightFirsts = self.groups[group].firsts.split(at: groupCut, table)
        let rightLeaves = ContiguousArray(self.groups[group].leaves[groupCut...])
        self.groups[group].leaves.removeSubrange(groupCut...)
        self.firsts.insert(rightFirsts.entries[0], at: group + 1, table)
        self.groups.insert(Group(firsts: rightFirsts, leaves: rightLeaves), at: group + 1)
    }

    mutating func remove(at place: Place, _ table: borrowing EntryTable) {
        let (group, leaf) = (place.group, place.leaf)
        self.groups[group].leaves[leaf].remove(at: place.index)
        guard self.groups[group].leaves[leaf].count == 0 else {
            if place.index == 0 { self.firstChanged(group, leaf, table) }
            return
        }
        self.groups[group].leaves.remove(at: leaf)
        self.groups[group].firsts.remove(at: leaf)
        guard self.groups[group].leaves.isEmpty else {
            if leaf == 0 { self.firstChanged(group, 0, table) }
            return
        }
        self.groups.remove(at: group)
        self.firsts.remove(at: group)
    }

    private mutating func firstChanged(_ group: Int, _ leaf: Int, _ table: borrowing EntryTable) {
        let first = self.groups[group].leaves[leaf].entries[0]
        self.groups[group].firsts.replace(at: leaf, with: first, table)
        if leaf == 0 { self.firsts.replace(at: group, with: first, table) }
    }

    /// Where to cut a node that has grown too wide: in the middle, or where keys come in order at the end.
    private static func cut(_ count: Int, isAtEnd: Bool) -> Int { isAtEnd ? count - 1 : count / 2 }
}
