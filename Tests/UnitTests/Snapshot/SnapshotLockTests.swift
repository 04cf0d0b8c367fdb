// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVPD
import TiKVProto

@testable import TiKV

/// Reads that meet locks of transactions in every state.
@Suite(.timeLimit(.minutes(2)))
struct SnapshotLockTests {
    private static let letters = (UInt8(ascii: "a")...UInt8(ascii: "z")).map {
        String(decoding: [$0], as: UTF8.self)
    }

    private static let whole = Self.letters.map { "\($0)=\($0)" }

    /// A lock that was met and is not there.
    private func phantom(_ key: String, readAt timestamp: TiKV.Timestamp) -> EmbeddedCluster.Fault {
        let lock = EmbeddedCluster.KeyState.Lock(
            startTS: timestamp.rawValue - 1, primary: Array(key.utf8), ttl: 50, txnSize: 1)
        return .keyError(.locked(lock, key: Array(key.utf8)))
    }

    // MARK: - Errors for a whole answer

    @Test
    func aLockErrorForAWholeBatchMakesAllOfItBeAskedAgain() async throws {
        try await LockLab.with { lab in
            try await lab.write(["k1": "v1", "k2": "v2"])
            let snapshot = try await lab.snapshot()
            let fault = lab.cluster.inject(
                self.phantom("k1", readAt: snapshot.timestamp), into: .init(rpc: "KvBatchGet"), times: 1)
            #expect(try await snapshot.batchGet(["k1", "k2"]) == ["k1": "v1", "k2": "v2"])
            #expect(lab.cluster.remove(fault) == nil)
            #expect(lab.cluster.requestCount("KvBatchGet") == 2)
        }
    }

    @Test
    func aLockErrorForAWholePageMakesItBeAskedAgain() async throws {
        try await LockLab.with { lab in
            try await lab.write(["k1": "v1", "k2": "v2", "k3": "v3"])
            for (range, start, expected) in [
                (KeyRange(start: "a", end: "z"), "a", ["k1=v1", "k2=v2", "k3=v3"]),
                (KeyRange(start: "k2", end: "k4"), "k2", ["k2=v2", "k3=v3"]),
            ] {
                let snapshot = try await lab.snapshot()
                let fault = lab.cluster.inject(
                    self.phantom(start, readAt: snapshot.timestamp), into: .init(rpc: "KvScan"), times: 1)
                #expect(try await lab.text(snapshot.scan(range)) == expected)
                #expect(lab.cluster.remove(fault) == nil)
            }
            #expect(lab.cluster.requestCount("KvScan") == 4)
        }
    }

    // MARK: - Point reads of the latest state

    /// A read of the latest state waits for the first transaction that it meets, and for none that came later.
    @Test
    func aReadOfTheLatestStateWaitsForOneTransactionOnly() async throws {
        try await LockLab.with { lab in
            let first = try await lab.timestamp()
            try await lab.prewrite(
                ["k1": "v1", "k2": "v2"], primary: "k1", start: first, timeToLive: 1, asyncSecondaries: ["k2"])
            lab.cluster.advanceClock(by: .seconds(1))
            let locks = [try await lab.lock(of: "k1"), try await lab.lock(of: "k2")]
            let asking = EmbeddedCluster.Gate()
            let again = EmbeddedCluster.Gate()
            lab.cluster.inject(.hold(asking), into: .init(rpc: "KvCheckTxnStatus"), times: 1)
            async let found = lab.client.snapshot().get("k2")
            try await asking.waitForArrivals()
            lab.cluster.inject(.hold(again), into: .init(rpc: "KvGet"), times: 1)
            asking.open()
            try await again.waitForArrivals()
            // The first is committed by now; another one takes its place.
            _ = try await lab.resolver.resolve(
                locks, for: .write(start: try await lab.timestamp()), deadline: lab.deadline)
            #expect(lab.lockedKeys == [])
            let second = try await lab.timestamp()
            try await lab.prewrite(
                ["k1": "v3", "k2": "v4"], primary: "k1", start: second, timeToLive: 100_000,
                asyncSecondaries: ["k2"])
            again.open()
            #expect(try await found == "v2")
            #expect(lab.lockedKeys == ["k1", "k2"])
        }
    }

    @Test
    func aReadOfTheLatestStateDoesNotPush() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.prewrite(["k1": "v1", "k2": "v2"], primary: "k1", start: start, timeToLive: 100_000)
            let commit = try await lab.timestamp()
            let before = lab.cluster.transactionalState(of: Array("k1".utf8)).locks.first?.minCommitTS
            #expect(try await lab.client.snapshot().get("k2") == nil)
            #expect(lab.cluster.transactionalState(of: Array("k1".utf8)).locks.first?.minCommitTS == before)
            #expect(try await lab.commit("k1", start: start, at: commit) == nil)
            let reader = lab.client.snapshot(at: TiKV.Timestamp(rawValue: commit))
            #expect(try await reader.get("k2") == "v2")
        }
    }

    // MARK: - Committed, and still locked

    /// Readers look through the locks of committed transactions, which are removed behind their backs.
    @Test(arguments: [false, true])
    func readersDoNotWaitForLocksToBeRemoved(isAsync: Bool) async throws {
        try await LockLab.with { lab in
            let gate = EmbeddedCluster.Gate()
            lab.cluster.inject(.hold(gate), into: .init(rpc: "KvResolveLock"), times: nil)
            let start = try await lab.timestamp()
            try await lab.prewrite(
                ["x": "x", "y": "y"], primary: "x", start: start, timeToLive: isAsync ? 1 : 3_000,
                asyncSecondaries: isAsync ? ["y"] : nil)
            if isAsync {
                // Nobody has committed the primary: that all locks are there makes it so.
                lab.cluster.advanceClock(by: .seconds(1))
            } else {
                try await lab.commit("x", start: start, at: try await lab.timestamp())
            }
            #expect(try await lab.client.begin().get("y") == "y")
            #expect(try await lab.client.begin().batchGet(["y"]) == ["y": "y"])
            #expect(lab.lockedKeys.contains("y"))
            gate.open()
            try await lab.waitUntilUnlocked()
            #expect(try await lab.value("y") == "y")
        }
    }

    // MARK: - All states at once

    /// Every letter is its own value. One is overwritten by a transaction of which the primary is committed, one and a new
    /// key are prewritten only, and a key between them is deleted by a transaction whose primary is committed.
    private func layOut(_ lab: LockLab) async throws {
        try await lab.write(Dictionary(uniqueKeysWithValues: Self.letters.map { ($0, $0) }))
        try await lab.write(["c": "cc", "bar": "bar"])
        let commits: [(key: String, value: String?, primary: String, isCommitted: Bool)] = [
            ("c", "c", "z1", true), ("d", "dd", "z2", false), ("foo", "foo", "z3", false), ("bar", nil, "z4", true),
        ]
        for (key, value, primary, isCommitted) in commits {
            let start = try await lab.timestamp()
            try await lab.prewrite(
                KeyValuePairs(dictionaryLiteral: (primary, primary), (key, value)), primary: primary, start: start,
                timeToLive: 3_000)
            if isCommitted { try await lab.commit(primary, start: start, at: try await lab.timestamp()) }
        }
    }

    @Test
    func readingKeyByKey() async throws {
        try await LockLab.with { lab in
            try await self.layOut(lab)
            let reader = try await lab.client.begin()
            for letter in Self.letters { #expect(try await reader.get(Key(letter)) == Value(letter)) }
            // Those that were not committed were not waited for.
            #expect(Set(["d", "foo"]).isSubset(of: lab.lockedKeys))
        }
    }

    @Test
    func readingABatch() async throws {
        try await LockLab.with { lab in
            try await self.layOut(lab)
            let reader = try await lab.client.begin()
            let found = try await reader.batchGet(Self.letters.map { Key($0) })
            #expect(found == Dictionary(uniqueKeysWithValues: Self.letters.map { (Key($0), Value($0)) }))
        }
    }

    @Test
    func iterating() async throws {
        try await LockLab.with { lab in
            try await self.layOut(lab)
            let reader = try await lab.client.begin()
            let found = try await lab.text(reader.scan("a"..., limit: 26))
            #expect(found == Self.whole)
            let reversed = try await lab.text(reader.scan(..<"z1", reversed: true))
            #expect(reversed == Self.whole.reversed())
        }
    }

    @Test
    func iteratingOverKeysOnly() async throws {
        try await LockLab.with { lab in
            try await self.layOut(lab)
            let reader = try await lab.client.begin()
            var keys: [Key] = []
            for try await (key, value) in reader.scan("a"..., limit: 26, keysOnly: true) {
                keys.append(key)
                #expect(value.bytes == [])
            }
            #expect(keys == Self.letters.map { Key($0) })
        }
    }

    /// A commit waits for abandoned transactions until their time is over, and rolls them back.
    @Test
    func aCommitOutlivesAbandonedLocks() async throws {
        try await LockLab.with { lab in
            for letter in Self.letters {
                let start = try await lab.timestamp()
                try await lab.prewrite(
                    KeyValuePairs(dictionaryLiteral: (letter, "lost")), primary: letter, start: start,
                    timeToLive: 3_000)
            }
            let writer = try await lab.client.begin()
            for letter in Self.letters { try await writer.put(Key(letter), value: Value(letter)) }
            #expect(try await writer.commit() != nil)
            #expect(try await lab.text(try await lab.snapshot().scan(.everything)) == Self.whole)
            for letter in Self.letters {
                let versions = lab.cluster.transactionalState(of: Array(letter.utf8)).versions
                #expect(versions.contains { $0.kind == .rollback })
            }
        }
    }
}
