// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto
import TiKVWriteBuffer

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// One key of a commit.
struct Mutation: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case put
        case delete
        /// The key must not be there, and is then put.
        case insert
        /// The key keeps its value; its lock alone takes part.
        case lock
        /// The same for a lock that is shared with other transactions.
        case sharedLock
        /// The key must not be there; leaves no lock.
        case checkNotExists
    }

    enum Assertion: Sendable, Hashable {
        case none
        case exist
        case notExist
    }

    var kind: Kind
    var key: [UInt8]
    var value: [UInt8] = []
    var assertion = Assertion.none
    /// Whether a pessimistic transaction holds the key's lock.
    var isPessimisticLock = false
    /// Whether prewrite does the check that locking would have done.
    var needsConstraintCheck = false
    /// What locking the key has shown already to be otherwise than asserted.
    var isAssertionRefuted = false
    /// The timestamp that the pessimistic lock must have; 0 where any will do.
    var expectedForUpdate: UInt64 = 0

    /// The bytes that it adds to a request.
    var size: Int { self.key.count + self.value.count }

    /// Whether it leaves a lock that must be committed.
    var leavesLock: Bool { self.kind != .checkNotExists }

    /// Whether its lock may be the one that decides.
    var canBePrimary: Bool { self.leavesLock && self.kind != .sharedLock }

    /// What is to be committed of a key; nil where nothing is.
    ///
    /// - Parameter isUnnecessary: says of a value that it need not be written; then at most its key is locked.
    init?(_ entry: BufferEntry, isPessimistic: Bool, isUnnecessary: ([UInt8], [UInt8]) -> Bool = { _, _ in false }) {
        let flags = entry.flags
        let isLocked = flags.contains(.locked)
        let isInsert = flags.contains(.presumeNotExists)
        switch entry.value {
        case .put(let value) where isUnnecessary(entry.key, value):
            // A lock that was taken must go.
            guard isLocked || flags.contains(.needLocked) else { return nil }
            self.kind = .lock
            self.key = entry.key
            self.value = value
        case .put(let value):
            self.kind = isInsert ? .insert : .put
            self.key = entry.key
            self.value = value
        case .delete:
            if isInsert, !isLocked || !isPessimistic {
                // The transaction made the key itself and took it back: that nobody else has made it is still to be
                // checked, since it was promised.
                self.kind = .checkNotExists
            } else if flags.contains(.newlyInserted) {
                // It was never there: no more than its lock is left.
                guard isLocked else { return nil }
                self.kind = .lock
            } else {
                self.kind = .delete
            }
            self.key = entry.key
        case nil:
            guard isLocked || flags.contains(.needLocked) else { return nil }
            self.kind = isPessimistic && flags.contains(.lockedInShareMode) ? .sharedLock : .lock
            self.key = entry.key
        }
        if flags.contains(.prewriteOnly) { self.kind = .checkNotExists }
        switch (flags.contains(.assertExist), flags.contains(.assertNotExist)) {
        case (true, false): self.assertion = .exist
        case (false, true): self.assertion = .notExist
        case (true, true), (false, false): self.assertion = .none
        }
        self.isPessimisticLock = isPessimistic && isLocked
        switch self.assertion {
        case .none: break
        case .exist: self.isAssertionRefuted = self.isPessimisticLock && !flags.contains(.lockedValueExists)
        case .notExist: self.isAssertionRefuted = self.isPessimisticLock && flags.contains(.lockedValueExists)
        }
        self.needsConstraintCheck = flags.contains(.needConstraintCheckInPrewrite)
    }

    init(_ kind: Kind, _ key: [UInt8], value: [UInt8] = []) {
        self.kind = kind
        self.key = key
        self.value = value
    }

    /// As it goes to a store.
    var proto: Kvrpcpb_Mutation {
        var proto = Kvrpcpb_Mutation()
        proto.op =
            switch self.kind {
            case .put: .put
            case .delete: .del
            case .insert: .insert
            case .lock: .lock
            case .sharedLock: .sharedLock
            case .checkNotExists: .checkNotExists
            }
        proto.key = Data(self.key)
        if !self.value.isEmpty { proto.value = Data(self.value) }
        switch self.assertion {
        case .none: break
        case .exist: proto.assertion = .exist
        case .notExist: proto.assertion = .notExist
        }
        return proto
    }

    /// What prewrite does about the pessimistic lock.
    var pessimisticAction: Kvrpcpb_PrewriteRequest.PessimisticAction {
        if self.isPessimisticLock { return .doPessimisticCheck }
        return self.needsConstraintCheck ? .doConstraintCheck : .skipPessimisticCheck
    }
}

/// All that a transaction commits, in the order of the keys. Pure.
struct CommitPlan: Sendable {
    let mutations: [Mutation]
    /// The key whose lock decides; empty where no key leaves a lock.
    let primary: [UInt8]
    /// The bytes of keys and values.
    let size: Int

    var isEmpty: Bool { self.mutations.isEmpty }

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
        self.mutations = mutations
        // A primary must have a lock, else whoever meets another lock of the transaction would find it missing and take
        // the transaction for dead.
        self.primary = primary ?? mutations.first { $0.canBePrimary }?.key ?? []
        self.size = mutations.reduce(0) { $0 + $1.size }
    }

    /// The mutations that leave locks.
    var locked: [Mutation] { self.mutations.filter(\.leavesLock) }

    /// Pieces of a region's mutations, each small enough for one request.
    static func batches(_ mutations: ArraySlice<Mutation>, bytes: Int = 16 << 10) -> [[Mutation]] {
        var batches: [[Mutation]] = []
        var batch: [Mutation] = []
        var size = 0
        for mutation in mutations {
            batch.append(mutation)
            size += mutation.size
            if size >= bytes {
                batches.append(batch)
                batch = []
                size = 0
            }
        }
        if !batch.isEmpty { batches.append(batch) }
        return batches
    }
}
