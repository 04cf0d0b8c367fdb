// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What a commit took. See ``Transaction/commitDetails``.
public struct CommitDetails: Sendable, Hashable {
    /// What was waited for PD's clock, where the commit had to come after a timestamp.
    public struct Wait: Sendable, Hashable {
        /// The commit had to come after this.
        public var target: Timestamp
        /// The first timestamp that PD gave, which was too early.
        public var firstTimestamp: Timestamp
        /// How often PD was asked again.
        public var retries: Int
        /// How long that took.
        public var time: Duration
    }

    /// By which protocol a transaction was committed. More may come with later versions.
    public struct Kind: Sendable, Hashable, CustomStringConvertible {
        /// The protocol's name, such as `async`.
        public let description: String

        /// All keys are locked, then one of them, the primary, is committed, which decides.
        public static var twoPhase: Kind { Kind(description: "twoPhase") }
        /// It is committed when all keys are locked. See ``TransactionOptions/asyncCommit``.
        public static var async: Kind { Kind(description: "async") }
        /// One request commits it without locks. See ``TransactionOptions/onePhaseCommit``.
        public static var onePhase: Kind { Kind(description: "onePhase") }
    }

    /// By which protocol it was committed; nil where that is not decided, since it failed before. Asked for one of the
    /// faster ones, a transaction may still be committed in two phases.
    public var kind: Kind?
    /// The keys that took part.
    public var keyCount = 0
    /// The bytes of keys and values.
    public var size = 0
    /// The regions that the keys were in when they were first looked up.
    public var regionCount = 0
    /// How many requests locked them, those that were answered in vain included.
    public var prewriteCount = 0
    /// How often another transaction's lock was in the way.
    public var lockCount = 0
    /// The time that it took to lock all keys.
    public var prewriteTime = Duration.zero
    /// The longest that one request for locks took, with all its tries.
    public var slowestPrewrite = Duration.zero
    /// The time for timestamps: for the one to commit at, or for the least one where stores make it up.
    public var timestampTime = Duration.zero
    /// The time for the commit of the primary.
    public var commitTime = Duration.zero
    /// How often the commit of the primary was sent with another timestamp, since readers had pushed it.
    public var commitRetries = 0
    /// What was waited for PD's clock; nil where nothing was.
    public var wait: Wait?

    /// Nothing yet.
    public init() {}

    /// Adds what another commit took: counts, sizes and times, and the slower of the slowest requests. Of the waits for PD's
    /// clock the longer one stays.
    public mutating func merge(_ other: CommitDetails) {
        self.keyCount += other.keyCount
        self.size += other.size
        self.regionCount += other.regionCount
        self.prewriteCount += other.prewriteCount
        self.lockCount += other.lockCount
        self.prewriteTime += other.prewriteTime
        self.slowestPrewrite = max(self.slowestPrewrite, other.slowestPrewrite)
        self.timestampTime += other.timestampTime
        self.commitTime += other.commitTime
        self.commitRetries += other.commitRetries
        if let wait = other.wait, wait.time > (self.wait?.time ?? .zero) { self.wait = wait }
    }
}

/// Gathers the details of one commit from its parts, which go side by side.
final class CommitRecorder: Sendable {
    private let details = Mutex(CommitDetails())

    var value: CommitDetails { self.details.withLock { $0 } }

    func record(_ change: (inout CommitDetails) -> Void) {
        self.details.withLock { change(&$0) }
    }
}
