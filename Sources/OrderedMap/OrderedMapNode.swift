// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A level of the tree: a leaf that holds entries, or a spine that holds the nodes of the level below.
///
/// Everything is a struct over arrays, so that a copy of the whole tree is one retain, and a change copies only the
/// arrays on the way to the entry (one per level), and these only while a copy is alive.
@usableFromInline
package protocol OrderedMapNode<Value>: Sendable {
    associatedtype Value: Sendable

    /// How many direct children or entries a node may have before it is split.
    static var maximumWidth: Int { get }

    init(key: [UInt8], value: Value)

    /// Entries in this node and below.
    var count: Int { get }
    /// Direct children or entries.
    var width: Int { get }
    var first: (key: [UInt8], value: Value)? { get }
    var last: (key: [UInt8], value: Value)? { get }

    func value(for key: [UInt8]) -> Value?
    /// The greatest entry before `key`, or at it where `orEqual`.
    func entry(before key: [UInt8], orEqual: Bool) -> (key: [UInt8], value: Value)?
    /// The least entry after `key`, or at it where `orEqual`.
    func entry(after key: [UInt8], orEqual: Bool) -> (key: [UInt8], value: Value)?

    mutating func set(_ key: [UInt8], _ value: Value) -> OrderedMapSetResult<Value>
    mutating func remove(_ key: [UInt8]) -> Value?
    /// Removes the entries in `lower ..< upper` and says how many they were. No `upper` means up to the end.
    mutating func removeAll(from lower: [UInt8], to upper: [UInt8]?) -> Int

    /// Cuts off the part from `index` on, which is not 0; the separator is not after any key in it, and after all that
    /// stay.
    mutating func split(at index: Int) -> (separator: [UInt8], right: Self)
    /// Takes over the entries of the right neighbour.
    mutating func append(_ right: Self, separator: [UInt8])
}

/// What became of a `set`.
@usableFromInline
package struct OrderedMapSetResult<Value> {
    /// The value that was replaced; nil where the key is new.
    @usableFromInline package var replaced: Value?
    /// Whether the key is new and the last one below the node that was asked.
    @usableFromInline package var appended: Bool

    @inlinable
    package init(replaced: Value?, appended: Bool) {
        self.replaced = replaced
        self.appended = appended
    }
}
