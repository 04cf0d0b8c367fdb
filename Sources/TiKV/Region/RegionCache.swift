// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import TiKVOrderedMap
import TiKVPD

/// Which region holds which key, and who leads it.
///
/// Every change goes through the actor, which then publishes an immutable snapshot; looking up what is known reads the
/// snapshot and enters nothing. What isn't known is asked of PD, once for all that ask at the same time.
actor RegionCache {
    private enum Load: Hashable {
        case key([UInt8])
        case before([UInt8])
    }

    /// Greater than every key that can be stored, and so than every region's start: stands for the end of all keys where
    /// PD or a store must be given a key.
    nonisolated let lastProbe: [UInt8]

    private var map = RegionMap()
    private nonisolated let published = Mutex(RegionSnapshot())
    private nonisolated let loads: SingleFlight<Load, Void, TiKVError>
    private nonisolated let source: any RegionSource
    private nonisolated let clock: any TimeSource
    private nonisolated let random: @Sendable () -> Double
    private nonisolated let configuration: ClientConfiguration.RegionCache
    private nonisolated let logger: Logger

    init(
        source: any RegionSource, configuration: ClientConfiguration.RegionCache, maximumKeySize: Int,
        clock: any TimeSource, random: @escaping @Sendable () -> Double, logger: Logger
    ) {
        self.source = source
        self.configuration = configuration
        self.clock = clock
        self.random = random
        self.logger = logger
        self.lastProbe = [UInt8](repeating: 0xff, count: maximumKeySize + 1)
        self.loads = SingleFlight(clock: clock, isShared: { !$0.isCallersOwn })
    }

    /// How many regions are known.
    var count: Int { self.map.count }

    // MARK: - Looking up

    /// The region that holds a key, if it is known and fresh.
    nonisolated func known(containing key: [UInt8], now: ContinuousClock.Instant) -> CachedRegion? {
        guard let region = self.published.withLock({ $0 }).region(containing: key), region.use(at: now) else {
            return nil
        }
        return region
    }

    /// The region that holds the keys just before `key` (the end of all keys where it is empty), if known and fresh.
    nonisolated func known(before key: [UInt8], now: ContinuousClock.Instant) -> CachedRegion? {
        guard let region = self.published.withLock({ $0 }).region(before: key), region.use(at: now) else { return nil }
        return region
    }

    // MARK: - Loading

    /// The region that holds a key, asked of PD.
    ///
    /// - Returns: nil where PD has nothing to offer now that is newer than what turned out wrong; ask again later.
    nonisolated func load(containing key: [UInt8], deadline: Deadline) async throws(TiKVError) -> CachedRegion? {
        try await self.share(.key(key), deadline: deadline) { () async throws(PDError) in
            [try await self.source.region(for: key, deadline: deadline)]
        }
        return self.known(containing: key, now: self.clock.now)
    }

    /// The region that holds the keys just before `key`, asked of PD. See ``load(containing:deadline:)``.
    nonisolated func load(before key: [UInt8], deadline: Deadline) async throws(TiKVError) -> CachedRegion? {
        let probe = key.isEmpty ? self.lastProbe : key
        try await self.share(.before(key), deadline: deadline) { () async throws(PDError) in
            let region = try await self.source.region(for: probe, deadline: deadline)
            guard let region, region.startKey == probe else { return [region] }
            return [region, try await self.source.previousRegion(for: probe, deadline: deadline)]
        }
        return self.known(before: key, now: self.clock.now)
    }

    /// Asks PD for the regions of a span from its start on, one batch of them.
    nonisolated func load(span: KeySpan, deadline: Deadline) async throws(TiKVError) {
        let found: [RegionDescription]
        do throws(PDError) {
            found = try await self.source.scanRegions(
                span, limit: max(1, self.configuration.loadBatchSize), deadline: deadline)
        } catch {
            throw TiKVError(error)
        }
        await self.install(found)
    }

    private nonisolated func share(
        _ load: Load, deadline: Deadline, _ ask: () async throws(PDError) -> [RegionDescription?]
    ) async throws(TiKVError) {
        let landed: Void? = try await self.loads.run(load, deadline: deadline) { () async throws(TiKVError) in
            let found: [RegionDescription?]
            do throws(PDError) {
                found = try await ask()
            } catch {
                throw TiKVError(error)
            }
            await self.install(found.compactMap { $0 })
        }
        guard landed == nil else { return }
        if Task.isCancelled { throw TiKVError(.cancelled, "cancelled while waiting for a region from PD") }
        throw TiKVError(.deadlineExceeded, "PD did not say in time where a region is")
    }

    // MARK: - Changing

    /// Takes in regions, as PD or a store describes them; what is known in a later state stays.
    ///
    /// - Parameter storeID: where a region comes without a leader, its peer on this store is taken for it.
    func install(_ regions: [RegionDescription], leaderOn storeID: UInt64? = nil) {
        let now = self.clock.now
        for var description in regions {
            if description.leader == nil, let storeID {
                description.leader = description.peers.first { $0.storeID == storeID && $0.canLead }
            }
            guard let region = CachedRegion(description, now: now, timeToLive: self.timeToLive()) else { continue }
            if self.map.insert(region) == .stale {
                self.logger.log(.debug, "ignored a stale region", [.region: region.id])
            }
        }
        self.publish()
    }

    /// Remembers that another peer leads a region.
    ///
    /// - Returns: the region to go on with: with that leader, or as somebody else has found it since; nil where it is gone.
    func switchLeader(of region: CachedRegion, to peer: PeerDescription) -> CachedRegion? {
        guard let current = self.map.region(id: region.id), current.epoch == region.epoch else { return nil }
        guard current === region else { return current }
        guard let next = region.withLeader(peer, now: self.clock.now, timeToLive: self.timeToLive()),
            self.map.replace(region, with: next)
        else { return nil }
        self.publish()
        return next
    }

    /// Forgets a region, so that it is asked of PD when next needed.
    func invalidate(_ region: CachedRegion) {
        if self.map.remove(region) { self.publish() }
    }

    private func timeToLive() -> Duration {
        self.configuration.timeToLive + self.configuration.timeToLiveJitter * self.random()
    }

    private func publish() {
        let snapshot = self.map.snapshot
        self.published.withLock { $0 = snapshot }
    }
}
