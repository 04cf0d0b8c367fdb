// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import TiKVOrderedMap
import TiKVPD
import TiKVProto

/// Which region holds which key, and who leads it.
///
/// Regions come in and go out through the actor, which then publishes an immutable snapshot; looking up what is known reads
/// the snapshot and enters nothing, and so does what changes within a region (its leader, whether it is believed). What isn't
/// known is asked of PD, once for all that ask at the same time.
actor RegionCache {
    /// Greater than every key that can be stored, and so than every region's start: stands for the end of all keys where
    /// PD or a store must be given a key.
    nonisolated let lastProbe: [UInt8]

    private var map = RegionMap()
    private var base: Kvrpcpb_Context
    private nonisolated let published = Mutex(RegionSnapshot())
    nonisolated let loads: SingleFlight<Load, LoadResult, TiKVError>
    nonisolated let source: any RegionSource
    nonisolated let stores: StoreConnections
    nonisolated let clock: any TimeSource
    nonisolated let configuration: ClientConfiguration.RegionCache
    nonisolated let logger: Logger
    /// Is told of regions whose buckets are out of date: `refreshBuckets` them.
    private nonisolated let refresh: @Sendable (UInt64) -> Void
    private nonisolated let bucketRefreshes = Mutex<Set<UInt64>>([])
    private nonisolated let random: @Sendable () -> Double

    /// - Parameters:
    ///   - base: what the context of every request carries beside the region.
    ///   - refresh: is told of regions whose buckets are out of date, at most once until `refreshBuckets` is through.
    init(
        source: any RegionSource, stores: StoreConnections, configuration: ClientConfiguration.RegionCache,
        maximumKeySize: Int, base: Kvrpcpb_Context = .init(), clock: any TimeSource,
        random: @escaping @Sendable () -> Double, logger: Logger,
        refresh: @escaping @Sendable (UInt64) -> Void = { _ in }
    ) {
        self.source = source
        self.stores = stores
        self.configuration = configuration
        self.base = base
        self.clock = clock
        self.random = random
        self.logger = logger
        self.refresh = refresh
        self.lastProbe = [UInt8](repeating: 0xff, count: maximumKeySize + 1)
        self.loads = SingleFlight(clock: clock, isShared: { !$0.isCallersOwn })
    }

    /// How many regions are known, those that are not believed any more and not yet replaced or collected included.
    var count: Int { self.map.count }

    // MARK: - Looking up

    private nonisolated var snapshot: RegionSnapshot { self.published.withLock { $0 } }

    /// The region that holds a key, if it is known, fresh and believed.
    nonisolated func known(containing key: [UInt8], now: ContinuousClock.Instant) -> CachedRegion? {
        guard let region = self.snapshot.region(containing: key), region.use(at: now), !region.needsReload else {
            return nil
        }
        return region
    }

    /// The region that holds the keys just before `key` (the end of all keys where it is empty), if known and fresh.
    nonisolated func known(before key: [UInt8], now: ContinuousClock.Instant) -> CachedRegion? {
        guard let region = self.snapshot.region(before: key), region.use(at: now), !region.needsReload else {
            return nil
        }
        return region
    }

    /// A region that should be loaded anew, but will do where PD has nothing to say.
    nonisolated func usable(containing key: [UInt8], now: ContinuousClock.Instant) -> CachedRegion? {
        guard let region = self.snapshot.region(containing: key), region.use(at: now) else { return nil }
        return region
    }

    nonisolated func usable(before key: [UInt8], now: ContinuousClock.Instant) -> CachedRegion? {
        guard let region = self.snapshot.region(before: key), region.use(at: now) else { return nil }
        return region
    }

    func usable(id: UInt64, now: ContinuousClock.Instant) -> CachedRegion? {
        guard let region = self.map.region(id: id), region.use(at: now) else { return nil }
        return region
    }

    /// The regions that are known one after the other from a key on; none where the first is not known.
    nonisolated func known(
        from start: [UInt8], to end: [UInt8], limit: Int = .max, now: ContinuousClock.Instant
    ) -> [CachedRegion] {
        self.snapshot.run(from: start, to: end, limit: limit, now: now)
    }

    /// The region with this id, if it is known, fresh and believed.
    func known(id: UInt64, now: ContinuousClock.Instant) -> CachedRegion? {
        guard let region = self.map.region(id: id), region.use(at: now), !region.needsReload else { return nil }
        return region
    }

    // MARK: - Changing

    /// Takes in regions, as PD or a store describes them; what is known in a later state stays.
    ///
    /// - Parameters:
    ///   - storeID: where a region comes without a leader, its peer on this store is taken for it.
    ///   - clusterID: whom requests name as the cluster that they are for; 0 where PD has not said.
    /// - Returns: how many were taken in.
    @discardableResult
    func install(_ regions: [RegionDescription], leaderOn storeID: UInt64? = nil, clusterID: UInt64 = 0) -> Int {
        if clusterID != 0 { self.base.clusterID = clusterID }
        let now = self.clock.now
        var count = 0
        for description in regions {
            let region = CachedRegion(
                description, leaderOn: storeID, stores: { self.stores.record($0) }, base: self.base, now: now,
                timeToLive: self.configuration.timeToLive + self.configuration.timeToLiveJitter * self.random())
            guard let region else {
                self.logger.log(.debug, "ignored a region without an available peer", [.region: description.id])
                continue
            }
            if self.map.insert(region, now: now) == .stale {
                self.logger.log(.debug, "ignored a stale region", [.region: region.id])
            } else {
                count += 1
            }
        }
        if self.configuration.maximumCount > 0 { self.map.shrink(to: self.configuration.maximumCount, now: now) }
        self.publish()
        return count
    }

    /// Makes the region be asked of PD when next needed.
    nonisolated func invalidate(_ region: CachedRegion, _ reason: RegionInvalidation = .refused) {
        guard region.invalidate(reason) else { return }
        self.logger.log(.debug, "a region is not believed any more", [.region: region.id, .reason: "\(reason)"])
    }

    /// Drops regions that nobody uses and reviews the others, a few each time: to be called about once a second.
    func collect() {
        let dropped = self.map.collect(max(50, self.map.count / 300), now: self.clock.now)
        if dropped > 0 { self.publish() }
    }

    private func publish() {
        let snapshot = self.map.snapshot
        self.published.withLock { $0 = snapshot }
    }

    // MARK: - Buckets

    /// A store has told which version the buckets of a region have: where it is newer than what is known, they are asked of
    /// PD in the background, once.
    ///
    /// - Parameter sent: the version that the request was made with; 0 where it named none.
    nonisolated func noteBuckets(version: UInt64, sent: UInt64, of region: CachedRegion) {
        let known = region.buckets?.version ?? 0
        // Somebody has brought newer ones since the request was made.
        if sent != 0, sent < known { return }
        guard known < version else { return }
        if self.bucketRefreshes.withLock({ $0.insert(region.id).inserted }) { self.refresh(region.id) }
    }

    /// Whether somebody has been told to refresh the buckets of a region.
    nonisolated func isRefreshingBuckets(ofRegion id: UInt64) -> Bool {
        self.bucketRefreshes.withLock { $0.contains(id) }
    }

    /// Asks PD for a region and its buckets.
    nonisolated func refreshBuckets(ofRegion id: UInt64) async {
        defer { _ = self.bucketRefreshes.withLock { $0.remove(id) } }
        let deadline = Deadline(after: .seconds(20), from: self.clock.now)
        do throws(PDError) {
            guard let found = try await self.source.region(id: id, deadline: deadline), found.leader != nil else {
                return
            }
            await self.install([found])
        } catch {
            self.logger.log(.debug, "PD did not tell a region's buckets", [.region: id, .error: "\(error.code)"])
        }
    }
}
