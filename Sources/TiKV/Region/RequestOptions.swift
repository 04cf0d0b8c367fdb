// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What goes with a request beside what it asks for: who may serve it, and what stores are told about it.
struct RequestOptions: Sendable {
    /// Which requests a store does first.
    enum Priority: Sendable {
        case low
        case normal
        case high
    }

    /// Whether a store takes a write when its disk is nearly full.
    enum DiskFull: Sendable {
        case refused
        case allowedWhenAlmostFull
        case allowedWhenFull
    }

    /// Who may serve it.
    var replica = ReplicaOptions()
    var priority = Priority.normal
    /// By what stores sum up what statements cost.
    var resourceGroupTag: [UInt8] = []
    /// Whose resources it uses.
    var resourceGroup = ""
    /// Before all others of the batch stream from 10 on, and what stores put in place of the group's priority; 0 for neither.
    var overridePriority: UInt64 = 0
    /// Longer than this a store does not work on it.
    var maximumExecutionTime: Duration?
    /// What it reads is not to push other data out of the store's cache.
    var keepsOutOfCache = false
    var diskFull = DiskFull.refused
    /// Groups requests in the store's read pool.
    var taskID: UInt64 = 0
    /// Which replication it belongs to.
    var transactionSource: UInt64 = 0
    /// Locks that a read may ignore, and may read through.
    var resolvedLocks: [UInt64] = []
    var committedLocks: [UInt64] = []
    /// 0 for snapshot isolation, 1 for read committed, 2 for read committed with a check of timestamps.
    var isolation: Kvrpcpb_IsolationLevel = .si
    /// Whether a write is to be on disk before it is answered; later stores always see to that.
    var syncsLog = false
    var traceID: [UInt8] = []
    var traceControlFlags: UInt64 = 0
    /// The version of the region's buckets that it was split by.
    var bucketsVersion: UInt64 = 0
    /// Whether any of what follows `replica` differs from what requests have anyway.
    private var isChanged: Bool {
        self.priority != .normal || !self.resourceGroupTag.isEmpty
            || !self.resourceGroup.isEmpty || self.overridePriority != 0 || self.maximumExecutionTime != nil
            || self.keepsOutOfCache || self.diskFull != .refused || self.taskID != 0 || self.transactionSource != 0
            || !self.resolvedLocks.isEmpty || !self.committedLocks.isEmpty || self.isolation != .si
            || self.syncsLog || !self.traceID.isEmpty || self.traceControlFlags != 0 || self.bucketsVersion != 0
    }

    init() {}

    init(replica: ReplicaOptions) {
        self.replica = replica
    }

    /// Puts it into a request's context.
    func apply(to context: inout Kvrpcpb_Context) {
        guard self.isChanged else { return }
        switch self.priority {
        case .low: context.priority = .low
        case .normal: break
        case .high: context.priority = .high
        }
        if !self.resourceGroupTag.isEmpty { context.resourceGroupTag = Data(self.resourceGroupTag) }
        if !self.resourceGroup.isEmpty { context.resourceControlContext.resourceGroupName = self.resourceGroup }
        if self.overridePriority != 0 { context.resourceControlContext.overridePriority = self.overridePriority }
        if let time = self.maximumExecutionTime { context.maxExecutionDurationMs = time.wireMilliseconds }
        context.notFillCache = self.keepsOutOfCache
        switch self.diskFull {
        case .refused: break
        case .allowedWhenAlmostFull: context.diskFullOpt = .allowedOnAlmostFull
        case .allowedWhenFull: context.diskFullOpt = .allowedOnAlreadyFull
        }
        context.taskID = self.taskID
        context.txnSource = self.transactionSource
        context.resolvedLocks = self.resolvedLocks
        context.committedLocks = self.committedLocks
        context.isolationLevel = self.isolation
        if self.syncsLog { context.syncLog = true }
        if !self.traceID.isEmpty { context.traceID = Data(self.traceID) }
        context.traceControlFlags = self.traceControlFlags
        context.bucketsVersion = self.bucketsVersion
    }
}

extension Duration {
    /// In whole milliseconds, at least one.
    var wireMilliseconds: UInt64 {
        UInt64(max(1, (self / .milliseconds(1)).rounded(.up)))
    }
}
