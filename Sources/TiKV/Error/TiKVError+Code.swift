// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension TiKVError {
    /// What kind of failure it was. More codes may come with later versions.
    public struct Code: Sendable, Hashable {
        private enum Wrapped: String, Sendable {
            case invalidArgument
            case cancelled
            case deadlineExceeded
            case undetermined
            case pdUnreachable
            case clusterIDMismatch
            case keyspaceUnavailable
            case regionUnavailable
            case storeUnreachable
            case serverIsBusy
            case storeLimitReached
            case diskFull
            case recoveryInProgress
            case flashbackInProgress
            case entryTooLarge
            case unsupported
            case serverError
            case writeConflict
            case keyAlreadyExists
            case keyIsLocked
            case lockWaitTimeout
            case deadlock
            case assertionFailed
            case keyTooLarge
            case transactionTooLarge
            case transactionRolledBack
            case transactionFinished
            case commitTimestampLag
            case interrupted
            case commitRefused
            case clientClosed
            case clientNotRunning
            case clientAlreadyRunning
            case interceptorFailed
            case internalError
        }

        private let wrapped: Wrapped

        private init(_ wrapped: Wrapped) {
            self.wrapped = wrapped
        }

        /// An argument that can't be right: an empty key, a key over the limit, a reversed range, a negative limit, an
        /// address that is none. Nothing was sent.
        public static var invalidArgument: Code { Code(.invalidArgument) }
        /// The task was cancelled. See ``TiKVError/isOutcomeUnknown`` for what became of a write.
        public static var cancelled: Code { Code(.cancelled) }
        /// The call's time was over before an answer came.
        public static var deadlineExceeded: Code { Code(.deadlineExceeded) }
        /// A write was sent and no answer came: it may have taken effect or not. The ``TiKVError/cause`` says why there
        /// was no answer.
        public static var undetermined: Code { Code(.undetermined) }
        /// No member of PD could be reached, or none led, before the deadline.
        public static var pdUnreachable: Code { Code(.pdUnreachable) }
        /// A PD belongs to another cluster than the one this client started with.
        public static var clusterIDMismatch: Code { Code(.clusterIDMismatch) }
        /// PD knows no keyspace of the configured name, or it isn't enabled.
        public static var keyspaceUnavailable: Code { Code(.keyspaceUnavailable) }
        /// No peer of the key's region would take the request before the deadline.
        public static var regionUnavailable: Code { Code(.regionUnavailable) }
        /// The store that holds the key could not be reached before the deadline.
        public static var storeUnreachable: Code { Code(.storeUnreachable) }
        /// The store asked for patience for longer than the call had time.
        public static var serverIsBusy: Code { Code(.serverIsBusy) }
        /// A store has as many requests of this client under way as it may have
        /// (``ClientConfiguration/Routing/maximumRequestsPerStore``); nothing was sent.
        public static var storeLimitReached: Code { Code(.storeLimitReached) }
        /// The store's disk was full until the deadline.
        public static var diskFull: Code { Code(.diskFull) }
        /// The region was being recovered until the deadline.
        public static var recoveryInProgress: Code { Code(.recoveryInProgress) }
        /// The region's data are being set back to an earlier version.
        public static var flashbackInProgress: Code { Code(.flashbackInProgress) }
        /// A write is larger than TiKV takes (`raft-entry-max-size`).
        public static var entryTooLarge: Code { Code(.entryTooLarge) }
        /// The server doesn't know this call.
        public static var unsupported: Code { Code(.unsupported) }
        /// The server answered with an error that has no code of its own here.
        public static var serverError: Code { Code(.serverError) }
        /// Another transaction has committed a key that this one wrote or locked, after it began. It can be run again.
        public static var writeConflict: Code { Code(.writeConflict) }
        /// A key that the transaction inserts is there already.
        public static var keyAlreadyExists: Code { Code(.keyAlreadyExists) }
        /// Another transaction's lock was in the way, and either nobody was to wait for it or it could not be resolved in
        /// time.
        public static var keyIsLocked: Code { Code(.keyIsLocked) }
        /// Another transaction held a key's lock for longer than this one was to wait.
        public static var lockWaitTimeout: Code { Code(.lockWaitTimeout) }
        /// Transactions wait for each other's locks in a circle, and this one was chosen to give way.
        public static var deadlock: Code { Code(.deadlock) }
        /// Whether a key exists is not as the transaction asserted: data or program are not what they should be.
        public static var assertionFailed: Code { Code(.assertionFailed) }
        /// A key is longer than TiKV takes. Nothing was written.
        public static var keyTooLarge: Code { Code(.keyTooLarge) }
        /// The transaction is larger than it may be (``TransactionOptions/maximumSize``). The last write was not taken.
        public static var transactionTooLarge: Code { Code(.transactionTooLarge) }
        /// The transaction was rolled back by others before it could commit: its locks had expired. It can be run again.
        public static var transactionRolledBack: Code { Code(.transactionRolledBack) }
        /// The transaction has been committed or rolled back already.
        public static var transactionFinished: Code { Code(.transactionFinished) }
        /// PD's clock did not reach the timestamp in time that the commit had to come after. Nothing was committed.
        public static var commitTimestampLag: Code { Code(.commitTimestampLag) }
        /// ``Transaction/interrupt(signal:)`` was called, before anything was decided.
        public static var interrupted: Code { Code(.interrupted) }
        /// A check that the application has set before the commit threw, which is the ``TiKVError/cause``. Nothing was
        /// committed.
        public static var commitRefused: Code { Code(.commitRefused) }
        /// The client was closed.
        public static var clientClosed: Code { Code(.clientClosed) }
        /// Nobody called `run()` before the call's time was over.
        public static var clientNotRunning: Code { Code(.clientNotRunning) }
        /// `run()` was called twice.
        public static var clientAlreadyRunning: Code { Code(.clientAlreadyRunning) }
        /// An ``RPCInterceptor`` threw an error of its own, which is the ``TiKVError/cause``.
        public static var interceptorFailed: Code { Code(.interceptorFailed) }
        /// Something this library should not have done; please report it.
        public static var internalError: Code { Code(.internalError) }
    }
}

extension TiKVError.Code: CustomStringConvertible {
    /// The name of the code, `deadlineExceeded` for one.
    public var description: String { self.wrapped.rawValue }
}
