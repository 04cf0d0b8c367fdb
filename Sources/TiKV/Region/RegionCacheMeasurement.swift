// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import SwiftProtobuf
import TiKVPD
import TiKVProto
import TiKVTransport

/// Measures the region cache on its own, for `tikv-cli bench regions`.
package struct RegionCacheMeasurement: Sendable {
    /// Regions in the cache.
    package var count: Int
    /// Time to take in one region that PD tells alone, with a new snapshot each time.
    package var insertion: Duration = .zero
    /// The same for regions that come in batches of 128.
    package var batchedInsertion: Duration = .zero
    /// Time to find the region of a random key.
    package var lookup: Duration = .zero

    /// Keys that were not found, though all of them lie in regions that were put in.
    package var misses = 0

    /// Fills a cache, and looks keys up in it.
    ///
    /// - Parameter residentBytes: how much memory the process has, asked for before and after.
    /// - Returns: the times, and the bytes that the process has grown by for each region.
    package static func run(
        count: Int, lookups: Int, residentBytes: () -> Int
    ) async -> (times: RegionCacheMeasurement, bytesPerRegion: Int) {
        var result = RegionCacheMeasurement(count: count)
        let before = residentBytes()
        let cache = Self.makeCache()
        let clock = ContinuousClock()
        result.batchedInsertion =
            await clock.measure {
                for start in stride(from: 0, to: count, by: 128) {
                    await cache.install((start..<min(start + 128, count)).map { Self.region($0, of: count) })
                }
            } / max(1, count)
        let after = residentBytes()
        let singles = min(count, 10_000)
        var random = SystemRandomNumberGenerator()
        let again = (0..<singles).map { _ in Self.region(Int.random(in: 0..<count, using: &random), of: count) }
        result.insertion =
            await clock.measure {
                for region in again { await cache.install([region]) }
            } / max(1, singles)
        let keys = (0..<min(lookups, 100_000)).map { _ in Self.key(Int.random(in: 0..<count, using: &random)) + [1] }
        let now = ContinuousClock.now
        var missing = 0
        result.lookup =
            clock.measure {
                for number in 0..<lookups where cache.known(containing: keys[number % keys.count], now: now) == nil {
                    missing += 1
                }
            } / max(1, lookups)
        result.misses = missing
        return (result, (after - before) / max(1, count))
    }

    private static func key(_ number: Int) -> [UInt8] {
        Array("t_region_key_".utf8) + (0..<8).reversed().map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }

    private static func region(_ number: Int, of count: Int) -> RegionDescription {
        let id = UInt64(number + 1)
        let peers = (1...3).map { PeerDescription(id: id * 10 + $0, storeID: $0) }
        return RegionDescription(
            id: id, startKey: number == 0 ? [] : Self.key(number),
            endKey: number == count - 1 ? [] : Self.key(number + 1),
            epoch: RegionEpoch(confVer: 3, version: 5), peers: peers, leader: peers[number % 3])
    }

    private static func makeCache() -> RegionCache {
        let logger = Logger.tikvSilent
        let source = NoRegions()
        let stores = StoreConnections(
            source: source, clock: SystemTimeSource(), logger: logger,
            makeChannel: { _, _ in UnusedChannel() }, retire: { _ in })
        return RegionCache(
            source: source, stores: stores, configuration: .init(), maximumKeySize: 64, clock: SystemTimeSource(),
            random: { 0.5 }, logger: logger)
    }
}

/// A PD that knows nothing, and is not asked.
private struct NoRegions: RegionSource {
    var hasFollowers: Bool { false }
    func currentClusterID() async -> UInt64? { nil }

    func region(for key: [UInt8], fromLeader: Bool, deadline: Deadline) async throws(PDError) -> RegionDescription? {
        nil
    }

    func previousRegion(
        for key: [UInt8], fromLeader: Bool, deadline: Deadline
    ) async throws(PDError) -> RegionDescription? {
        nil
    }

    func region(id: UInt64, deadline: Deadline) async throws(PDError) -> RegionDescription? { nil }

    func scanRegions(_ span: KeySpan, limit: Int, deadline: Deadline) async throws(PDError) -> [RegionDescription] {
        []
    }

    func batchScanRegions(
        _ spans: [KeySpan], limit: Int, deadline: Deadline
    ) async throws(PDError) -> [RegionDescription] {
        []
    }

    func store(id: UInt64, deadline: Deadline) async throws(PDError) -> StoreDescription? { nil }
}

private struct UnusedChannel: RPCChannel {
    func unary<Request: Message, Response: Message>(
        _ method: RPCMethod<Request, Response>, _ request: Request, options: CallOptions
    ) async throws(RPCError) -> Response {
        throw RPCError(.unavailable, "nobody is there", delivery: .notSent)
    }

    func shutdown(gracefully: Duration?) async {}
}
