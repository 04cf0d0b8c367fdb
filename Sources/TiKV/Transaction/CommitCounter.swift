// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Counts a client's commits.
final class CommitCounter: Sendable {
    private let counts = Mutex<[CommitDetails.Kind: Int]>([:])

    var value: [CommitDetails.Kind: Int] { self.counts.withLock { $0 } }

    func add(_ kind: CommitDetails.Kind) {
        self.counts.withLock { $0[kind, default: 0] += 1 }
    }
}

extension TransactionClient {
    /// How many transactions this client has committed, by the protocol that was used in the end; those that had nothing to
    /// commit are not counted, nor those of unknown outcome. What there was none of has no entry.
    public var commitCounts: [CommitDetails.Kind: Int] { self.context.commits.value }
}
