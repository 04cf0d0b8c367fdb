// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// One change that a transaction asks for at prewrite.
struct Mutation: Sendable {
    enum Kind: Sendable {
        case put
        case delete
        /// Nothing is written; the key must not change before the commit.
        case lock
        /// A put that wants the key not to exist.
        case insert
        /// No lock is left behind, only looked at.
        case checkNotExists
        /// The key is shared with other transactions that only lock it.
        case sharedLock
    }

    enum Assertion: Sendable {
        case none
        case exist
        case notExist
    }

    enum PessimisticAction: Sendable {
        /// The key was not locked before.
        case skip
        /// The key must have been locked by this transaction.
        case check
        /// The key was not locked before, and is checked for newer versions as in an optimistic transaction.
        case constraintCheck
    }

    var kind: Kind
    var key: TxnKey
    var value = Data()
    var assertion = Assertion.none
    var pessimisticAction = PessimisticAction.skip
    /// The `forUpdateTS` that the pessimistic lock has to have.
    var expectedForUpdateTS: UInt64?

    /// Whether the key must not exist.
    var forbidsExistence: Bool { self.kind == .insert || self.kind == .checkNotExists }

    var lockKind: LockRecord.Kind {
        switch self.kind {
        case .put, .insert: .put
        case .delete: .delete
        case .lock, .sharedLock, .checkNotExists: .lock
        }
    }
}

/// How thoroughly assertions are checked.
enum AssertionLevel: Sendable {
    case off
    /// Where the version has been read anyway.
    case fast
    case strict
}
