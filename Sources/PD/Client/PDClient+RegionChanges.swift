// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension PDClient {
    /// Splits whatever regions hold these keys, at them. Keys at which regions meet already count as done.
    ///
    /// - Parameters:
    ///   - keys: as they are in the regions' bounds.
    ///   - retryLimit: how often PD tries what fails; 0 leaves that to PD.
    package nonisolated func splitRegions(
        at keys: [[UInt8]], retryLimit: Int = 0, deadline: Deadline
    ) async throws(PDError) -> SplitProgress {
        var request = Pdpb_SplitRegionsRequest()
        request.splitKeys = keys.map { Data($0) }
        request.retryLimit = UInt64(clamping: retryLimit)
        let response = try await self.call(PdpbPDRPC.splitRegions, request, deadline: deadline)
        return SplitProgress(
            finishedPercentage: Int(clamping: response?.finishedPercentage ?? 0), regionIDs: response?.regionsID ?? [])
    }

    /// Makes PD move regions' peers and leaders, so that they lie spread over the stores.
    ///
    /// - Parameters:
    ///   - group: regions of one group are spread among themselves.
    ///   - retryLimit: how often PD tries what fails; 0 leaves that to PD.
    ///   - skipStoreLimit: whether PD may move more at once than the stores' limits say.
    package nonisolated func scatterRegions(
        _ ids: [UInt64], group: String = "", retryLimit: Int = 0, skipStoreLimit: Bool = false, deadline: Deadline
    ) async throws(PDError) -> ScatterProgress {
        var request = Pdpb_ScatterRegionRequest()
        request.regionsID = ids
        request.group = group
        request.retryLimit = UInt64(clamping: retryLimit)
        request.skipStoreLimit = skipStoreLimit
        let response = try await self.call(PdpbPDRPC.scatterRegion, request, deadline: deadline)
        guard let response else { return ScatterProgress(finishedPercentage: 0, failedRegionIDs: ids) }
        return ScatterProgress(
            finishedPercentage: Int(clamping: response.finishedPercentage), failedRegionIDs: response.failedRegionsID)
    }

    /// Splits regions at keys, and spreads what came of it.
    package nonisolated func splitAndScatterRegions(
        at keys: [[UInt8]], group: String = "", retryLimit: Int = 0, deadline: Deadline
    ) async throws(PDError) -> (split: SplitProgress, scatteredPercentage: Int) {
        var request = Pdpb_SplitAndScatterRegionsRequest()
        request.splitKeys = keys.map { Data($0) }
        request.group = group
        request.retryLimit = UInt64(clamping: retryLimit)
        let response = try await self.call(PdpbPDRPC.splitAndScatterRegions, request, deadline: deadline)
        return (
            SplitProgress(
                finishedPercentage: Int(clamping: response?.splitFinishedPercentage ?? 0),
                regionIDs: response?.regionsID ?? []),
            Int(clamping: response?.scatterFinishedPercentage ?? 0)
        )
    }

    /// What PD is doing to a region, or did last; nil where it did nothing of late.
    package nonisolated func operatorState(
        ofRegion id: UInt64, deadline: Deadline
    ) async throws(PDError) -> RegionOperator? {
        var request = Pdpb_GetOperatorRequest()
        request.regionID = id
        guard let response = try await self.call(PdpbPDRPC.getOperator, request, deadline: deadline) else { return nil }
        let status: RegionOperator.Status =
            switch response.status {
            case .success: .success
            case .timeout: .timeout
            case .cancel: .cancelled
            case .replace: .replaced
            case .running, .UNRECOGNIZED: .running
            }
        return RegionOperator(
            regionID: response.regionID, status: status,
            description: String(decoding: response.desc, as: UTF8.self),
            kind: String(decoding: response.kind, as: UTF8.self))
    }
}
