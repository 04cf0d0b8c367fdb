// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKV
import TiKVEmbedded

/// Clusters in trouble, with traffic going on: the client gets over all of it alone, no call outlives its deadline, and no
/// write that was acknowledged is lost.
@Suite(.timeLimit(.minutes(5)), .serialized, .enabled(if: TestCluster.hasControl, "changes the cluster"))
struct FaultRunTests {
    /// What the workers do and what came of it. Each has keys of its own, so that it knows what they must hold.
    private final class Traffic: Sendable {
        private struct State {
            var operations = 0
            var acknowledged = 0
            var checked = 0
            var failures: [String: Int] = [:]
            var unknown = 0
            var longest = Duration.zero
            var problems: [String] = []
            var isOver = false
            var waiters: [(target: Int, continuation: CheckedContinuation<Void, Never>)] = []
        }

        private let state = Mutex(State())

        var isOver: Bool { self.state.withLock { $0.isOver } }
        var problems: [String] { self.state.withLock { $0.problems } }
        var longest: Duration { self.state.withLock { $0.longest } }
        var failures: Int { self.state.withLock { $0.failures.values.reduce(0, +) } }

        /// In the form that `dev/faults` sums up.
        var report: String {
            self.state.withLock { state in
                let failures = state.failures.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }
                return "operations=\(state.operations) acknowledged=\(state.acknowledged) checked=\(state.checked) "
                    + "failed=\(failures.isEmpty ? "0" : failures.joined(separator: ",")) unknown=\(state.unknown) "
                    + "lost=\(state.problems.count) longest=\(state.longest)"
            }
        }

        func acknowledge() { self.state.withLock { $0.acknowledged += 1 } }
        func check() { self.state.withLock { $0.checked += 1 } }

        func done(_ duration: Duration, _ error: TiKVError?) {
            let woken = self.state.withLock { state in
                state.operations += 1
                state.longest = max(state.longest, duration)
                if let error {
                    state.failures["\(error.code)", default: 0] += 1
                    if error.isOutcomeUnknown { state.unknown += 1 }
                }
                let woken = state.waiters.filter { $0.target <= state.operations }
                state.waiters.removeAll { $0.target <= state.operations }
                return woken
            }
            for waiter in woken { waiter.continuation.resume() }
        }

        func problem(_ text: String) { self.state.withLock { $0.problems.append(text) } }
        func end() { self.state.withLock { $0.isOver = true } }

        /// Returns when so many more operations have ended.
        func waitForMore(_ count: Int) async {
            await withCheckedContinuation { continuation in
                self.state.withLock { state in
                    state.waiters.append((state.operations + count, continuation))
                }
            }
        }
    }

    private static let timeout = Duration.seconds(30)
    /// A machine with two processors and other tests on it may be late to notice that a call is over.
    private static let tolerance = Duration.seconds(15)

    private static func key(_ worker: Int, _ number: Int) -> Key {
        // Spread over all regions.
        var bytes: [UInt8] = [UInt8((worker * 37 + number * 61) % 256)]
        bytes += Array("-\(worker)-\(number)".utf8)
        return Key(bytes)
    }

    private static func attempt(
        _ traffic: Traffic, _ body: () async throws -> Void
    ) async -> TiKVError? {
        let begin = ContinuousClock.now
        let error = await failure { try await body() }
        traffic.done(ContinuousClock.now - begin, error)
        return error
    }

    private static func work(_ worker: Int, _ client: RawClient, _ traffic: Traffic) async {
        var random = SeededRandom(UInt64(worker + 1))
        var acknowledged: [Key: Int] = [:]
        // Writes of which nobody knows whether they happened, since the last that is known.
        var possible: [Key: Set<Int>] = [:]
        var next = 0

        func read(_ key: Key) async {
            var found: Value?
            let error = await Self.attempt(traffic) { found = try await client.get(key, timeout: Self.timeout) }
            guard error == nil else { return }
            traffic.check()
            let number = found.flatMap { Int(String(decoding: $0.bytes, as: UTF8.self)) }
            let allowed = (possible[key] ?? []).union(acknowledged[key].map { [$0] } ?? [])
            if number == nil, acknowledged[key] == nil { return }
            if number.map({ allowed.contains($0) }) != true {
                traffic.problem("\(key): read \(number.map(String.init) ?? "nothing"), allowed \(allowed.sorted())")
            }
        }

        while !traffic.isOver {
            let key = Self.key(worker, Int.random(in: 0..<12, using: &random))
            if Int.random(in: 0..<3, using: &random) == 0 {
                await read(key)
                continue
            }
            next += 1
            let number = next
            let error = await Self.attempt(traffic) {
                try await client.put(key, value: Value("\(number)"), timeout: Self.timeout)
            }
            if let error {
                if error.isOutcomeUnknown { possible[key, default: []].insert(number) }
            } else {
                acknowledged[key] = number
                traffic.acknowledge()
                // A write of unknown outcome is over by now or never was: its request ended before this one began.
                possible[key] = []
            }
        }
        for key in acknowledged.keys { await read(key) }
    }

    /// Runs traffic while `trouble` goes on.
    private func run(
        _ name: String, storeCount: Int = 3, pdMembers: Int = 1,
        _ trouble: (EmbeddedCluster, _ waitForMore: (Int) async -> Void) async throws -> Void
    ) async throws {
        let splits = stride(from: 32, to: 256, by: 32).map { [UInt8($0)] }
        let configuration = EmbeddedCluster.Configuration(
            storeCount: storeCount, replicaCount: 3, splitKeys: splits, pdMembers: pdMembers)
        try await TestCluster.withControl(configuration) { client, cluster in
            let traffic = Traffic()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<6 { group.addTask { await Self.work(worker, client, traffic) } }
                do {
                    await traffic.waitForMore(50)
                    try await trouble(cluster) { await traffic.waitForMore($0) }
                    cluster.removeAllFaults()
                    await traffic.waitForMore(100)
                } catch {
                    traffic.end()
                    throw error
                }
                traffic.end()
                try await group.waitForAll()
            }
            print("fault run [\(name)] \(traffic.report)")
            #expect(traffic.problems.isEmpty, "\(traffic.problems.prefix(5))")
            #expect(traffic.failures == 0, "\(traffic.report)")
            #expect(traffic.longest < Self.timeout + Self.tolerance)
        }
    }

    @Test func splitsAndMerges() async throws {
        try await self.run("splits and merges") { cluster, waitForMore in
            var random = SeededRandom(1)
            for _ in 0..<25 {
                if Bool.random(using: &random) {
                    let key = [UInt8.random(in: 1...255, using: &random), UInt8.random(in: 0...255, using: &random)]
                    _ = try? cluster.split(at: key)
                } else {
                    let regions = cluster.regions
                    let index = Int.random(in: 1..<regions.count, using: &random)
                    _ = try? cluster.merge(regions[index - 1].id, into: regions[index].id)
                    if cluster.regions.count < 4 {
                        _ = try? cluster.split(at: [UInt8.random(in: 1...255, using: &random)])
                    }
                }
                await waitForMore(20)
            }
        }
    }

    @Test func leadersMove() async throws {
        try await self.run("leader transfers") { cluster, waitForMore in
            var random = SeededRandom(2)
            for _ in 0..<40 {
                guard let region = cluster.regions.randomElement(using: &random),
                    let store = cluster.stores.randomElement(using: &random)
                else { continue }
                try cluster.transferLeader(ofRegion: region.id, to: store.id)
                await waitForMore(15)
            }
        }
    }

    @Test func storesStopAndStart() async throws {
        try await self.run("stores stop and start") { cluster, waitForMore in
            for round in 0..<6 {
                let store = cluster.stores[round % 3].id
                try await cluster.stopStore(store)
                await waitForMore(60)
                try await cluster.startStore(store)
                await waitForMore(30)
                cluster.scatterLeaders()
                await waitForMore(30)
            }
        }
    }

    @Test func aStoreStopsAndNobodyTakesOverForAWhile() async throws {
        try await self.run("a store stops without an election") { cluster, waitForMore in
            for store in cluster.stores.map(\.id) {
                // Soon all workers wait for its regions, so that nothing can be waited for before it is back.
                try await cluster.stopStore(store, electingLeaders: false)
                try await cluster.startStore(store)
                await waitForMore(60)
            }
        }
    }

    @Test func storesMoveToOtherAddresses() async throws {
        try await self.run("stores at other addresses") { cluster, waitForMore in
            for store in cluster.stores.map(\.id) {
                try await cluster.moveStore(store)
                await waitForMore(80)
            }
        }
    }

    @Test func allStoresRestart() async throws {
        try await self.run("all stores restarted") { cluster, waitForMore in
            for _ in 0..<3 {
                let stores = cluster.stores.map(\.id)
                for store in stores { try await cluster.stopStore(store) }
                for store in stores { try await cluster.startStore(store) }
                await waitForMore(100)
            }
        }
    }

    @Test func theLeaderOfPDDies() async throws {
        try await self.run("PD's leader killed", pdMembers: 3) { cluster, waitForMore in
            var random = SeededRandom(5)
            for _ in 0..<4 {
                guard let leader = cluster.pdLeader else { continue }
                try await cluster.stopPDMember(leader)
                // So that PD is needed.
                _ = try? cluster.split(at: [UInt8.random(in: 1...255, using: &random), 3])
                cluster.scatterLeaders()
                await waitForMore(60)
                try await cluster.startPDMember(leader)
                await waitForMore(30)
            }
        }
    }

    /// What is known goes on working, what stores say is followed; what only PD knows is waited for until it is back.
    @Test func pdIsAwayForAWhile() async throws {
        try await self.run("PD fully down", pdMembers: 3) { cluster, waitForMore in
            for round in 0..<3 {
                // What stores there are must be known.
                for store in cluster.stores.map(\.id) {
                    for region in cluster.regions { try cluster.transferLeader(ofRegion: region.id, to: store) }
                    await waitForMore(50)
                }
                for member in cluster.pdMembers { try await cluster.stopPDMember(member.id) }
                await waitForMore(100)
                // Stores tell where leaders went, and what has become of regions.
                cluster.scatterLeaders()
                await waitForMore(100)
                _ = try? cluster.split(at: [UInt8(round * 60 + 40), 9])
                await waitForMore(100)
                // A store's death needs PD in the end: calls wait for it, within their time.
                let store = cluster.stores[round].id
                try await cluster.stopStore(store)
                for member in cluster.pdMembers { try await cluster.startPDMember(member.id) }
                await waitForMore(60)
                try await cluster.startStore(store)
                await waitForMore(60)
            }
        }
    }

    /// Every region error that a client gets over, at one request in ten.
    @Test(arguments: [11, 22, 33] as [UInt64]) func regionErrorsAtRandom(seed: UInt64) async throws {
        try await self.run("region errors at 10 %, seed \(seed)") { cluster, waitForMore in
            let kinds: [EmbeddedCluster.RegionErrorKind] = [
                .notLeader, .notLeaderWithoutHint, .notLeader(hint: 2), .epochNotMatch, .epochNotMatchWithoutRegions,
                .regionNotFound, .keyNotInRegion, .storeNotMatch, .mismatchPeerID, .regionNotInitialized,
                .serverIsBusy(backoffMilliseconds: 5), .staleCommand, .maxTimestampNotSynced, .readIndexNotReady,
                .proposalInMergingMode, .dataIsNotReady(), .recoveryInProgress,
                .bucketVersionNotMatch(version: 2, keys: []), .other("something of a later version"),
            ]
            cluster.injectAtRandom(kinds.map { .regionError($0) }, probability: 0.1, seed: seed)
            await waitForMore(1500)
        }
    }

    @Test func everythingAtOnce() async throws {
        try await self.run("everything at once") { cluster, waitForMore in
            var random = SeededRandom(7)
            cluster.injectAtRandom(
                [.regionError(.notLeaderWithoutHint), .regionError(.epochNotMatchWithoutRegions), .cutConnection],
                probability: 0.02, seed: 7)
            for round in 0..<12 {
                switch round % 4 {
                case 0: _ = try? cluster.split(at: [UInt8.random(in: 1...255, using: &random), 7])
                case 1: cluster.scatterLeaders()
                case 2: try await cluster.moveStore(cluster.stores[round % 3].id)
                default:
                    let store = cluster.stores[round % 3].id
                    try await cluster.stopStore(store)
                    await waitForMore(20)
                    try await cluster.startStore(store)
                }
                await waitForMore(40)
            }
        }
    }
}
