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

    /// What is done, without the bytes that it is done to.
    struct Shape: Sendable, Hashable {
        var kind: Kind
        var assertion = Assertion.none
        /// Whether a pessimistic transaction holds the key's lock.
        var isPessimisticLock = false
        /// Whether prewrite does the check that locking would have done.
        var needsConstraintCheck = false
        /// What locking the key has shown already to be otherwise than asserted.
        var isAssertionRefuted = false

        /// Whether it leaves a lock that must be committed.
        var leavesLock: Bool { self.kind != .checkNotExists }

        /// Whether its lock may be the one that decides.
        var canBePrimary: Bool { self.leavesLock && self.kind != .sharedLock }
    }

    let shape: Shape
    var key: [UInt8]
    var value: [UInt8] = []
    /// The timestamp that the pessimistic lock must have; 0 where any will do.
    var expectedForUpdate: UInt64 = 0

    var kind: Kind { self.shape.kind }
    var assertion: Assertion { self.shape.assertion }
    var isPessimisticLock: Bool { self.shape.isPessimisticLock }
    var needsConstraintCheck: Bool { self.shape.needsConstraintCheck }
    var isAssertionRefuted: Bool { self.shape.isAssertionRefuted }
    var leavesLock: Bool { self.shape.leavesLock }
    var canBePrimary: Bool { self.shape.canBePrimary }

    /// The bytes that it adds to a request.
    var size: Int { self.key.count + self.value.count }

    /// What is to be committed of a key; nil where nothing is.
    ///
    /// - Parameter isUnnecessary: says of a value that it need not be written; then at most its key is locked.
    init?(_ entry: BufferEntry, isPessimistic: Bool, isUnnecessary: ([UInt8], [UInt8]) -> Bool = { _, _ in false }) {
        let kind: SealedWrites.Kind
        var isLeftOut = false
        switch entry.value {
        case .put(let value):
            kind = .put
            isLeftOut = isUnnecessary(entry.key, value)
        case .delete: kind = .delete
        case nil: kind = .flags
        }
        guard let shape = Shape(kind, entry.flags, isPessimistic: isPessimistic, isUnnecessary: isLeftOut) else {
            return nil
        }
        self.init(shape, entry.key, value: entry.value?.bytes ?? [])
    }

    init(_ kind: Kind, _ key: [UInt8], value: [UInt8] = []) {
        self.init(Shape(kind: kind), key, value: value)
    }

    init(_ shape: Shape, _ key: [UInt8], value: [UInt8]) {
        self.shape = shape
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

extension Mutation.Shape {
    /// What is to be done with a key; nil where nothing is.
    ///
    /// - Parameter isUnnecessary: whether its value need not be written; then at most the key is locked.
    init?(_ written: SealedWrites.Kind, _ flags: KeyFlags, isPessimistic: Bool, isUnnecessary: Bool) {
        let isLocked = flags.contains(.locked)
        let isInsert = flags.contains(.presumeNotExists)
        switch written {
        case .put where isUnnecessary:
            // A lock that was taken must go.
            guard isLocked || flags.contains(.needLocked) else { return nil }
            self.init(kind: .lock)
        case .put:
            self.init(kind: isInsert ? .insert : .put)
        case .delete:
            if isInsert, !isLocked || !isPessimistic {
                // The transaction made the key itself and took it back: that nobody else has made it is still to be
                // checked, since it was promised.
                self.init(kind: .checkNotExists)
            } else if flags.contains(.newlyInserted) {
                // It was never there: no more than its lock is left.
                guard isLocked else { return nil }
                self.init(kind: .lock)
            } else {
                self.init(kind: .delete)
            }
        case .flags:
            guard isLocked || flags.contains(.needLocked) else { return nil }
            self.init(kind: isPessimistic && flags.contains(.lockedInShareMode) ? .sharedLock : .lock)
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
}
