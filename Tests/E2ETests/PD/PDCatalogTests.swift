// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVEmbedded
import TiKVPD

/// All that PD keeps beside timestamps, through the client and over real connections.
@Suite(.timeLimit(.minutes(1)), .enabled(if: TestCluster.hasControl)) struct PDCatalogTests {
    /// What a listener was told.
    private final class Seen<Element: Sendable>: Sendable {
        private let list = Mutex<[Element]>([])

        var elements: [Element] { self.list.withLock { $0 } }

        func add(_ more: [Element]) { self.list.withLock { $0 += more } }
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    // MARK: - Regions and stores

    @Test func regions() async throws {
        let borders = ["c", "m", "t"].map { self.bytes($0) }
        try await PDHarness.with(.init(splitKeys: borders, pdMembers: 3)) { client, cluster in
            let deadline = PDHarness.deadline()
            let region = try #require(try await client.region(for: self.bytes("d"), deadline: deadline))
            #expect(region.startKey == self.bytes("c") && region.endKey == self.bytes("m"))
            #expect(region.leader?.storeID == cluster.region(region.id)?.leaderStoreID)
            #expect(try await client.region(id: region.id, deadline: deadline) == region)
            #expect(try await client.region(id: 9999, deadline: deadline) == nil)
            let previous = try await client.previousRegion(for: self.bytes("d"), deadline: deadline)
            #expect(previous?.endKey == self.bytes("c"))
            #expect(try await client.previousRegion(for: self.bytes("a"), deadline: deadline) == nil)
            let all = try await client.scanRegions(KeySpan(start: [], end: []), limit: 0, deadline: deadline)
            #expect(all.map(\.id) == cluster.regions.map(\.id))
            let spans = [
                KeySpan(start: self.bytes("a"), end: self.bytes("b")),
                KeySpan(start: self.bytes("n"), end: self.bytes("z")),
            ]
            let options = RegionOptions(needBuckets: true, containAllKeyRange: true)
            try cluster.setBuckets(ofRegion: all[2].id, keys: [self.bytes("o"), self.bytes("q")], version: 7)
            let some = try await client.batchScanRegions(spans, limit: 10, options: options, deadline: deadline)
            #expect(some.map(\.id) == [all[0].id, all[2].id, all[3].id])
            #expect(some.map { $0.buckets?.version } == [nil, 7, nil])
            #expect(some[1].buckets?.keys == ["m", "o", "q", "t"].map { self.bytes($0) })
            let one = try await client.region(for: self.bytes("p"), options: options, deadline: deadline)
            #expect(one?.buckets == some[1].buckets)
            #expect(try await client.region(for: self.bytes("p"), deadline: deadline)?.buckets == nil)
        }
    }

    @Test func splittingAndScattering() async throws {
        try await PDHarness.with { client, cluster in
            let deadline = PDHarness.deadline()
            let split = try await client.splitRegions(
                at: [self.bytes("g"), self.bytes("p")], retryLimit: 3, deadline: deadline)
            #expect(split.finishedPercentage == 100 && split.regionIDs.count == 2)
            #expect(cluster.regions.map(\.startKey) == [[], self.bytes("g"), self.bytes("p")])
            #expect(try await client.operatorState(ofRegion: split.regionIDs[0], deadline: deadline) == nil)
            let scatter = try await client.scatterRegions(
                split.regionIDs + [9999], group: "g", deadline: deadline)
            #expect(scatter.failedRegionIDs == [9999] && scatter.finishedPercentage == 67)
            let done = try await client.operatorState(ofRegion: split.regionIDs[0], deadline: deadline)
            #expect(done?.status == .success && done?.description == "scatter-region")
            cluster.setOperator(ofRegion: split.regionIDs[0], isRunning: true)
            let running = try await client.operatorState(ofRegion: split.regionIDs[0], deadline: deadline)
            #expect(running?.status == .running)
            let both = try await client.splitAndScatterRegions(at: [self.bytes("x")], deadline: deadline)
            #expect(both.split.regionIDs.count == 1 && both.scatteredPercentage == 100)
        }
    }

    @Test func stores() async throws {
        try await PDHarness.with { client, cluster in
            let deadline = PDHarness.deadline()
            try cluster.setLabels(["zone": "z1", "host": "h1"], ofStore: 1)
            try cluster.setPhase(.offline, ofStore: 2)
            try cluster.setPhase(.tombstone, ofStore: 3)
            let store = try #require(try await client.store(id: 1, deadline: deadline))
            #expect(store.labels == ["zone": "z1", "host": "h1"] && store.state == .up)
            #expect(store.address == cluster.stores[0].address && !store.version.isEmpty)
            #expect(try await client.store(id: 2, deadline: deadline)?.state == .offline)
            #expect(try await client.store(id: 9, deadline: deadline) == nil)
            #expect(try await client.allStores(deadline: deadline).map(\.id) == [1, 2])
            let all = try await client.allStores(excludingTombstones: false, deadline: deadline)
            #expect(all.map(\.state) == [.up, .offline, .tombstone])
        }
    }

    // MARK: - Keyspaces

    @Test func keyspaces() async throws {
        try await PDHarness.with { client, cluster in
            let deadline = PDHarness.deadline()
            let id = try cluster.createKeyspace("orders")
            let keyspace = try #require(try await client.keyspace(named: "orders", deadline: deadline))
            #expect(keyspace.id == id && keyspace.state == .enabled && keyspace.namespaceID == nil)
            #expect(try await client.keyspace(id: id, deadline: deadline) == keyspace)
            #expect(try await client.keyspace(named: "none", deadline: deadline) == nil)
            #expect(try await client.keyspace(id: 77, deadline: deadline) == nil)
            #expect(try await client.keyspaces(deadline: deadline).map(\.name) == ["DEFAULT", "orders"])
            #expect(try await client.keyspaces(from: 1, limit: 1, deadline: deadline).map(\.id) == [id])
            let disabled = try await client.updateKeyspace(id: id, state: .disabled, deadline: deadline)
            #expect(disabled?.state == .disabled)
            let error = await pdFailure {
                try await client.updateKeyspace(id: id, state: .tombstone, deadline: deadline)
            }
            #expect(error?.code == .server)
            #expect(try await client.updateKeyspace(id: 77, state: .disabled, deadline: deadline) == nil)
        }
    }

    @Test func keyspacesAreWatchedAcrossAChangeOfLeader() async throws {
        try await PDHarness.with { client, cluster in
            let id = try cluster.createKeyspace("orders")
            let seen = Seen<[KeyspaceDescription]>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await client.watchKeyspaces { news in seen.add([news]) }
                }
                while seen.elements.isEmpty { await Task.yield() }
                _ = try await client.updateKeyspace(id: id, state: .disabled, deadline: PDHarness.deadline())
                while seen.elements.count < 2 { await Task.yield() }
                try cluster.transferPDLeader(to: 2)
                while seen.elements.count < 3 { await Task.yield() }
                try cluster.createKeyspace("more")
                while seen.elements.count < 4 { await Task.yield() }
                group.cancelAll()
                // Ended by cancellation.
                while let result = await group.nextResult() {
                    guard case .failure = result else {
                        Issue.record("the watch ended by itself")
                        continue
                    }
                }
            }
            let names = seen.elements.map { $0.map { "\($0.name) \($0.state)" } }
            #expect(names[0] == ["DEFAULT enabled", "orders enabled"])
            #expect(names[1] == ["orders disabled"])
            #expect(names[2] == ["DEFAULT enabled", "orders disabled"])
            #expect(names[3] == ["more enabled"])
        }
    }

    // MARK: - Garbage collection

    @Test func safePointsInTheOlderForm() async throws {
        try await PDHarness.with { client, cluster in
            let deadline = PDHarness.deadline()
            func at(_ value: UInt64) -> Timestamp { Timestamp(rawValue: value) }
            let own = try cluster.createKeyspace("own", hasOwnGC: true)
            for keyspace in [nil, own] {
                #expect(try await client.gcSafePoint(keyspaceID: keyspace, deadline: deadline) == .zero)
                let held = try await client.updateServiceSafePoint(
                    "backup", to: at(50), timeToLive: .seconds(3600), keyspaceID: keyspace, deadline: deadline)
                #expect(held.safePoint == .zero)
                let moved = try await client.updateServiceSafePoint(
                    "gc_worker", to: at(100), timeToLive: nil, keyspaceID: keyspace, deadline: deadline)
                #expect(moved == ServiceSafePoint(serviceID: "backup", safePoint: at(50), timeToLive: nil))
                // A service that comes too late is told so by the safe point that there is.
                let late = try await client.updateServiceSafePoint(
                    "late", to: at(20), timeToLive: .seconds(60), keyspaceID: keyspace, deadline: deadline)
                #expect(late.safePoint == at(50))
                _ = try await client.updateServiceSafePoint(
                    "backup", to: at(0), timeToLive: .zero, keyspaceID: keyspace, deadline: deadline)
                let free = try await client.updateServiceSafePoint(
                    "gc_worker", to: at(100), timeToLive: nil, keyspaceID: keyspace, deadline: deadline)
                #expect(free.serviceID == "gc_worker" && free.safePoint == at(100))
                #expect(
                    try await client.updateGCSafePoint(to: at(90), keyspaceID: keyspace, deadline: deadline) == at(90))
                #expect(
                    try await client.updateGCSafePoint(to: at(10), keyspaceID: keyspace, deadline: deadline) == at(90))
                let error = await pdFailure {
                    try await client.updateGCSafePoint(to: at(101), keyspaceID: keyspace, deadline: deadline)
                }
                #expect(error?.code == .server)
            }
            #expect(try await client.gcSafePoints(deadline: deadline) == [own: at(90)])
        }
    }

    @Test func statesAndBarriers() async throws {
        try await PDHarness.with { client, cluster in
            let deadline = PDHarness.deadline()
            func at(_ value: UInt64) -> Timestamp { Timestamp(rawValue: value) }
            let own = try cluster.createKeyspace("own", hasOwnGC: true)
            let shared = try cluster.createKeyspace("shared")
            let barrier = try await client.setGCBarrier(
                GCBarrier(id: "b", timestamp: at(50), timeToLive: .seconds(100)), keyspaceID: shared, deadline: deadline
            )
            #expect(barrier.id == "b" && barrier.timestamp == at(50))
            #expect(try #require(barrier.timeToLive) <= .seconds(100))
            _ = try await client.setGlobalGCBarrier(GCBarrier(id: "g", timestamp: at(70)), deadline: deadline)
            // The barrier of a keyspace without its own collection holds back all of those.
            let held = try await client.advanceTxnSafePoint(to: at(100), deadline: deadline)
            #expect(held.old == .zero && held.new == at(50) && held.blocker.contains("\"b\""))
            let other = try await client.advanceTxnSafePoint(to: at(60), keyspaceID: own, deadline: deadline)
            #expect(other == TxnSafePointAdvance(old: .zero, new: at(60), blocker: ""))
            #expect(try await client.advanceGCSafePoint(to: at(55), keyspaceID: own, deadline: deadline).new == at(55))
            for target in [UInt64(61), 10] {
                let error = await pdFailure {
                    try await client.advanceGCSafePoint(to: at(target), keyspaceID: own, deadline: deadline)
                }
                #expect(error?.code == .server)
            }
            let state = try await client.gcState(deadline: deadline)
            #expect(state.keyspaceID == nil && state.txnSafePoint == at(50) && state.barriers.map(\.id) == ["b"])
            let (states, globals) = try await client.allGCStates(deadline: deadline)
            #expect(states.map(\.keyspaceID) == [nil, own])
            #expect(states[1].txnSafePoint == at(60) && states[1].gcSafePoint == at(55))
            #expect(globals == [GCBarrier(id: "g", timestamp: at(70))])
            #expect(try await client.gcState(includingBarriers: false, deadline: deadline).barriers.isEmpty)
            #expect(try await client.deleteGCBarrier("b", deadline: deadline)?.timestamp == at(50))
            #expect(try await client.deleteGCBarrier("b", deadline: deadline) == nil)
            #expect(try await client.advanceTxnSafePoint(to: at(100), deadline: deadline).new == at(70))
            #expect(try await client.deleteGlobalGCBarrier("g", deadline: deadline)?.id == "g")
            let late = await pdFailure {
                try await client.setGCBarrier(GCBarrier(id: "late", timestamp: at(69)), deadline: deadline)
            }
            #expect(late?.detail.contains("behind the txn safe point") == true)
            // One whose time is over holds nothing back.
            _ = try await client.setGCBarrier(
                GCBarrier(id: "short", timestamp: at(80), timeToLive: .seconds(10)), deadline: deadline)
            cluster.advanceClock(by: .seconds(11))
            #expect(try await client.advanceTxnSafePoint(to: at(100), deadline: deadline).new == at(100))
        }
    }

    // MARK: - The small store

    @Test func entriesOfTheSmallStore() async throws {
        try await PDHarness.with { client, _ in
            let deadline = PDHarness.deadline()
            #expect(try await client.putMetaEntry(self.bytes("a/1"), value: [1], deadline: deadline) == nil)
            #expect(try await client.putMetaEntry(self.bytes("a/1"), value: [2], deadline: deadline)?.value == [1])
            for key in ["a/2", "a/3", "b"] {
                try await client.putMetaEntry(self.bytes(key), value: [3], deadline: deadline)
            }
            let one = try await client.metaEntries(self.bytes("a/1"), deadline: deadline)
            #expect(one.entries.map(\.value) == [[2]] && one.entries[0].version == 2)
            #expect(one.entries[0].revision == one.entries[0].createRevision + 1)
            let end = MetaKey.prefixEnd(self.bytes("a/"))
            let two = try await client.metaEntries(self.bytes("a/"), rangeEnd: end, limit: 2, deadline: deadline)
            #expect(two.entries.map(\.key) == [self.bytes("a/1"), self.bytes("a/2")] && two.count == 3)
            #expect(try await client.deleteMetaEntries(self.bytes("a/"), rangeEnd: end, deadline: deadline) == 3)
            #expect(try await client.metaEntries(self.bytes("a/"), rangeEnd: end, deadline: deadline).count == 0)
            #expect(MetaKey.prefixEnd([1, 0xff]) == [2] && MetaKey.prefixEnd([0xff]) == nil)
        }
    }

    @Test func changesOfTheSmallStoreAreToldOnceAndInOrder() async throws {
        try await PDHarness.with { client, cluster in
            let deadline = PDHarness.deadline()
            let start = try await client.metaEntries(self.bytes("k/"), deadline: deadline).revision
            let seen = Seen<String>()
            let end = MetaKey.prefixEnd(self.bytes("k/"))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await client.watchMetaEntries(Array("k/".utf8), rangeEnd: end, from: start + 1) { changes in
                        for change in changes {
                            let key = String(decoding: change.entry.key, as: UTF8.self)
                            seen.add(["\(change.kind) \(key) \(change.previous?.value ?? [])"])
                        }
                    }
                }
                for step in 0..<9 {
                    let key = self.bytes("k/\(step % 3)")
                    try await client.putMetaEntry(key, value: [UInt8(step)], deadline: deadline)
                    if step == 3 { try cluster.transferPDLeader(to: 2) }
                    if step == 6 { try await cluster.stopPDMember(2) }
                }
                try await client.putMetaEntry(self.bytes("other"), value: [], deadline: deadline)
                try await client.deleteMetaEntries(self.bytes("k/0"), deadline: deadline)
                while seen.elements.count < 10 { await Task.yield() }
                group.cancelAll()
                while await group.nextResult() != nil {}
            }
            var expected = (0..<9).map { "put k/\($0 % 3) \($0 < 3 ? [] : [UInt8($0 - 3)])" }
            expected.append("delete k/0 [6]")
            #expect(seen.elements == expected)
            // Changes that PD no longer has can't be told.
            cluster.compactMetaStorage(before: start + 5)
            let error = await pdFailure {
                try await client.watchMetaEntries(self.bytes("k/"), rangeEnd: end, from: start + 1) { _ in }
            }
            #expect(error?.code == .server)
            #expect(error?.detail.contains("compact") == true)
        }
    }

    @Test func globalConfiguration() async throws {
        try await PDHarness.with { client, _ in
            let deadline = PDHarness.deadline()
            let path = "/global/config/tidb/"
            let (none, revision) = try await client.globalConfig(path: path, deadline: deadline)
            #expect(none.isEmpty)
            let seen = Seen<GlobalConfigItem>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await client.watchGlobalConfig(path: path, from: revision + 1) { items in
                        seen.add(items)
                    }
                }
                let items = [
                    GlobalConfigItem(name: "x", payload: [1, 2]), GlobalConfigItem(name: "y", payload: [3]),
                ]
                try await client.storeGlobalConfig(items, path: path, deadline: deadline)
                let (found, _) = try await client.globalConfig(["y", "z"], path: path, deadline: deadline)
                #expect(found == [items[1], GlobalConfigItem(name: "z", payload: nil)])
                let (all, _) = try await client.globalConfig(path: path, deadline: deadline)
                #expect(all.map(\.name) == [path + "x", path + "y"])
                try await client.storeGlobalConfig(
                    [GlobalConfigItem(name: "x", payload: nil)], path: path, deadline: deadline)
                while seen.elements.count < 3 { await Task.yield() }
                group.cancelAll()
                while await group.nextResult() != nil {}
            }
            #expect(seen.elements.map(\.name) == [path + "x", path + "y", path + "x"])
            #expect(seen.elements.map { $0.payload == nil } == [false, false, true])
        }
    }

    // MARK: - Resource groups

    @Test func resourceGroups() async throws {
        try await PDHarness.with { client, _ in
            let deadline = PDHarness.deadline()
            var group = ResourceGroup(name: "batch", priority: 1, requestUnits: .init(fillRate: 1000))
            try await client.addResourceGroup(group, deadline: deadline)
            let again = await pdFailure { try await client.addResourceGroup(group, deadline: deadline) }
            #expect(again?.code == .server && again?.detail.contains("exists") == true)
            #expect(try await client.resourceGroups(deadline: deadline).map(\.name) == ["batch", "default"])
            group.requestUnits.fillRate = 2000
            try await client.modifyResourceGroup(group, deadline: deadline)
            #expect(try await client.resourceGroup(named: "batch", deadline: deadline) == group)
            #expect(try await client.resourceGroup(named: "none", deadline: deadline) == nil)

            let used = Consumption(readUnits: 5, writeUnits: 7, readBytes: 100)
            try await client.withTokenStream(clientID: 1, deadline: deadline) { stream in
                let grants = try await stream.acquire(
                    [TokenRequest(group: "batch", units: 500, consumption: used)], period: .seconds(5))
                #expect(grants.map(\.group) == ["batch"] && grants[0].tokens.tokens == 500)
                #expect(grants[0].trickleTime == .zero)
                let more = try await stream.acquire([TokenRequest(group: "batch", units: 1e6)], period: .seconds(5))
                #expect(more[0].tokens.tokens == 10_000 && more[0].trickleTime == .seconds(5))
                let unlimited = try await stream.acquire(
                    [TokenRequest(group: "default", units: 1e6)], period: .seconds(5))
                #expect(unlimited[0].tokens.tokens == 1e6)
            }
            let counted = try await client.resourceGroup(
                named: "batch", includingConsumption: true, deadline: deadline)
            #expect(counted?.consumption == used)
            try await client.deleteResourceGroup(named: "batch", deadline: deadline)
            #expect(try await client.resourceGroup(named: "batch", deadline: deadline) == nil)
            let fixed = await pdFailure { try await client.deleteResourceGroup(named: "default", deadline: deadline) }
            #expect(fixed?.code == .server)
        }
    }
}
