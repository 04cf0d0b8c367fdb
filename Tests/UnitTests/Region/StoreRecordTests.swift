// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKVPD
import TiKVTransport

@testable import TiKV

/// Where stores are, and whether they live.
@Suite(.timeLimit(.minutes(1))) struct StoreRecordTests {
    private func deadline(_ harness: PipelineHarness) -> Deadline {
        Deadline(after: .seconds(5), from: harness.clock.now)
    }

    @Test func aStoreGoesThroughItsStates() async throws {
        let harness = PipelineHarness([.sample(1)])
        let record = harness.stores.record(1)
        #expect(record.resolveState == .unresolved && record.handle == nil)
        harness.regions.change { $0.stores[1]?.labels = ["zone": "z1"] }
        _ = try await harness.stores.resolve(1, deadline: self.deadline(harness))
        #expect(record.resolveState == .resolved)
        #expect(record.handle?.address.host == "store1")
        #expect(record.labels == ["zone": "z1"])
        // Nothing has changed.
        record.needsCheck()
        #expect(record.resolveState == .needsCheck && record.handle == nil && record.lastHandle != nil)
        let handle = record.lastHandle
        await harness.stores.check(record)
        #expect(record.resolveState == .resolved && record.handle === handle)
        // Another address, other labels.
        harness.regions.change { $0.stores[1] = StoreDescription(id: 1, address: "moved:1", labels: ["zone": "z2"]) }
        record.needsCheck()
        await harness.stores.check(record)
        #expect(record.handle?.address.host == "moved")
        #expect(record.labels == ["zone": "z2"])
        let epoch = record.epoch
        // Gone for good.
        harness.regions.change { $0.stores[1]?.state = .tombstone }
        record.needsCheck()
        await harness.stores.check(record)
        #expect(record.resolveState == .tombstone && record.handle == nil && record.lastHandle == nil)
        #expect(record.epoch > epoch)
        // One that PD doesn't know.
        #expect(try await harness.stores.resolve(9, deadline: self.deadline(harness)) == nil)
        #expect(harness.stores.record(9).resolveState == .unknownToPD)
    }

    @Test func whilePDIsAwayWhatWasKnownStays() async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.on("store1") { _ in PipelineHarness.value("v") }
        _ = try await harness.get()
        harness.stores.record(1).needsCheck()
        harness.regions.change { $0.failure = PDError(.server, "away") }
        #expect(try await harness.get() == PipelineHarness.value("v"))
        #expect(harness.hosts == ["store1", "store1"])
    }

    @Test func storesAreFoundByTheirLabels() async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.regions.change { state in
            for id in state.stores.keys { state.stores[id]?.labels = ["id": "\(id)", "disk": "ssd"] }
        }
        for id in 1...3 { _ = try await harness.stores.resolve(UInt64(id), deadline: self.deadline(harness)) }
        #expect(harness.stores.stores(matching: ["id": "2"]).map(\.id) == [2])
        #expect(harness.stores.stores(matching: ["disk": "ssd"]).map(\.id) == [1, 2, 3])
        #expect(harness.stores.stores(matching: ["disk": "ssd", "id": "3"]).map(\.id) == [3])
        #expect(harness.stores.stores(matching: ["disk": "hdd"]).isEmpty)
    }

    @Test func aStoreThatIsLookedAfterComesBackAtItsNewAddress() async throws {
        let harness = PipelineHarness([.sample(1)])
        _ = try await harness.stores.resolve(1, deadline: self.deadline(harness))
        let record = harness.stores.record(1)
        #expect(await harness.stores.probe(record) == .unreachable)
        #expect(record.liveness == .unreachable)
        // It moves while somebody looks after it, and has other labels there.
        harness.regions.change { $0.stores[1] = StoreDescription(id: 1, address: "moved:1", labels: ["zone": "z9"]) }
        harness.on("moved") { _ in PipelineHarness.value("v") }
        record.needsCheck()
        await harness.stores.lookAfter(1)
        #expect(record.liveness == .reachable)
        #expect(record.resolveState == .resolved)
        #expect(record.handle?.address.host == "moved")
        // The same record, so that whoever holds it sees the change.
        #expect(harness.stores.record(1) === record)
        #expect(record.matches(["zone": "z9"]))
        #expect(harness.probes.last == "moved")
    }

    @Test func oneThatIsGoneIsNotLookedAfter() async throws {
        let harness = PipelineHarness([.sample(1)])
        _ = try await harness.stores.resolve(1, deadline: self.deadline(harness))
        _ = await harness.stores.probe(harness.stores.record(1))
        harness.regions.change { $0.stores[1]?.state = .tombstone }
        harness.stores.record(1).needsCheck()
        await harness.stores.lookAfter(1)
        #expect(harness.stores.record(1).resolveState == .tombstone)
    }

    @Test func aProbeIsSharedAndTellsTheFindings() async throws {
        let harness = PipelineHarness([.sample(1)])
        _ = try await harness.stores.resolve(1, deadline: self.deadline(harness))
        let record = harness.stores.record(1)
        harness.on("store1") { _ in PipelineHarness.value("v") }
        #expect(await harness.stores.probe(record) == .reachable)
        harness.setDead("store1")
        #expect(await harness.stores.probe(record) == .unreachable)
        #expect(record.handle(at: record.epoch) == nil)
        harness.setDead("store1", false)
        #expect(await harness.stores.probe(record) == .reachable)
        #expect(record.handle(at: record.epoch) != nil)
    }

    @Test func storesOfAnotherEngineAreNoneOfOurs() async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.regions.change { $0.stores[1]?.labels = ["engine": "tiflash"] }
        harness.on("store1") { _ in PipelineHarness.value("columns") }
        harness.on("store2") { _ in PipelineHarness.value("rows") }
        #expect(try await harness.get() == PipelineHarness.value("rows"))
        #expect(harness.hosts == ["store2"])
    }

    @Test func aStoreThatFailsWhileItsWatchEndsIsWatchedAgain() async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.on("store1") { _ in PipelineHarness.value("v") }
        _ = try await harness.get()
        let record = harness.stores.record(1)
        harness.stores.suspect(record)
        await harness.stores.lookAfter(1)
        #expect(harness.watched == [1])
        // It failed again after the last look, which found it well, and before that was the end of it.
        harness.stores.suspect(record)
        record.liveness = .unreachable
        harness.stores.suspect(record)
        #expect(harness.watched == [1, 1])
        harness.stores.letGo(of: record)
        #expect(harness.watched == [1, 1, 1])
        record.liveness = .reachable
        harness.stores.letGo(of: record)
        #expect(harness.watched == [1, 1, 1])
    }
}
