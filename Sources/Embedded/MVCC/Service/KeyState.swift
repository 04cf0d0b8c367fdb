// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension EmbeddedCluster {
    /// What the stores hold of a key of the transactional API.
    public struct KeyState: Hashable, Sendable {
        /// What a lock or a version is about.
        public enum Kind: Hashable, Sendable {
            /// A value is written.
            case put
            /// The key is deleted.
            case delete
            /// Nothing is written; the key was only locked.
            case lock
            /// Of a version: the transaction was rolled back here.
            case rollback
            /// Of a lock: a statement of a pessimistic transaction holds it.
            case pessimistic
        }

        /// A lock that a transaction holds.
        public struct Lock: Hashable, Sendable {
            /// What will be written when it is committed.
            public var kind: Kind
            /// The start timestamp of the transaction.
            public var startTS: UInt64
            /// The key by which the fate of the transaction is decided.
            public var primary: [UInt8]
            /// For how long the transaction is taken to be alive, from its start on. In milliseconds.
            public var ttl: UInt64
            /// Not 0 in a pessimistic transaction.
            public var forUpdateTS: UInt64
            /// No commit timestamp may be below it; 0 where readers may not push it.
            public var minCommitTS: UInt64
            /// The number of keys that the transaction has, as far as the client said so.
            public var txnSize: UInt64
            /// Whether the transaction is committed as soon as all its keys are locked.
            public var usesAsyncCommit: Bool
            /// The other keys of the transaction; at the primary of an async commit only.
            public var secondaries: [[UInt8]]
            /// The value that will be written, where it has at most 255 bytes.
            public var value: [UInt8]?

            /// A lock; what is not named is 0 or empty.
            public init(
                kind: Kind = .put, startTS: UInt64, primary: [UInt8], ttl: UInt64 = 3000, forUpdateTS: UInt64 = 0,
                minCommitTS: UInt64 = 0, txnSize: UInt64 = 0, usesAsyncCommit: Bool = false,
                secondaries: [[UInt8]] = [], value: [UInt8]? = nil
            ) {
                self.kind = kind
                self.startTS = startTS
                self.primary = primary
                self.ttl = ttl
                self.forUpdateTS = forUpdateTS
                self.minCommitTS = minCommitTS
                self.txnSize = txnSize
                self.usesAsyncCommit = usesAsyncCommit
                self.secondaries = secondaries
                self.value = value
            }
        }

        /// What a transaction left when it ended.
        public struct Version: Hashable, Sendable {
            /// What the transaction did with the key.
            public var kind: Kind
            /// When it was committed; of a rollback, its start timestamp.
            public var commitTS: UInt64
            /// The start timestamp of the transaction.
            public var startTS: UInt64
            /// The value of a put.
            public var value: [UInt8]?
        }

        /// The locks on the key: none, one, or several that share it.
        public var locks: [Lock]
        /// All versions, the newest first.
        public var versions: [Version]
    }
}

extension EmbeddedCluster.KeyState {
    init(_ store: MVCCStore, _ key: TxnKey) {
        let reader = MVCCReader(store: store, startTS: .max)
        self.locks = (store.locks[key.encoded]?.records ?? []).map { Lock($0) }
        self.versions = store.versions(key).map { commitTS, write in
            Version(
                kind: Kind(write.kind), commitTS: commitTS, startTS: write.startTS,
                value: write.kind == .put ? [UInt8](reader.value(of: write, key)) : nil)
        }
    }
}

extension EmbeddedCluster.KeyState.Kind {
    init(_ kind: WriteRecord.Kind) {
        switch kind {
        case .put: self = .put
        case .delete: self = .delete
        case .lock: self = .lock
        case .rollback: self = .rollback
        }
    }

    init(_ kind: LockRecord.Kind) {
        switch kind {
        case .put: self = .put
        case .delete: self = .delete
        case .lock: self = .lock
        case .pessimistic: self = .pessimistic
        }
    }

    /// A rollback is no lock; taken for one, it locks and writes nothing.
    fileprivate var lockKind: LockRecord.Kind {
        switch self {
        case .put: .put
        case .delete: .delete
        case .lock, .rollback: .lock
        case .pessimistic: .pessimistic
        }
    }
}

extension EmbeddedCluster.KeyState.Lock {
    init(_ lock: LockRecord) {
        self.init(
            kind: EmbeddedCluster.KeyState.Kind(lock.kind), startTS: lock.startTS, primary: lock.primary, ttl: lock.ttl,
            forUpdateTS: lock.forUpdateTS, minCommitTS: lock.minCommitTS, txnSize: lock.txnSize,
            usesAsyncCommit: lock.usesAsyncCommit, secondaries: lock.secondaries,
            value: lock.shortValue.map { [UInt8]($0) })
    }
}

extension LockRecord {
    init(_ lock: EmbeddedCluster.KeyState.Lock) {
        self.init(
            kind: lock.kind.lockKind, primary: lock.primary, startTS: lock.startTS, ttl: lock.ttl,
            shortValue: lock.value.map { Data($0) }, forUpdateTS: lock.forUpdateTS, txnSize: lock.txnSize,
            minCommitTS: lock.minCommitTS, usesAsyncCommit: lock.usesAsyncCommit, secondaries: lock.secondaries)
    }
}
