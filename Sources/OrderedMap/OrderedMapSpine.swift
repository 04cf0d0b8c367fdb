// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A level above the leaves: its children in order, and between them the keys that tell where to look.
///
/// No child is ever empty. `separators[i]` is after every key in child `i` and not after any key in child `i + 1`. A
/// separator stays valid when the key it was taken from goes.
@usableFromInline
package struct OrderedMapSpine<Child: OrderedMapNode>: OrderedMapNode {
    @usableFromInline package typealias Value = Child.Value

    @usableFromInline package var separators: KeyList
    @usableFromInline package var children: [Child]
    @usableFromInline package var count: Int

    @inlinable
    package static var maximumWidth: Int { 128 }

    @inlinable
    package init() {
        self.separators = KeyList()
        self.children = []
        self.count = 0
    }

    @inlinable
    package init(key: [UInt8], value: Value) {
        self.separators = KeyList()
        self.children = [Child(key: key, value: value)]
        self.count = 1
    }

    @inlinable
    package var width: Int { self.children.count }

    @inlinable
    package var first: (key: [UInt8], value: Value)? { self.children.first?.first }

    @inlinable
    package var last: (key: [UInt8], value: Value)? { self.children.last?.last }

    /// The child in which `key` is or would have to go; nil while there is none.
    @inlinable
    package func index(for key: [UInt8]) -> Int? {
        if self.children.isEmpty { return nil }
        return self.separators.upperBound(key)
    }

    // MARK: - Reading

    @inlinable
    package func value(for key: [UInt8]) -> Value? {
        guard let index = self.index(for: key) else { return nil }
        return self.children[index].value(for: key)
    }

    @inlinable
    package func entry(before key: [UInt8], orEqual: Bool) -> (key: [UInt8], value: Value)? {
        guard let index = self.index(for: key) else { return nil }
        if let entry = self.children[index].entry(before: key, orEqual: orEqual) { return entry }
        return index > 0 ? self.children[index - 1].last : nil
    }

    @inlinable
    package func entry(after key: [UInt8], orEqual: Bool) -> (key: [UInt8], value: Value)? {
        guard let index = self.index(for: key) else { return nil }
        if let entry = self.children[index].entry(after: key, orEqual: orEqual) { return entry }
        return index + 1 < self.children.count ? self.children[index + 1].first : nil
    }

    // MARK: - Changing

    @inlinable
    package mutating func set(_ key: [UInt8], _ value: Value) -> OrderedMapSetResult<Value> {
        guard let index = self.index(for: key) else {
            self = Self(key: key, value: value)
            return OrderedMapSetResult(replaced: nil, appended: true)
        }
        var result = self.children[index].set(key, value)
        if result.replaced != nil { return result }
        self.count += 1
        result.appended = result.appended && index == self.children.count - 1
        let width = self.children[index].width
        if width > Child.maximumWidth {
            // Keys that arrive in order leave full nodes behind them.
            let (separator, right) = self.children[index].split(at: result.appended ? width - 1 : width / 2)
            self.separators.insert(separator, at: index)
            self.children.insert(right, at: index + 1)
        }
        return result
    }

    @inlinable
    package mutating func remove(_ key: [UInt8]) -> Value? {
        guard let index = self.index(for: key), let removed = self.children[index].remove(key) else { return nil }
        self.count -= 1
        self.tidy(at: index)
        return removed
    }

    @inlinable
    package mutating func removeAll(from lower: [UInt8], to upper: [UInt8]?) -> Int {
        guard let first = self.index(for: lower) else { return 0 }
        let last = upper.flatMap { self.index(for: $0) } ?? self.children.count - 1
        guard first <= last else { return 0 }
        var removed = 0
        if last > first {
            removed += self.children[last].removeAll(from: lower, to: upper)
            let between = (first + 1)..<last
            for child in self.children[between] { removed += child.count }
            self.children.removeSubrange(between)
            self.separators.removeSubrange(first..<(last - 1))
            self.tidy(at: first + 1)
        }
        removed += self.children[first].removeAll(from: lower, to: upper)
        self.tidy(at: first)
        self.count -= removed
        return removed
    }

    /// Drops the child where it is empty, and joins it with a neighbour where both are small.
    @inlinable
    package mutating func tidy(at index: Int) {
        let width = self.children[index].width
        if width == 0 {
            self.children.remove(at: index)
            // What was between the child and a neighbour goes; of two separators either would do for the other.
            if self.separators.count > 0 { _ = self.separators.remove(at: max(0, index - 1)) }
            return
        }
        if width > Child.maximumWidth / 4 { return }
        for left in [index, index - 1] where left >= 0 && left + 1 < self.children.count {
            if self.children[left].width + self.children[left + 1].width > Child.maximumWidth / 2 { continue }
            let right = self.children.remove(at: left + 1)
            self.children[left].append(right, separator: self.separators.remove(at: left))
            return
        }
    }

    @inlinable
    package mutating func split(at index: Int) -> (separator: [UInt8], right: Self) {
        var right = Self()
        right.separators = self.separators.split(at: index)
        right.children = Array(self.children[index...])
        for child in right.children { right.count += child.count }
        self.children.removeSubrange(index...)
        self.count -= right.count
        return (self.separators.remove(at: index - 1), right)
    }

    @inlinable
    package mutating func append(_ right: Self, separator: [UInt8]) {
        self.separators.append(contentsOf: [separator] + right.separators.keys)
        self.children.append(contentsOf: right.children)
        self.count += right.count
    }
}
