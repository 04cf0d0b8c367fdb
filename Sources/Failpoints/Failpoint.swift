// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// A named place where a test makes the client fail, wait or take another way.
///
/// They exist in builds with `-Xswiftc -DFAILPOINTS` only; in all others a call to one is empty and is optimized away.
/// Each name says where its place is; docs/failpoints.md lists them all, and is made from this file.
@usableFromInline
package enum Failpoint: Hashable, CaseIterable, Sendable {
    // MARK: Two-phase commit

    case beforePrewrite
    case prewritePrimary
    case prewriteSecondary
    case prewritePrimaryFail
    case prewriteSecondaryFail
    case prewriteBatchSizeLimit
    case prewriteShortLockTTL
    case prewriteZeroCommitTS
    case prewriteInvalidMaxCommitTS
    case assertionSkipCheckFromPrewrite
    case assertionSkipCheckFromLock
    case minCommitTSFromTSO
    case beforeCommit
    case commitError
    case afterPrimaryBatch
    case beforeCommitSecondaries
    case asyncCommitDoNothing
    case commitFailedSkipCleanup
    case failCheckSchemaValid
    case doNotKeepAlive
    case onRollback

    // MARK: Pessimistic locks

    case beforePessimisticLock
    case pessimisticLockErrWriteConflict
    case pessimisticLockShortTTL
    case pessimisticRollbackSkip
    case beforeAsyncPessimisticRollback
    case deadlockRetrySleep

    // MARK: Pipelined transactions

    case beforePipelinedFlush
    case pipelinedMemDBMinFlushKeys
    case pipelinedMemDBMinFlushSize
    case pipelinedMemDBForceFlushSizeThreshold
    case pipelinedCommitFail
    case pipelinedSkipResolveLock

    // MARK: Snapshots

    case beforeSendPointGet
    case snapshotGetCacheFail
    case snapshotZeroCommitTS
    case readTimestampBeforeReturn
    case readTimestampRetry

    // MARK: Locks of others

    case tryResolveLock
    case resolveLock
    case resolveAsyncResolveData
    case resolveAsyncCommitLockReturn
    case txnStatusDelay
    case txnNotFoundReturnsTTL
    case txnExpiredReturnsTTL

    // MARK: Requests

    case beforeSendRequest
    case requestFailsOnSend
    case requestFailsOnReceive
    case requestCancelled
    case requestNoRetry
    case rpcPrewriteResult
    case rpcCommitResult
    case rpcBatchGetResult
    case rpcScanResult
    case retryRequestToRegion
    case invalidateRegionAndRetry
    case batchCommandsReceiveError
    case batchCommandsQueueFull
    case backoffSkipsSleep

    // MARK: Stores and PD

    case storeLiveness
    case storeReresolveInterval
    case storeHealthCheckSkip
    case slowScoreFromFeedback
    case splitRegionNotReported
    case scanRegionsUnimplemented
    case timestampError
    case minResolvedTS
    case safeTSUpdaterFast
    case txnScope
}

extension Failpoint {
    /// To be called where the hook is: waits, or fails, where a test has asked for that.
    ///
    /// - Returns: what the place is to take in place of its own; nil where nobody has asked for anything.
    @inlinable
    @discardableResult
    package func evaluate() async throws(FailpointError) -> FailpointValue? {
        #if FAILPOINTS
        return try await FailpointScope.evaluate(self)
        #else
        return nil
        #endif
    }

    /// The same for places that can neither wait nor fail: only `return` and `print` happen there.
    @inlinable
    package func value() -> FailpointValue? {
        #if FAILPOINTS
        return FailpointScope.value(of: self)
        #else
        return nil
        #endif
    }
}

/// What the action `return` hands to a hook.
@usableFromInline
package struct FailpointValue: Hashable, Sendable {
    /// As it was written between the parentheses, without quotation marks; empty where nothing was.
    package let text: String

    package init(_ text: String) {
        self.text = text
    }

    /// The value as a number; nil where it is none.
    package var integer: Int? { Int(self.text) }

    /// Whether the value is `true`, or `return` stands alone.
    package var isTrue: Bool { self.text.isEmpty || self.text == "true" }
}

/// Why a hook threw, or an action could not be understood.
@usableFromInline
package enum FailpointError: Error, Hashable, CustomStringConvertible {
    /// The action `panic`, with what was written between the parentheses.
    case panic(Failpoint, String)
    /// The task was cancelled while the hook waited.
    case cancelled(Failpoint)
    /// What is wrong with the text of an action, and at which character, counted from 0.
    case syntax(String, offset: Int, String)
    /// There is no failpoint of this name.
    case unknownName(String)

    @usableFromInline
    package var description: String {
        switch self {
        case .panic(let failpoint, let message):
            "failpoint \(failpoint) panicked\(message.isEmpty ? "" : ": \(message)")"
        case .cancelled(let failpoint): "cancelled while waiting at failpoint \(failpoint)"
        case .syntax(let text, let offset, let reason): "failpoint action '\(text)', at \(offset): \(reason)"
        case .unknownName(let name): "there is no failpoint '\(name)'"
        }
    }
}
