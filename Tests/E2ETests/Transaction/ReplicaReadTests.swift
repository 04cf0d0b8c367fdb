// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// Reads that others than the leader serve.
@Suite(.timeLimit(.minutes(2)), .enabled(if: TestCluster.hasControl, "moves leaders and holds replicas back"))
struct ReplicaReadTests {
    /// Two regions whose leaders are on store 1, and store 2 is in zone dc1.
    private func with(
        _ body: (TransactionSpace, EmbeddedCluster) async throws -> Void
    ) async throws {
        try await TransactionSpace.withControl(splits: ["m"]) { space, cluster in
            for region in cluster.regions { try cluster.transferLeader(ofRegion: region.id, to: 1) }
            try cluster.setLabels(["zone": "dc1"], ofStore: 2)
            try cluster.setLabels(["zone": "dc2"], ofStore: 1)
            try cluster.setLabels(["zone": "dc2"], ofStore: 3)
            try await space.write(["a": "1", "b": "1", "z": "1"])
            try await body(space, cluster)
        }
    }

    /// How many reads each store has had.
    private func reads(_ cluster: EmbeddedCluster) -> [UInt64: Int] {
        var reads: [UInt64: Int] = [:]
        for store in cluster.stores {
            reads[store.id] = ["KvGet", "KvBatchGet", "KvScan"].reduce(0) {
                $0 + cluster.requestCount($1, on: .store(store.id))
            }
        }
        return reads
    }

    /// A get, a batch of two regions and a scan of both.
    private func readAll(_ space: TransactionSpace, _ snapshot: Snapshot) async throws {
        #expect(try await snapshot.get(space.key("a")) == "1")
        #expect(
            try await snapshot.batchGet([space.key("b"), space.key("z")]) == [space.key("b"): "1", space.key("z"): "1"])
        #expect(try await space.text(snapshot.scan(space.range)) == ["a=1", "b=1", "z=1"])
    }

    /// A follower answers only what says that it is a read of a replica; else it would send the reader to the leader.
    @Test
    func followersAnswerWhereTheyAreAskedTo() async throws {
        try await self.with { space, cluster in
            let before = self.reads(cluster)
            let near = SnapshotOptions(replicaRead: .mixed.near(["zone": "dc1"]))
            try await self.readAll(
                space, space.client.snapshot(at: try await space.client.currentTimestamp(), options: near))
            let after = self.reads(cluster)
            #expect(after[2, default: 0] - before[2, default: 0] == 5)
            #expect(after[1] == before[1] && after[3] == before[3])

            let followers = SnapshotOptions(replicaRead: .follower)
            try await self.readAll(
                space, space.client.snapshot(at: try await space.client.currentTimestamp(), options: followers))
            #expect(self.reads(cluster)[1] == before[1])

            let third = SnapshotOptions(replicaRead: .mixed.on(stores: [3]))
            let third0 = self.reads(cluster)[3, default: 0]
            try await self.readAll(
                space, space.client.snapshot(at: try await space.client.currentTimestamp(), options: third))
            #expect(self.reads(cluster)[3, default: 0] - third0 == 5)
        }
    }

    @Test(arguments: [true, false])
    func theChoiceCanBeAdjustedForEachRequest(isNear: Bool) async throws {
        try await self.with { space, cluster in
            let counts = Shared<[Int]>([])
            let options = SnapshotOptions(
                replicaRead: .mixed,
                adjustReplicaRead: { count in
                    counts.withLock { $0.append(count) }
                    return isNear ? .mixed.near(["zone": "dc1"]) : .leader
                })
            let before = self.reads(cluster)
            let snapshot = space.client.snapshot(at: try await space.client.currentTimestamp(), options: options)
            #expect(try await snapshot.get(space.key("a")) == "1")
            #expect(try await snapshot.batchGet([space.key("b"), space.key("z")]).count == 2)
            let after = self.reads(cluster)
            let (chosen, other): (UInt64, UInt64) = isNear ? (2, 1) : (1, 2)
            #expect(after[chosen, default: 0] - before[chosen, default: 0] == 3)
            #expect(after[other] == before[other] && after[3] == before[3])
            #expect(counts.withLock { $0 } == [1, 2])
        }
    }

    /// A replica that has everything asks nobody, and a write that comes later is not seen.
    @Test
    func staleReadsAskNoLeader() async throws {
        try await self.with { space, cluster in
            let moment = try await space.client.currentTimestamp()
            try await space.write(["a": "2"])
            cluster.advanceClock(by: .seconds(5))
            let before = self.reads(cluster)
            let options = SnapshotOptions(replicaRead: .mixed.near(["zone": "dc1"]), isStaleRead: true)
            try await self.readAll(space, space.client.snapshot(at: moment, options: options))
            let after = self.reads(cluster)
            #expect(after[2, default: 0] - before[2, default: 0] == 5)
            #expect(after[1] == before[1] && after[3] == before[3])
        }
    }

    /// A replica that has not come so far says so, and the leader answers.
    @Test
    func theLeaderAnswersWhereAReplicaIsBehind() async throws {
        try await self.with { space, cluster in
            let moment = try await space.client.currentTimestamp()
            cluster.holdSafeTS(at: moment.rawValue - 1)
            let before = self.reads(cluster)
            let options = SnapshotOptions(replicaRead: .mixed.near(["zone": "dc1"]), isStaleRead: true)
            try await self.readAll(space, space.client.snapshot(at: moment, options: options))
            let after = self.reads(cluster)
            #expect(after[2, default: 0] - before[2, default: 0] == 5)
            #expect(after[1, default: 0] - before[1, default: 0] == 5)
        }
    }

    /// A stale read that meets a lock goes on as an ordinary one.
    @Test
    func aLockSendsAStaleReadToTheLeader() async throws {
        try await self.with { space, cluster in
            let key = space.key("a").bytes
            let start = try await space.client.currentTimestamp()
            cluster.putLock(
                .init(startTS: start.rawValue, primary: key, ttl: 1, minCommitTS: start.rawValue + 1), on: key)
            let moment = try await space.client.currentTimestamp()
            // As if replicas were further than the lock lets them be.
            cluster.holdSafeTS(at: moment.rawValue)
            let before = self.reads(cluster)
            let options = SnapshotOptions(replicaRead: .mixed.near(["zone": "dc1"]), isStaleRead: true)
            let snapshot = space.client.snapshot(at: moment, options: options)
            #expect(try await snapshot.get(space.key("a")) == "1")
            let after = self.reads(cluster)
            #expect(after[2, default: 0] - before[2, default: 0] == 1)
            #expect(after[1, default: 0] - before[1, default: 0] >= 1)
        }
    }

    @Test
    func staleReadsNeedAMomentThatHasBeen() async throws {
        try await self.with { space, _ in
            let options = SnapshotOptions(replicaRead: .mixed, isStaleRead: true)
            let latest = space.client.snapshot(options: options)
            #expect(await failure { try await latest.get(space.key("a")) }?.code == .invalidArgument)
            #expect(await failure { try await latest.batchGet([space.key("a")]) }?.code == .invalidArgument)
            #expect(await failure { try await space.text(latest.scan(space.range)) }?.code == .invalidArgument)
            let now = try await space.client.currentTimestamp()
            let future = space.client.snapshot(
                at: Timestamp(rawValue: now.rawValue + 1_000_000 << 18), options: options)
            #expect(await failure { try await future.get(space.key("a")) }?.code == .invalidArgument)
        }
    }

    @Test
    func aMomentOfSomeTimeAgo() async throws {
        try await self.with { space, _ in
            let now = try await space.client.currentTimestamp()
            let ago = try await space.client.timestamp(ago: .seconds(10))
            #expect(ago < now)
            #expect(now.physical - ago.physical > 5_000)
            #expect(await failure { try await space.client.timestamp(ago: .seconds(-1)) }?.code == .invalidArgument)
        }
    }
}
