// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension PDClient {
    /// The region that holds a key; nil where PD knows none.
    package nonisolated func region(for key: [UInt8], deadline: Deadline) async throws(PDError) -> RegionDescription? {
        try await self.region(for: key, options: .init(), deadline: deadline)
    }

    /// The region that holds a key; nil where PD knows none.
    package nonisolated func region(
        for key: [UInt8], options: RegionOptions, deadline: Deadline
    ) async throws(PDError) -> RegionDescription? {
        var request = Pdpb_GetRegionRequest()
        request.regionKey = Data(key)
        request.needBuckets = options.needBuckets
        return try await self.askForRegions(PdpbPDRPC.getRegion, request, options: options, deadline: deadline)
            .flatMap { RegionDescription($0) }
    }

    /// The region just before the one that holds a key; nil where that one is the first.
    package nonisolated func previousRegion(
        for key: [UInt8], deadline: Deadline
    ) async throws(PDError) -> RegionDescription? {
        try await self.previousRegion(for: key, options: .init(), deadline: deadline)
    }

    /// The region just before the one that holds a key; nil where that one is the first.
    package nonisolated func previousRegion(
        for key: [UInt8], options: RegionOptions, deadline: Deadline
    ) async throws(PDError) -> RegionDescription? {
        var request = Pdpb_GetRegionRequest()
        request.regionKey = Data(key)
        request.needBuckets = options.needBuckets
        return try await self.askForRegions(PdpbPDRPC.getPrevRegion, request, options: options, deadline: deadline)
            .flatMap { RegionDescription($0) }
    }

    /// A region by its id, with its buckets; nil where PD knows none of it.
    package nonisolated func region(id: UInt64, deadline: Deadline) async throws(PDError) -> RegionDescription? {
        try await self.region(id: id, options: RegionOptions(needBuckets: true), deadline: deadline)
    }

    /// A region by its id; nil where PD knows none of it.
    package nonisolated func region(
        id: UInt64, options: RegionOptions, deadline: Deadline
    ) async throws(PDError) -> RegionDescription? {
        var request = Pdpb_GetRegionByIDRequest()
        request.regionID = id
        request.needBuckets = options.needBuckets
        return try await self.askForRegions(PdpbPDRPC.getRegionByID, request, options: options, deadline: deadline)
            .flatMap { RegionDescription($0) }
    }

    /// The regions that hold keys of a span, in order, from the one with its start on.
    ///
    /// - Parameter limit: at most so many; 0 stands for all.
    package nonisolated func scanRegions(
        _ span: KeySpan, limit: Int, deadline: Deadline
    ) async throws(PDError) -> [RegionDescription] {
        try await self.scanRegions(span, limit: limit, options: .init(), deadline: deadline)
    }

    /// The regions that hold keys of a span, in order, from the one with its start on. This question knows no buckets.
    ///
    /// - Parameter limit: at most so many; 0 stands for all.
    package nonisolated func scanRegions(
        _ span: KeySpan, limit: Int, options: RegionOptions, deadline: Deadline
    ) async throws(PDError) -> [RegionDescription] {
        var request = Pdpb_ScanRegionsRequest()
        request.startKey = Data(span.start)
        request.endKey = Data(span.end)
        request.limit = Int32(clamping: limit)
        return try await self.askForRegions(PdpbPDRPC.scanRegions, request, options: options, deadline: deadline)
            .map { RegionDescription.list($0) } ?? []
    }

    /// The regions that hold keys of any of these spans, which must be sorted and apart from each other.
    ///
    /// Where PD is too old to know `BatchScanRegions`, asks span by span.
    ///
    /// - Parameter limit: at most so many in all; 0 stands for all.
    package nonisolated func batchScanRegions(
        _ spans: [KeySpan], limit: Int, deadline: Deadline
    ) async throws(PDError) -> [RegionDescription] {
        try await self.batchScanRegions(spans, limit: limit, options: .init(), deadline: deadline)
    }

    /// The regions that hold keys of any of these spans, which must be sorted and apart from each other.
    ///
    /// Where PD is too old to know `BatchScanRegions`, asks span by span, without buckets and whatever gaps there are.
    ///
    /// - Parameter limit: at most so many in all; 0 stands for all.
    package nonisolated func batchScanRegions(
        _ spans: [KeySpan], limit: Int, options: RegionOptions, deadline: Deadline
    ) async throws(PDError) -> [RegionDescription] {
        if !self.lacksBatchScan.load(ordering: .relaxed) {
            var request = Pdpb_BatchScanRegionsRequest()
            request.ranges = spans.map { span in
                var range = Pdpb_KeyRange()
                range.startKey = Data(span.start)
                range.endKey = Data(span.end)
                return range
            }
            request.limit = Int32(clamping: limit)
            request.needBuckets = options.needBuckets
            request.containAllKeyRange = options.containAllKeyRange
            do throws(PDError) {
                return try await self.askForRegions(
                    PdpbPDRPC.batchScanRegions, request, options: options, deadline: deadline
                ).map { $0.regions.map { RegionDescription($0) } } ?? []
            } catch {
                guard error.code == .unimplemented else { throw error }
                self.lacksBatchScan.store(true, ordering: .relaxed)
            }
        }
        var regions: [RegionDescription] = []
        for span in spans where limit == 0 || regions.count < limit {
            let found = try await self.scanRegions(
                span, limit: limit == 0 ? 0 : limit - regions.count, options: options, deadline: deadline)
            // Two spans may end and begin in the same region.
            regions.append(contentsOf: found.drop { $0.id == regions.last?.id })
        }
        return regions
    }
}
