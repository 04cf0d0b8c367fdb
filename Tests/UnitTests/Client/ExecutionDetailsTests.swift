// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVProto

@testable import TiKV

/// What stores say that requests cost: taken from answers, summed up, and put into words.
@Suite struct ExecutionDetailsTests {
    /// Ten tasks' worth of one answer.
    private static var pool: Kvrpcpb_PoolTaskDetails {
        var details = Kvrpcpb_PoolTaskDetails()
        details.pollCount = 4
        details.dispatchCount = 2
        details.totalWallNanos = 20_000_000
        details.totalQueueWaitNanos = 6_000_000
        details.maxQueueWaitNanos = 4_000_000
        details.minQueueWaitNanos = 2_000_000
        details.totalWakeWaitNanos = 4_000_000
        details.maxWakeWaitNanos = 3_000_000
        details.minWakeWaitNanos = 1_000_000
        details.fairQueueEnabled = true
        details.totalFairQueueWaitedTaskSlices = 6
        details.maxFairQueueWaitedTaskSlices = 4
        details.minFairQueueWaitedTaskSlices = 2
        details.pollCpuNanos = 8_000_000
        details.maxPollCpuNanos = 3_000_000
        details.minPollCpuNanos = 1_000_000
        details.pollWallNanos = 12_000_000
        details.maxPollWallNanos = 5_000_000
        details.minPollWallNanos = 2_000_000
        return details
    }

    // MARK: - Times

    @Test func timesOfEitherFormAreTaken() {
        var exact = Kvrpcpb_ExecDetailsV2()
        exact.timeDetail.processWallTimeMs = 99
        exact.timeDetailV2.processWallTimeNs = 1
        exact.timeDetailV2.processSuspendWallTimeNs = 2
        exact.timeDetailV2.waitWallTimeNs = 3
        exact.timeDetailV2.kvReadWallTimeNs = 4
        exact.timeDetailV2.totalRpcWallTimeNs = 5
        exact.timeDetailV2.kvGrpcProcessTimeNs = 6
        exact.timeDetailV2.kvGrpcWaitTimeNs = 7
        let time = ExecutionDetails(exact).time
        #expect(time.process == .nanoseconds(1 as Int64) && time.suspend == .nanoseconds(2 as Int64))
        #expect(time.wait == .nanoseconds(3 as Int64) && time.read == .nanoseconds(4 as Int64))
        #expect(time.total == .nanoseconds(5 as Int64) && time.grpcProcess == .nanoseconds(6 as Int64))
        #expect(time.grpcWait == .nanoseconds(7 as Int64))
        var old = Kvrpcpb_ExecDetailsV2()
        old.timeDetail.processWallTimeMs = 2
        old.timeDetail.waitWallTimeMs = 3
        old.timeDetail.kvReadWallTimeMs = 4
        old.timeDetail.totalRpcWallTimeNs = 5
        let coarse = ExecutionDetails(old).time
        #expect(coarse.process == .milliseconds(2) && coarse.wait == .milliseconds(3))
        #expect(coarse.read == .milliseconds(4) && coarse.total == .nanoseconds(5 as Int64))
    }

    @Test func timesAddUp() {
        var sum = TimeDetail()
        for _ in 0..<2 {
            var other = TimeDetail()
            other.process = .seconds(1)
            other.suspend = .seconds(2)
            other.wait = .seconds(3)
            other.read = .seconds(4)
            other.total = .seconds(5)
            sum.merge(other)
        }
        #expect(sum.process == .seconds(2) && sum.suspend == .seconds(4) && sum.wait == .seconds(6))
        #expect(sum.read == .seconds(8) && sum.total == .seconds(10))
    }

    @Test func anAnswerWithoutTimesChangesNone() {
        var first = Kvrpcpb_ExecDetailsV2()
        first.timeDetailV2.processWallTimeNs = 5
        var sum = ExecutionDetails(first)
        let before = sum.time
        sum.merge(ExecutionDetails(Kvrpcpb_ExecDetailsV2()))
        #expect(sum.time == before && sum.answers == 2)
    }

    @Test func timesAreToldWithUnitsAndWithoutThoseThatAreZero() {
        var time = TimeDetail()
        #expect(time.description.isEmpty)
        time.process = .milliseconds(2)
        time.wait = .microseconds(1500)
        time.total = .seconds(61)
        #expect(time.description == "total_process_time: 2ms, total_wait_time: 1.5ms, tikv_wall_time: 61s")
        time.wait = .nanoseconds(999 as Int64)
        time.process = .zero
        #expect(time.description == "total_wait_time: 999ns, tikv_wall_time: 61s")
    }

    // MARK: - Scans and writes

    @Test func whatScansReadIsTakenAndAddsUp() {
        var scan = Kvrpcpb_ScanDetailV2()
        scan.processedVersions = 1
        scan.processedVersionsSize = 2
        scan.totalVersions = 3
        scan.rocksdbDeleteSkippedCount = 4
        scan.rocksdbKeySkippedCount = 5
        scan.rocksdbBlockCacheHitCount = 6
        scan.rocksdbBlockReadCount = 7
        scan.rocksdbBlockReadByte = 8
        scan.rocksdbBlockReadNanos = 9
        scan.getSnapshotNanos = 10
        scan.readIndexProposeWaitNanos = 11
        scan.readIndexConfirmWaitNanos = 12
        scan.readPoolScheduleWaitNanos = 13
        scan.totalVersionsSize = 14
        var sum = ScanDetail(scan)
        sum.merge(sum)
        #expect(sum.processedVersions == 2 && sum.processedBytes == 4 && sum.totalVersions == 6)
        #expect(sum.skippedDeletes == 8 && sum.skippedKeys == 10 && sum.cachedBlocks == 12 && sum.readBlocks == 14)
        #expect(sum.readBlockBytes == 16 && sum.readBlockTime == .nanoseconds(18 as Int64))
        #expect(sum.snapshotTime == .nanoseconds(20 as Int64))
        #expect(sum.readIndexProposeWait == .nanoseconds(22 as Int64))
        #expect(sum.readIndexConfirmWait == .nanoseconds(24 as Int64))
        #expect(sum.readPoolScheduleWait == .nanoseconds(26 as Int64) && sum.totalBytes == 28)
    }

    @Test func remoteStorageIsTakenFromAnswers() {
        var details = Kvrpcpb_ExecDetailsV2()
        details.scanDetailV2.iaCacheHitCount = 1
        details.scanDetailV2.iaRemoteReadSegmentCount = 2
        details.scanDetailV2.iaRemoteReadSegmentBytes = 3
        details.scanDetailV2.iaRemoteReadSegmentNanos = 4_000_000
        let scan = ExecutionDetails(details).scan
        #expect(scan.remoteCacheHits == 1 && scan.remoteSegments == 2 && scan.remoteSegmentBytes == 3)
        #expect(scan.remoteSegmentTime == .milliseconds(4))
        #expect(scan.description.contains("ia_remote_read_segment_time: 4ms"))
    }

    @Test func remoteStorageAddsUp() {
        var scan = ScanDetail()
        scan.remoteCacheHits = 1
        scan.remoteSegments = 2
        scan.remoteSegmentBytes = 3
        scan.remoteSegmentTime = .milliseconds(4)
        var sum = scan
        sum.merge(scan)
        #expect(sum.remoteCacheHits == 2 && sum.remoteSegments == 4 && sum.remoteSegmentBytes == 6)
        #expect(sum.remoteSegmentTime == .milliseconds(8))
    }

    @Test func theStagesOfWritesAddUp() {
        var write = Kvrpcpb_WriteDetail()
        write.storeBatchWaitNanos = 1
        write.proposeSendWaitNanos = 2
        write.persistLogNanos = 3
        write.raftDbWriteLeaderWaitNanos = 4
        write.raftDbSyncLogNanos = 5
        write.raftDbWriteMemtableNanos = 6
        write.commitLogNanos = 7
        write.applyBatchWaitNanos = 8
        write.applyLogNanos = 9
        write.applyMutexLockNanos = 10
        write.applyWriteLeaderWaitNanos = 11
        write.applyWriteWalNanos = 12
        write.applyWriteMemtableNanos = 13
        write.latchWaitNanos = 14
        write.processNanos = 15
        write.throttleNanos = 16
        write.pessimisticLockWaitNanos = 17
        var sum = WriteDetail(write)
        sum.merge(sum)
        let stages = [
            sum.storeBatchWait, sum.proposeSendWait, sum.persistLog, sum.raftDBWriteLeaderWait, sum.raftDBSyncLog,
            sum.raftDBWriteMemtable, sum.commitLog, sum.applyBatchWait, sum.applyLog, sum.applyMutexLock,
            sum.applyWriteLeaderWait, sum.applyWriteWAL, sum.applyWriteMemtable, sum.latchWait, sum.process,
            sum.throttle, sum.pessimisticLockWait,
        ]
        #expect(stages == (1...17).map { .nanoseconds(Int64($0 * 2)) })
    }

    // MARK: - Read pools

    @Test func averagesAreToldOfTimes() {
        let detail = PoolTaskDetail(Self.pool)
        #expect(detail.description.contains("queue_wait: {avg: 3ms, min: 2ms, max: 4ms}"))
        #expect(detail.description.contains("wake_wait: {avg: 2ms, min: 1ms, max: 3ms}"))
        #expect(detail.description.contains("poll_cpu: {avg: 2ms, min: 1ms, max: 3ms}"))
        #expect(detail.description.contains("poll_wall: {avg: 3ms, min: 2ms, max: 5ms}"))
        #expect(detail.description.contains("wall_time: {avg: 20ms"))
        #expect(detail.description.contains("fair_queue_wait: {avg: 3, min: 2, max: 4}"))
    }

    @Test func timesThatAreZeroAreLeftOut() {
        var details = Self.pool
        details.totalQueueWaitNanos = 0
        details.maxQueueWaitNanos = 0
        details.minQueueWaitNanos = 0
        details.totalWallNanos = 0
        let text = PoolTaskDetail(details).description
        #expect(!text.contains("queue_wait: {avg: 0") && !text.contains(", queue_wait"))
        #expect(!text.contains("wall_time"))
        #expect(text.contains("wake_wait"))
    }

    @Test func withoutSamplesThereAreNoAverages() {
        var details = Kvrpcpb_PoolTaskDetails()
        details.totalQueueWaitNanos = 5
        details.pollCpuNanos = 6
        details.fairQueueEnabled = true
        #expect(PoolTaskDetail(details).description == "tasks: 1")
    }

    @Test func answersAddUp() {
        var sum = PoolTaskDetail(Self.pool)
        var other = Self.pool
        other.pollCount = 1
        other.dispatchCount = 1
        other.totalQueueWaitNanos = 9_000_000
        other.maxQueueWaitNanos = 9_000_000
        other.minQueueWaitNanos = 9_000_000
        sum.merge(PoolTaskDetail(other))
        #expect(sum.tasks == 2 && sum.polls == 5 && sum.dispatches == 3)
        #expect(sum.wall.total == .milliseconds(40) && sum.wall.count == 2)
        #expect(sum.queueWait.total == .milliseconds(15) && sum.queueWait.count == 3)
        #expect(sum.queueWait.maximum == .milliseconds(9) && sum.queueWait.minimum == .milliseconds(2))
        #expect(sum.fairQueueWait.total == 12 && sum.fairQueueWait.count == 3)
    }

    @Test func theSmallestIsKeptWhereItWasMeasured() {
        var idle = Self.pool
        idle.totalQueueWaitNanos = 0
        idle.minQueueWaitNanos = 0
        idle.maxQueueWaitNanos = 0
        var sum = PoolTaskDetail(idle)
        #expect(sum.queueWait.minimum == nil)
        sum.merge(PoolTaskDetail(Self.pool))
        #expect(sum.queueWait.minimum == .milliseconds(2))
        sum.merge(PoolTaskDetail(idle))
        #expect(sum.queueWait.minimum == .milliseconds(2))
        var smaller = Self.pool
        smaller.minQueueWaitNanos = 1_000_000
        sum.merge(PoolTaskDetail(smaller))
        #expect(sum.queueWait.minimum == .milliseconds(1))
    }

    @Test func averageCountsHaveAFraction() {
        var sum = PoolTaskDetail(Self.pool)
        var other = Self.pool
        other.pollCount = 3
        other.dispatchCount = 1
        sum.merge(PoolTaskDetail(other))
        #expect(sum.description.contains("avg_polls: 3.5"))
        #expect(sum.description.contains("avg_dispatches: 1.5"))
        #expect(DetailText.words(2.0 / 3) == "0.667")
        #expect(DetailText.words(-1.25) == "-1.25")
    }

    @Test func aFairQueueThatLetNobodyGoFirstIsToldAllTheSame() {
        var details = Self.pool
        details.totalFairQueueWaitedTaskSlices = 0
        details.maxFairQueueWaitedTaskSlices = 0
        details.minFairQueueWaitedTaskSlices = 0
        #expect(PoolTaskDetail(details).description.contains("fair_queue_wait: {avg: 0, min: 0, max: 0}"))
        details.fairQueueEnabled = false
        #expect(!PoolTaskDetail(details).description.contains("fair_queue_wait"))
    }

    @Test func nothingIsEmptyAndACopyIsAThingOfItsOwn() {
        let nothing = PoolTaskDetail()
        #expect(nothing.isEmpty && nothing.description.isEmpty)
        var copy = nothing
        copy.merge(PoolTaskDetail(Self.pool))
        #expect(!copy.isEmpty && nothing.isEmpty)
    }
}
