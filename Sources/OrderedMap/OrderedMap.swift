// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A sorted map from byte strings to values, in TiKV's order of keys (bytewise, a prefix first).
///
/// A value type: copying it costs one retain, and a change to a copy copies only the way to the entry (at most 128
/// entries or children on each of three levels), so that an immutable snapshot can be published after every change.
/// Look-ups and changes take O(log n). Keys that arrive in order leave full leaves behind.
@usableFromInline
package struct OrderedMap<Value: Sendable>: Sendable {
    @usableFromInline package typealias Key = [UInt8]
    @usableFromInline package typealias Element = (key: [UInt8], value: Value)

    @usableFromInline typealias Leaf = OrderedMapLeaf<Value>
    @usableFromInline typealias Branch = OrderedMapSpine<Leaf>

    /// The top level; the only node that may grow beyond its width, which it does from some 1.5 million entries on.
    @usableFromInline var root: OrderedMapSpine<Branch>

    @inlinable
    package init() {
        self.root = OrderedMapSpine()
    }

    @inlinable
    package var count: Int { self.root.count }

    @inlinable
    package var isEmpty: Bool { self.root.count == 0 }

    // MARK: - Reading

    /// The least entry.
    @inlinable
    package var first: Element? { self.root.first }

    /// The greatest entry.
    @inlinable
    package var last: Element? { self.root.last }

    /// The greatest entry whose key is `key` or before it.
    @inlinable
    package func floor(_ key: Key) -> Element? { self.root.entry(before: key, orEqual: true) }

    /// The greatest entry whose key is before `key`.
    @inlinable
    package func lower(_ key: Key) -> Element? { self.root.entry(before: key, orEqual: false) }

    /// The least entry whose key is `key` or after it.
    @inlinable
    package func ceiling(_ key: Key) -> Element? { self.root.entry(after: key, orEqual: true) }

    /// The least entry whose key is after `key`.
    @inlinable
    package func higher(_ key: Key) -> Element? { self.root.entry(after: key, orEqual: false) }

    // MARK: - Changing

    /// The value of a key. Setting nil removes the entry.
    @inlinable
    package subscript(key: Key) -> Value? {
        get { self.root.value(for: key) }
        set {
            if let newValue {
                _ = self.root.set(key, newValue)
            } else {
                _ = self.root.remove(key)
            }
        }
    }

    /// Sets the value of a key and returns the one that was there.
    @inlinable
    @discardableResult
    package mutating func updateValue(_ value: Value, forKey key: Key) -> Value? {
        self.root.set(key, value).replaced
    }

    /// Removes a key and returns its value.
    @inlinable
    @discardableResult
    package mutating func removeValue(forKey key: Key) -> Value? {
        self.root.remove(key)
    }

    /// Removes the entries whose keys are in `lower ..< upper`, without looking at each of them.
    ///
    /// - Parameter upper: nil means up to the end.
    /// - Returns: how many entries there were.
    @inlinable
    @discardableResult
    package mutating func removeAll(from lower: Key, to upper: Key?) -> Int {
        if let upper, KeyOrder.compare(lower, upper) >= 0 { return 0 }
        return self.root.removeAll(from: lower, to: upper)
    }

    @inlinable
    package mutating func removeAll() {
        self.root = OrderedMapSpine()
    }
}
