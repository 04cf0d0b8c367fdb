// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVOrderedMap
import TiKVPD
import TiKVProto
import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What moves regions about, which is PD, or a stand-in in tests.
protocol RegionScheduler: Sendable {
    /// Asks for regions to be spread over the stores.
    func scatter(_ ids: [UInt64], group: String, deadline: Deadline) async throws(PDError)
    /// Whether a region is being spread.
    func isScattering(_ id: UInt64, deadline: Deadline) async throws(PDError) -> Bool
}

/// Splits regions at keys, so that what is about to be written there is spread over the stores from the beginning.
struct RegionSplitter: Sendable {
    /// Keys in one request.
    static let keysPerRequest = 2048
    /// How long the splitting may take, by the number of keys, at most two minutes.
    static func timeout(keys: Int) -> Duration { min(.seconds(20) * max(1, keys), .seconds(120)) }
    /// How long to wait for regions to be spread.
    static let scatterTimeout = Duration.seconds(120)

    let sender: RegionRequestSender
    let scheduler: any RegionScheduler
    /// Regions that are split at once.
    var concurrency = 16
    var isRaw = false

    /// Splits the regions that hold these keys, at them; where regions meet already, nothing happens.
    ///
    /// - Parameters:
    ///   - group: regions of one group are spread among themselves; nil spreads none.
    ///   - timeout: for the splitting; nil for as long as the number of keys may take.
    /// - Returns: the ids of the regions that came of it.
    func split(
        at keys: [[UInt8]], scatter group: String? = nil, timeout: Duration? = nil
    ) async throws(TiKVError)
        -> [UInt64]
    {
        let sorted = Set(keys).filter { !$0.isEmpty }.sorted { KeyOrder.isLess($0, $1) }
        guard !sorted.isEmpty else { return [] }
        var ids: [UInt64] = []
        let (sender, isRaw) = (self.sender, self.isRaw)
        try await sender.scatter(
            sorted, timeout: timeout ?? Self.timeout(keys: sorted.count), isWrite: true, concurrency: self.concurrency,
            split: { keys, call async throws(TiKVError) in
                try await sender.group(
                    keys, by: { $0 }, chunks: { RawBatch.chunks($0, count: Self.keysPerRequest) }, &call)
            },
            deliver: { keys, region, call async throws(TiKVError) -> [UInt64]? in
                // A region that begins at a key was split there before.
                let inside = keys.filter { $0 != region.startKey }
                guard !inside.isEmpty else { return [] }
                var request = Kvrpcpb_SplitRegionRequest()
                request.splitKeys = inside.map { Data($0) }
                request.isRawKv = isRaw
                guard
                    let response = try await sender.deliver(TikvpbTikvRPC.splitRegion, &request, to: region, &call)
                else { return nil }
                let parts = response.regions.map { RegionDescription($0) }
                // The leader of the one leads them all, for now.
                await sender.cache.install(parts, leaderOn: region.leader.storeID)
                if !parts.contains(where: { $0.id == region.id && $0.epoch == region.epoch }) {
                    sender.cache.invalidate(region, .epochNotMatch)
                }
                // One part keeps the id: the last one, or the first where the stores are so configured.
                return parts.map(\.id).filter { $0 != region.id }
            },
            collect: { ids += $0 })
        guard let group, !ids.isEmpty else { return ids }
        try await self.scatter(ids, group: group)
        return ids
    }

    private func scatter(_ ids: [UInt64], group: String) async throws(TiKVError) {
        let deadline = Deadline(after: Self.scatterTimeout, from: self.sender.clock.now)
        do throws(PDError) {
            try await self.scheduler.scatter(ids, group: group, deadline: deadline)
        } catch {
            throw TiKVError(error)
        }
    }

    /// Waits until none of the regions is being spread any more.
    ///
    /// - Throws: `deadlineExceeded` where that takes longer; the regions are there all the same.
    func waitUntilScattered(_ ids: [UInt64], timeout: Duration = Self.scatterTimeout) async throws(TiKVError) {
        var call = try await self.sender.begin(timeout: timeout, isWrite: false)
        defer { self.sender.lifecycle.end() }
        for id in ids {
            while true {
                do throws(PDError) {
                    guard try await self.scheduler.isScattering(id, deadline: call.deadline) else { break }
                } catch {
                    throw TiKVError(error)
                }
                call.record(.deadlineExceeded, "region \(id) is still being spread over the stores")
                try await self.sender.wait(.regionMiss, &call)
            }
        }
    }
}
