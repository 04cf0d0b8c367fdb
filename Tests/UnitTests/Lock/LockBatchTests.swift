// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVEmbedded
import TiKVPD
import TiKVProto

@testable import TiKV

/// How garbage collection ends transactions: all of a region at once, and by force.
@Suite(.timeLimit(.minutes(2)))
struct LockBatchTests {
    private func region(_ lab: LockLab) async throws -> CachedRegion {
        let sender = lab.context.sender
        var call = try await sender.begin(timeout: .seconds(30), isWrite: false)
        defer { sender.lifecycle.end() }
        return try await sender.locate(Array("k".utf8), &call)
    }

    private func removeAll(_ lab: LockLab, _ keys: [String]) async throws -> Bool {
        var locks: [Lock] = []
        for key in keys { locks.append(try await lab.lock(of: key)) }
        return try await lab.resolver.removeAll(locks, in: self.region(lab), deadline: lab.deadline)
    }

    /// A transaction ends by what its keys say, however long its locks would live.
    @Test
    func transactionsThatGoOnAreEndedToo() async throws {
        try await LockLab.with { lab in
            let plain = try await lab.timestamp()
            try await lab.prewrite(["k1": "v1", "k2": "v2"], primary: "k1", start: plain, timeToLive: 20_000)
            let async = try await lab.timestamp()
            try await lab.prewrite(
                ["k3": "v3", "k4": "v4"], primary: "k3", start: async, timeToLive: 20_000, asyncSecondaries: ["k4"])
            let isDone = try await self.removeAll(lab, ["k1", "k2", "k3", "k4"])
            #expect(isDone)
            #expect(lab.lockedKeys == [])
            #expect(lab.cluster.requestCount("KvResolveLock") == 1)
            for (key, value) in [("k1", nil), ("k2", nil), ("k3", "v3"), ("k4", "v4")] {
                #expect(try await lab.value(key) == value, "\(key)")
            }
        }
    }

    /// A transaction that began to commit asynchronously and went on in two phases is ended at once.
    @Test
    func aTransactionThatFellBackIsEndedAtOnce() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.prewrite(
                ["fb1": "1"], primary: "fb1", start: start, timeToLive: 1, asyncSecondaries: ["fb2"])
            // Whoever would commit above this may not: the store answers with an ordinary lock.
            try await lab.prewrite(
                ["fb2": "2"], primary: "fb1", start: start, timeToLive: 1, asyncSecondaries: ["fb2"],
                maximumCommit: start - 1)
            #expect(try await lab.lock(of: "fb1").isAsyncCommit)
            #expect(try await !lab.lock(of: "fb2").isAsyncCommit)
            let isDone = try await self.removeAll(lab, ["fb1"])
            #expect(isDone)
            #expect(lab.lockedKeys == [])
            let reader = try await lab.client.begin()
            #expect(try await reader.get("fb1") == nil)
            #expect(try await reader.get("fb2") == nil)
        }
    }

    /// A pessimistic lock that a failed statement has left behind points to a primary that its transaction has given up:
    /// the transaction, which has committed with another, must not be taken for rolled back.
    @Test
    func aStalePessimisticLockDoesNotEndItsTransaction() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.lock(["k1"], primary: "k1", start: start)
            try await lab.prewrite(["k2": "v2", "k3": "v3"], primary: "k2", start: start)
            try await lab.commit("k2", start: start, at: try await lab.timestamp())
            let other = try await lab.timestamp()
            try await lab.lock(["k4"], primary: "k4", start: other)
            #expect(lab.lockedKeys == ["k1", "k3", "k4"])
            let kinds = [
                try await lab.lock(of: "k1"), try await lab.lock(of: "k3"), try await lab.lock(of: "k4"),
            ].map(\.isPessimistic)
            #expect(kinds == [true, false, true])
            #expect(try await lab.lock(of: "k4").primary == Array("k4".utf8))

            try await lab.client.collectGarbage(upTo: try await lab.client.currentTimestamp(), concurrency: 1)
            #expect(lab.lockedKeys == [])
            #expect(try await lab.value("k1") == nil)
            #expect(try await lab.value("k2") == "v2")
            #expect(try await lab.value("k3") == "v3")
            #expect(lab.cluster.transactionalState(of: Array("k1".utf8)).versions.isEmpty)
        }
    }

    /// One that goes on, with another primary elsewhere, keeps what it has prewritten until that primary has decided.
    @Test
    func aStalePessimisticLockDoesNotUndoACommitElsewhere() async throws {
        try await LockLab.with(splits: ["m"]) { lab in
            let start = try await lab.timestamp()
            try await lab.lock(["k1"], primary: "k1", start: start)
            try await lab.prewrite(["z": "vz", "k2": "v2"], primary: "z", start: start)
            try await lab.commit("z", start: start, at: try await lab.timestamp())
            let isDone = try await self.removeAll(lab, ["k1", "k2"])
            #expect(isDone)
            #expect(lab.lockedKeys == [])
            #expect(try await lab.value("z") == "vz")
            #expect(try await lab.value("k2") == "v2")
        }
    }

    /// One request takes all pessimistic locks of a transaction back that a region has, and no others.
    @Test
    func pessimisticLocksOfARegionGoTogether() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.lock(["k1", "k2", "k3"], primary: "k1", start: start, timeToLive: 1)
            #expect(lab.lockedKeys == ["k1", "k2", "k3"])
            var isDone = try await self.removeAll(lab, ["k3"])
            #expect(isDone)
            #expect(lab.lockedKeys == [])
            #expect(lab.cluster.requestCount("KVPessimisticRollback") == 1)
            #expect(lab.cluster.requestCount("KvResolveLock") == 0)

            // More than a store looks at in one go, and others in between.
            let second = try await lab.timestamp()
            let keys = (1_000..<2_000).map { "k\($0)" }
            let primary = Array("k1000".utf8)
            for (index, key) in keys.enumerated() {
                lab.cluster.putLock(
                    .init(
                        kind: index % 2 == 0 ? .pessimistic : .put, startTS: second, primary: primary, ttl: 1,
                        forUpdateTS: second, value: index % 2 == 0 ? [] : [1]),
                    on: Array(key.utf8))
            }
            isDone = try await self.removeAll(lab, ["k1500"])
            #expect(isDone)
            #expect(lab.lockedKeys == keys.enumerated().filter { $0.offset % 2 == 1 }.map(\.element))
            #expect(lab.cluster.requestCount("KVPessimisticRollback") == 2)
        }
    }

    // MARK: - Waiting

    @Test
    func locksThatAreLookedIntoAreTold() async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.prewrite(["p": "1", "k": "1"], primary: "p", start: start, timeToLive: 100_000)
            let gate = EmbeddedCluster.Gate()
            lab.cluster.inject(.hold(gate), into: .init(rpc: "KvCheckTxnStatus"), times: 1)
            #expect(await lab.client.locksBeingResolved() == [])
            let snapshot = try await lab.snapshot()
            async let value = snapshot.get("k")
            try await gate.waitForArrivals()
            let told = await lab.client.locksBeingResolved()
            #expect(told.map(\.key) == ["k"])
            #expect(told.map(\.primary) == ["p"])
            #expect(told.map(\.holder.rawValue) == [start])
            #expect(told.map(\.waiter) == [snapshot.timestamp])
            gate.open()
            let found = try await value
            #expect(found == nil)
            #expect(await lab.client.locksBeingResolved() == [])
        }
    }

    /// Who got the lock a moment ago is alive, and not asked about.
    @Test(arguments: [0, 1, 299, 300] as [UInt64])
    func aLockIsFreshForALittleWhile(milliseconds: UInt64) {
        var info = Kvrpcpb_LockInfo()
        info.durationToLastUpdateMs = milliseconds
        #expect(Lock(info).isFresh == (milliseconds == 1 || milliseconds == 299))
    }

    /// Says how long ago a lock was taken in place of the store.
    private struct Freshness: RPCInterceptor {
        let name = "freshness"
        var milliseconds: UInt64

        func intercept<Answer: Sendable>(
            _ rpc: InterceptedRPC, next: RPCInterceptorNext<Answer>
        ) async throws -> Answer {
            let answer = try await next(rpc)
            guard var response = answer as? Kvrpcpb_PessimisticLockResponse else { return answer }
            for index in response.errors.indices {
                response.errors[index].locked.durationToLastUpdateMs = self.milliseconds
            }
            return response as? Answer ?? answer
        }
    }

    @Test(arguments: [true, false])
    func whoWaitsForAFreshLockAsksNobody(isFresh: Bool) async throws {
        try await LockLab.with { lab in
            let start = try await lab.timestamp()
            try await lab.lock(["k"], primary: "k", start: start, timeToLive: 100_000)
            let transaction = try await lab.client.begin(
                .init(kind: .pessimistic, lockWaitTimeout: .milliseconds(50)))
            let error = await #expect(throws: TiKVError.self) {
                try await withRPCInterceptor(Freshness(milliseconds: isFresh ? 20 : 0)) {
                    try await transaction.lock(["k"])
                }
            }
            await transaction.rollback()
            #expect(error?.code == .lockWaitTimeout)
            #expect(lab.cluster.requestCount("KvCheckTxnStatus") == (isFresh ? 0 : 1))
        }
    }
}
