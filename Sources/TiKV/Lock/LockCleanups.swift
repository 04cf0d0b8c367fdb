// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What is to be done about locks that were met, gathered by transaction so that each region is asked once. Pure.
struct LockCleanups: Sendable {
    /// What is to be done about the locks of one transaction.
    struct Cleanup: Sendable, Hashable {
        enum Kind: Sendable, Hashable {
            /// The locks on the keys are committed or rolled back.
            case keys(TransactionStatus)
            /// The same with all locks in the regions of the keys.
            case regions(TransactionStatus)
            /// Pessimistic locks are taken back.
            case pessimistic(forUpdate: UInt64)
        }

        let start: UInt64
        let kind: Kind
        var keys: [[UInt8]]
        /// Whether they are all keys of an asynchronous commit whose outcome was found out from them.
        var isOfAsyncCommit = false
    }

    private let liteThreshold: UInt64
    /// In the order in which they came up.
    private(set) var all: [Cleanup] = []

    /// - Parameter liteThreshold: from how many keys of a transaction on its locks are removed for the whole region.
    init(liteThreshold: UInt64) {
        self.liteThreshold = liteThreshold
    }

    /// Adds what a verdict asks for.
    mutating func add(_ lock: Lock, _ cleanup: LockVerdict.Cleanup, _ status: TransactionStatus) {
        switch cleanup {
        case .nothing, .checkSecondaries:
            break
        case .commit, .rollBack:
            let isLite = lock.transactionSize < self.liteThreshold
            self.add([lock.key], lock.start, isLite ? .keys(status) : .regions(status))
        case .rollBackPessimistic:
            // One that does not say as of when it was taken is older than any.
            self.add([lock.key], lock.start, .pessimistic(forUpdate: lock.forUpdate == 0 ? .max : lock.forUpdate))
        }
    }

    /// Adds locks of a transaction that commits asynchronously, whose keys are all known.
    mutating func add(_ keys: [[UInt8]], ofAsyncCommit start: UInt64, _ status: TransactionStatus) {
        self.add(keys, start, .keys(status), isOfAsyncCommit: true)
    }

    private mutating func add(
        _ keys: [[UInt8]], _ start: UInt64, _ kind: Cleanup.Kind, isOfAsyncCommit: Bool = false
    ) {
        if let index = self.all.firstIndex(where: { $0.start == start && $0.kind == kind }) {
            self.all[index].keys += keys
        } else {
            self.all.append(Cleanup(start: start, kind: kind, keys: keys, isOfAsyncCommit: isOfAsyncCommit))
        }
    }
}
