// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

import Testing
import TiKV
import TiKVEmbedded
import TiKVFailpoints

/// The hooks of snapshots, and of the resolver of the locks that they meet.
@Suite(.timeLimit(.minutes(3)))
struct ReadHookTests: HookSuite {
    // MARK: - Locks

    @Test func theResolverWaitsBeforeItLooksAtLocks() async throws {
        try await self.with([.tryResolveLock: "pause"]) { client, cluster, scope in
            let start = try await client.currentTimestamp().rawValue
            cluster.putLock(.init(startTS: start, primary: Self.key.bytes, ttl: 1), on: Self.key.bytes)
            cluster.advanceClock(by: .seconds(1))
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            async let value = snapshot.get(Self.key)
            try await scope.waitForHits(.tryResolveLock)
            #expect(cluster.requestCount("KvCheckTxnStatus") == 0)
            try scope.set(.tryResolveLock, "off")
            let found = try await value
            #expect(found == nil)
            #expect(cluster.requestCount("KvCheckTxnStatus") == 1)
        }
    }

    /// An asynchronous commit of both keys that nobody hears of any more: it is committed, since both are locked.
    private func leaveAsyncCommit(_ client: TransactionClient, _ cluster: EmbeddedCluster) async throws {
        let start = try await client.currentTimestamp().rawValue
        for (key, secondaries) in [(Self.key, [Self.other.bytes]), (Self.other, [])] {
            cluster.putLock(
                .init(
                    startTS: start, primary: Self.key.bytes, ttl: 1, minCommitTS: start + 1, usesAsyncCommit: true,
                    secondaries: secondaries, value: Value("1").bytes),
                on: key.bytes)
        }
        cluster.advanceClock(by: .seconds(1))
    }

    @Test func readersDoNotWaitForLocksOfAsynchronousCommits() async throws {
        try await self.with([.resolveAsyncResolveData: "pause"]) { client, cluster, scope in
            try await self.leaveAsyncCommit(client, cluster)
            let found = try await self.values(client)
            #expect(found == [Self.key: "1", Self.other: "1"])
            try await scope.waitForHits(.resolveAsyncResolveData)
            #expect(cluster.lockedKeys == [Self.key.bytes, Self.other.bytes])
            try scope.set(.resolveAsyncResolveData, "off")
            await self.waitUntilNothingIsLocked(cluster)
        }
    }

    @Test func locksOfAsynchronousCommitsAreLeft() async throws {
        try await self.with([.resolveAsyncCommitLockReturn: "return"]) { client, cluster, scope in
            try await self.leaveAsyncCommit(client, cluster)
            let found = try await client.snapshot(at: client.currentTimestamp()).get(Self.key)
            #expect(found == "1")
            try await scope.waitForHits(.resolveAsyncCommitLockReturn)
            #expect(cluster.requestCount("KvResolveLock") == 0)
            #expect(cluster.lockedKeys == [Self.key.bytes, Self.other.bytes])
        }
    }

    // MARK: - Snapshots

    /// Where a commit timestamp is asked for and the store gives none, that is an error, be the value kept from before.
    @Test func valuesWithoutACommitTimestampAreRefusedWhereItIsAskedFor() async throws {
        try await self.with([:]) { client, _, scope in
            let timestamp = try #require(try await self.writing(client).commit())
            let keys = [Self.key, Self.other]
            for isKept in [false, true] {
                let snapshot = client.snapshot(at: try await client.currentTimestamp())
                if isKept {
                    try scope.set(.snapshotZeroCommitTS, "off")
                    let versions = try await snapshot.versions(of: keys)
                    #expect(versions.mapValues(\.commitTimestamp) == [Self.key: timestamp, Self.other: timestamp])
                }
                try scope.set(.snapshotZeroCommitTS, "return")
                // Where it is not asked for it does not matter.
                for _ in 0..<2 {
                    #expect(try await snapshot.get(Self.key) == "1")
                    #expect(try await snapshot.batchGet(keys).count == 2)
                }
                let hits = snapshot.cacheHits
                #expect(hits >= 3)
                let one = await self.failure { _ = try await snapshot.version(of: Self.key) }
                #expect(one?.code == .unsupported)
                let both = await self.failure { _ = try await snapshot.versions(of: keys) }
                #expect(both?.code == .unsupported)
                if isKept { #expect(snapshot.cacheHits == hits + 3) }
            }
        }
    }

    @Test func whatTheCacheDoesNotHaveFails() async throws {
        try await self.with([:]) { client, _, scope in
            _ = try await self.writing(client).commit()
            let snapshot = client.snapshot(at: try await client.currentTimestamp())
            #expect(try await snapshot.get(Self.key) == "1")
            #expect(try await snapshot.get("nothing") == nil)
            try scope.set(.snapshotGetCacheFail, "return(true)")
            #expect(try await snapshot.get(Self.key) == "1")
            #expect(try await snapshot.get("nothing") == nil)
            let error = await self.failure { _ = try await snapshot.get(Self.other) }
            #expect(error?.code == .internalError)
        }
    }
}

#endif
