// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVEmbedded
import TiKVPD
import TiKVProto

@testable import TiKV

/// What snapshots read, against stores in which transactions stand wherever a test has left them.
@Suite(.timeLimit(.minutes(2)))
struct SnapshotMomentTests {
    private func row(_ number: Int) -> String { "row/" + String("\(number + 1_000_000)".dropFirst()) }

    private func pairs(_ scan: TransactionScan) async throws -> [Key: Value] {
        var pairs: [Key: Value] = [:]
        for try await (key, value) in scan { pairs[key] = value }
        return pairs
    }

    // MARK: - Batches

    @Test(arguments: [1, 100, 191])
    func aBatchFindsWhatAScanFinds(rows: Int) async throws {
        try await LockLab.with(splits: [self.row(50), self.row(120)]) { lab in
            let names = (0..<rows).map { self.row($0) }
            try await lab.write(Dictionary(uniqueKeysWithValues: names.map { ($0, "value \($0)") }))
            let snapshot = try await lab.snapshot(.init(isCached: false))
            let scanned = try await self.pairs(snapshot.scan(.prefix("row/")))
            #expect(scanned.count == rows)
            #expect(try await snapshot.batchGet(names.map { Key($0) }) == scanned)
            // One that was never written makes no difference.
            #expect(try await snapshot.batchGet((names + ["row/never"]).map { Key($0) }) == scanned)
            try await lab.write(Dictionary(uniqueKeysWithValues: names.map { ($0, nil) }))
            #expect(try await lab.snapshot().batchGet(names.map { Key($0) }) == [:])
        }
    }

    @Test
    func valuesComeWithTheirCommitTimestampsWhereAskedFor() async throws {
        try await LockLab.with { lab in
            let commit = TiKV.Timestamp(rawValue: try await lab.write(["a": "1", "b": "2", "c": "3"]))
            let snapshot = try await lab.snapshot()
            let versions = try await snapshot.versions(of: ["a", "b", "d"])
            #expect(
                versions == [
                    "a": .init(value: "1", commitTimestamp: commit), "b": .init(value: "2", commitTimestamp: commit),
                ])
            #expect(try await snapshot.version(of: "c") == .init(value: "3", commitTimestamp: commit))
            #expect(try await snapshot.version(of: "e") == nil)
        }
    }

    /// A value that is read through the lock of a committed transaction has no commit timestamp yet: where one is asked for,
    /// the lock must be gone.
    @Test
    func commitTimestampsAreNotReadThroughLocks() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.prewrite(["a": "1", "b": "1"], primary: "a", start: start)
            let commit = try await lab.timestamp()
            try await lab.commit("a", start: start, at: commit)
            let version = try await lab.snapshot().version(of: "b")
            #expect(version == .init(value: "1", commitTimestamp: TiKV.Timestamp(rawValue: commit)))
            #expect(lab.lockedKeys == [])
        }
    }

    // MARK: - Cache

    @Test
    func whatWasReadIsKeptAbsenceIncluded() async throws {
        try await LockLab.with { lab in
            let commit = TiKV.Timestamp(rawValue: try await lab.write(["x": "x", "a": "a", "y": nil, "b": nil]))
            let requests = {
                lab.cluster.requestCount("KvGet") + lab.cluster.requestCount("KvBatchGet")
            }
            let snapshot = try await lab.snapshot()
            #expect(try await snapshot.batchGet(["x", "y"]) == ["x": "x"])
            #expect(try await snapshot.get("a") == "a")
            #expect(try await snapshot.get("b") == nil)

            let asked = requests()
            #expect(try await snapshot.batchGet(["x", "y"]) == ["x": "x"])
            #expect(try await snapshot.get("a") == "a")
            #expect(try await snapshot.get("b") == nil)
            #expect(requests() == asked)
            #expect(snapshot.cacheHits == 4)
            for key in ["x", "a"] {
                let known = snapshot.state.withLock { $0.cache.peek(Array(key.utf8)) }
                #expect(known == .some(.init(value: Array(key.utf8), commit: 0)))
            }

            // What is known without its commit timestamp does not do where that is asked for; absence does.
            let version = Snapshot.Version(value: "x", commitTimestamp: commit)
            #expect(try await snapshot.versions(of: ["x", "y"]) == ["x": version])
            #expect(requests() == asked + 1)
            #expect(try await snapshot.version(of: "a") == .init(value: "a", commitTimestamp: commit))
            #expect(requests() == asked + 2)
            #expect(try await snapshot.version(of: "b") == nil)
            #expect(requests() == asked + 2)
            #expect(try await snapshot.versions(of: ["x", "y"]) == ["x": version])
            #expect(try await snapshot.version(of: "a") == .init(value: "a", commitTimestamp: commit))
            #expect(try await snapshot.batchGet(["x", "a"]) == ["x": "x", "a": "a"])
            #expect(requests() == asked + 2)
        }
    }

    @Test
    func nothingIsKeptOfTheLatestState() async throws {
        try await LockLab.with { lab in
            try await lab.write(["x": "x", "y": "y", "z": "z"])
            let snapshot = try await lab.snapshot()
            #expect(try await snapshot.get("x") == "x")
            #expect(try await snapshot.batchGet(["y", "z"]) == ["y": "y", "z": "z"])
            #expect(snapshot.cacheCount == 3)
            for key in ["x", "y", "z"] {
                let known = snapshot.state.withLock { $0.cache.peek(Array(key.utf8)) }
                #expect(known == .some(.init(value: Array(key.utf8), commit: 0)))
            }
            let latest = lab.client.snapshot()
            #expect(try await latest.get("x") == "x")
            #expect(try await latest.batchGet(["y", "z"]) == ["y": "y", "z": "z"])
            #expect(latest.cacheCount == 0)
            try await lab.write(["x": "new"])
            #expect(try await latest.get("x") == "new")
        }
    }

    // MARK: - Locks

    /// A reader pushes an open transaction, which then commits after it.
    @Test
    func readersDoNotWaitForAnOpenTransactionWhichCommitsAfterThem() async throws {
        try await LockLab.with { lab in
            let gate = EmbeddedCluster.Gate()
            lab.cluster.inject(.hold(gate), into: .init(rpc: "KvCommit"), times: 1)
            let writer = try await lab.client.begin()
            try await writer.put("x", value: "x")
            try await writer.put("y", value: "y")
            async let committed = writer.commit()
            try await gate.waitForArrivals()
            let reader = try await lab.client.begin()
            #expect(try await reader.get("x") == nil)
            #expect(try await reader.batchGet(["unrelated"]) == [:])
            // The reader did not wait for the lock to go.
            #expect(lab.lockedKeys == ["x", "y"])
            gate.open()
            let timestamp = try #require(try await committed)
            #expect(timestamp > reader.startTimestamp)
            // The first timestamp was refused.
            #expect(lab.cluster.requestCount("KvCommit") >= 2)
        }
    }

    @Test
    func pointReadsOfTheLatestStateGoPastLocks() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.prewrite(["x": "x", "y": "y"], primary: "x", start: start, timeToLive: 100_000)
            #expect(try await lab.client.snapshot().get("y", timeout: .seconds(20)) == nil)
            #expect(lab.lockedKeys == ["x", "y"])
            let gate = EmbeddedCluster.Gate()
            lab.cluster.inject(.hold(gate), into: .init(rpc: "KvResolveLock"), times: nil)
            // Nobody has pushed it.
            #expect(try await lab.commit("x", start: start, at: start + 1) == nil)
            #expect(try await lab.client.snapshot().get("y", timeout: .seconds(20)) == "y")
            #expect(lab.lockedKeys == ["y"])
            gate.open()
        }
    }

    /// What one read of the latest state could overlook, the next one may have to see.
    @Test
    func aSnapshotOfTheLatestStateForgetsWhatItOverlooked() async throws {
        try await LockLab.with { lab in
            let latest = lab.client.snapshot()
            let start = try await lab.timestamp()
            try await lab.prewrite(["x": "x", "y": "y"], primary: "x", start: start, timeToLive: 100_000)
            #expect(try await latest.get("y") == nil)
            try await lab.commit("x", start: start, at: try await lab.timestamp())
            #expect(try await latest.get("y") == "y")
        }
    }

    /// Several keys of the latest state are those of one moment.
    @Test
    func aBatchOfTheLatestStateIsOfOneMoment() async throws {
        try await LockLab.with(splits: ["m"]) { lab in
            try await lab.write(["a": "0", "z": "0"])
            let gate = EmbeddedCluster.Gate()
            let right = try #require(lab.cluster.regions.last?.id)
            lab.cluster.inject(.hold(gate), into: .init(rpc: "KvBatchGet", regionID: right), times: 1)
            async let found = lab.client.snapshot().batchGet(["a", "z"])
            try await gate.waitForArrivals()
            try await lab.write(["a": "1", "z": "1"])
            gate.open()
            #expect(try await found == ["a": "0", "z": "0"])
        }
    }

    @Test
    func oneSnapshotServesManyTasks() async throws {
        try await LockLab.with { lab in
            try await lab.write(["x": "x"])
            let snapshot = lab.client.snapshot()
            let cached = try await lab.snapshot()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<5 {
                    group.addTask {
                        for _ in 0..<30 {
                            for snapshot in [snapshot, cached] {
                                let value = try await snapshot.get("x")
                                #expect(value == "x")
                                let values = try await snapshot.batchGet(["x", "missing"])
                                #expect(values == ["x": "x"])
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test
    func readCommittedOverlooksLocks() async throws {
        try await LockLab.with { lab in
            let rows = (0..<20).map { self.row($0) }
            try await lab.write(Dictionary(uniqueKeysWithValues: rows.map { ($0, "old") }))
            let start = try await lab.timestamp()
            try await lab.prewrite(
                KeyValuePairs(dictionaryLiteral: (rows[0], "new")), primary: rows[0], start: start,
                timeToLive: 100_000)
            let snapshot = try await lab.snapshot(.init(isolation: .readCommitted))
            #expect(try await snapshot.get(Key(rows[0])) == "old")
            let all = Dictionary(uniqueKeysWithValues: rows.map { (Key($0), Value("old")) })
            #expect(try await snapshot.batchGet(rows.map { Key($0) }) == all)
            #expect(try await self.pairs(snapshot.scan(.prefix("row/"))) == all)
            #expect(lab.cluster.requestCount("KvCheckTxnStatus") == 0)
            // What is committed later is seen later.
            #expect(snapshot.cacheCount == 0)
        }
    }

    @Test
    func checkedReadsRefuseWhatIsNewer() async throws {
        try await LockLab.with { lab in
            try await lab.write(["a": "1"])
            let snapshot = try await lab.snapshot(.init(isolation: .readCommittedChecked))
            #expect(try await snapshot.get("a") == "1")
            try await lab.write(["a": "2"])
            let error = await #expect(throws: TiKVError.self) { try await snapshot.get("a") }
            #expect(error?.code == .writeConflict)
            #expect(error?.transaction?.conflict?.reason == .readCommittedCheck)
            #expect(error?.isRetryable == true)
        }
    }

    // MARK: - Moments

    @Test
    func aMomentThatIsYetToComeIsRefused() async throws {
        try await LockLab.with { lab in
            let now = try await lab.timestamp()
            let minute: UInt64 = 60_000 << 18
            let future = lab.client.snapshot(at: TiKV.Timestamp(rawValue: now + minute))
            let error = await #expect(throws: TiKVError.self) { try await future.get("a") }
            #expect(error?.code == .invalidArgument)
            #expect(lab.cluster.requestCount("KvGet") == 0)
            // What is over, and whatever is the latest, can be read.
            #expect(try await lab.client.snapshot(at: TiKV.Timestamp(rawValue: now - minute)).get("a") == nil)
            #expect(try await lab.client.snapshot(at: .latest).get("a") == nil)
            #expect(lab.cluster.requestCount("KvGet") == 2)
            // A replica that lags behind has no latest state.
            let stale = lab.client.snapshot(at: .latest, options: .init(isStaleRead: true))
            let refused = await #expect(throws: TiKVError.self) { try await stale.get("a") }
            #expect(refused?.code == .invalidArgument)
            #expect(lab.cluster.requestCount("KvGet") == 2)
        }
    }

    @Test
    func aMomentOfWhichVersionsWereCollectedIsRefused() async throws {
        try await LockLab.with { lab in
            try await lab.write(["a": "1"])
            let old = try await lab.snapshot(.init(isCached: false))
            #expect(try await old.get("a") == "1")
            lab.cluster.advanceClock(by: .seconds(60))
            try await lab.write(["a": "2"])
            // Nothing was collected yet, and PD is asked once.
            #expect(try await old.get("a") == "1")
            #expect(try await old.get("a") == "1")
            #expect(lab.cluster.requestCount("GetGCState") == 1)

            let safePoint = try await lab.timestamp()
            _ = try await lab.client.core.pd.advanceTxnSafePoint(
                to: TiKVPD.Timestamp(rawValue: safePoint), deadline: lab.deadline)
            lab.cluster.collectGarbage(safePoint: safePoint)
            let other = TransactionContext(core: lab.client.core)
            let snapshot = Snapshot(other, at: old.timestamp, .init())
            for read in ["get", "batchGet", "scan"] {
                let error = await #expect(throws: TiKVError.self) {
                    switch read {
                    case "get": _ = try await snapshot.get("a")
                    case "batchGet": _ = try await snapshot.batchGet(["a", "b"])
                    default: for try await _ in snapshot.scan(.everything) {}
                    }
                }
                #expect(error?.code == .gcTooEarly)
            }
            #expect(snapshot.cacheCount == 0)
            #expect(try await lab.snapshot().get("a") == "2")
        }
    }

    /// Another moment is another snapshot: it shares nothing with the first one.
    @Test
    func aLaterSnapshotSeesWhatAnEarlierOneCouldOverlook() async throws {
        try await LockLab.with { lab in
            try await lab.write(["x": "x0", "y": "y0"])
            let start = try await lab.timestamp()
            try await lab.prewrite(["x": "x1", "y": "y1"], primary: "x", start: start, timeToLive: 3_000)
            let reader = try await lab.client.begin()
            #expect(try await reader.get("y") == "y0")
            #expect(reader.snapshot.state.withLock { $0.passed.ignored } == [start])
            let commit = try await lab.timestamp()
            #expect(try await lab.commit("x", start: start, at: commit) == nil)
            let later = lab.client.snapshot(at: TiKV.Timestamp(rawValue: commit))
            #expect(try await later.get("y") == "y1")
            #expect(try await reader.get("y") == "y0")
        }
    }
}
