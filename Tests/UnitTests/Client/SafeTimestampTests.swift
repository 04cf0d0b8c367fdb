// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import Testing
import TiKVPD

@testable import TiKV

/// Up to which timestamp replicas can be read: from PD, from the stores, or from both.
@Suite(.timeLimit(.minutes(1))) struct SafeTimestampTests {
    /// Two stores in two zones, and a PD that knows what a test says.
    private final class Source: SafeTimestampSource {
        struct State {
            /// What the stores say.
            var stores: [UInt64: UInt64] = [1: 100, 2: 80]
            /// What PD says of the cluster and of stores; nil where it can't be asked.
            var cluster: UInt64?
            var known: [UInt64: UInt64] = [:]
            var questions = 0
        }

        let state = Mutex(State())

        func stores(deadline: Deadline) async throws(PDError) -> [StoreDescription] {
            [
                StoreDescription(id: 1, address: "s1:1", labels: ["zone": "z1"]),
                StoreDescription(id: 2, address: "s2:1", labels: ["zone": "z2", "engine": "tiflash"]),
                StoreDescription(id: 3, address: "s3:1", state: .tombstone),
            ]
        }

        func minimumResolvedTimestamps(
            ofStores stores: [UInt64], deadline: Deadline
        ) async throws(PDError) -> MinimumResolvedTimestamps {
            let state = self.state.withLock { $0 }
            guard let cluster = state.cluster else { throw PDError(.unreachable, "no PD over HTTP") }
            return MinimumResolvedTimestamps(
                minimum: TiKVPD.Timestamp(rawValue: cluster),
                stores: stores.isEmpty ? [:] : state.known.mapValues { TiKVPD.Timestamp(rawValue: $0) })
        }

        func safeTimestamp(ofStore id: UInt64, deadline: Deadline) async -> TiKVPD.Timestamp? {
            self.state.withLock { state in
                state.questions += 1
                return state.stores[id].map { TiKVPD.Timestamp(rawValue: $0) }
            }
        }
    }

    private let source = Source()

    private func make(scope: String = "global") -> SafeTimestamps {
        SafeTimestamps(
            source: self.source, scope: scope, clock: VirtualClock(jumps: false), logger: Logger(label: "test"))
    }

    private var questions: Int { self.source.state.withLock { $0.questions } }

    @Test func fromTheStores() async {
        let safe = self.make()
        #expect(safe.minimum() == .zero)
        await safe.update()
        #expect(safe.minimum().rawValue == 80)
        #expect(safe.timestamp(ofStore: 1)?.rawValue == 100)
        #expect(self.questions == 2)
    }

    @Test func fromStoresThatAllSayZero() async {
        self.source.state.withLock { $0.stores = [1: 0, 2: 0] }
        let safe = self.make()
        for _ in 0..<2 { await safe.update() }
        #expect(safe.minimum() == .zero && self.questions == 4)
    }

    @Test func aStoreThatSaysZeroIsLeftOut() async {
        self.source.state.withLock { $0.stores[2] = 0 }
        let safe = self.make()
        await safe.update()
        #expect(safe.minimum().rawValue == 100)
        #expect(safe.minimum("z2") == .zero)
    }

    @Test func aStoreThatNeverAnsweredMakesItZero() async {
        self.source.state.withLock { $0.stores[2] = nil }
        let safe = self.make()
        await safe.update()
        #expect(safe.minimum() == .zero)
        #expect(safe.minimum("z1").rawValue == 100)
        // Silence later on leaves what was known.
        self.source.state.withLock { $0.stores[2] = 80 }
        await safe.update()
        self.source.state.withLock { $0.stores[2] = nil }
        await safe.update()
        #expect(safe.minimum().rawValue == 80)
    }

    @Test func fromPD() async {
        self.source.state.withLock { $0.cluster = 90 }
        let safe = self.make()
        await safe.update()
        #expect(safe.minimum().rawValue == 90 && self.questions == 0)
        // It never goes back.
        self.source.state.withLock { $0.cluster = 85 }
        await safe.update()
        #expect(safe.minimum().rawValue == 90)
    }

    @Test func fromPDStoreByStore() async {
        self.source.state.withLock {
            $0.cluster = .max
            $0.known = [1: 101, 2: 102]
        }
        let safe = self.make()
        await safe.update()
        #expect(safe.minimum().rawValue == 101 && self.questions == 0)
        #expect(safe.minimum("z2").rawValue == 102)
    }

    @Test func aStoreThatPDDoesNotKnowIsAskedItself() async {
        self.source.state.withLock {
            $0.cluster = .max
            $0.known = [1: 10, 2: 0]
        }
        let safe = self.make()
        await safe.update()
        #expect(safe.minimum().rawValue == 10 && safe.minimum("z1").rawValue == 10)
        #expect(safe.minimum("z2").rawValue == 80 && self.questions == 1)
    }

    @Test func aStoreThatPDKnowsNothingOfIsAskedItself() async {
        self.source.state.withLock {
            $0.cluster = .max
            $0.known = [1: .max, 2: 10]
        }
        let safe = self.make()
        await safe.update()
        #expect(safe.minimum().rawValue == 10 && safe.minimum("z2").rawValue == 10)
        #expect(safe.minimum("z1").rawValue == 100 && self.questions == 1)
    }

    @Test func aClientOfOneZoneDoesNotAskForTheCluster() async {
        self.source.state.withLock {
            $0.cluster = 100
            $0.known = [1: 100, 2: 100]
        }
        let safe = self.make(scope: "z1")
        await safe.update()
        #expect(safe.minimum("z1").rawValue == 100 && self.questions == 0)
        self.source.state.withLock {
            $0.cluster = 0
            $0.known = [:]
            $0.stores = [1: 150, 2: 150]
        }
        await safe.update()
        #expect(safe.minimum("z1").rawValue == 150 && self.questions == 2)
    }

    @Test func aZeroInTheBeginningHoldsNothingBack() async {
        self.source.state.withLock {
            $0.cluster = 0
            $0.stores = [1: 0, 2: 0]
        }
        let safe = self.make()
        await safe.update()
        #expect(safe.minimum() == .zero)
        self.source.state.withLock { $0.cluster = 100 }
        await safe.update()
        #expect(safe.minimum().rawValue == 100)
        self.source.state.withLock {
            $0.cluster = 0
            $0.stores = [1: 150, 2: 150]
        }
        await safe.update()
        #expect(safe.minimum().rawValue == 150)
    }

    @Test func isKeptFreshUntilTheTaskEnds() async {
        let clock = VirtualClock(jumps: false)
        let safe = SafeTimestamps(source: self.source, clock: clock, logger: Logger(label: "test"))
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await safe.run() }
            await clock.waitForSleepers(1)
            #expect(self.questions == 0)
            clock.advance(by: .seconds(2))
            while safe.minimum().rawValue != 80 { await Task.yield() }
            group.cancelAll()
        }
    }
}
