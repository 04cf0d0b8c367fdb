// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVProto
import TiKVTransport

@testable import TiKV

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What is told of the RPCs that some work needed.
@Suite(.timeLimit(.minutes(1))) struct RequestStatisticsTests {
    private typealias Harness = PipelineHarness

    private static func access(store: UInt64, error: String? = nil) -> RequestStatistics.Access {
        RequestStatistics.Access(
            regionID: 1, storeID: store, address: "store\(store):20160", peerID: store + 10, isReplicaRead: false,
            isStaleRead: false, error: error)
    }

    @Test func everyTryOfACallIsCounted() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store1") { _ in
            Harness.regionError { error in
                error.notLeader.leader.id = 12
                error.notLeader.leader.storeID = 2
            }
        }
        harness.on("store2") { _ in Harness.value("v") }
        let recorder = RequestRecorder()
        try await withRequestStatistics(recorder) { _ = try await harness.get() }
        let statistics = recorder.statistics
        #expect(statistics.commands["RawGet"]?.count == 2)
        #expect(statistics.errors == ["NotLeader": 1])
        #expect(statistics.accesses.map(\.storeID) == [1, 2])
        #expect(statistics.accesses.map(\.address) == ["store1:20160", "store2:20160"])
        #expect(statistics.accesses.map(\.peerID) == [11, 12])
        #expect(statistics.accesses.map(\.error) == ["NotLeader", nil])
        #expect(statistics.description.contains("RawGet: {num_rpc: 2"))
        #expect(statistics.description.contains("rpc_errors: {NotLeader: 1}"))
        // Outside of the scope nothing is.
        _ = try await harness.get()
        #expect(recorder.statistics == statistics)
        #expect(recorder.take() == statistics)
        #expect(recorder.statistics == RequestStatistics())
    }

    @Test func whatStoresSayThatItCostIsSummedUp() async throws {
        let harness = Harness([.sample(1)])
        var answer = Kvrpcpb_GetResponse()
        answer.execDetailsV2.timeDetailV2.processWallTimeNs = 2_000_000
        answer.execDetailsV2.scanDetailV2.processedVersions = 3
        harness.on("store1", { [answer] _ in answer })
        var options = RequestOptions()
        let recorder = RequestRecorder()
        options.recorder = recorder
        var request = Kvrpcpb_GetRequest()
        request.key = Data([1])
        for _ in 0..<2 {
            _ = try await harness.sender.send(
                TikvpbTikvRPC.kvGet, request, key: [1], timeout: .seconds(5), isWrite: false, options: options)
        }
        let execution = recorder.statistics.execution
        #expect(execution.answers == 2)
        #expect(execution.time.process == .milliseconds(4))
        #expect(execution.scan.processedVersions == 6)
        #expect(recorder.statistics.description.contains("total_process_time: 4ms"))
    }

    @Test func failuresCountWithTheirStatus() async throws {
        let harness = Harness([.sample(1)])
        harness.on("store2") { _ in Harness.value("v") }
        let recorder = RequestRecorder()
        try await withRequestStatistics(recorder) { _ = try await harness.get() }
        #expect(recorder.statistics.errors == ["unavailable": 1])
    }

    @Test func callsAndTimesAddUp() {
        var statistics = RequestStatistics()
        statistics.record("KvGet", took: .seconds(1))
        statistics.record("KvGet", took: .milliseconds(500))
        statistics.record("KvCommit", took: .milliseconds(1))
        #expect(statistics.commands["KvGet"] == .init(count: 2, time: .milliseconds(1500)))
        #expect(statistics.count == 3)
        let copy = statistics
        statistics.merge(copy)
        #expect(statistics.commands["KvGet"] == .init(count: 4, time: .seconds(3)))
        // What was copied is a thing of its own.
        #expect(copy.count == 3)
    }

    /// What a snapshot, or any other work, was told of twice counts twice.
    @Test func waitsLocksAndCostsAddUp() {
        var one = RequestStatistics()
        one.record("KvGet", took: .seconds(1))
        one.record("KvGet", took: .milliseconds(1))
        var sum = RequestStatistics()
        sum.merge(one)
        sum.merge(one)
        #expect(sum.commands["KvGet"] == .init(count: 4, time: .milliseconds(2_002)))
        #expect(sum.description == "KvGet: {num_rpc: 4, total_time: 2.002s}")

        sum.recordBackoff("txnLockFast", .milliseconds(5))
        sum.recordBackoff("txnLockFast", .milliseconds(5))
        #expect(sum.backoffs == ["txnLockFast": .init(count: 2, time: .milliseconds(10))])
        #expect(sum.description.hasSuffix(", txnLockFast_backoff: {num: 2, total_time: 10ms}"))

        var details = Kvrpcpb_ExecDetailsV2()
        details.timeDetailV2.waitWallTimeNs = 100_000_000
        details.timeDetailV2.processWallTimeNs = 100_000_000
        details.scanDetailV2.processedVersions = 10
        details.scanDetailV2.processedVersionsSize = 10
        details.scanDetailV2.totalVersions = 15
        details.scanDetailV2.getSnapshotNanos = 500
        details.scanDetailV2.rocksdbBlockReadCount = 20
        var costs = RequestStatistics()
        costs.execution = ExecutionDetails(details)
        sum.merge(costs)
        #expect(sum.execution == costs.execution)
        sum.recordLocks(.seconds(1))
        let text = sum.description
        #expect(text.contains("total_time: 10ms}, resolve_lock_time: 1s, exec_details: {"))
        #expect(text.contains("total_process_time: 100ms"))

        // All of it once more.
        let before = sum
        sum.merge(before)
        #expect(sum.commands["KvGet"]?.count == 8)
        #expect(sum.backoffs["txnLockFast"] == .init(count: 4, time: .milliseconds(20)))
        #expect(sum.lockTime == .seconds(2))
        #expect(sum.execution.time.process == .milliseconds(200))
        #expect(sum.execution.time.wait == .milliseconds(200))
        #expect(sum.execution.scan.processedVersions == 20)
        #expect(sum.execution.scan.totalVersions == 30)

        var pool = Kvrpcpb_ExecDetailsV2()
        pool.readPoolTaskDetails.pollCount = 2
        pool.readPoolTaskDetails.dispatchCount = 1
        var more = RequestStatistics()
        more.execution = ExecutionDetails(pool)
        sum.merge(more)
        #expect(sum.description.hasSuffix("tasks: 1, avg_polls: 2, avg_dispatches: 1}"))
    }

    @Test func kindsOfErrorsBeyondTheLimitAreOneKind() {
        var statistics = RequestStatistics()
        for number in 0..<(RequestStatistics.errorKindLimit + 4) {
            statistics.record(Self.access(store: 1, error: "error\(100 + number)"))
        }
        statistics.record(Self.access(store: 1, error: "error100"))
        #expect(statistics.errors.count == RequestStatistics.errorKindLimit + 1)
        #expect(statistics.errors["other"] == 4)
        #expect(statistics.errors["error100"] == 2)
        var merged = statistics
        merged.merge(statistics)
        #expect(merged.errors["other"] == 8)
        #expect(merged.errors["error100"] == 4)
        var fresh = RequestStatistics()
        fresh.merge(statistics)
        #expect(fresh.errors.values.reduce(0, +) == statistics.errors.values.reduce(0, +))
    }

    @Test func accessesBeyondTheLimitAreCountedByStore() {
        var statistics = RequestStatistics()
        for number in 0..<10 {
            statistics.record(Self.access(store: UInt64(number % 2 + 1), error: number % 3 == 0 ? "NotLeader" : nil))
        }
        #expect(statistics.accesses.count == RequestStatistics.accessLimit)
        #expect(statistics.furtherAccesses[1] == .init(count: 2, errors: ["NotLeader": 1]))
        #expect(statistics.furtherAccesses[2] == .init(count: 3, errors: ["NotLeader": 1]))
        let copy = statistics
        statistics.merge(copy)
        #expect(statistics.accesses == copy.accesses)
        // Those that the other told one by one are only counted now.
        #expect(statistics.furtherAccesses.values.reduce(0) { $0 + $1.count } == 15)
        #expect(statistics.description.contains("store_2_further: {count: 8"))
    }
}
