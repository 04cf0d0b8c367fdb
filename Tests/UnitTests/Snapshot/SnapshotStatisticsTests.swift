// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVPD

@testable import TiKV

/// What is told of a snapshot's reads.
@Suite(.timeLimit(.minutes(1)))
struct SnapshotStatisticsTests {
    @Test
    func aSnapshotSumsUpWhatItsReadsTook() async throws {
        try await LockLab.with { lab in
            try await lab.write(["a": "1", "b": "2"])
            let recorder = RequestRecorder()
            let snapshot = try await lab.snapshot(.init(recorder: recorder))
            #expect(try await snapshot.get("a") == "1")
            #expect(try await snapshot.batchGet(["a", "b"]).count == 2)
            #expect(try await lab.text(snapshot.scan(.everything)) == ["a=1", "b=2"])
            // Those of others are not counted, nor what needs no request.
            #expect(try await lab.value("b") == "2")
            #expect(try await snapshot.get("b") == "2")
            let statistics = recorder.statistics
            #expect(statistics.commands.mapValues(\.count) == ["KvGet": 1, "KvBatchGet": 1, "KvScan": 1])
            #expect(statistics.count == 3)
            #expect(statistics.backoffs.isEmpty)
            #expect(statistics.lockTime == .zero)
        }
    }

    @Test
    func waitsForLocksAreTold() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            // Readers can't push it, so that they wait until it expires.
            lab.cluster.putLock(
                .init(startTS: start, primary: Array("k".utf8), ttl: 2_000, value: Array("1".utf8)), on: Array("k".utf8)
            )
            let recorder = RequestRecorder()
            let snapshot = try await lab.snapshot()
            let found = try await withRequestStatistics(recorder) { try await snapshot.get("k") }
            #expect(found == nil)
            let statistics = recorder.statistics
            #expect(statistics.commands["KvGet"]?.count ?? 0 >= 2)
            #expect(statistics.backoffs["txnLockFast"]?.count ?? 0 >= 1)
            #expect(statistics.lockTime > .zero)
            #expect(statistics.description.contains("resolve_lock_time: "))
        }
    }
}
