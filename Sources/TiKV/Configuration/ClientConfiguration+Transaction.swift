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

        /// Settings; what is not named has its default.
        public init(
            scanPageSize: Int = 256, batchGetLimit: Int = 5120, batchSizeLimit: Int = 16 * 1024,
            maximumConcurrency: Int = 128, usesLocalLatches: Bool = false, maximumAttempts: Int = 20,
            commitTimeout: Duration = .seconds(40)
        ) {
            self.scanPageSize = scanPageSize
            self.batchGetLimit = batchGetLimit
            self.batchSizeLimit = batchSizeLimit
            self.maximumConcurrency = maximumConcurrency
            self.usesLocalLatches = usesLocalLatches
            self.maximumAttempts = maximumAttempts
            self.commitTimeout = commitTimeout
        }
    }
}
