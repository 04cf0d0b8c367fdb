// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// What became of a transaction, as its primary lock tells.
enum TransactionStatus: Sendable, Hashable {
    case committed(UInt64)
    case rolledBack
    /// It goes on: its lock lives for so many milliseconds from its start timestamp. `isPushed`: it will not commit before
    /// the reader that asked. `primary`: its lock, where the store told it.
    case alive(timeToLive: UInt64, isPushed: Bool, primary: Lock?)
    /// The primary has no lock and no trace of the transaction, and nothing was decided: a pessimistic lock that points to
    /// it means nothing any more.
    case primaryIsGone

    init(_ response: Kvrpcpb_CheckTxnStatusResponse) {
        if response.lockTtl > 0 {
            self = .alive(
                timeToLive: response.lockTtl, isPushed: response.action == .minCommitTspushed,
                primary: response.hasLockInfo ? Lock(response.lockInfo) : nil)
        } else if response.commitVersion > 0 {
            self = .committed(response.commitVersion)
        } else {
            switch response.action {
            case .ttlexpirePessimisticRollback, .lockNotExistDoNothing: self = .primaryIsGone
            // An action that this client does not know: the lock is gone and there is no commit, which is a rollback.
            case .noAction, .ttlexpireRollback, .lockNotExistRollback, .minCommitTspushed, .UNRECOGNIZED:
                self = .rolledBack
            }
        }
    }

    /// Whether it will be the same for ever.
    var isFinal: Bool {
        switch self {
        case .committed, .rolledBack: true
        case .alive, .primaryIsGone: false
        }
    }
}

/// What became of transactions that were asked about, the latest of them.
struct TransactionStatusCache: Sendable {
    private let capacity: Int
    private var statuses: [UInt64: TransactionStatus] = [:]
    /// In the order in which they came, the oldest first, from `first` on.
    private var order: [UInt64] = []
    private var first = 0

    init(capacity: Int = 2_048) {
        self.capacity = capacity
    }

    var count: Int { self.statuses.count }

    subscript(start: UInt64) -> TransactionStatus? { self.statuses[start] }

    /// Remembers a status that will not change; others are not kept.
    mutating func insert(_ status: TransactionStatus, for start: UInt64) {
        guard status.isFinal, self.statuses.updateValue(status, forKey: start) == nil else { return }
        self.order.append(start)
        guard self.statuses.count > self.capacity else { return }
        self.statuses[self.order[self.first]] = nil
        self.first += 1
        if self.first > self.capacity {
            self.order.removeFirst(self.first)
            self.first = 0
        }
    }
}
