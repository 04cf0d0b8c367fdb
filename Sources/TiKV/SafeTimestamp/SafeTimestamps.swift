// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import TiKVPD

/// Where safe timestamps come from: PD and the stores, or a stand-in in tests.
protocol SafeTimestampSource: Sendable {
    func stores(deadline: Deadline) async throws(PDError) -> [StoreDescription]

    /// What PD knows; of the whole cluster where no stores are named.
    func minimumResolvedTimestamps(
        ofStores stores: [UInt64], deadline: Deadline
    ) async throws(PDError) -> MinimumResolvedTimestamps

    /// What a store itself says; nil where it can't be asked.
    func safeTimestamp(ofStore id: UInt64, deadline: Deadline) async -> TiKVPD.Timestamp?
}

/// Knows up to which timestamp any replica can be read without asking a leader, and keeps that fresh.
actor SafeTimestamps {
    private let source: any SafeTimestampSource
    private let scope: String
    private let interval: Duration
    private nonisolated let clock: any TimeSource
    private nonisolated let logger: Logger
    private nonisolated let table = Mutex(SafeTimestampTable())

    /// - Parameters:
    ///   - scope: the zone whose stores this client reads from; `global` for all of them.
    ///   - interval: how often PD and stores are asked.
    init(
        source: any SafeTimestampSource, scope: String = SafeTimestampTable.global, interval: Duration = .seconds(2),
        clock: any TimeSource, logger: Logger
    ) {
        self.source = source
        self.scope = scope
        self.interval = interval
        self.clock = clock
        self.logger = logger
    }

    /// The lowest safe timestamp of all stores, or of those of a zone; zero where nothing is known. Enters no actor.
    nonisolated func minimum(_ scope: String = SafeTimestampTable.global) -> TiKVPD.Timestamp {
        self.table.withLock { $0.minimum(scope) }
    }

    /// That of one store; nil where nothing is known.
    nonisolated func timestamp(ofStore id: UInt64) -> TiKVPD.Timestamp? { self.table.withLock { $0.stores[id] } }

    /// Keeps them fresh until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            // Cut short by cancellation, which the loop sees.
            try? await self.clock.sleep(until: self.clock.now.advanced(by: self.interval))
            guard !Task.isCancelled else { return }
            await self.update()
        }
    }

    /// Asks once. What could not be had stays as it was.
    func update() async {
        let deadline = Deadline(after: self.interval, from: self.clock.now)
        if self.scope == SafeTimestampTable.global, await self.updateFromPD(deadline) { return }
        let stores: [StoreDescription]
        do throws(PDError) {
            stores = try await self.source.stores(deadline: deadline).filter { $0.state != .tombstone }
        } catch {
            self.logger.debug("stores for safe timestamps could not be had", metadata: ["error": "\(error.message)"])
            return
        }
        // Where PD can't say, the stores can.
        let known = try? await self.source.minimumResolvedTimestamps(ofStores: stores.map(\.id), deadline: deadline)
        let source = self.source
        await withTaskGroup(of: (UInt64, TiKVPD.Timestamp?).self) { group in
            for store in stores {
                if let told = known?.stores[store.id], SafeTimestampTable.isValid(told) {
                    self.table.withLock { $0.received(told, ofStore: store.id) }
                } else {
                    group.addTask { (store.id, await source.safeTimestamp(ofStore: store.id, deadline: deadline)) }
                }
            }
            for await (id, timestamp) in group {
                if let timestamp { self.table.withLock { $0.received(timestamp, ofStore: id) } }
            }
        }
        self.table.withLock { $0.update(stores) }
    }

    /// Whether PD could say it for the whole cluster.
    private func updateFromPD(_ deadline: Deadline) async -> Bool {
        do throws(PDError) {
            let told = try await self.source.minimumResolvedTimestamps(ofStores: [], deadline: deadline)
            guard SafeTimestampTable.isValid(told.minimum) else { return false }
            self.table.withLock { $0.receivedCluster(told.minimum) }
            return true
        } catch {
            self.logger.debug("PD knows no safe timestamp", metadata: ["error": "\(error.message)"])
            return false
        }
    }
}
