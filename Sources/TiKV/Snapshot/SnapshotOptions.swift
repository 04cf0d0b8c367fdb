// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// How a snapshot reads.
///
/// ```swift
/// let near = client.snapshot(at: timestamp, options: .init(replicaRead: .mixed.near(["zone": "z1"])))
/// ```
public struct SnapshotOptions: Sendable {
    /// What a read sees of transactions that are being committed.
    public struct Isolation: Sendable, Hashable {
        enum Level: Sendable { case snapshot, readCommitted, readCommittedChecked }
        let level: Level

        /// The state of one moment: a lock of a transaction that may have been committed before it is looked into.
        public static var snapshot: Isolation { Isolation(level: .snapshot) }
        /// What is committed when the store gets to read it, up to the snapshot's timestamp. Locks are overlooked, so
        /// nothing is waited for, and two reads may differ.
        public static var readCommitted: Isolation { Isolation(level: .readCommitted) }
        /// The latest committed state, or an error: where anything is newer than the snapshot's timestamp, be it only a
        /// lock, the read throws ``TiKVError/Code/writeConflict``, and can be made again at a later timestamp.
        public static var readCommittedChecked: Isolation { Isolation(level: .readCommittedChecked) }
    }

    /// Which requests a store does first; default ``TransactionOptions/Priority/normal``.
    public var priority: TransactionOptions.Priority
    /// What a read sees of transactions that are being committed; default ``Isolation/snapshot``.
    public var isolation: Isolation
    /// Which replicas serve the reads; default ``ReplicaRead/leader``.
    public var replicaRead: ReplicaRead
    /// Another choice for each request, by the number of its keys, which is 1 for a scan; nil, the default, for none.
    public var adjustReplicaRead: (@Sendable (_ keyCount: Int) -> ReplicaRead)?
    /// Whether any replica may answer from what it has, as far as that reaches the snapshot's timestamp; default false.
    /// Needs a timestamp, best one of ``TransactionClient/timestamp(ago:timeout:)``. A replica that has not come so far, and
    /// a lock in the way, send the read to the leader. See docs/snapshots.md.
    public var isStaleRead: Bool
    /// How long one replica may take for a read before the next one is asked; nil, the default, as long as the call may.
    public var replicaTimeout: Duration?
    /// Replicas refuse reads that would wait longer than this, and less busy ones are asked; zero, the default, for never.
    public var busyThreshold: Duration
    /// Whether what is read is kept, so that reading it again asks nobody; default true. Nothing is kept of reads of the
    /// latest state, nor of those with another isolation than ``Isolation/snapshot``.
    public var isCached: Bool
    /// Whether what is read may stay out of the stores' cache, as a scan of everything should; default false.
    public var bypassesStoreCache: Bool
    /// Pairs that a scan asks for at once, at most 10,240; nil, the default, for
    /// ``ClientConfiguration/Transaction/scanPageSize``.
    public var scanPageSize: Int?
    /// Longer than this a store does not work on one request; nil, the default, for no limit of its own.
    public var maximumExecutionTime: Duration?
    /// Puts requests of one task together in the stores' read pools; 0, the default, for none.
    public var taskID: UInt64
    /// Whose resources the reads use; empty, the default, for those of everybody.
    public var resourceGroup: String
    /// By what stores sum up what statements cost; empty by default.
    public var resourceGroupTag: [UInt8]
    /// Sums up what becomes of the snapshot's requests, what was waited for, and what stores say that it cost; nil, the
    /// default, for whoever ``withRequestStatistics(_:operation:)`` names. Removing others' locks is no part of it.
    public var recorder: RequestRecorder?

    /// Options; what is not named has its default.
    public init(
        priority: TransactionOptions.Priority = .normal, isolation: Isolation = .snapshot,
        replicaRead: ReplicaRead = .leader, adjustReplicaRead: (@Sendable (_ keyCount: Int) -> ReplicaRead)? = nil,
        isStaleRead: Bool = false, replicaTimeout: Duration? = nil, busyThreshold: Duration = .zero,
        isCached: Bool = true, bypassesStoreCache: Bool = false, scanPageSize: Int? = nil,
        maximumExecutionTime: Duration? = nil, taskID: UInt64 = 0, resourceGroup: String = "",
        resourceGroupTag: [UInt8] = [], recorder: RequestRecorder? = nil
    ) {
        self.priority = priority
        self.isolation = isolation
        self.replicaRead = replicaRead
        self.adjustReplicaRead = adjustReplicaRead
        self.isStaleRead = isStaleRead
        self.replicaTimeout = replicaTimeout
        self.busyThreshold = busyThreshold
        self.isCached = isCached
        self.bypassesStoreCache = bypassesStoreCache
        self.scanPageSize = scanPageSize
        self.maximumExecutionTime = maximumExecutionTime
        self.taskID = taskID
        self.resourceGroup = resourceGroup
        self.resourceGroupTag = resourceGroupTag
        self.recorder = recorder
    }
}

extension SnapshotOptions {
    /// What goes with a request.
    ///
    /// - Parameters:
    ///   - keyCount: how many keys it asks for.
    ///   - hasMetLock: whether a lock stood in the way before: only the leader can tell what became of it.
    func request(keyCount: Int, passing locks: PassedLocks, hasMetLock: Bool) -> RequestOptions {
        var options = RequestOptions()
        let replicas = self.adjustReplicaRead?(keyCount) ?? self.replicaRead
        options.replica = replicas.options(isStale: self.isStaleRead && !hasMetLock)
        if self.isStaleRead, hasMetLock { options.replica.mode = .leader }
        options.replica.readTimeout = self.replicaTimeout
        options.replica.busyThreshold = self.busyThreshold
        options.apply(self.priority)
        options.keepsOutOfCache = self.bypassesStoreCache
        options.maximumExecutionTime = self.maximumExecutionTime
        options.taskID = self.taskID
        options.resourceGroup = self.resourceGroup
        options.resourceGroupTag = self.resourceGroupTag
        options.recorder = self.recorder
        options.resolvedLocks = locks.ignored.sorted()
        options.committedLocks = locks.readable.sorted()
        switch self.isolation.level {
        case .snapshot: break
        case .readCommitted: options.isolation = .rc
        case .readCommittedChecked: options.isolation = .rccheckTs
        }
        return options
    }
}

extension RequestOptions {
    mutating func apply(_ priority: TransactionOptions.Priority) {
        switch priority.level {
        case .low: self.priority = .low
        case .normal: self.priority = .normal
        case .high: self.priority = .high
        }
    }
}
