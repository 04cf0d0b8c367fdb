// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// What stores say that a call cost them, summed up over all its requests.
struct ExecutionDetails: Sendable, Hashable {
    /// Times in the store.
    struct Times: Sendable, Hashable {
        /// Waiting to be worked on.
        var wait = Duration.zero
        var process = Duration.zero
        /// Set aside in favour of others.
        var suspend = Duration.zero
        var read = Duration.zero
        /// From the request's arrival to the answer.
        var total = Duration.zero
    }

    /// What was read to answer.
    struct Scan: Sendable, Hashable {
        var processedVersions: UInt64 = 0
        var processedBytes: UInt64 = 0
        var totalVersions: UInt64 = 0
        var skippedDeletes: UInt64 = 0
        var skippedKeys: UInt64 = 0
        var cachedBlocks: UInt64 = 0
        var readBlocks: UInt64 = 0
        var readBlockBytes: UInt64 = 0
        var readBlockTime = Duration.zero
        var snapshotTime = Duration.zero
    }

    /// What it took to write.
    struct Write: Sendable, Hashable {
        var storeBatchWait = Duration.zero
        var proposeSendWait = Duration.zero
        var persistLog = Duration.zero
        var raftDBWriteLeaderWait = Duration.zero
        var commitLog = Duration.zero
        var applyBatchWait = Duration.zero
        var applyLog = Duration.zero
        var throttle = Duration.zero
    }

    /// Answers that said anything.
    var answers = 0
    var times = Times()
    var scan = Scan()
    var write = Write()

    init() {}

    init(_ details: Kvrpcpb_ExecDetailsV2) {
        self.answers = 1
        if details.hasTimeDetailV2 {
            let times = details.timeDetailV2
            self.times.wait = .nanoseconds(times.waitWallTimeNs)
            self.times.process = .nanoseconds(times.processWallTimeNs)
            self.times.suspend = .nanoseconds(times.processSuspendWallTimeNs)
            self.times.read = .nanoseconds(times.kvReadWallTimeNs)
            self.times.total = .nanoseconds(times.totalRpcWallTimeNs)
        } else if details.hasTimeDetail {
            let times = details.timeDetail
            self.times.wait = .milliseconds(Int64(clamping: times.waitWallTimeMs))
            self.times.process = .milliseconds(Int64(clamping: times.processWallTimeMs))
            self.times.read = .milliseconds(Int64(clamping: times.kvReadWallTimeMs))
            self.times.total = .nanoseconds(Int64(clamping: times.totalRpcWallTimeNs))
        }
        let scan = details.scanDetailV2
        self.scan = Scan(
            processedVersions: scan.processedVersions, processedBytes: scan.processedVersionsSize,
            totalVersions: scan.totalVersions, skippedDeletes: scan.rocksdbDeleteSkippedCount,
            skippedKeys: scan.rocksdbKeySkippedCount, cachedBlocks: scan.rocksdbBlockCacheHitCount,
            readBlocks: scan.rocksdbBlockReadCount, readBlockBytes: scan.rocksdbBlockReadByte,
            readBlockTime: .nanoseconds(scan.rocksdbBlockReadNanos), snapshotTime: .nanoseconds(scan.getSnapshotNanos))
        let write = details.writeDetail
        self.write = Write(
            storeBatchWait: .nanoseconds(write.storeBatchWaitNanos),
            proposeSendWait: .nanoseconds(write.proposeSendWaitNanos),
            persistLog: .nanoseconds(write.persistLogNanos),
            raftDBWriteLeaderWait: .nanoseconds(write.raftDbWriteLeaderWaitNanos),
            commitLog: .nanoseconds(write.commitLogNanos),
            applyBatchWait: .nanoseconds(write.applyBatchWaitNanos),
            applyLog: .nanoseconds(write.applyLogNanos), throttle: .nanoseconds(write.throttleNanos))
    }

    /// Adds what another answer, or a part of the call, has cost.
    mutating func merge(_ other: ExecutionDetails) {
        self.answers += other.answers
        self.times.wait += other.times.wait
        self.times.process += other.times.process
        self.times.suspend += other.times.suspend
        self.times.read += other.times.read
        self.times.total += other.times.total
        self.scan.processedVersions += other.scan.processedVersions
        self.scan.processedBytes += other.scan.processedBytes
        self.scan.totalVersions += other.scan.totalVersions
        self.scan.skippedDeletes += other.scan.skippedDeletes
        self.scan.skippedKeys += other.scan.skippedKeys
        self.scan.cachedBlocks += other.scan.cachedBlocks
        self.scan.readBlocks += other.scan.readBlocks
        self.scan.readBlockBytes += other.scan.readBlockBytes
        self.scan.readBlockTime += other.scan.readBlockTime
        self.scan.snapshotTime += other.scan.snapshotTime
        self.write.storeBatchWait += other.write.storeBatchWait
        self.write.proposeSendWait += other.write.proposeSendWait
        self.write.persistLog += other.write.persistLog
        self.write.raftDBWriteLeaderWait += other.write.raftDBWriteLeaderWait
        self.write.commitLog += other.write.commitLog
        self.write.applyBatchWait += other.write.applyBatchWait
        self.write.applyLog += other.write.applyLog
        self.write.throttle += other.write.throttle
    }
}

extension Duration {
    fileprivate static func nanoseconds(_ count: UInt64) -> Duration { .nanoseconds(Int64(clamping: count)) }
}
