// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

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
    /// The longest that one request to commit the primary took, with all its tries.
    public var slowestCommit = Duration.zero
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
        self.slowestCommit = max(self.slowestCommit, other.slowestCommit)
        self.commitRetries += other.commitRetries
        if let wait = other.wait, wait.time > (self.wait?.time ?? .zero) { self.wait = wait }
    }
}

extension CommitDetails {
    /// From so many keys, or bytes of keys and values, on a commit is told in the log.
    static let loggedKeyCount = 10_000
    static let loggedSize = 4 << 20
    /// So is one of which a request took so long.
    static let loggedTime = Duration.seconds(60)

    /// Whether a log should tell of the commit.
    var isNotable: Bool {
        self.keyCount > Self.loggedKeyCount || self.size > Self.loggedSize || self.isSlow
    }

    /// Whether one of its requests took unusually long.
    var isSlow: Bool { max(self.slowestPrewrite, self.slowestCommit) >= Self.loggedTime }
}
