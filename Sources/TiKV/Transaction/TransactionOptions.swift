// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How a transaction behaves.
///
/// ```swift
/// try await client.withTransaction(.pessimistic) { transaction in … }
/// try await client.withTransaction(.init(kind: .optimistic, priority: .high)) { transaction in … }
/// ```
public struct TransactionOptions: Sendable, Hashable {
    /// When conflicts are found.
    public struct Kind: Sendable, Hashable {
        let isPessimistic: Bool

        /// Writes are gathered and checked when the transaction commits: nothing waits, and a conflict fails the commit.
        public static var optimistic: Kind { Kind(isPessimistic: false) }
        /// Keys are locked when they are written or asked to be: others wait, and the commit hardly ever fails.
        public static var pessimistic: Kind { Kind(isPessimistic: true) }
    }

    /// Which requests a store does first.
    public struct Priority: Sendable, Hashable {
        enum Level: Sendable { case low, normal, high }
        let level: Level

        /// After others.
        public static var low: Priority { Priority(level: .low) }
        /// As most.
        public static var normal: Priority { Priority(level: .normal) }
        /// Before others.
        public static var high: Priority { Priority(level: .high) }
    }

    /// What a store checks of what is asserted about keys.
    public struct AssertionLevel: Sendable, Hashable {
        enum Level: Sendable { case off, fast, strict }
        let level: Level

        /// Nothing.
        public static var off: AssertionLevel { AssertionLevel(level: .off) }
        /// What costs no further read.
        public static var fast: AssertionLevel { AssertionLevel(level: .fast) }
        /// Everything.
        public static var strict: AssertionLevel { AssertionLevel(level: .strict) }
    }

    /// What to do about a disk that is full.
    public struct DiskFull: Sendable, Hashable {
        enum Level: Sendable { case refused, almostFull, full }
        let level: Level

        /// Nothing is written then: the commit fails with ``TiKVError/Code/diskFull`` when its time is over.
        public static var refused: DiskFull { DiskFull(level: .refused) }
        /// Writes where the disk is almost full, as a transaction must that frees space.
        public static var allowedWhenAlmostFull: DiskFull { DiskFull(level: .almostFull) }
        /// Writes even where the disk is full.
        public static var allowedWhenFull: DiskFull { DiskFull(level: .full) }
    }

    /// Where a transaction's data are written.
    public struct Scope: Sendable, Hashable {
        /// The data centre; empty for all.
        public let dataCentre: String

        /// Everywhere, as most.
        public static var global: Scope { Scope(dataCentre: "") }
        /// In one data centre only, named as its stores' label does.
        public static func local(_ dataCentre: String) -> Scope { Scope(dataCentre: dataCentre) }

        var isLocal: Bool { !self.dataCentre.isEmpty }
    }

    /// When conflicts are found; default ``Kind/optimistic``.
    public var kind: Kind
    /// Reads the state as of this timestamp, and begins at it; nil, the default, for PD's present one.
    public var startTimestamp: Timestamp?
    /// Which requests a store does first; default ``Priority/normal``.
    public var priority: Priority
    /// How long a pessimistic lock waits for another transaction's; nil, the default, as long as the call has time, and
    /// zero not at all.
    public var lockWaitTimeout: Duration?
    /// The most bytes that a key and its value may have together; default 6 MiB, what TiKV takes.
    public var maximumEntrySize: Int
    /// The most bytes that all keys and values may have together; default 1 GiB.
    public var maximumSize: Int
    /// What is checked of what is asserted about keys; default ``AssertionLevel/fast``.
    public var assertionLevel: AssertionLevel
    /// Commits after this timestamp, waiting for PD's clock where need be; nil, the default, for no such wish.
    public var commitAfter: Timestamp?
    /// How long to wait for that; default 1 s.
    public var commitWaitTimeout: Duration
    /// By what stores sum up what statements cost; empty by default.
    public var resourceGroupTag: [UInt8]
    /// Whose resources it uses, where the cluster limits them; empty, the default, for the group `default`.
    public var resourceGroup: String
    /// Whether it writes while a store's disk is full; default ``DiskFull/refused``.
    public var diskFull: DiskFull
    /// Where its writes come from, for tools that copy changes from one cluster to another; default 0.
    public var source: UInt64
    /// Stores give up a request that takes longer than this; nil, the default, for as long as they like. What a
    /// call takes in all is its `timeout`.
    public var maximumExecutionTime: Duration?
    /// Asks stores to have each write on disk before they answer, which those of today do anyway; default false.
    public var syncsLog: Bool

    /// Whether it may be committed as soon as all of its keys are locked, which saves the caller a round trip: the locks become
    /// versions in the background. Nil, the default, for ``ClientConfiguration/Transaction/asyncCommit``'s word. Not done where
    /// it has more keys than are allowed there, shared locks, keys that leave no lock, or a check before the commit; and where
    /// a store would have to commit it later than is allowed there.
    public var asyncCommit: Bool?
    /// Whether it may be committed by one request without locks, where all of its keys lie in one region and fit in a request;
    /// tried before ``asyncCommit``. Nil, the default, for ``ClientConfiguration/Transaction/onePhaseCommit``'s word. Not
    /// done where it has shared locks, or a check before the commit.
    public var onePhaseCommit: Bool?
    /// With ``asyncCommit`` and ``onePhaseCommit``: whether a commit that begins when another has ended gets the later timestamp
    /// in any case; default true, at the cost of a timestamp from PD. Where not, that holds only for transactions with keys
    /// in common, and those that a chain of such ones connects. Commits in two phases always keep to it.
    public var guaranteesLinearizability: Bool

    /// Where its data are written; default ``Scope/global``. Local ones are always committed in two phases, since timestamps
    /// that stores make up hold for the whole cluster. Nothing else comes of it: PD of today gives all timestamps itself.
    public var scope: Scope

    /// Names the session of the application that it belongs to, for logs; default 0, which names none.
    public var sessionID: UInt64 = 0

    /// Whether a commit that meets another transaction's lock finds out what became of that, and waits for its end where it
    /// goes on; default true. Where not, it fails at once with ``TiKVError/Code/keyIsLocked``. Waits of pessimistic
    /// locks are another thing: ``lockWaitTimeout``.
    public var waitsForLocks: Bool

    /// Options; what is not named has its default.
    public init(
        kind: Kind = .optimistic, startTimestamp: Timestamp? = nil, priority: Priority = .normal,
        lockWaitTimeout: Duration? = nil, maximumEntrySize: Int = 6 << 20, maximumSize: Int = 1 << 30,
        assertionLevel: AssertionLevel = .fast, commitAfter: Timestamp? = nil,
        commitWaitTimeout: Duration = .seconds(1), resourceGroupTag: [UInt8] = [], resourceGroup: String = "",
        diskFull: DiskFull = .refused, source: UInt64 = 0, maximumExecutionTime: Duration? = nil,
        syncsLog: Bool = false,
        asyncCommit: Bool? = nil, onePhaseCommit: Bool? = nil, guaranteesLinearizability: Bool = true,
        scope: Scope = .global, waitsForLocks: Bool = true
    ) {
        self.waitsForLocks = waitsForLocks
        self.scope = scope
        self.asyncCommit = asyncCommit
        self.onePhaseCommit = onePhaseCommit
        self.guaranteesLinearizability = guaranteesLinearizability
        self.resourceGroup = resourceGroup
        self.diskFull = diskFull
        self.source = source
        self.maximumExecutionTime = maximumExecutionTime
        self.syncsLog = syncsLog
        self.kind = kind
        self.startTimestamp = startTimestamp
        self.priority = priority
        self.lockWaitTimeout = lockWaitTimeout
        self.maximumEntrySize = maximumEntrySize
        self.maximumSize = maximumSize
        self.assertionLevel = assertionLevel
        self.commitAfter = commitAfter
        self.commitWaitTimeout = commitWaitTimeout
        self.resourceGroupTag = resourceGroupTag
    }

    /// An optimistic transaction.
    public static var optimistic: TransactionOptions { TransactionOptions(kind: .optimistic) }
    /// A pessimistic transaction.
    public static var pessimistic: TransactionOptions { TransactionOptions(kind: .pessimistic) }
}

extension TransactionOptions {
    /// What goes with every request of the transaction.
    var request: RequestOptions {
        var options = RequestOptions()
        options.apply(self.priority)
        options.resourceGroupTag = self.resourceGroupTag
        options.resourceGroup = self.resourceGroup
        options.transactionSource = self.source
        options.maximumExecutionTime = self.maximumExecutionTime
        options.syncsLog = self.syncsLog
        options.diskFull =
            switch self.diskFull.level {
            case .refused: .refused
            case .almostFull: .allowedWhenAlmostFull
            case .full: .allowedWhenFull
            }
        return options
    }
}
