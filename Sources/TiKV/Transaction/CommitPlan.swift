// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap
import TiKVWriteBuffer

/// All that a transaction commits, in the order of the keys. Pure.
struct CommitPlan: Sendable {
    let mutations: MutationList
    /// The key whose lock decides; empty where no key leaves a lock.
    let primary: [UInt8]
    /// The bytes of keys and values.
    let size: Int
    /// The first key of which locking has shown that it is otherwise than asserted.
    let refuted: Int?

    var isEmpty: Bool { self.mutations.isEmpty }

    /// The plan of a transaction that takes no more writes: nothing is copied.
    ///
    /// - Parameter primary: the one that pessimistic locks name already.
    init(_ writes: MutationList.Writes, primary: [UInt8]? = nil) {
        self.init(MutationList(writes), primary: primary)
    }

    /// The plan of what has been written so far, of which it has a copy.
    ///
    /// - Parameters:
    ///   - primary: the one that pessimistic locks name already.
    ///   - constraints: the timestamps that pessimistic locks must have.
    ///   - isUnnecessary: says of a value that it need not be written.
    init(
        _ buffer: borrowing WriteBuffer, isPessimistic: Bool, primary: [UInt8]? = nil,
        constraints: [[UInt8]: UInt64] = [:], isUnnecessary: ([UInt8], [UInt8]) -> Bool = { _, _ in false }
    ) throws(WriteBufferError) {
        var mutations: [Mutation] = []
        mutations.reserveCapacity(buffer.count)
        var cursor = WriteBuffer.Cursor(includesFlagged: true)
        while let entry = try buffer.next(&cursor) {
            guard var mutation = Mutation(entry, isPessimistic: isPessimistic, isUnnecessary: isUnnecessary) else {
                continue
            }
            if mutation.isPessimisticLock, !constraints.isEmpty {
                mutation.expectedForUpdate = constraints[mutation.key] ?? 0
            }
            mutations.append(mutation)
        }
        self.init(mutations, primary: primary)
    }

    init(_ mutations: [Mutation], primary: [UInt8]? = nil) {
        self.init(MutationList(mutations), primary: primary)
    }

    init(_ mutations: MutationList, primary: [UInt8]? = nil) {
        self.mutations = mutations
        // A primary must have a lock, else whoever meets another lock of the transaction would find it missing and take
        // the transaction for dead.
        self.primary =
            primary ?? mutations.indices.first { mutations.shape(at: $0).canBePrimary }.map { mutations.key(at: $0) }
            ?? []
        self.size = mutations.indices.reduce(0) { $0 + mutations.size(at: $1) }
        self.refuted = mutations.indices.first { mutations.shape(at: $0).isAssertionRefuted }
    }

    /// The mutations that leave locks, all of them made: for few.
    var locked: [Mutation] { self.mutations.filter(\.leavesLock) }

    /// What goes with the primary when it is committed.
    struct PrimaryBatch: Sendable {
        /// The primary, and keys next to it that leave locks.
        var keys: [[UInt8]]
        /// The places of the keys that are done with it.
        var places: [Range<Int>]
    }

    /// The primary, and keys that lie in its region, up to what one request carries.
    ///
    /// - Parameters:
    ///   - start: the region's first key.
    ///   - end: the key after its last; empty for no end.
    func primaryBatch(start: [UInt8], end: [UInt8], bytes limit: Int = 16 << 10) -> PrimaryBatch {
        var keys = [self.primary]
        var size = self.primary.count
        let place = self.mutations.place(of: self.primary)
        let first = self.mutations.place(notBefore: start)
        let last = end.isEmpty ? self.mutations.endIndex : self.mutations.place(notBefore: end)
        var next = first
        while next < last {
            if next != place, self.mutations.shape(at: next).leavesLock {
                size += self.mutations.keySize(at: next)
                guard size <= limit else { break }
                keys.append(self.mutations.key(at: next))
            }
            next += 1
        }
        return PrimaryBatch(keys: keys, places: [first..<max(first, next)] + (place.map { [$0..<$0 + 1] } ?? []))
    }
}
