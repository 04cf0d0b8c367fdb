// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension OrderedMap {
    /// The entries from `key` on, least first. Leave the loop to stop; only the leaves that were reached are looked at.
    @inlinable
    package func ascending(from key: Key = []) -> Ascending { Ascending(self, from: key) }

    /// The entries before `key`, greatest first; all of them without a key.
    @inlinable
    package func descending(before key: Key? = nil) -> Descending { Descending(self, before: key, orEqual: false) }

    /// The entries at `key` and before it, greatest first.
    @inlinable
    package func descending(through key: Key) -> Descending { Descending(self, before: key, orEqual: true) }

    /// Entries in order, over the map as it was when the sequence was made.
    @usableFromInline
    package struct Ascending: Sequence, IteratorProtocol {
        @usableFromInline let root: OrderedMapSpine<Branch>
        @usableFromInline var branch: Int
        @usableFromInline var leaf: Int
        @usableFromInline var entry: Int
        @usableFromInline var current: Leaf?

        @inlinable
        init(_ map: OrderedMap, from key: Key) {
            self.root = map.root
            self.branch = self.root.index(for: key) ?? 0
            self.leaf = 0
            self.entry = 0
            if self.branch < self.root.children.count {
                self.leaf = self.root.children[self.branch].index(for: key) ?? 0
                let current = self.root.children[self.branch].children[self.leaf]
                self.entry = KeyOrder.lowerBound(current.keys, key)
                self.current = current
            }
        }

        @inlinable
        package mutating func next() -> Element? {
            while let current = self.current {
                if self.entry < current.keys.count {
                    defer { self.entry += 1 }
                    return (current.keys[self.entry], current.values[self.entry])
                }
                self.leaf += 1
                self.entry = 0
                if self.leaf == self.root.children[self.branch].children.count {
                    self.branch += 1
                    self.leaf = 0
                }
                self.current =
                    self.branch < self.root.children.count
                    ? self.root.children[self.branch].children[self.leaf] : nil
            }
            return nil
        }
    }

    /// Entries against the order, over the map as it was when the sequence was made.
    @usableFromInline
    package struct Descending: Sequence, IteratorProtocol {
        @usableFromInline let root: OrderedMapSpine<Branch>
        @usableFromInline var branch: Int
        @usableFromInline var leaf: Int
        /// One more than the index of the next entry.
        @usableFromInline var end: Int
        @usableFromInline var current: Leaf?

        @inlinable
        init(_ map: OrderedMap, before key: Key?, orEqual: Bool) {
            self.root = map.root
            self.branch = key.flatMap { map.root.index(for: $0) } ?? map.root.children.count - 1
            self.leaf = 0
            self.end = 0
            if self.branch >= 0 {
                let branch = self.root.children[self.branch]
                self.leaf = key.flatMap { branch.index(for: $0) } ?? branch.children.count - 1
                let current = branch.children[self.leaf]
                self.end =
                    key.map {
                        orEqual ? KeyOrder.upperBound(current.keys, $0) : KeyOrder.lowerBound(current.keys, $0)
                    } ?? current.keys.count
                self.current = current
            }
        }

        @inlinable
        package mutating func next() -> Element? {
            while let current = self.current {
                if self.end > 0 {
                    self.end -= 1
                    return (current.keys[self.end], current.values[self.end])
                }
                self.leaf -= 1
                if self.leaf < 0 {
                    self.branch -= 1
                    self.leaf = self.branch >= 0 ? self.root.children[self.branch].children.count - 1 : 0
                }
                let previous = self.branch >= 0 ? self.root.children[self.branch].children[self.leaf] : nil
                self.end = previous?.keys.count ?? 0
                self.current = previous
            }
            return nil
        }
    }
}
