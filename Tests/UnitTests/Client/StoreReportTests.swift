// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing
import TiKVPD
import TiKVProto
import TiKVTransport

@testable import TiKV

/// What stores say about themselves beside their answers.
@Suite(.timeLimit(.minutes(1))) struct StoreReportTests {
    private func health(_ store: UInt64, _ sequence: UInt64, _ score: Int32) -> StoreFeedback.Health {
        StoreFeedback.Health(storeID: store, sequence: sequence, slowScore: score)
    }

    @Test func theNewestReportCounts() {
        var reports = StoreReports()
        #expect(reports.received(StoreFeedback(transportLayerLoad: 0, health: self.health(1, 5, 1))) != nil)
        #expect(reports.received(StoreFeedback(transportLayerLoad: 40, health: self.health(1, 4, 90))) == nil)
        #expect(reports.received(StoreFeedback(transportLayerLoad: 0, health: self.health(1, 5, 90))) == nil)
        #expect(reports.health == self.health(1, 5, 1))
        #expect(reports.transportLayerLoad == 40)
        #expect(reports.received(StoreFeedback(transportLayerLoad: 0, health: self.health(1, 6, 90))) != nil)
        #expect(reports.health?.slowScore == 90)
    }

    @Test func anotherStoreAtTheAddressCountsAnew() {
        var reports = StoreReports()
        _ = reports.received(StoreFeedback(transportLayerLoad: 0, health: self.health(1, 500, 90)))
        #expect(reports.received(StoreFeedback(transportLayerLoad: 0, health: self.health(2, 1, 1))) != nil)
        #expect(reports.health == self.health(2, 1, 1))
    }

    @Test func whatIsSaidOfStoresThatNobodyKnowsIsNotKept() async throws {
        let harness = PipelineHarness([.sample(1)])
        harness.on("store1") { _ in PipelineHarness.value("v") }
        _ = try await harness.get()
        let known = harness.stores.known.map(\.id)
        for id: UInt64 in 100..<200 {
            harness.report(StoreFeedback(transportLayerLoad: 7, health: self.health(id, 1, 99)), from: "store1")
        }
        #expect(harness.stores.known(150) == nil)
        #expect(harness.stores.known.map(\.id) == known)
    }

    @Test func whatAStoreSaysIsKeptWithItAndHandedOn() async throws {
        let heard = Mutex<[UInt64]>([])
        let harness = PipelineHarness(
            [.sample(1)], onHealth: { health in heard.withLock { $0.append(health.sequence) } })
        harness.on("store1") { _ in PipelineHarness.value("v") }
        _ = try await harness.get()
        for sequence: UInt64 in [3, 2, 4] {
            harness.report(
                StoreFeedback(transportLayerLoad: 7, health: self.health(1, sequence, Int32(sequence))), from: "store1")
        }
        let store = try #require(harness.stores.known(1))
        #expect(store.reports.last.health == self.health(1, 4, 4))
        #expect(store.reports.last.transportLayerLoad == 7)
        #expect(heard.withLock { $0 } == [3, 4])
    }
}
