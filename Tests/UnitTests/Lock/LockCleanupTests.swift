// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVPD
import TiKVProto

@testable import TiKV

/// How the locks of transactions that have ended are removed, and by whom.
@Suite(.timeLimit(.minutes(2)))
struct LockCleanupTests {
    /// What an interceptor saw of requests.
    private final class Witness: RPCInterceptor {
        struct Seen: Sendable {
            var method: String
            var region: UInt64
            var source: String
        }

        let name = "witness"
        let seen = EventLog<Seen>()

        func intercept<Answer: Sendable>(
            _ rpc: InterceptedRPC, next: RPCInterceptorNext<Answer>
        ) async throws -> Answer {
            self.seen.append(Seen(method: rpc.method, region: rpc.regionID, source: rpc.requestSource))
            return try await next(rpc)
        }
    }

    private func lock(_ key: String, start: UInt64, size: UInt64, forUpdate: UInt64 = 0) -> Lock {
        var info = Kvrpcpb_LockInfo()
        info.key = .init(key.utf8)
        info.primaryLock = .init("p".utf8)
        info.lockVersion = start
        info.txnSize = size
        info.lockForUpdateTs = forUpdate
        return Lock(info)
    }

    @Test
    func locksAreGatheredByTransactionAndSize() {
        var cleanups = LockCleanups(liteThreshold: 8)
        let committed = TransactionStatus.committed(9)
        cleanups.add(self.lock("a1", start: 1, size: 3), .commit(9), committed)
        cleanups.add(self.lock("s", start: 2, size: 1), .rollBack, .rolledBack)
        cleanups.add(self.lock("b1", start: 3, size: 8), .commit(9), committed)
        cleanups.add(self.lock("a2", start: 1, size: 3), .commit(9), committed)
        cleanups.add(self.lock("b2", start: 3, size: 8), .commit(9), committed)
        cleanups.add(self.lock("x", start: 4, size: 1), .nothing, committed)
        cleanups.add(self.lock("q", start: 5, size: 1, forUpdate: 6), .rollBackPessimistic, .rolledBack)
        cleanups.add(self.lock("r", start: 5, size: 1), .rollBackPessimistic, .rolledBack)
        cleanups.add([[1], [2]], ofAsyncCommit: 1, committed)
        let keys = { (names: String...) in names.map { Array($0.utf8) } }
        #expect(
            cleanups.all == [
                .init(start: 1, kind: .keys(committed), keys: keys("a1", "a2") + [[1], [2]]),
                .init(start: 2, kind: .keys(.rolledBack), keys: keys("s")),
                .init(start: 3, kind: .regions(committed), keys: keys("b1", "b2")),
                .init(start: 5, kind: .pessimistic(forUpdate: 6), keys: keys("q")),
                .init(start: 5, kind: .pessimistic(forUpdate: .max), keys: keys("r")),
            ])
    }

    /// Three transactions of which only the primaries are committed: one over two regions, one of a single key, and one so
    /// large that its locks are removed for the whole region.
    @Test(arguments: [true, false])
    func eachTransactionsLocksAreRemovedRegionByRegion(isRead: Bool) async throws {
        let witness = Witness()
        var configuration = LockLab.configuration
        configuration.interceptors = [witness]
        configuration.requestSource = RequestSource("cleanup")
        try await LockLab.with(splits: ["m"], configuration: configuration) { lab in
            let resolver = LockResolver(core: lab.client.core)
            var commits: [String: UInt64] = [:]
            for (name, keys, size) in [("M", ["a1", "a2", "z1"], 3), ("S", ["c"], 1), ("B", ["e"], 100)] {
                let start = try await lab.timestamp()
                let primary = "primary \(name)"
                try await lab.prewrite([primary: "1"], primary: primary, start: start, size: UInt64(size))
                for key in keys {
                    try await lab.prewrite(
                        KeyValuePairs(dictionaryLiteral: (key, name)), primary: primary, start: start,
                        size: UInt64(size))
                }
                let commit = try await lab.timestamp()
                try await lab.commit(primary, start: start, at: commit)
                for key in keys { commits[key] = commit }
            }
            // Another lock of B, which nobody meets, and which goes with the one that is met.
            let large = try await lab.lock(of: "e")
            try await lab.prewrite(
                ["f": "B"], primary: "primary B", start: large.start, size: 100)
            var locks: [Lock] = []
            for key in ["a1", "a2", "z1", "c", "e"] { locks.append(try await lab.lock(of: key)) }

            let gate = EmbeddedCluster.Gate()
            lab.cluster.inject(.hold(gate), into: .init(rpc: "KvResolveLock"), times: nil)
            let now = try await lab.timestamp()
            let purpose: LockPurpose = isRead ? .read(at: now) : .write(start: now)
            let met = locks
            if isRead {
                let resolution = try await resolver.resolve(met, for: purpose, deadline: lab.deadline)
                #expect(resolution.wait == nil)
                #expect(Set(resolution.readable) == Set(met.map(\.start)))
                try await gate.waitForArrivals(4)
                #expect(await resolver.backgroundCount == 3)
                #expect(lab.lockedKeys == ["a1", "a2", "c", "e", "f", "z1"])
                gate.open()
            } else {
                let isDone = EventLog<Bool>()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        let resolution = try await resolver.resolve(met, for: purpose, deadline: lab.deadline)
                        #expect(resolution.wait == nil)
                        isDone.append(true)
                    }
                    try await gate.waitForArrivals()
                    #expect(await resolver.backgroundCount == 0)
                    #expect(isDone.all == [])
                    gate.open()
                    try await group.waitForAll()
                }
                #expect(lab.lockedKeys == [])
            }
            try await lab.waitUntilUnlocked()
            while await resolver.backgroundCount > 0 { await Task.yield() }

            let sent = witness.seen.all.filter { $0.method == "KvResolveLock" }
            #expect(sent.count == 4)
            let right = try #require(lab.cluster.regions.last?.id)
            #expect(sent.count { $0.region == right } == 1)
            #expect(sent.allSatisfy { $0.source.hasSuffix("external_cleanup") })
            for (key, commit) in commits {
                let versions = lab.cluster.transactionalState(of: Array(key.utf8)).versions
                #expect(versions.map(\.commitTS) == [commit])
            }
        }
    }

    /// Once it is known what became of a transaction, a reader does not fail because its locks can't be removed.
    @Test
    func readersDoNotFailWhereLocksCannotBeRemoved() async throws {
        try await LockLab.with { lab in
            let resolver = LockResolver(core: lab.client.core, backgroundLimit: 0)
            let start = try await lab.timestamp()
            try await lab.prewrite(["a": "1", "b": "1"], primary: "a", start: start)
            try await lab.commit("a", start: start, at: try await lab.timestamp())
            let lock = try await lab.lock(of: "b")
            let fault = lab.cluster.inject(.dropRequest, into: .init(rpc: "KvResolveLock"), times: nil)
            let reader = LockPurpose.read(at: try await lab.timestamp())
            let resolution = try await resolver.resolve(
                [lock], for: reader, deadline: lab.context.deadline(.seconds(1)))
            #expect(resolution == .init(wait: nil, ignored: [], readable: [start]))
            #expect(await resolver.backgroundCount == 0)
            #expect(lab.lockedKeys == ["b"])
            lab.cluster.remove(fault)
            _ = try await resolver.resolve([lock], for: reader, deadline: lab.deadline)
            #expect(lab.lockedKeys == [])
        }
    }

    /// So much goes on in the background at once; the rest is done by whoever met the locks.
    @Test
    func theBackgroundHasALimit() async throws {
        try await LockLab.with { lab in
            #expect(LockResolver.backgroundLimit == 10_000)
            let resolver = LockResolver(core: lab.client.core, backgroundLimit: 1)
            var locks: [Lock] = []
            for name in ["a", "b"] {
                let start = try await lab.timestamp()
                try await lab.prewrite(
                    KeyValuePairs(dictionaryLiteral: ("p\(name)", "1"), (name, "1")), primary: "p\(name)", start: start)
                try await lab.commit("p\(name)", start: start, at: try await lab.timestamp())
                locks.append(try await lab.lock(of: name))
            }
            let gate = EmbeddedCluster.Gate()
            lab.cluster.inject(.hold(gate), into: .init(rpc: "KvResolveLock"), times: 1)
            let reader = LockPurpose.read(at: try await lab.timestamp())
            // One goes on in the background, and waits at the gate; the other is done here and now.
            _ = try await resolver.resolve([locks[0]], for: reader, deadline: lab.deadline)
            try await gate.waitForArrivals()
            #expect(await resolver.backgroundCount == 1)
            _ = try await resolver.resolve([locks[1]], for: reader, deadline: lab.deadline)
            #expect(lab.lockedKeys == ["a"])
            #expect(await resolver.backgroundCount == 1)
            gate.open()
            try await lab.waitUntilUnlocked()
            while await resolver.backgroundCount > 0 { await Task.yield() }
        }
    }

    /// After the client has closed nothing goes on in the background.
    @Test
    func aClosedClientDoesNothingInTheBackground() async throws {
        try await LockLab.with { lab in
            let resolver = LockResolver(core: lab.client.core)
            lab.client.core.lifecycle.close()
            #expect(await !resolver.mayGoOnInBackground())
        }
    }

    /// Readers who meet the same large transaction in one region share the request that removes its locks.
    @Test
    func locksOfALargeTransactionAreRemovedByOneRequest() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            let keys = (0..<20).map { "k\($0 + 10)" }
            for key in keys {
                try await lab.prewrite(
                    KeyValuePairs(dictionaryLiteral: (key, key)), primary: "k10", start: start, size: 20)
            }
            let commit = try await lab.timestamp()
            try await lab.commit("k10", start: start, at: commit)
            #expect(lab.lockedKeys.count == 19)
            let gate = EmbeddedCluster.Gate()
            lab.cluster.inject(.hold(gate), into: .init(rpc: "KvResolveLock"), times: nil)
            let first = try await lab.snapshot().batchGet(keys.map { Key($0) })
            #expect(first.count == 20)
            try await gate.waitForArrivals()
            #expect(lab.lockedKeys.count == 19)
            let second = try await lab.text(try await lab.snapshot().scan(.prefix("k")))
            #expect(second == keys.map { "\($0)=\($0)" })
            // What the second one does in the background waits for what the first one does there.
            while lab.resolver.sweepWaiterCount < 1 { await Task.yield() }
            gate.open()
            try await lab.waitUntilUnlocked()
            #expect(lab.cluster.requestCount("KvResolveLock") == 1)
            for key in keys {
                #expect(
                    lab.cluster.transactionalState(of: Array(key.utf8)).versions.map(\.commitTS) == [commit])
            }
        }
    }

    /// Those who write wait for each other's request; one that gives up takes none of the others with it.
    @Test
    func whoGivesUpTakesNobodyWithIt() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            for key in ["p", "a", "b"] {
                try await lab.prewrite(
                    KeyValuePairs(dictionaryLiteral: (key, "1")), primary: "p", start: start, size: 100)
            }
            try await lab.commit("p", start: start, at: try await lab.timestamp())
            let locks = [try await lab.lock(of: "a"), try await lab.lock(of: "b")]
            let gate = EmbeddedCluster.Gate()
            lab.cluster.inject(.hold(gate), into: .init(rpc: "KvResolveLock"), times: 1)
            let resolver = lab.resolver
            let write = LockPurpose.write(start: try await lab.timestamp())
            try await withThrowingTaskGroup(of: Void.self) { others in
                await withTaskGroup(of: TiKVError.Code?.self) { first in
                    first.addTask {
                        do throws(TiKVError) {
                            _ = try await resolver.resolve([locks[0]], for: write, deadline: lab.deadline)
                            return nil
                        } catch {
                            return error.code
                        }
                    }
                    try? await gate.waitForArrivals()
                    for _ in 0..<3 {
                        others.addTask {
                            let resolution = try await resolver.resolve([locks[1]], for: write, deadline: lab.deadline)
                            #expect(resolution.wait == nil)
                        }
                    }
                    while resolver.sweepWaiterCount < 3 { await Task.yield() }
                    first.cancelAll()
                    for await code in first { #expect(code == .cancelled) }
                }
                try await others.waitForAll()
            }
            gate.open()
            #expect(lab.lockedKeys == [])
            // One that was given up, and one for all others.
            #expect(lab.cluster.requestCount("KvResolveLock") == 2)
        }
    }

    /// The same with nobody to do it in the background: the reader does it by itself.
    @Test(arguments: [true, false])
    func aReaderRemovesALargeTransactionsLocksByOneRequest(isCommitted: Bool) async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            let keys = (0..<20).map { "k\($0 + 10)" }
            for key in keys {
                try await lab.prewrite(
                    KeyValuePairs(dictionaryLiteral: (key, key)), primary: "k10", start: start, timeToLive: 1,
                    size: 20)
            }
            let commit = try await lab.timestamp()
            if isCommitted {
                try await lab.commit("k10", start: start, at: commit)
            } else {
                lab.cluster.advanceClock(by: .seconds(1))
                try await lab.rollBack("k10", start: start)
            }
            #expect(lab.lockedKeys.count == 19)
            let context = TransactionContext(
                core: lab.client.core, resolver: LockResolver(core: lab.client.core, backgroundLimit: 0))
            let snapshot = Snapshot(context, at: try await lab.client.currentTimestamp(), .init())
            let values = Dictionary(uniqueKeysWithValues: keys.map { (Key($0), Value($0)) })
            #expect(try await snapshot.batchGet(keys.map { Key($0) }) == (isCommitted ? values : [:]))
            #expect(lab.lockedKeys == [])
            // One request that names no key.
            #expect(lab.cluster.requestCount("KvResolveLock") == 1)
            let reader = try await lab.snapshot()
            for key in keys {
                #expect(try await reader.get(Key(key)) == (isCommitted ? Value(key) : nil))
                let versions = lab.cluster.transactionalState(of: Array(key.utf8)).versions
                #expect(versions.filter { $0.kind == .put }.map(\.commitTS) == (isCommitted ? [commit] : []))
            }
        }
    }
}
