// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Sorted keys, arranged so that a search seldom has to look at one.
///
/// Keys that are near to each other begin alike. Beside the keys the list has the eight bytes of each that follow on
/// what all of them share, as a number: a binary search over numbers in a row stays in the cache, where one over keys
/// would wait for memory at each step. Only keys whose numbers are equal are compared in full.
@usableFromInline
package struct KeyList: Sendable {
    @usableFromInline package private(set) var keys: [[UInt8]]
    private var heads: [UInt64]
    /// How many bytes at the beginning all keys share, or fewer.
    private var shared: Int

    @usableFromInline
    package init(_ keys: [[UInt8]] = []) {
        self.keys = keys
        self.heads = []
        self.shared = 0
        self.rebuild()
    }

    @inlinable
    package var count: Int { self.keys.count }

    // MARK: - Searching

    /// Where `key` is, or where it would have to go.
    @usableFromInline
    package func find(_ key: [UInt8]) -> (index: Int, found: Bool) {
        if self.keys.isEmpty { return (0, false) }
        let order = KeyOrder.compare(key, self.keys[0], upTo: self.shared)
        if order != 0 { return (order < 0 ? 0 : self.keys.count, false) }
        let head = KeyOrder.head(of: key, from: self.shared)
        var low = self.firstHead(notBelow: head, from: 0)
        guard low < self.heads.count, self.heads[low] == head else { return (low, false) }
        var high = head == .max ? self.heads.count : self.firstHead(notBelow: head + 1, from: low + 1)
        while low < high {
            let middle = (low + high) / 2
            let order = KeyOrder.compare(self.keys[middle], key)
            if order == 0 { return (middle, true) }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }

    /// The index of the first key that is not before `key`; the count where all are.
    @usableFromInline
    package func lowerBound(_ key: [UInt8]) -> Int { self.find(key).index }

    /// The index of the first key that comes after `key`; the count where none does.
    @usableFromInline
    package func upperBound(_ key: [UInt8]) -> Int {
        let place = self.find(key)
        return place.found ? place.index + 1 : place.index
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

    @usableFromInline
    package mutating func insert(_ key: [UInt8], at index: Int) {
        self.keys.insert(key, at: index)
        // A key between others begins as they do.
        if index == 0 || index == self.keys.count - 1 {
            let shared = KeyOrder.sharedPrefix(self.keys[0], self.keys[self.keys.count - 1])
            if shared < self.shared || self.keys.count == 1 { return self.rebuild() }
        }
        self.heads.insert(KeyOrder.head(of: key, from: self.shared), at: index)
    }

    @usableFromInline
    package mutating func remove(at index: Int) -> [UInt8] {
        self.heads.remove(at: index)
        return self.keys.remove(at: index)
    }

    @usableFromInline
    package mutating func removeSubrange(_ range: Range<Int>) {
        self.heads.removeSubrange(range)
        self.keys.removeSubrange(range)
    }

    /// Cuts the keys from `index` on off, for a list of their own.
    @usableFromInline
    package mutating func split(at index: Int) -> KeyList {
        let right = KeyList(Array(self.keys[index...]))
        self.keys.removeSubrange(index...)
        self.rebuild()
        return right
    }

    /// Adds keys that come after all of these.
    @usableFromInline
    package mutating func append(contentsOf keys: [[UInt8]]) {
        self.keys.append(contentsOf: keys)
        self.rebuild()
    }

    private mutating func rebuild() {
        guard let first = self.keys.first, let last = self.keys.last else {
            self.shared = 0
            self.heads.removeAll(keepingCapacity: true)
            return
        }
        // What the first and the last of sorted keys share, all of them do.
        let shared = KeyOrder.sharedPrefix(first, last)
        self.shared = shared
        self.heads.removeAll(keepingCapacity: true)
        for key in self.keys { self.heads.append(KeyOrder.head(of: key, from: shared)) }
    }
}
