// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import ServiceLifecycle
import TiKVPD

/// The work of a client that goes on beside calls, and the order in which a client ends.
final class BackgroundWork: Sendable {
    /// Work that must outlive the call that made it necessary.
    enum Item: Sendable {
        /// Gives the calls on connections that nobody needs any more their time, and closes these.
        case closeRetired(Int)
        /// Looks after a store that does not answer until it does.
        case watchStore(UInt64)
        /// Asks PD for a region's buckets.
        case refreshBuckets(UInt64)
        /// Finishes what a call has begun, such as removing the locks of a transaction that has ended.
        case finish(@Sendable () async -> Void)
    }

    private let items: AsyncStream<Item>
    private let input: AsyncStream<Item>.Continuation

    init() {
        (self.items, self.input) = AsyncStream.makeStream(of: Item.self)
    }

    func add(_ item: Item) {
        self.input.yield(item)
    }

    /// Works until the task is cancelled or its service group shuts down; then closes the client's stores.
    ///
    /// Shut down gracefully, it gives calls under way `shutdownTimeout` first, in which everything they need stays open.
    func run(
        _ lifecycle: ClientLifecycle, _ stores: StoreConnections, _ cache: RegionCache? = nil, clock: any TimeSource,
        shutdownTimeout: Duration
    ) async throws(TiKVError) {
        try lifecycle.start()
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                if let cache { group.addTask { await Self.maintain(stores, cache, clock: clock) } }
                for await item in self.items {
                    switch item {
                    case .closeRetired(let number):
                        group.addTask {
                            let end = Deadline(after: shutdownTimeout, from: clock.now)
                            // Cut short by cancellation, which is when there is no time left.
                            try? await clock.guardUntil(end.instant)
                            await stores.closeRetired(number)
                        }
                    case .watchStore(let id):
                        group.addTask { await stores.lookAfter(id) }
                    case .refreshBuckets(let id):
                        group.addTask { await cache?.refreshBuckets(ofRegion: id) }
                    case .finish(let work):
                        group.addTask { await work() }
                    }
                }
                if !Task.isCancelled {
                    await lifecycle.waitUntilIdle(deadline: Deadline(after: shutdownTimeout, from: clock.now))
                }
                // Before anything is waited for: from here on no call begins or goes on.
                lifecycle.close()
                group.cancelAll()
            }
        } onGracefulShutdown: {
            lifecycle.stop()
            self.input.finish()
        }
        self.input.finish()
        await stores.shutdown()
    }

    /// How often what is known is looked through.
    static let maintenanceInterval = Duration.seconds(1)

    /// Drops what nobody uses and brings slow scores up to date, once a second, and asks PD now and then what has changed,
    /// until the task is cancelled.
    private static func maintain(_ stores: StoreConnections, _ cache: RegionCache, clock: any TimeSource) async {
        let configuration = cache.configuration
        if configuration.isPreloaded { await cache.loadEverything() }
        var regionsLoadedAt = clock.now
        var storesCheckedAt = clock.now
        while true {
            do throws(CancellationError) {
                try await clock.sleep(until: clock.now.advanced(by: Self.maintenanceInterval))
            } catch {
                return
            }
            await cache.collect()
            await stores.tick()
            if let interval = configuration.refreshInterval, regionsLoadedAt.duration(to: clock.now) >= interval {
                await cache.loadEverything()
                regionsLoadedAt = clock.now
            }
            if let interval = configuration.storeRefreshInterval,
                storesCheckedAt.duration(to: clock.now) >= interval / 4
            {
                await stores.refresh()
                storesCheckedAt = clock.now
            }
        }
    }
}
