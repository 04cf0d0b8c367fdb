// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension BackoffKind {
    /// Another transaction's lock is in the way of a write.
    static let txnLock = BackoffKind("txnLock", base: .milliseconds(100), cap: .seconds(3), jitter: .equal)
    /// Another transaction's lock is in the way of a read.
    static let txnLockFast = BackoffKind("txnLockFast", base: .milliseconds(10), cap: .seconds(3), jitter: .equal)
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
