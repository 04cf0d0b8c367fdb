// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// What writes went through in stores, stage by stage.
public struct WriteDetail: Sendable, Hashable {
    /// Waiting for the raft store's turn.
    public var storeBatchWait = Duration.zero
    /// Waiting to be proposed.
    public var proposeSendWait = Duration.zero
    /// Writing the raft log to disk.
    public var persistLog = Duration.zero
    /// Of it, waiting for the leader of the write group.
    public var raftDBWriteLeaderWait = Duration.zero
    /// Of it, syncing the log.
    public var raftDBSyncLog = Duration.zero
    /// Of it, writing the memtable.
    public var raftDBWriteMemtable = Duration.zero
    /// Until the log entry was committed.
    public var commitLog = Duration.zero
    /// Waiting for the apply pool's turn.
    public var applyBatchWait = Duration.zero
    /// Applying the entry.
    public var applyLog = Duration.zero
    /// Of it, waiting for the engine's lock.
    public var applyMutexLock = Duration.zero
    /// Of it, waiting for the leader of the write group.
    public var applyWriteLeaderWait = Duration.zero
    /// Of it, writing the write-ahead log.
    public var applyWriteWAL = Duration.zero
    /// Of it, writing the memtable.
    public var applyWriteMemtable = Duration.zero
    /// Waiting for the keys' latches.
    public var latchWait = Duration.zero
    /// Working out what to write.
    public var process = Duration.zero
    /// Held back by flow control.
    public var throttle = Duration.zero
    /// Waiting for other transactions' locks.
    public var pessimisticLockWait = Duration.zero

    /// Nothing yet.
    public init() {}

    init(_ write: Kvrpcpb_WriteDetail) {
        self.storeBatchWait = .nanoseconds(write.storeBatchWaitNanos)
        self.proposeSendWait = .nanoseconds(write.proposeSendWaitNanos)
        self.persistLog = .nanoseconds(write.persistLogNanos)
        self.raftDBWriteLeaderWait = .nanoseconds(write.raftDbWriteLeaderWaitNanos)
        self.raftDBSyncLog = .nanoseconds(write.raftDbSyncLogNanos)
        self.raftDBWriteMemtable = .nanoseconds(write.raftDbWriteMemtableNanos)
        self.commitLog = .nanoseconds(write.commitLogNanos)
        self.applyBatchWait = .nanoseconds(write.applyBatchWaitNanos)
        self.applyLog = .nanoseconds(write.applyLogNanos)
        self.applyMutexLock = .nanoseconds(write.applyMutexLockNanos)
        self.applyWriteLeaderWait = .nanoseconds(write.applyWriteLeaderWaitNanos)
        self.applyWriteWAL = .nanoseconds(write.applyWriteWalNanos)
        self.applyWriteMemtable = .nanoseconds(write.applyWriteMemtableNanos)
        self.latchWait = .nanoseconds(write.latchWaitNanos)
        self.process = .nanoseconds(write.processNanos)
        self.throttle = .nanoseconds(write.throttleNanos)
        self.pessimisticLockWait = .nanoseconds(write.pessimisticLockWaitNanos)
    }

    /// Adds those of another answer.
    public mutating func merge(_ other: WriteDetail) {
        self.storeBatchWait += other.storeBatchWait
        self.proposeSendWait += other.proposeSendWait
        self.persistLog += other.persistLog
        self.raftDBWriteLeaderWait += other.raftDBWriteLeaderWait
        self.raftDBSyncLog += other.raftDBSyncLog
        self.raftDBWriteMemtable += other.raftDBWriteMemtable
        self.commitLog += other.commitLog
        self.applyBatchWait += other.applyBatchWait
        self.applyLog += other.applyLog
        self.applyMutexLock += other.applyMutexLock
        self.applyWriteLeaderWait += other.applyWriteLeaderWait
        self.applyWriteWAL += other.applyWriteWAL
        self.applyWriteMemtable += other.applyWriteMemtable
        self.latchWait += other.latchWait
        self.process += other.process
        self.throttle += other.throttle
        self.pessimisticLockWait += other.pessimisticLockWait
    }
}

extension WriteDetail: CustomStringConvertible {
    /// What is not zero, by TiKV's names and with units.
    public var description: String {
        var text = DetailText()
        text.add("store_batch_wait", self.storeBatchWait)
        text.add("propose_send_wait", self.proposeSendWait)
        text.add("persist_log", self.persistLog)
        text.add("raft_db_write_leader_wait", self.raftDBWriteLeaderWait)
        text.add("raft_db_sync_log", self.raftDBSyncLog)
        text.add("raft_db_write_memtable", self.raftDBWriteMemtable)
        text.add("commit_log", self.commitLog)
        text.add("apply_batch_wait", self.applyBatchWait)
        text.add("apply_log", self.applyLog)
        text.add("apply_mutex_lock", self.applyMutexLock)
        text.add("apply_write_leader_wait", self.applyWriteLeaderWait)
        text.add("apply_write_wal", self.applyWriteWAL)
        text.add("apply_write_memtable", self.applyWriteMemtable)
        text.add("scheduler_latch_wait", self.latchWait)
        text.add("scheduler_process", self.process)
        text.add("scheduler_throttle", self.throttle)
        text.add("scheduler_pessimistic_lock_wait", self.pessimisticLockWait)
        return text.text
    }
}
