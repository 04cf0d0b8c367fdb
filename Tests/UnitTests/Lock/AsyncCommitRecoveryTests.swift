// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVPD
import TiKVProto

@testable import TiKV

/// What becomes of transactions that commit asynchronously when others find their locks.
@Suite(.timeLimit(.minutes(2)))
struct AsyncCommitRecoveryTests {
    private func commits(_ lab: LockLab, _ key: String) -> [UInt64] {
        lab.cluster.transactionalState(of: Array(key.utf8)).versions.filter { $0.kind != .rollback }.map(\.commitTS)
    }

    /// Locks keys, the first of them the primary, and lets their time pass.
    private func lock(_ lab: LockLab, _ keys: [String], but missing: [String] = []) async throws -> UInt64 {
        let start = try await lab.timestamp()
        for key in keys where !missing.contains(key) {
            try await lab.prewrite(
                [key: "1"], primary: keys[0], start: start, timeToLive: 1, asyncSecondaries: Array(keys.dropFirst()))
        }
        lab.cluster.advanceClock(by: .seconds(1))
        return start
    }

    private func resolve(_ lab: LockLab, _ lock: Lock) async throws -> LockResolver.Resolution {
        let write = LockPurpose.write(start: try await lab.timestamp())
        return try await lab.resolver.resolve([lock], for: write, deadline: lab.deadline)
    }

    @Test
    func aPrimaryAloneIsCommittedAtItsLeastTimestamp() async throws {
        try await LockLab.with { lab in
            let start = try await self.lock(lab, ["z"])
            let lock = try await lab.lock(of: "z")
            #expect(lock.minimumCommit > start)
            #expect(try await self.resolve(lab, lock).wait == nil)
            #expect(await lab.resolver.known(start) == .committed(lock.minimumCommit))
            #expect(self.commits(lab, "z") == [lock.minimumCommit])
            #expect(lab.cluster.requestCount("KvCheckSecondaryLocks") == 0)
        }
    }

    /// Committed already where one key is, and at its timestamp. Only the keys that the transaction has are touched, and
    /// those that are committed already are not.
    @Test
    func oneCommittedKeyTells() async throws {
        try await LockLab.with(splits: ["e"]) { lab in
            for _ in 0..<2 {
                let start = try await self.lock(lab, ["z", "a", "i"])
                // Of the same transaction, as it seems, and not in its list.
                lab.cluster.putLock(.init(startTS: start, primary: Array("z".utf8)), on: Array("q".utf8))
                let commit = try await lab.timestamp()
                try await lab.commit("i", start: start, at: commit)
                let checks = lab.cluster.requestCount("KvCheckSecondaryLocks")
                let resolution = try await self.resolve(lab, try await lab.lock(of: "z"))
                #expect(resolution.wait == nil)
                #expect(lab.cluster.requestCount("KvCheckSecondaryLocks") == checks + 2)
                #expect(await lab.resolver.known(start) == .committed(commit))
                for key in ["z", "a", "i"] { #expect(self.commits(lab, key).first == commit) }
                #expect(lab.lockedKeys == ["q"])
                lab.cluster.removeLock(of: Array("q".utf8))
            }
        }
    }

    @Test
    func oneMissingKeyIsTheEndOfIt() async throws {
        try await LockLab.with(splits: ["e"]) { lab in
            let start = try await self.lock(lab, ["z", "a", "i"], but: ["i"])
            #expect(try await self.resolve(lab, try await lab.lock(of: "a")).wait == nil)
            #expect(await lab.resolver.known(start) == .rolledBack)
            #expect(lab.lockedKeys == [])
            for key in ["z", "a", "i"] {
                #expect(self.commits(lab, key) == [])
                let state = lab.cluster.transactionalState(of: Array(key.utf8))
                #expect(state.versions.first?.kind == .rollback)
            }
            // A request that comes late does not bring it back.
            let transaction = try await lab.client.begin(
                .init(startTimestamp: Timestamp(rawValue: start), asyncCommit: true))
            try await transaction.put("i", value: "1")
            var code: TiKVError.Code?
            do throws(TiKVError) {
                _ = try await transaction.commit()
            } catch {
                code = error.code
            }
            #expect(code == .writeConflict)
        }
    }

    enum FellBack: String, CaseIterable {
        case primary
        case secondary
        case both
    }

    /// A store may fall back at any of the keys. One is enough for the primary to decide, whichever key is met first.
    @Test(arguments: FellBack.allCases, [true, false])
    func aTransactionThatFellBackIsRolledBack(fellBack: FellBack, isPrimaryFirst: Bool) async throws {
        try await LockLab.with { lab in
            try await lab.write(["k0": "0", "k1": "0"])
            let start = try await lab.timestamp()
            for (key, isPlain) in [("k0", fellBack != .secondary), ("k1", fellBack != .primary)] {
                try await lab.prewrite(
                    [key: "1"], primary: "k0", start: start, timeToLive: 1, asyncSecondaries: ["k1"],
                    maximumCommit: isPlain ? start - 1 : 0)
                #expect(try await lab.lock(of: key).isAsyncCommit != isPlain)
            }
            lab.cluster.advanceClock(by: .seconds(1))
            let reader = try await lab.client.begin()
            for key in isPrimaryFirst ? ["k0", "k1"] : ["k1", "k0"] {
                let found = try await reader.get(Key(key))
                #expect(found == "0")
            }
            // Asked once more where the primary's lock does not tell, and then it is known.
            #expect(lab.cluster.requestCount("KvCheckTxnStatus") == (fellBack == .secondary ? 2 : 1))
            #expect(lab.cluster.requestCount("KvCheckSecondaryLocks") == (fellBack == .secondary ? 1 : 0))
        }
    }

    @Test
    func allLockedKeysAreCommittedAtTheLatestOfTheirTimestamps() async throws {
        try await LockLab.with(splits: ["e"]) { lab in
            let start = try await lab.timestamp()
            try await lab.prewrite(
                ["z": "1", "a": "1"], primary: "z", start: start, timeToLive: 1, asyncSecondaries: ["a", "i"])
            // Who has read in the meantime must not have missed it.
            let reader = try await lab.timestamp()
            #expect(try await lab.client.snapshot(at: Timestamp(rawValue: reader)).get("i") == nil)
            try await lab.prewrite(
                ["i": "1"], primary: "z", start: start, timeToLive: 1, asyncSecondaries: ["a", "i"])
            let latest = try await lab.lock(of: "i").minimumCommit
            #expect(latest > reader)
            #expect(try await lab.lock(of: "z").minimumCommit < latest)
            lab.cluster.advanceClock(by: .seconds(1))
            #expect(try await lab.value("a") == "1")
            try await lab.waitUntilUnlocked()
            for key in ["z", "a", "i"] { #expect(self.commits(lab, key) == [latest]) }
            #expect(try await lab.client.snapshot(at: Timestamp(rawValue: reader)).get("z") == nil)
        }
    }

    /// As long as a transaction may be going on, it is not looked into.
    @Test
    func whoeverLivesIsWaitedFor() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.prewrite(
                ["a": "1"], primary: "a", start: start, timeToLive: 100_000, asyncSecondaries: ["b"])
            let lock = try await lab.lock(of: "a")
            #expect(try #require(try await self.resolve(lab, lock).wait) > .zero)
            let reader = LockPurpose.read(at: try await lab.timestamp())
            let reading = try await lab.resolver.resolve([lock], for: reader, deadline: lab.deadline)
            // Nobody pushes the timestamp of such a lock.
            #expect(try #require(reading.wait) > .zero)
            #expect(try await lab.lock(of: "a") == lock)
            #expect(lab.cluster.requestCount("KvCheckSecondaryLocks") == 0)
        }
    }

    /// Others look at the primary while the transaction still locks keys, until its time is over by their clock. That time is
    /// not over before the store would refuse to commit it asynchronously, and so it falls back.
    @Test(arguments: [false, true])
    func aTransactionThatIsTakenForAbandonedFallsBack(isPessimistic: Bool) async throws {
        try await LockLab.with(splits: ["m"]) { lab in
            let transaction = try await lab.client.begin(
                .init(kind: isPessimistic ? .pessimistic : .optimistic, asyncCommit: true))
            try await transaction.put("a", value: "1")
            try await transaction.put("z", value: "1")
            let gate = EmbeddedCluster.Gate()
            let region = try #require(lab.cluster.regions.last)
            lab.cluster.inject(.hold(gate), into: .init(rpc: "KvPrewrite", regionID: region.id))
            async let committed = transaction.commit()
            try await gate.waitForArrivals()
            while lab.cluster.transactionalState(of: Array("a".utf8)).locks.first?.usesAsyncCommit != true {
                await Task.yield()
            }
            let lock = try await lab.lock(of: "a")
            // The safe window after its start, at least.
            #expect(lock.timeToLive >= 2_000)
            let write = LockPurpose.write(start: try await lab.timestamp())
            var rest: UInt64 = 1
            while rest > 0 {
                lab.cluster.advanceClock(by: .milliseconds(500))
                let (status, now) = try await lab.resolver.status(
                    of: lock, write, isSyncForced: false, deadline: lab.deadline)
                guard case .alive(let timeToLive, _, _) = status else {
                    Issue.record("\(status)")
                    break
                }
                rest = LockVerdict.rest(of: lock.start, timeToLive, now: now)
            }
            gate.open()
            let commit = try #require(try await committed)
            #expect(await transaction.commitDetails?.kind == .twoPhase)
            #expect(self.commits(lab, "a") == [commit.rawValue])
            #expect(try await lab.value("z") == "1")
        }
    }
}
