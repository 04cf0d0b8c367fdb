// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVProto

@testable import TiKV

/// What stores say of the time that requests took, as a tracer shows it.
@Suite struct ExecutionSpanTests {
    private func span(
        _ name: String, _ start: Int, _ end: Int, _ children: [ExecutionSpan] = []
    ) -> ExecutionSpan {
        ExecutionSpan(
            name: "tikv." + name, start: .nanoseconds(start), duration: .nanoseconds(end - start), children: children)
    }

    @Test func answersWithoutTimesHaveNone() {
        #expect(ExecutionDetails().spans.isEmpty)
        #expect(ExecutionDetails(Kvrpcpb_ExecDetailsV2()).spans.isEmpty)
        // Without the time of the whole there is nothing to put stages into.
        var details = Kvrpcpb_ExecDetailsV2()
        details.timeDetailV2.processWallTimeNs = 5
        #expect(ExecutionDetails(details).spans.isEmpty)
    }

    @Test func aReadsStagesFollowEachOther() {
        var details = Kvrpcpb_ExecDetailsV2()
        details.timeDetailV2.totalRpcWallTimeNs = 1_000
        details.timeDetailV2.waitWallTimeNs = 100
        details.timeDetailV2.processWallTimeNs = 500
        details.timeDetailV2.processSuspendWallTimeNs = 50
        details.scanDetailV2.getSnapshotNanos = 80
        details.scanDetailV2.rocksdbBlockReadNanos = 200
        let expected = self.span(
            "RPC", 0, 1_000,
            [
                self.span("Wait", 0, 100, [self.span("GetSnapshot", 0, 80)]),
                self.span("Process", 100, 600, [self.span("RocksDBBlockRead", 100, 300)]),
                self.span("Suspend", 600, 650),
            ])
        #expect(ExecutionDetails(details).spans == [expected])
    }

    @Test func aWritesStagesAreNestedAndTheLogIsWrittenBesideItsCommit() {
        var details = Kvrpcpb_ExecDetailsV2()
        details.timeDetailV2.totalRpcWallTimeNs = 10_000
        details.timeDetailV2.processWallTimeNs = 1_000
        details.writeDetail.storeBatchWaitNanos = 10
        details.writeDetail.proposeSendWaitNanos = 20
        details.writeDetail.persistLogNanos = 500
        details.writeDetail.raftDbWriteLeaderWaitNanos = 50
        details.writeDetail.raftDbSyncLogNanos = 100
        details.writeDetail.raftDbWriteMemtableNanos = 30
        details.writeDetail.commitLogNanos = 700
        details.writeDetail.applyBatchWaitNanos = 40
        details.writeDetail.applyLogNanos = 300
        details.writeDetail.applyMutexLockNanos = 1
        details.writeDetail.applyWriteLeaderWaitNanos = 2
        details.writeDetail.applyWriteWalNanos = 3
        details.writeDetail.applyWriteMemtableNanos = 4
        let write = self.span(
            "AsyncWrite", 1_000, 2_070,
            [
                self.span("StoreBatchWait", 1_000, 1_010),
                self.span("ProposeSendWait", 1_010, 1_030),
                self.span(
                    "PersistLog", 1_030, 1_530,
                    [
                        self.span("RaftDBWriteWait", 1_030, 1_080),
                        self.span("RaftDBWriteWAL", 1_080, 1_180),
                        self.span("RaftDBWriteMemtable", 1_180, 1_210),
                    ]),
                self.span("CommitLog", 1_030, 1_730),
                self.span("ApplyBatchWait", 1_730, 1_770),
                self.span(
                    "ApplyLog", 1_770, 2_070,
                    [
                        self.span("ApplyMutexLock", 1_770, 1_771),
                        self.span("ApplyWriteLeaderWait", 1_771, 1_773),
                        self.span("ApplyWriteWAL", 1_773, 1_776),
                        self.span("ApplyWriteMemtable", 1_776, 1_780),
                    ]),
            ])
        let expected = self.span("RPC", 0, 10_000, [self.span("Process", 0, 1_000), write])
        #expect(ExecutionDetails(details).spans == [expected])
    }
}
