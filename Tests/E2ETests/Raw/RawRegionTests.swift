// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKV
import TiKVEmbedded

/// Regions that split, merge and move, and stores that come and go, under the client's feet.
@Suite(.timeLimit(.minutes(3)), .enabled(if: TestCluster.hasControl, "changes the cluster"))
struct RawRegionTests {
    @Test func aKnownRegionNeedsNoPD() async throws {
        try await TestCluster.withControl { client, cluster in
            _ = try await client.get("k")
            let before = cluster.requestCount("GetRegion")
            for number in 0..<50 { _ = try await client.get("k\(number)") }
            #expect(cluster.requestCount("GetRegion") == before)
            #expect(cluster.requestCount("GetStore") == 1)
        }
    }

    @Test func concurrentMissesAskOnce() async throws {
        try await TestCluster.withControl { client, cluster in
            let gate = EmbeddedCluster.Gate()
            cluster.inject(.hold(gate), into: .init(rpc: "GetRegion"))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<50 { group.addTask { _ = try await client.get("k") } }
                try await gate.waitForArrivals()
                gate.open()
                try await group.waitForAll()
            }
            #expect(cluster.requestCount("GetRegion") == 1)
            #expect(cluster.requestCount("GetMembers") == 1)
        }
    }

    @Test func aManyRegionBatchAsksForRegionsInBatches() async throws {
        let splits = (1..<60).map { [UInt8($0 * 4)] }
        try await TestCluster.withControl(.init(splitKeys: splits)) { client, cluster in
            let keys = (0...255).map { Key([UInt8($0)]) }
            try await client.batchPut(keys.map { ($0, Value($0.bytes)) })
            #expect(try await client.batchGet(keys).count == 256)
            #expect(cluster.requestCount("ScanRegions") == 1)
            #expect(cluster.requestCount("GetRegion") == 0)
        }
    }

    @Test func splitsAreFollowed() async throws {
        try await TestCluster.withControl { client, cluster in
            try await client.batchPut([("k1", "1"), ("k3", "3")])
            try cluster.split(at: Array("k2".utf8))
            #expect(try await client.get("k1") == "1")
            #expect(try await client.get("k3") == "3")
            // A batch and a scan with an outdated idea of the regions.
            try cluster.split(at: Array("k3".utf8))
            #expect(try await client.batchGet(["k1", "k2", "k3"]).count == 2)
            try cluster.split(at: Array("k11".utf8))
            var keys: [Key] = []
            for try await (key, _) in client.scan(.everything) { keys.append(key) }
            #expect(keys == ["k1", "k3"])
            try cluster.split(at: Array("k12".utf8))
            try await client.deleteRange(.everything)
            #expect(try await client.batchGet(["k1", "k3"]).isEmpty)
        }
    }

    /// The scans that client-go's tests of its raw client make, before and after splits that nobody told the client of.
    @Test func scansFollowSplits() async throws {
        try await TestCluster.withControl { client, cluster in
            for name in ["k1", "k3", "k5", "k7"] { try await client.put(Key(name), value: Value(name)) }
            func names(_ range: KeyRange, limit: Int? = nil, reversed: Bool = false) async throws -> [String] {
                var names: [String] = []
                for try await (key, value) in client.scan(range, limit: limit, reversed: reversed) {
                    #expect(value.bytes == key.bytes)
                    names.append(String(decoding: key.bytes, as: UTF8.self))
                }
                return names
            }
            func check() async throws {
                #expect(try await names(.everything, limit: 1) == ["k1"])
                #expect(try await names("k1"..., limit: 2) == ["k1", "k3"])
                #expect(try await names(.everything, limit: 10) == ["k1", "k3", "k5", "k7"])
                #expect(try await names("k2"..., limit: 2) == ["k3", "k5"])
                #expect(try await names("k2"..., limit: 3) == ["k3", "k5", "k7"])
                #expect(try await names(..<"k1") == [])
                #expect(try await names("k1"..<"k3") == ["k1"])
                #expect(try await names("k1"..<"k5", limit: 10) == ["k1", "k3"])
                #expect(try await names("k1"..<"k5\u{0}") == ["k1", "k3", "k5"])
                #expect(try await names("k5\u{0}"..<"k5\u{0}\u{0}") == [])

                #expect(try await names(..<"z", limit: 1, reversed: true) == ["k7"])
                #expect(try await names(..<"z", limit: 2, reversed: true) == ["k7", "k5"])
                #expect(try await names(..<"z", limit: 10, reversed: true) == ["k7", "k5", "k3", "k1"])
                #expect(try await names(..<"k2", limit: 10, reversed: true) == ["k1"])
                #expect(try await names(..<"k6", limit: 2, reversed: true) == ["k5", "k3"])
                #expect(try await names(..<"k6", limit: 3, reversed: true) == ["k5", "k3", "k1"])
                #expect(try await names(..<"k5", limit: 1, reversed: true) == ["k3"])
                #expect(try await names(..<"k5\u{0}", limit: 1, reversed: true) == ["k5"])
                #expect(try await names("k3"..<"z", limit: 10, reversed: true) == ["k7", "k5", "k3"])
                #expect(try await names("k3\u{0}"..<"k7", limit: 10, reversed: true) == ["k5"])
            }
            try await check()
            try cluster.split(at: Array("k2".utf8))
            try await check()
            try cluster.split(at: Array("k5".utf8))
            try await check()
        }
    }

    @Test func batchesInSeveralPiecesFollowASplit() async throws {
        try await TestCluster.withControl { client, cluster in
            // From here on the client knows the one region there is.
            _ = try await client.get("k")
            // Over 4 times what one put takes, and more keys than one get or delete takes.
            let pairs: [KeyValue] = (0..<700).map { number in
                (Key("key\(number + 1000)"), Value([UInt8](repeating: UInt8(number % 256), count: 100)))
            }
            try cluster.split(at: pairs[350].key.bytes)
            try await client.batchPut(pairs)
            let keys = pairs.map(\.key)
            let values = try await client.batchGet(keys)
            #expect(keys.map { values[$0] } == pairs.map(\.value))
            try await client.batchDelete(keys)
            #expect(try await client.batchGet(keys).isEmpty)
            #expect(cluster.requestCount("RawBatchPut") > 4)
        }
    }

    @Test func mergesAreFollowed() async throws {
        try await TestCluster.withControl(.init(splitKeys: [Array("h".utf8), Array("p".utf8)])) { client, cluster in
            let keys: [Key] = ["a", "k", "z"]
            try await client.batchPut(keys.map { ($0, Value($0.bytes)) })
            let regions = cluster.regions
            try cluster.merge(regions[0].id, into: regions[1].id)
            #expect(try await client.get("a") == "a")
            #expect(try await client.batchGet(keys).count == 3)
            try cluster.merge(regions[2].id, into: regions[1].id)
            var found: [Key] = []
            for try await (key, _) in client.scan(.everything, reversed: true) { found.append(key) }
            #expect(found == keys.reversed())
            try await client.put("z", value: "new")
            #expect(try await client.get("z") == "new")
        }
    }

    @Test func leadersAreFollowedWithoutPD() async throws {
        try await TestCluster.withControl { client, cluster in
            try await client.put("k", value: "v")
            let region = cluster.regions[0]
            let before = cluster.requestCount("GetRegion")
            for store in cluster.stores.map(\.id) + cluster.stores.map(\.id) {
                try cluster.transferLeader(ofRegion: region.id, to: store)
                #expect(try await client.get("k") == "v")
            }
            #expect(cluster.requestCount("GetRegion") == before)
        }
    }

    @Test func peersComeAndGo() async throws {
        try await TestCluster.withControl(.init(storeCount: 4, replicaCount: 3)) { client, cluster in
            try await client.put("k", value: "v")
            let region = cluster.regions[0]
            let free = try #require(cluster.stores.map(\.id).first { region.peers[$0] == nil })
            let leader = try #require(region.leaderStoreID)
            try cluster.addPeer(ofRegion: region.id, on: free)
            try cluster.transferLeader(ofRegion: region.id, to: free)
            try cluster.removePeer(ofRegion: region.id, from: leader)
            #expect(try await client.get("k") == "v")
            try await client.put("k", value: "w")
            #expect(try await client.get("k") == "w")
        }
    }

    @Test func anotherStoreTakesOver() async throws {
        try await TestCluster.withControl { client, cluster in
            try await client.put("k", value: "v")
            let leader = try #require(cluster.regions[0].leaderStoreID)
            try await cluster.stopStore(leader)
            #expect(try await client.get("k") == "v")
            try await client.put("k", value: "w")
            try await cluster.startStore(leader)
            #expect(try await client.get("k") == "w")
        }
    }

    @Test func theWholeClusterMayRestart() async throws {
        try await TestCluster.withControl(.init(splitKeys: [Array("m".utf8)])) { client, cluster in
            try await client.batchPut([("a", "1"), ("z", "2")])
            let stores = cluster.stores.map(\.id)
            for store in stores { try await cluster.stopStore(store) }
            #expect(await failure { try await client.get("a", timeout: .milliseconds(300)) } != nil)
            for store in stores { try await cluster.startStore(store) }
            #expect(try await client.batchGet(["a", "z"]) == ["a": "1", "z": "2"])
        }
    }

    // MARK: - Under traffic

    /// How far each writer has come, and waiting for that.
    private final class Progress: Sendable {
        private struct State {
            var acknowledged: [Int]
            var waiters: [(targets: [Int], continuation: CheckedContinuation<Void, Never>)] = []
            var isOver = false

            func hasReached(_ targets: [Int]) -> Bool {
                self.isOver || zip(targets, self.acknowledged).allSatisfy { $0 <= $1 }
            }
        }

        private let state: Mutex<State>

        init(writers: Int) {
            self.state = Mutex(State(acknowledged: [Int](repeating: 0, count: writers)))
        }

        var acknowledged: [Int] { self.state.withLock { $0.acknowledged } }
        var isOver: Bool { self.state.withLock { $0.isOver } }

        func acknowledge(_ writer: Int, _ number: Int) {
            self.update { $0.acknowledged[writer] = number }
        }

        /// Ends the test: everybody stops, and nobody waits any longer.
        func end() { self.update { $0.isOver = true } }

        /// Returns when every writer has had so many more answers.
        func waitForEveryone(more: Int) async {
            await withCheckedContinuation { continuation in
                let isOver = self.state.withLock { state in
                    state.waiters.append((state.acknowledged.map { $0 + more }, continuation))
                    return state.isOver
                }
                if isOver { self.end() }
            }
        }

        private func update(_ body: (inout State) -> Void) {
            let ready = self.state.withLock { state in
                body(&state)
                let current = state
                let ready = state.waiters.filter { current.hasReached($0.targets) }.map(\.continuation)
                state.waiters.removeAll { current.hasReached($0.targets) }
                return ready
            }
            for continuation in ready { continuation.resume() }
        }
    }

    /// Writers and readers that never see an error while the cluster is turned upside down, and no write that is lost.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func trafficSurvivesEveryChange(seed: UInt64) async throws {
        let splits = (1..<8).map { [UInt8($0 * 32)] }
        try await TestCluster.withControl(.init(storeCount: 4, replicaCount: 3, splitKeys: splits)) { client, cluster in
            cluster.scatterLeaders()
            let writers = 8
            let progress = Progress(writers: writers)
            @Sendable func key(_ writer: Int) -> Key { Key([UInt8(writer * 32 + 7), UInt8(writer)]) }

            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<writers {
                    group.addTask {
                        // Whoever fails lets all the others end.
                        defer { progress.end() }
                        var number = 0
                        while !progress.isOver {
                            number += 1
                            if writer.isMultiple(of: 2) {
                                try await client.put(key(writer), value: Value("\(number)"))
                            } else {
                                try await client.batchPut([
                                    (key(writer), Value("\(number)")), (key(writer).next, Value("\(number)")),
                                ])
                            }
                            #expect(try await client.get(key(writer)) == Value("\(number)"))
                            progress.acknowledge(writer, number)
                        }
                    }
                }
                group.addTask {
                    defer { progress.end() }
                    while !progress.isOver {
                        var previous: Key?
                        for try await (key, _) in client.scan(.everything, reversed: false) {
                            if let previous { #expect(previous < key) }
                            previous = key
                        }
                    }
                }
                await progress.waitForEveryone(more: 1)
                try await self.disturb(cluster, progress, seed: seed)
                progress.end()
                try await group.waitForAll()
            }
            let last = progress.acknowledged
            let values = try await client.batchGet((0..<writers).map { key($0) })
            for writer in 0..<writers {
                let value = try #require(values[key(writer)])
                let number = try #require(Int(String(decoding: value.bytes, as: UTF8.self)))
                #expect(number >= last[writer], "a write of writer \(writer) was lost")
            }
        }
    }

    private func disturb(_ cluster: EmbeddedCluster, _ progress: Progress, seed: UInt64) async throws {
        var random = SeededRandom(seed)
        for _ in 0..<25 {
            let regions = cluster.regions
            let region = regions[Int.random(in: 0..<regions.count, using: &random)]
            switch Int.random(in: 0..<6, using: &random) {
            case 0:
                _ = try? cluster.split(at: (0..<3).map { _ in UInt8.random(in: .min ... .max, using: &random) })
            case 1:
                if let index = regions.firstIndex(where: { $0.id == region.id }), index + 1 < regions.count {
                    _ = try? cluster.merge(region.id, into: regions[index + 1].id)
                }
            case 2:
                if let store = region.peers.keys.sorted().randomElement(using: &random) {
                    try? cluster.transferLeader(ofRegion: region.id, to: store)
                }
            case 3:
                cluster.scatterLeaders()
            case 4:
                let stores = cluster.stores
                let store = stores[Int.random(in: 0..<stores.count, using: &random)].id
                try await cluster.stopStore(store)
                await progress.waitForEveryone(more: 1)
                try await cluster.startStore(store)
            default:
                cluster.inject(.cutConnection)
            }
            await progress.waitForEveryone(more: 1)
        }
    }
}
