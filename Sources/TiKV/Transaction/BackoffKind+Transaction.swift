// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension BackoffKind {
    /// Another transaction's lock is in the way of a commit. Shorter than in other clients (100 ms to 3 s): who waits holds
    /// locks itself, so that all wait for the longest wait of any.
    static let writeLock = BackoffKind("txnLock", base: .milliseconds(10), cap: .milliseconds(500), jitter: .equal)
    /// Another transaction's lock is in the way of a read.
    static let txnLockFast = Self.txnLockFast()

    /// The same with another first wait.
    static func txnLockFast(base: Duration = .milliseconds(10)) -> BackoffKind {
        BackoffKind("txnLockFast", base: max(.microseconds(100), base), cap: .seconds(3), jitter: .equal)
    }

    /// The transaction with which one has conflicted goes on.
    static let holder = BackoffKind("holder", base: .milliseconds(4), cap: .milliseconds(100), jitter: .equal)
    /// A transaction's primary is not locked yet, or no more.
    static let txnNotFound = BackoffKind(
        "txnNotFound", base: .milliseconds(2), cap: .milliseconds(500), jitter: .none)
    /// PD's clock has not come as far as the commit must.
    static let commitTimestampLag = BackoffKind(
        "commitTimestampLag", base: .milliseconds(2), cap: .milliseconds(500), jitter: .none)
    /// A transaction is run again after a conflict. Somebody has committed then, so that all go on however short the wait
    /// is; a long one only lets those overtake who have just come.
    static let transactionRetry = BackoffKind(
        "transactionRetry", base: .milliseconds(2), cap: .milliseconds(100), jitter: .full)
}
