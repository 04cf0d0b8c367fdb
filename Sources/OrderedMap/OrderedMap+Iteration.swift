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
        @usableFromInline var leaf = 0
        /// The next entry of the current leaf.
        @usableFromInline var entry = 0
        @usableFromInline var keys: [Key] = []
        @usableFromInline var values: [Value] = []

        @inlinable
        init(_ map: OrderedMap, from key: Key) {
            self.root = map.root
            self.branch = self.root.index(for: key) ?? 0
            guard self.branch < self.root.children.count else { return }
            self.leaf = self.root.children[self.branch].index(for: key) ?? 0
            self.load()
            self.entry = self.root.children[self.branch].children[self.leaf].keys.lowerBound(key)
        }

        @inlinable
        mutating func load() {
            let current = self.root.children[self.branch].children[self.leaf]
            self.keys = current.keys.keys
            self.values = current.values
        }

        @inlinable
        package mutating func next() -> Element? {
            while self.entry == self.keys.count {
                guard self.branch < self.root.children.count else { return nil }
                self.leaf += 1
                self.entry = 0
                if self.leaf == self.root.children[self.branch].children.count {
                    self.branch += 1
                    self.leaf = 0
                    guard self.branch < self.root.children.count else {
                        self.keys = []
                        self.values = []
                        return nil
                    }
                }
                self.load()
            }
            defer { self.entry += 1 }
            return (self.keys[self.entry], self.values[self.entry])
        }
    }

    /// Entries against the order, over the map as it was when the sequence was made.
    @usableFromInline
    package struct Descending: Sequence, IteratorProtocol {
        @usableFromInline let root: OrderedMapSpine<Branch>
        @usableFromInline var branch: Int
        @usableFromInline var leaf = 0
        /// One more than the index of the next entry of the current leaf.
        @usableFromInline var end = 0
        @usableFromInline var keys: [Key] = []
        @usableFromInline var values: [Value] = []

        @inlinable
        init(_ map: OrderedMap, before key: Key?, orEqual: Bool) {
            self.root = map.root
            self.branch = key.flatMap { map.root.index(for: $0) } ?? map.root.children.count - 1
            guard self.branch >= 0 else { return }
            let branch = self.root.children[self.branch]
            self.leaf = key.flatMap { branch.index(for: $0) } ?? branch.children.count - 1
            self.load()
            if let key {
                let keys = branch.children[self.leaf].keys
                self.end = orEqual ? keys.upperBound(key) : keys.lowerBound(key)
            }
        }

        @inlinable
        mutating func load() {
            let current = self.root.children[self.branch].children[self.leaf]
            self.keys = current.keys.keys
            self.values = current.values
            self.end = self.keys.count
        }

        @inlinable
        package mutating func next() -> Element? {
            while self.end == 0 {
                guard self.branch >= 0 else { return nil }
                self.leaf -= 1
                if self.leaf < 0 {
                    self.branch -= 1
                    guard self.branch >= 0 else { return nil }
                    self.leaf = self.root.children[self.branch].children.count - 1
                }
                self.load()
            }
            self.end -= 1
            return (self.keys[self.end], self.values[self.end])
        }
    }
}
