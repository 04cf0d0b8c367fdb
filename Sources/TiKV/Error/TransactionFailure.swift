// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What is known of a transaction that failed.
///
/// Its ``description`` is free of user data; keys are shown by ``debugDescription`` only.
public struct TransactionFailure: Sendable, Hashable {
    /// Another transaction has written a key.
    public struct Conflict: Sendable, Hashable {
        /// In which way a conflict was found. More may come with later versions.
        public struct Reason: Sendable, Hashable {
            let name: String

            /// An optimistic transaction found a key committed after it began.
            public static var optimistic: Reason { Reason(name: "optimistic") }
            /// A pessimistic lock found a key committed after its timestamp.
            public static var pessimisticRetry: Reason { Reason(name: "pessimisticRetry") }
            /// The transaction itself had been rolled back.
            public static var selfRolledBack: Reason { Reason(name: "selfRolledBack") }
            /// A read-committed read found a later version.
            public static var readCommittedCheck: Reason { Reason(name: "readCommittedCheck") }
            /// A check that was put off until commit failed.
            public static var lazyUniquenessCheck: Reason { Reason(name: "lazyUniquenessCheck") }
            /// A key that a pessimistic transaction wrote without a lock was committed by another.
            public static var notLockedKey: Reason { Reason(name: "notLockedKey") }
            /// Another transaction of this client committed the key; nothing was sent.
            public static var latch: Reason { Reason(name: "latch") }
            /// The store gave no reason.
            public static var unknown: Reason { Reason(name: "unknown") }
        }

        /// In which way it was found.
        public var reason: Reason
        /// The key in question; nil where it is not known.
        public var key: Key?
        /// When the other transaction began; 0 where it is not known.
        public var startTimestamp: UInt64
        /// When the other transaction was committed; 0 where it is not known.
        public var commitTimestamp: UInt64
        /// Its lock, where it was met before the end of the other transaction.
        var lock: Lock?

        /// A conflict.
        public init(reason: Reason, key: Key? = nil, startTimestamp: UInt64 = 0, commitTimestamp: UInt64 = 0) {
            self.reason = reason
            self.key = key
            self.startTimestamp = startTimestamp
            self.commitTimestamp = commitTimestamp
        }
    }

    /// Transactions that wait for each other in a circle.
    public struct Deadlock: Sendable, Hashable {
        /// One transaction that waits for another.
        public struct Wait: Sendable, Hashable {
            /// Who waits, by its start timestamp.
            public var transaction: UInt64
            /// For whom, by its start timestamp.
            public var holder: UInt64
            /// The key that the other has locked.
            public var key: Key
            /// The ``TransactionOptions/resourceGroupTag`` of the one who waits, by which a statement can be told.
            public var resourceGroupTag: [UInt8]

            /// One transaction that waits for another.
            public init(transaction: UInt64, holder: UInt64, key: Key, resourceGroupTag: [UInt8] = []) {
                self.resourceGroupTag = resourceGroupTag
                self.transaction = transaction
                self.holder = holder
                self.key = key
            }
        }

        /// The key that could not be locked.
        public var key: Key
        /// Who holds it, by its start timestamp.
        public var holder: UInt64
        /// The circle, where the store told it.
        public var waits: [Wait]
        /// Whether running the transaction again can help: not where the circle is one of its own locks taken in turn.
        public var isRetryable: Bool
        /// Whether locks were part of the circle that the failed call had taken itself and has given back: then the same
        /// call may be made again. Else only the end of the whole transaction breaks the circle.
        public var isBroken: Bool

        /// A deadlock.
        public init(
            key: Key, holder: UInt64, waits: [Wait] = [], isRetryable: Bool = true, isBroken: Bool = false
        ) {
            self.isBroken = isBroken
            self.key = key
            self.holder = holder
            self.waits = waits
            self.isRetryable = isRetryable
        }
    }

    /// An assertion that did not hold.
    public struct Assertion: Sendable, Hashable {
        /// The key in question.
        public var key: Key
        /// Whether the key was asserted to exist.
        public var exists: Bool
        /// When the transaction began that wrote the key last; 0 where there is none.
        public var existingStartTimestamp: UInt64
        /// When it was committed; 0 where there is none.
        public var existingCommitTimestamp: UInt64

        /// An assertion that did not hold.
        public init(key: Key, exists: Bool, existingStartTimestamp: UInt64 = 0, existingCommitTimestamp: UInt64 = 0) {
            self.key = key
            self.exists = exists
            self.existingStartTimestamp = existingStartTimestamp
            self.existingCommitTimestamp = existingCommitTimestamp
        }
    }

    /// When the transaction began; 0 where it is not known.
    public var startTimestamp: UInt64
    /// Of ``TiKVError/Code/writeConflict``: with whom.
    public var conflict: Conflict?
    /// Of ``TiKVError/Code/deadlock``: the circle.
    public var deadlock: Deadlock?
    /// Of ``TiKVError/Code/assertionFailed``: what was asserted.
    public var assertion: Assertion?
    /// Of ``TiKVError/Code/keyAlreadyExists`` and of locks in the way: the key in question.
    public var key: Key?
    /// Of ``TiKVError/Code/interrupted``: the signal.
    public var signal: Int?

    /// What is known of a transaction that failed.
    public init(
        startTimestamp: UInt64 = 0, conflict: Conflict? = nil, deadlock: Deadlock? = nil, assertion: Assertion? = nil,
        key: Key? = nil, signal: Int? = nil
    ) {
        self.signal = signal
        self.startTimestamp = startTimestamp
        self.conflict = conflict
        self.deadlock = deadlock
        self.assertion = assertion
        self.key = key
    }
}

extension TransactionFailure.Conflict.Reason: CustomStringConvertible {
    /// The name of the reason.
    public var description: String { self.name }
}

extension TransactionFailure: CustomStringConvertible, CustomDebugStringConvertible {
    /// The timestamps, without keys.
    public var description: String { self.text { "\($0)" } }

    /// The timestamps and the keys.
    public var debugDescription: String { self.text { $0.debugDescription } }

    private func text(_ show: (Key) -> String) -> String {
        var parts: [String] = []
        if self.startTimestamp != 0 { parts.append("start timestamp \(self.startTimestamp)") }
        if let key = self.key { parts.append("key \(show(key))") }
        if let conflict = self.conflict {
            parts.append("conflict (\(conflict.reason))")
            if let key = conflict.key { parts.append("on \(show(key))") }
            if conflict.startTimestamp != 0 { parts.append("with the transaction of \(conflict.startTimestamp)") }
            if conflict.commitTimestamp != 0 { parts.append("committed at \(conflict.commitTimestamp)") }
        }
        if let deadlock = self.deadlock {
            parts.append("deadlock on \(show(deadlock.key)), which \(deadlock.holder) holds")
            parts += deadlock.waits.map { "\($0.transaction) waits for \($0.holder) on \(show($0.key))" }
        }
        if let assertion = self.assertion {
            parts.append("\(show(assertion.key)) was asserted \(assertion.exists ? "to exist" : "not to exist")")
            if assertion.existingStartTimestamp != 0 {
                parts.append(
                    "written at \(assertion.existingStartTimestamp), committed at \(assertion.existingCommitTimestamp)")
            }
        }
        return parts.joined(separator: ", ")
    }
}
