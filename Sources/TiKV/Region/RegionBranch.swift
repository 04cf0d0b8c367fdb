// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// A level of a `RegionIndex`.
protocol RegionNode: AnyObject, Sendable {
    static var maximumWidth: Int { get }
    /// How many children or regions there are, at least one.
    var width: Int { get }
    /// Where its first region begins.
    var firstKey: [UInt8] { get }

    /// With what the node to its right has.
    func joined(with right: Self) -> Self
}

/// A level above the leaves: its children in order. Never changes, so that snapshots share it.
final class RegionBranch<Child: RegionNode>: RegionNode {
    static var maximumWidth: Int { 64 }

    let children: [Child]
    /// Where all children but the first begin.
    private let digest: KeyDigest

    init(_ children: [Child]) {
        self.children = children
        self.digest = KeyDigest(children.dropFirst().map(\.firstKey))
    }

    private init(_ children: [Child], _ digest: KeyDigest) {
        self.children = children
        self.digest = digest
    }

    var width: Int { self.children.count }

    var firstKey: [UInt8] { self.children[0].firstKey }

    /// The last child that begins at a key or before it; the first where none does.
    func index(of key: [UInt8]) -> Int {
        self.digest.count(before: key, orEqual: true) { self.children[$0 + 1].firstKey }
    }

    // MARK: - Changing

    /// With another child, or two, in the place of one; in two parts where it has grown too wide.
    func replacing(
        _ index: Int, with left: Child, _ right: Child?, maximumWidth: Int = RegionBranch.maximumWidth
    ) -> (left: RegionBranch, right: RegionBranch?) {
        var children = self.children
        let isSameStart = index == 0 || KeyOrder.compare(children[index].firstKey, left.firstKey) == 0
        children[index] = left
        guard let right else {
            return (isSameStart ? RegionBranch(children, self.digest) : RegionBranch(children), nil)
        }
        children.insert(right, at: index + 1)
        if children.count > maximumWidth {
            let middle = index + 1 == children.count - 1 ? index + 1 : children.count / 2
            return (RegionBranch(Array(children[..<middle])), RegionBranch(Array(children[middle...])))
        }
        var digest = self.digest
        guard isSameStart, digest.insert(right.firstKey, at: index) else { return (RegionBranch(children), nil) }
        return (RegionBranch(children, digest), nil)
    }

    /// With less in one child, or without it; small neighbours become one. Nil where nothing is left.
    func shrinking(_ index: Int, to child: Child?) -> RegionBranch? {
        var children = self.children
        guard let child else {
            if children.count == 1 { return nil }
            children.remove(at: index)
            var digest = self.digest
            digest.remove(at: max(0, index - 1))
            return RegionBranch(children, digest)
        }
        children[index] = child
        if child.width <= Child.maximumWidth / 4 {
            for left in [index, index - 1] where left >= 0 && left + 1 < children.count {
                guard children[left].width + children[left + 1].width <= Child.maximumWidth / 2 else { continue }
                children[left] = children[left].joined(with: children[left + 1])
                children.remove(at: left + 1)
                return RegionBranch(children)
            }
        }
        let isSameStart = index == 0 || KeyOrder.compare(self.children[index].firstKey, child.firstKey) == 0
        return isSameStart ? RegionBranch(children, self.digest) : RegionBranch(children)
    }

    func joined(with right: RegionBranch) -> RegionBranch { RegionBranch(self.children + right.children) }
}
