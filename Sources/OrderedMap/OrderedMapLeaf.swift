// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The lowest level of the tree: entries in the order of their keys.
@usableFromInline
package struct OrderedMapLeaf<Value: Sendable>: OrderedMapNode {
    @usableFromInline package var keys: KeyList
    @usableFromInline package var values: [Value]

    @inlinable
    package static var maximumWidth: Int { 128 }

    @inlinable
    package init(keys: KeyList, values: [Value]) {
        self.keys = keys
        self.values = values
    }

    @inlinable
    package init(key: [UInt8], value: Value) {
        self.init(keys: KeyList([key]), values: [value])
    }

    @inlinable
    package var count: Int { self.keys.count }

    @inlinable
    package var width: Int { self.keys.count }

    @inlinable
    package var first: (key: [UInt8], value: Value)? { self.entry(at: 0) }

    @inlinable
    package var last: (key: [UInt8], value: Value)? { self.entry(at: self.keys.count - 1) }

    @inlinable
    package func entry(at index: Int) -> (key: [UInt8], value: Value)? {
        index >= 0 && index < self.keys.count ? (self.keys.keys[index], self.values[index]) : nil
    }

    @inlinable
    package func value(for key: [UInt8]) -> Value? {
        let place = self.keys.find(key)
        return place.found ? self.values[place.index] : nil
    }

    @inlinable
    package func entry(before key: [UInt8], orEqual: Bool) -> (key: [UInt8], value: Value)? {
        let end = orEqual ? self.keys.upperBound(key) : self.keys.lowerBound(key)
        return self.entry(at: end - 1)
    }

    @inlinable
    package func entry(after key: [UInt8], orEqual: Bool) -> (key: [UInt8], value: Value)? {
        self.entry(at: orEqual ? self.keys.lowerBound(key) : self.keys.upperBound(key))
    }

    @inlinable
    package mutating func set(_ key: [UInt8], _ value: Value) -> OrderedMapSetResult<Value> {
        let place = self.keys.find(key)
        if place.found {
            let replaced = self.values[place.index]
            self.values[place.index] = value
            return OrderedMapSetResult(replaced: replaced, appended: false)
        }
        let appended = place.index == self.keys.count
        self.keys.insert(key, at: place.index)
        self.values.insert(value, at: place.index)
        return OrderedMapSetResult(replaced: nil, appended: appended)
    }

    @inlinable
    package mutating func remove(_ key: [UInt8]) -> Value? {
        let place = self.keys.find(key)
        guard place.found else { return nil }
        _ = self.keys.remove(at: place.index)
        return self.values.remove(at: place.index)
    }

    @inlinable
    package mutating func removeAll(from lower: [UInt8], to upper: [UInt8]?) -> Int {
        let start = self.keys.lowerBound(lower)
        let end = upper.map { self.keys.lowerBound($0) } ?? self.keys.count
        guard start < end else { return 0 }
        self.keys.removeSubrange(start..<end)
        self.values.removeSubrange(start..<end)
        return end - start
    }

    @inlinable
    package mutating func split(at index: Int) -> (separator: [UInt8], right: Self) {
        let right = Self(keys: self.keys.split(at: index), values: Array(self.values[index...]))
        self.values.removeSubrange(index...)
        return (right.keys.keys.first ?? [], right)
    }

    @inlinable
    package mutating func append(_ right: Self, separator: [UInt8]) {
        self.keys.append(contentsOf: right.keys.keys)
        self.values.append(contentsOf: right.values)
    }
}
