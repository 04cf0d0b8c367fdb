// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded
import TiKVPD

/// Garbage collection as a client drives it, and what reads see of it.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl))
struct GarbageCollectionTests {
    private typealias Lock = EmbeddedCluster.KeyState.Lock

    private func code(_ body: () async throws -> Void) async -> TiKVError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? TiKVError)?.code
        }
    }

    // MARK: - Reads

    @Test func whatBeganBeforeTheSafePointCanNotBeRead() async throws {
        try await TransactionSpace.withControl { space, _ in
            let names = (0..<10).map { "k\($0)" }
            try await space.write(Dictionary(uniqueKeysWithValues: names.map { ($0, Value($0)) }))
            let reads: [(Transaction) async throws -> Void] = [
                { _ = try await $0.get(space.key("k0")) },
                { for try await _ in $0.scan(space.range) {} },
                { _ = try await $0.batchGet(names.map { space.key($0) }) },
            ]
            for read in reads {
                let transaction = try await space.client.begin()
                try await read(transaction)
                let again = try await space.client.begin(.init(startTimestamp: transaction.startTimestamp))
                let now = try await space.client.currentTimestamp()
                #expect(try await space.client.collectGarbage(upTo: now) == now)
                #expect(space.client.safePoint == now)
                #expect(await self.code { try await read(again) } == .gcTooEarly)
                await again.rollback()
                await transaction.rollback()
            }
            let values = try await space.client.begin().batchGet(names.map { space.key($0) })
            #expect(values.count == 10)
        }
    }

    @Test func anotherClientsSafePointIsHeardOf() async throws {
        try await TransactionSpace.withControl { space, cluster in
            try await space.write(["a": "1"])
            let old = try await space.client.currentTimestamp()
            // Nobody asks about young moments.
            cluster.advanceClock(by: .seconds(60))
            let now = try await space.client.currentTimestamp()
            try await space.client.collectGarbage(upTo: now)
            try await TransactionClient.withClient(pd: cluster.pdEndpoints) { other in
                _ = try await other.currentTimestamp()
                #expect(await self.code { _ = try await other.snapshot(at: old).get(space.key("a")) } == .gcTooEarly)
                let value = try await other.snapshot(at: now).get(space.key("a"))
                #expect(value == "1")
            }
        }
    }

    // MARK: - Locks

    @Test func allTransactionsBeforeItAreEnded() async throws {
        try await TransactionSpace.withControl(splits: ["m"]) { space, cluster in
            let old = try await space.client.currentTimestamp().rawValue
            func put(_ name: String, primary: String, start: UInt64, _ change: (inout Lock) -> Void = { _ in }) {
                var lock = Lock(
                    startTS: start, primary: space.key(primary).bytes, ttl: 3_600_000, value: Array(name.utf8))
                change(&lock)
                cluster.putLock(lock, on: space.key(name).bytes)
            }
            // One that lives by its time, over two regions; one whose primary never came; and a pessimistic one.
            put("a", primary: "a", start: old)
            put("z", primary: "a", start: old)
            put("b", primary: "nobody", start: old + 1)
            put("c", primary: "c", start: old + 2) { $0.kind = .pessimistic }
            // One that is committed, since all its keys are locked.
            put("d", primary: "d", start: old + 3) {
                $0.usesAsyncCommit = true
                $0.minCommitTS = old + 4
                $0.secondaries = [space.key("y").bytes]
            }
            put("y", primary: "d", start: old + 3) {
                $0.usesAsyncCommit = true
                $0.minCommitTS = old + 5
            }
            let safePoint = try await space.client.currentTimestamp()
            let later = try await space.client.currentTimestamp().rawValue
            put("e", primary: "e", start: later)
            #expect(try await space.client.collectGarbage(upTo: safePoint) == safePoint)
            #expect(cluster.lockedKeys == [space.key("e").bytes])
            cluster.removeLock(of: space.key("e").bytes)
            #expect(
                try await space.text(space.client.snapshot(at: .latest).scan(space.range)) == ["d=d", "y=y"])
        }
    }

    @Test func moreLocksThanOneAnswerHolds() async throws {
        try await TransactionSpace.withControl(splits: ["k1500"]) { space, cluster in
            let old = try await space.client.currentTimestamp().rawValue
            for number in 0..<2500 {
                let key = space.key("k\(1000 + number)").bytes
                cluster.putLock(Lock(startTS: old, primary: space.key("k1000").bytes, ttl: 3_600_000), on: key)
            }
            let safePoint = try await space.client.currentTimestamp()
            try await space.client.collectGarbage(upTo: safePoint, concurrency: 2)
            #expect(cluster.lockedKeys == [])
        }
    }

    @Test func aBarrierHoldsItBack() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let kept = try await space.client.currentTimestamp()
            try await PDAccess.withClient(pd: cluster.pdEndpoints, logger: .tikvSilent) { pd in
                let barrier = GCBarrier(
                    id: "backup", timestamp: TiKVPD.Timestamp(rawValue: kept.rawValue), timeToLive: .seconds(600))
                _ = try await pd.setGCBarrier(barrier, deadline: Deadline(after: .seconds(20), from: .now))
            }
            let now = try await space.client.currentTimestamp()
            #expect(try await space.client.collectGarbage(upTo: now) == kept)
            #expect(space.client.safePoint == kept)
        }
    }

    @Test func anOlderPDHasOneSafePoint() async throws {
        try await TransactionSpace.withControl { space, cluster in
            for rpc in ["GetGCState", "AdvanceTxnSafePoint", "AdvanceGCSafePoint"] {
                cluster.inject(.status(code: 12, message: "unknown method"), into: .init(rpc: rpc), times: nil)
            }
            let now = try await space.client.currentTimestamp()
            #expect(try await space.client.collectGarbage(upTo: now) == now)
            #expect(cluster.requestCount("UpdateServiceGCSafePoint") == 1)
            #expect(cluster.requestCount("UpdateGCSafePoint") == 1)
        }
    }

    @Test func whatCanBeNoSafePointIsRefused() async throws {
        try await TransactionSpace.withControl { space, cluster in
            let client = space.client
            #expect(await self.code { try await client.collectGarbage(upTo: .latest) } == .invalidArgument)
            #expect(
                await self.code { try await client.collectGarbage(upTo: Timestamp(rawValue: 0)) } == .invalidArgument)
            let now = try await client.currentTimestamp()
            #expect(
                await self.code { try await client.collectGarbage(upTo: now, concurrency: 0) } == .invalidArgument)
            #expect(cluster.requestCount("GetGCState") == 0)
        }
    }

    // MARK: - Ranges

    @Test func rangesAreDeletedRegionByRegion() async throws {
        try await TransactionSpace.withControl(splits: ["b", "c", "d"]) { space, cluster in
            var expected: [String: Value] = [:]
            for letter in "abcd" {
                for digit in 0..<10 { expected["\(letter)\(digit)"] = Value("\(UInt64.random(in: .min ... .max))") }
            }
            try await space.write(expected)
            func check() async throws {
                let text = expected.sorted { $0.key < $1.key }
                    .map { "\($0.key)=\(String(decoding: $0.value.bytes, as: UTF8.self))" }
                #expect(try await space.text(space.client.snapshot().scan(space.range)) == text)
            }
            try await check()
            let steps: [(start: String, end: String, regions: Int)] = [
                ("b", "c0", 2), ("d0", "d0", 0), ("d0\0", "d1\0", 1), ("c5", "d5", 2), ("a", "z", 4),
            ]
            for step in steps {
                let count = try await space.client.deleteRange(space.range(step.start, step.end))
                #expect(count == step.regions, "\(step.start)..<\(step.end)")
                expected = expected.filter { $0.key < step.start || $0.key >= step.end }
                try await check()
            }
            #expect(expected.isEmpty)
            #expect(try await space.client.deleteRange(.everything) == 4)
            let requests = cluster.requestCount("KvDeleteRange")
            #expect(requests == 13)
        }
    }

    @Test(arguments: [1, 4])
    func everythingCanBeDeletedAndAnnounced(concurrency: Int) async throws {
        try await TransactionSpace.withControl(splits: ["b", "c", "d"]) { space, cluster in
            try await space.write(["a": "1", "b": "2", "c": "3", "d": "4"])
            let told = try await space.client.deleteRange(
                .everything, concurrency: concurrency, isAnnouncedOnly: true)
            #expect(told == 4)
            #expect(try await space.text(space.client.snapshot().scan(space.range)).count == 4)
            #expect(try await space.client.deleteRange(.everything, concurrency: concurrency) == 4)
            #expect(try await space.text(space.client.snapshot().scan(space.range)) == [])
        }
    }

    @Test func aRegionThatSplitsMeanwhileIsDeletedAllTheSame() async throws {
        try await TransactionSpace.withControl { space, cluster in
            try await space.write(["a": "1", "m": "2", "z": "3"])
            _ = try cluster.split(at: TransactionSpace.encoded(space.key("k").bytes))
            #expect(try await space.client.deleteRange(space.range) == 2)
            #expect(try await space.text(space.client.snapshot().scan(space.range)) == [])
        }
    }

    @Test func aRangeIsDestroyedOnEveryStore() async throws {
        try await TransactionSpace.withControl(splits: ["m"]) { space, cluster in
            try await space.write(["a": "1", "b": "2", "n": "3", "z": "4"])
            try await space.client.unsafeDestroyRange(space.range("b", "z"))
            #expect(cluster.requestCount("UnsafeDestroyRange") == cluster.stores.count)
            #expect(try await space.text(space.client.snapshot().scan(space.range)) == ["a=1", "z=4"])
            // All are asked, also where one fails.
            cluster.inject(
                .status(code: 13, message: "no"), into: .init(rpc: "UnsafeDestroyRange"), times: 1)
            let before = cluster.requestCount("UnsafeDestroyRange")
            let error = await #expect(throws: TiKVError.self) {
                try await space.client.unsafeDestroyRange(space.range)
            }
            #expect(error?.message.contains("1 stores") == true)
            #expect(cluster.requestCount("UnsafeDestroyRange") - before == cluster.stores.count)
            #expect(
                await self.code { try await space.client.unsafeDestroyRange(.everything) } == .invalidArgument)
        }
    }
}
