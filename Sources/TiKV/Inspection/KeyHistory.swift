// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// All that a store has of one key: its lock and its versions, those that nobody can read any more included. See
/// ``TransactionClient/history(of:timeout:)``.
public struct KeyHistory: Sendable, Hashable {
    /// What a lock or a version is about. More may come with later versions.
    public struct Kind: Sendable, Hashable, CustomStringConvertible {
        /// The name, such as `put`.
        public let description: String

        /// A value is written.
        public static var put: Kind { Kind(description: "put") }
        /// The key is deleted.
        public static var delete: Kind { Kind(description: "delete") }
        /// Nothing is written: the key was only locked.
        public static var lock: Kind { Kind(description: "lock") }
        /// Of a version: the transaction was rolled back here.
        public static var rollback: Kind { Kind(description: "rollback") }
        /// Of a lock: a pessimistic transaction holds it and has not begun to commit.
        public static var pessimistic: Kind { Kind(description: "pessimistic") }
        /// Whatever else a store may name.
        public static var other: Kind { Kind(description: "other") }
    }

    /// The lock of a transaction.
    public struct Lock: Sendable, Hashable {
        /// What comes of it when it is committed.
        public var kind: Kind
        /// The transaction, by when it began.
        public var holder: Timestamp
        /// The key that decides about the transaction.
        public var primary: Key
        /// The value that will be written; nil where it is long or there is none.
        public var value: Value?
    }

    /// What a transaction left when it ended.
    public struct Version: Sendable, Hashable {
        /// What it did with the key.
        public var kind: Kind
        /// When it began.
        public var startTimestamp: Timestamp
        /// When it was committed; of a rollback, when it began.
        public var commitTimestamp: Timestamp
        /// The value of a ``Kind/put``.
        public var value: Value?
    }

    /// The lock; nil where nobody has one. Of a lock that several transactions share that of one of them.
    public var lock: Lock?
    /// The versions, the newest first.
    public var versions: [Version]

    init(_ info: Kvrpcpb_MvccInfo) {
        if info.hasLock {
            self.lock = Lock(
                kind: Kind(info.lock.type), holder: Timestamp(rawValue: info.lock.startTs),
                primary: Key(info.lock.primary),
                value: info.lock.shortValue.isEmpty ? nil : Value([UInt8](info.lock.shortValue)))
        }
        let values = Dictionary(
            info.values.map { ($0.startTs, Value([UInt8]($0.value))) }, uniquingKeysWith: { first, _ in first })
        self.versions = info.writes.map { write in
            let kind = Kind(write.type)
            // A short value stands in the record itself, one without bytes too.
            let value = kind == .put ? values[write.startTs] ?? Value([UInt8](write.shortValue)) : nil
            return Version(
                kind: kind, startTimestamp: Timestamp(rawValue: write.startTs),
                commitTimestamp: Timestamp(rawValue: write.commitTs), value: value)
        }
    }
}

extension KeyHistory.Kind {
    init(_ operation: Kvrpcpb_Op) {
        switch operation {
        case .put, .insert: self = .put
        case .del: self = .delete
        case .lock, .sharedLock: self = .lock
        case .rollback: self = .rollback
        case .pessimisticLock, .sharedPessimisticLock: self = .pessimistic
        case .checkNotExists, .UNRECOGNIZED: self = .other
        }
    }
}
