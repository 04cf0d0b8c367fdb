// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

extension EmbeddedCluster {
    /// How full a store's disk is.
    public enum DiskUsage: Hashable, Sendable {
        /// There is room.
        case normal
        /// Only requests are taken that say that they may write all the same.
        case almostFull
        /// Only those are taken that say so of a full disk.
        case full
    }

    /// A transactional request that came to a store.
    public struct TransactionRequest: Hashable, Sendable {
        /// The name of the RPC.
        public var rpc: String
        /// The store that it came to.
        public var storeID: UInt64
        /// The region that it names.
        public var regionID: UInt64
        /// Whether it says that it was sent before.
        public var isRetry: Bool
    }

    /// Sets how full a store's disk is. Prewrites, commits and pessimistic locks that may not write then are answered with
    /// `DiskFull`, as TiKV does.
    public func setDiskUsage(_ usage: DiskUsage, ofStore id: UInt64) {
        self.model.withLock { $0.fullDisks[id] = usage == .normal ? nil : usage }
    }

    /// Notes each transactional request from now on.
    public func recordTransactionRequests() {
        self.model.withLock { $0.transactionLog = [] }
    }

    /// The requests since ``recordTransactionRequests()``, in the order in which they came.
    public var transactionRequests: [TransactionRequest] { self.model.withLock { $0.transactionLog ?? [] } }
}

extension ClusterModel {
    private static let writes: Set = ["KvPrewrite", "KvCommit", "KvPessimisticLock"]

    /// Why a store whose disk is full does not take a request (tikv `components/raftstore`, `check_proposal_with_disk_full_opt`).
    func diskError(of rpc: String, _ context: Kvrpcpb_Context, on storeID: UInt64) -> TxnFailure? {
        guard !self.fullDisks.isEmpty, let usage = self.fullDisks[storeID], Self.writes.contains(rpc) else {
            return nil
        }
        let isAllowed =
            switch context.diskFullOpt {
            case .allowedOnAlreadyFull: true
            case .allowedOnAlmostFull: usage == .almostFull
            default: false
            }
        return isAllowed ? nil : .region(.diskFull(stores: [storeID], reason: "disk almost full"))
    }
}
