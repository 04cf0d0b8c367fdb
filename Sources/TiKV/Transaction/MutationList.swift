// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap
import TiKVWriteBuffer

/// The mutations of a commit in the order of their keys, or a part of them.
///
/// They are made one by one, when they are asked for, from what the transaction has written: a list, and all its parts, cost
/// no memory but a few bytes a key, however large the transaction is.
struct MutationList: RandomAccessCollection, Sendable {
    /// What a commit takes from the writes of a transaction.
    final class Writes: Sendable {
        struct Item: Sendable {
            var number: UInt32
            var shape: Mutation.Shape
        }

        let writes: SealedWrites
        let items: ContiguousArray<Item>
        /// The timestamps that pessimistic locks must have.
        let constraints: [[UInt8]: UInt64]

        init(
            _ buffer: consuming WriteBuffer, isPessimistic: Bool, constraints: [[UInt8]: UInt64] = [:],
            isUnnecessary: ([UInt8], [UInt8]) -> Bool = { _, _ in false }
        ) {
            var items: ContiguousArray<Item> = []
            items.reserveCapacity(buffer.keyCount)
            self.writes = SealedWrites(buffer) { entry, key, value in
                let shape = Mutation.Shape(
                    entry.kind, entry.flags, isPessimistic: isPessimistic,
                    isUnnecessary: entry.kind == .put && isUnnecessary(key, value()))
                if let shape { items.append(Item(number: entry.number, shape: shape)) }
            }
            self.items = items
            self.constraints = constraints
        }

        fileprivate func mutation(_ item: Item) -> Mutation {
            var mutation = Mutation(
                item.shape, self.writes.key(item.number), value: self.writes.value(item.number))
            if item.shape.isPessimisticLock, !self.constraints.isEmpty {
                mutation.expectedForUpdate = self.constraints[mutation.key] ?? 0
            }
            return mutation
        }
    }

    private enum Source: Sendable {
        case mutations([Mutation])
        case writes(Writes)
    }

    private let source: Source
    let startIndex: Int
    let endIndex: Int

    init(_ mutations: some Sequence<Mutation>) {
        let mutations = Array(mutations)
        self.init(.mutations(mutations), 0..<mutations.count)
    }

    init(_ writes: Writes) {
        self.init(.writes(writes), 0..<writes.items.count)
    }

    private init(_ source: Source, _ bounds: Range<Int>) {
        self.source = source
        self.startIndex = bounds.lowerBound
        self.endIndex = bounds.upperBound
    }

    subscript(position: Int) -> Mutation {
        precondition(self.indices.contains(position), "no such mutation")
        switch self.source {
        case .mutations(let mutations): return mutations[position]
        case .writes(let writes): return writes.mutation(writes.items[position])
        }
    }

    subscript(bounds: Range<Int>) -> MutationList {
        MutationList(self.source, bounds.clamped(to: self.startIndex..<self.endIndex))
    }

    // MARK: - Without making mutations

    func shape(at position: Int) -> Mutation.Shape {
        switch self.source {
        case .mutations(let mutations): mutations[position].shape
        case .writes(let writes): writes.items[position].shape
        }
    }

    func key(at position: Int) -> [UInt8] {
        switch self.source {
        case .mutations(let mutations): mutations[position].key
        case .writes(let writes): writes.writes.key(writes.items[position].number)
        }
    }

    /// The bytes of a key.
    func keySize(at position: Int) -> Int {
        switch self.source {
        case .mutations(let mutations): mutations[position].key.count
        case .writes(let writes): writes.writes.keySize(writes.items[position].number)
        }
    }

    /// The bytes of a key and its value.
    func size(at position: Int) -> Int {
        switch self.source {
        case .mutations(let mutations): return mutations[position].size
        case .writes(let writes):
            let number = writes.items[position].number
            return writes.writes.keySize(number) + writes.writes.valueSize(number)
        }
    }

    /// The first place whose key does not come before another; the end where there is none.
    func place(notBefore key: [UInt8]) -> Int {
        var (low, high) = (self.startIndex, self.endIndex)
        while low < high {
            let middle = (low + high) / 2
            if self.compare(key, middle) > 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The place of a key; nil where it is not there.
    func place(of key: [UInt8]) -> Int? {
        let place = self.place(notBefore: key)
        return place < self.endIndex && self.compare(key, place) == 0 ? place : nil
    }

    /// Negative where `key` comes before the one at a place, positive where it comes after, 0 where they are equal.
    private func compare(_ key: [UInt8], _ position: Int) -> Int {
        switch self.source {
        case .mutations(let mutations): KeyOrder.compare(key, mutations[position].key)
        case .writes(let writes): writes.writes.compare(key, writes.items[position].number)
        }
    }

    // MARK: - Parts

    /// The keys that leave locks.
    var lockedKeys: [[UInt8]] {
        self.indices.compactMap { self.shape(at: $0).leavesLock ? self.key(at: $0) : nil }
    }

    /// Pieces, each of which ends where it is large enough for one request.
    func pieces(bytes limit: Int, size: (Int) -> Int) -> [MutationList] {
        var pieces: [MutationList] = []
        var start = self.startIndex
        var bytes = 0
        for position in self.indices {
            bytes += size(position)
            if bytes >= limit {
                pieces.append(self[start..<position + 1])
                start = position + 1
                bytes = 0
            }
        }
        if start < self.endIndex { pieces.append(self[start..<self.endIndex]) }
        return pieces
    }

    /// What is left without some places.
    ///
    /// - Parameter ranges: in any order; they may overlap.
    func without(_ ranges: [Range<Int>]) -> [MutationList] {
        var parts: [MutationList] = []
        var start = self.startIndex
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
            if start < range.lowerBound { parts.append(self[start..<range.lowerBound]) }
            start = Swift.max(start, range.upperBound)
        }
        if start < self.endIndex { parts.append(self[start..<self.endIndex]) }
        return parts
    }
}
