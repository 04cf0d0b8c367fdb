// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging

/// How a commit has ended. See ``Transaction/afterCommit(_:)``.
public struct CommitReport: Sendable {
    /// When the transaction began.
    public var startTimestamp: Timestamp
    /// When it was committed; nil where it was not, where nobody knows (``TiKVError/Code/undetermined``), and where none of
    /// its keys left a trace.
    public var commitTimestamp: Timestamp?
    /// Why it failed; nil where it did not.
    public var error: TiKVError?
    /// What it took. By ``CommitDetails/kind`` is told whether one of the faster protocols that was asked for was used.
    public var details: CommitDetails
    /// Where its data were written.
    public var scope: TransactionOptions.Scope
}

/// What the application does beside a commit.
struct CommitHooks: Sendable {
    /// Beside the locking; what is decided waits for it. Gets the primary.
    var prepare: (@Sendable (Key) async throws -> Void)?
    /// Has the last word before the primary is committed, with the timestamp.
    var check: (@Sendable (Timestamp) async throws -> Void)?
    /// When it has ended.
    var after: (@Sendable (CommitReport) async -> Void)?

    /// Whether something may refuse a commit whose keys are all locked: then prewrite can't be what decides.
    var decideLate: Bool { self.prepare != nil || self.check != nil }

    /// The failure of a commit that the application refuses.
    static func refusal(_ error: any Error, start: UInt64) -> TiKVError {
        if let error = error as? TiKVError { return error }
        return TiKVError(
            .commitRefused, "a check before the commit has failed", cause: error,
            transaction: TransactionFailure(startTimestamp: start))
    }
}

extension Logger {
    /// Tells of a commit that was large, or slow.
    func log(_ report: CommitReport, session: UInt64) {
        let details = report.details
        var metadata: Logger.Metadata = [
            "start": "\(report.startTimestamp)", "keys": "\(details.keyCount)", "bytes": "\(details.size)",
            "regions": "\(details.regionCount)", "prewrites": "\(details.prewriteCount)",
            "locks": "\(details.lockCount)", "retries": "\(details.commitRetries)",
            "prewrite": "\(details.prewriteTime)", "slowest-prewrite": "\(details.slowestPrewrite)",
            "timestamp": "\(details.timestampTime)", "commit": "\(details.commitTime)",
            "slowest-commit": "\(details.slowestCommit)",
        ]
        if let kind = details.kind { metadata["kind"] = "\(kind)" }
        if let timestamp = report.commitTimestamp { metadata["committed"] = "\(timestamp)" }
        if let error = report.error { metadata["error"] = "\(error)" }
        if session != 0 { metadata["session"] = "\(session)" }
        self.log(
            level: details.isSlow ? .info : .debug,
            details.isSlow ? "a commit had a slow request" : "a large transaction has ended", metadata: metadata)
    }
}
