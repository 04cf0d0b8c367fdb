// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

/// Regions that don't overlap, in the order of their keys.
///
/// A value type: copying it costs one retain. A change copies the way to the region, three small lists of references, so that
/// a snapshot can be published after each. A search reads one list of numbers on each level, and the region that it finds;
/// it looks at keys where numbers don't decide.
struct RegionIndex: Sendable {
    typealias Branch = RegionBranch<RegionLeaf>

    private var root: RegionBranch<Branch>?

    /// The top level may grow beyond any width; it does so from some 130,000 regions on, slowly.
    private static let topWidth = Int.max

    // MARK: - Reading

    /// The region that holds a key.
    func region(containing key: [UInt8]) -> CachedRegion? {
        guard let root = self.root else { return nil }
        let branch = root.children[root.index(of: key)]
        return branch.children[branch.index(of: key)].find(key)
    }

    /// The last region that begins before a key.
    ///
    /// - Parameter orEqual: or at it.
    func last(before key: [UInt8], orEqual: Bool) -> CachedRegion? {
        guard let root = self.root else { return nil }
        var place = Cursor(root, key)
        let region = root.children[place.branch].children[place.leaf].regions[place.entry]
        let order = KeyOrder.compare(region.startKey, key)
        if order < 0 || orEqual && order == 0 { return region }
        return place.stepBack()
    }

    var last: CachedRegion? { self.root?.children.last?.children.last?.regions.last }

    /// The regions that begin at a key or after it.
    func ascending(from key: [UInt8] = []) -> Ascending { Ascending(self.root, from: key) }

    struct Ascending: Sequence, IteratorProtocol {
        private var cursor: Cursor?

        fileprivate init(_ root: RegionBranch<Branch>?, from key: [UInt8]) {
            guard let root else { return }
            var cursor = Cursor(root, key)
            if let region = cursor.region, KeyOrder.isLess(region.startKey, key) { cursor.step() }
            self.cursor = cursor
        }

        mutating func next() -> CachedRegion? {
            guard let region = self.cursor?.region else { return nil }
            self.cursor?.step()
            return region
        }
    }

    // MARK: - Changing

    /// Puts a region in, in place of the one that begins where it does.
    mutating func insert(_ region: CachedRegion) {
        guard let root = self.root else {
            self.root = RegionBranch([RegionBranch([RegionLeaf([region])])])
            return
        }
        let top = root.index(of: region.startKey)
        let branch = root.children[top]
        let middle = branch.index(of: region.startKey)
        let leaves = branch.children[middle].inserting(region)
        let branches = branch.replacing(middle, with: leaves.left, leaves.right)
        self.root = root.replacing(top, with: branches.left, branches.right, maximumWidth: Self.topWidth).left
    }

    /// Takes a region out; another one that begins where it did stays.
    ///
    /// - Returns: whether it was there.
    @discardableResult
    mutating func remove(_ region: CachedRegion) -> Bool {
        guard let root = self.root else { return false }
        let top = root.index(of: region.startKey)
        let branch = root.children[top]
        let middle = branch.index(of: region.startKey)
        let leaf = branch.children[middle]
        let index = leaf.index(of: region.startKey)
        guard leaf.regions[index] === region else { return false }
        self.root = root.shrinking(top, to: branch.shrinking(middle, to: leaf.removing(at: index)))
        return true
    }

    // MARK: - Places

    /// A place in the tree: the last region that begins at a key or before it, or the first one.
    private struct Cursor {
        let root: RegionBranch<Branch>
        var branch: Int
        var leaf: Int
        var entry: Int

        init(_ root: RegionBranch<Branch>, _ key: [UInt8]) {
            self.root = root
            self.branch = root.index(of: key)
            self.leaf = root.children[self.branch].index(of: key)
            self.entry = root.children[self.branch].children[self.leaf].index(of: key)
        }

        /// Nil past the end.
        var region: CachedRegion? {
            guard self.branch < self.root.children.count else { return nil }
            return self.root.children[self.branch].children[self.leaf].regions[self.entry]
        }

        mutating func step() {
            self.entry += 1
            if self.entry < self.root.children[self.branch].children[self.leaf].regions.count { return }
            self.entry = 0
            self.leaf += 1
            if self.leaf < self.root.children[self.branch].children.count { return }
            self.leaf = 0
            self.branch += 1
        }

        /// The region before this one.
        mutating func stepBack() -> CachedRegion? {
            if self.entry > 0 {
                self.entry -= 1
            } else {
                if self.leaf > 0 {
                    self.leaf -= 1
                } else {
                    guard self.branch > 0 else { return nil }
                    self.branch -= 1
                    self.leaf = self.root.children[self.branch].children.count - 1
                }
                self.entry = self.root.children[self.branch].children[self.leaf].regions.count - 1
            }
            return self.region
        }
    }
}
