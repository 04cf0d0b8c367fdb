// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension ClientConfiguration {
    /// Transactions and snapshots.
    public struct Transaction: Sendable {
        /// Pairs that a scan asks for at once; default 256, at least 1.
        public var scanPageSize: Int

        /// Keys in one request of `batchGet`; default 5120, at least 1.
        public var batchGetLimit: Int

        /// Bytes of keys and values in one request of a commit; default 16 KiB. A larger pair goes alone.
        public var batchSizeLimit: Int

        /// Requests that one commit or read has under way at once; default 128, at least 1.
        public var maximumConcurrency: Int

        /// Whether transactions of this client that write the same keys go one after the other when they commit, and one
        /// that would conflict fails before anything is sent; default false. Of use where this client's own transactions
        /// conflict often.
        public var usesLocalLatches: Bool

        /// How often ``TransactionClient/withTransaction(_:timeout:_:)`` runs a transaction at most; default 20.
        public var maximumAttempts: Int

        /// The time for a commit, from prewrite to the primary, over all its attempts, where the call names none;
        /// default 40 s.
        public var commitTimeout: Duration

        /// How long a pessimistic lock lives, and the locks of a large commit, after the last sign of life of their
        /// transaction, which it gives twice in this time; default 20 s. When it is over others take the transaction for
        /// dead.
        public var lockTimeToLive: Duration

        /// The longest that a transaction gives signs of life, counted from its beginning; default one hour. Afterwards its
        /// locks expire like those of one that is dead, and ``Transaction/mayHaveLostLocks`` says so.
        public var maximumLifetime: Duration = .seconds(3_600)

        /// How many keys ``usesLocalLatches`` remembers before it drops those that nobody has committed for two minutes;
        /// default 50,000.
        public var latchCapacity: Int = 50_000

        /// How often one call that locks keys begins anew with a later timestamp, since others have committed one of them
        /// meanwhile, before it fails with ``TiKVError/Code/writeConflict``; nil, the default, for as long as it has time.
        public var maximumLockRetries: Int?

        /// From this many keys in a region on, as far as its locks say, the locks of a transaction that has ended are removed for
        /// the whole region at once, and below it key by key as they are met; default 512.
        public var regionCleanupKeyCount: Int = 512

        /// How long a read first waits for another transaction's lock before it asks again; each further wait is twice as
        /// long, up to 3 s. Default 10 ms.
        public var readLockWait: Duration = .milliseconds(10)

        /// From this many bytes of keys and values on an optimistic transaction gives signs of life while it commits;
        /// default 32 MiB. Pessimistic ones always do.
        public var keepAliveSize: Int

        /// A region is split before a transaction writes, or locks, this many keys in it; default 100,000, 0 for never.
        public var preSplitKeyCount: Int

        /// Into pieces of so many bytes of keys and values; default 32 MiB.
        public var preSplitSize: Int

        /// Whether transactions are committed as soon as their keys are locked, where they do not say themselves
        /// (``TransactionOptions/asyncCommit``), and within which limits.
        public var asyncCommit: AsyncCommit

        /// Whether transactions within one region are committed by one request, where they do not say themselves
        /// (``TransactionOptions/onePhaseCommit``); default false, for the same reasons as ``AsyncCommit/isEnabled``.
        public var onePhaseCommit: Bool

        /// Is told when something goes on after a transaction has ended; nil by default.
        public var backgroundHooks: BackgroundHooks?

        /// Settings; what is not named has its default.
        public init(
            scanPageSize: Int = 256, batchGetLimit: Int = 5120, batchSizeLimit: Int = 16 * 1024,
            maximumConcurrency: Int = 128, usesLocalLatches: Bool = false, maximumAttempts: Int = 20,
            commitTimeout: Duration = .seconds(40), lockTimeToLive: Duration = .seconds(20),
            keepAliveSize: Int = 32 << 20, preSplitKeyCount: Int = 100_000, preSplitSize: Int = 32 << 20,
            asyncCommit: AsyncCommit = .init(), onePhaseCommit: Bool = false, backgroundHooks: BackgroundHooks? = nil
        ) {
            self.asyncCommit = asyncCommit
            self.onePhaseCommit = onePhaseCommit
            self.lockTimeToLive = lockTimeToLive
            self.keepAliveSize = keepAliveSize
            self.preSplitKeyCount = preSplitKeyCount
            self.preSplitSize = preSplitSize
            self.backgroundHooks = backgroundHooks
            self.scanPageSize = scanPageSize
            self.batchGetLimit = batchGetLimit
            self.batchSizeLimit = batchSizeLimit
            self.maximumConcurrency = maximumConcurrency
            self.usesLocalLatches = usesLocalLatches
            self.maximumAttempts = maximumAttempts
            self.commitTimeout = commitTimeout
        }
    }

    /// Asynchronous commits, and their limits.
    public struct AsyncCommit: Sendable, Hashable {
        /// Whether transactions are committed asynchronously that do not say themselves; default false, as in client-go: it
        /// needs TiKV 5.0 or later, and all who write to the cluster must know such locks. A prewrite without an answer leaves
        /// the outcome unknown then, where in two phases it would be a failure.
        public var isEnabled: Bool
        /// One with more keys is committed in two phases; default 256. The primary's lock names them all.
        public var keyLimit: Int
        /// One whose keys have more bytes together, without values, is committed in two phases; default 4096.
        public var keySizeLimit: Int
        /// How much later than its commit began a transaction may be committed at, by the timestamps that stores make up for
        /// asynchronous commits and for those of one phase; where it would have to be later, it is committed in two phases.
        /// Default 2 s.
        public var safeWindow: Duration
        /// By how much clocks of this machine and of PD may differ, for ``longestDelay``; default 500 ms.
        public var allowedClockDrift: Duration

        /// Settings; what is not named has its default.
        public init(
            isEnabled: Bool = false, keyLimit: Int = 256, keySizeLimit: Int = 4096,
            safeWindow: Duration = .seconds(2), allowedClockDrift: Duration = .milliseconds(500)
        ) {
            self.isEnabled = isEnabled
            self.keyLimit = keyLimit
            self.keySizeLimit = keySizeLimit
            self.safeWindow = safeWindow
            self.allowedClockDrift = allowedClockDrift
        }

        /// How long to wait, by PD's clock, until no commit that had begun before can get a timestamp after the wait: whoever
        /// changes what the data mean, a schema for example, waits that long between telling the writers and relying on it.
        public var longestDelay: Duration { self.safeWindow + self.allowedClockDrift }
    }

    /// Is told of what goes on in the background after a transaction has ended: commits of the other keys, and the removal
    /// of locks.
    public struct BackgroundHooks: Sendable {
        /// Called before the call that leaves work to the background returns.
        public var willBegin: @Sendable () -> Void
        /// Called when the work is done, or given up.
        public var didEnd: @Sendable () -> Void

        /// Hooks; what is not named does nothing.
        public init(
            willBegin: @escaping @Sendable () -> Void = {}, didEnd: @escaping @Sendable () -> Void = {}
        ) {
            self.willBegin = willBegin
            self.didEnd = didEnd
        }
    }
}
