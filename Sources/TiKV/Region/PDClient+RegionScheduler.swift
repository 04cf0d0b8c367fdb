// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension PDClient: RegionScheduler {
    /// What PD calls its work on a region that it spreads.
    private static let scatterOperator = "scatter-region"

    nonisolated func scatter(_ ids: [UInt64], group: String, deadline: Deadline) async throws(PDError) {
        let progress = try await self.scatterRegions(ids, group: group, deadline: deadline)
        guard progress.failedRegionIDs.isEmpty else {
            throw PDError(
                .server, "PD could not take on \(progress.failedRegionIDs.count) of \(ids.count) regions to be spread")
        }
    }

    nonisolated func isScattering(_ id: UInt64, deadline: Deadline) async throws(PDError) -> Bool {
        guard let state = try await self.operatorState(ofRegion: id, deadline: deadline) else { return false }
        return state.description == Self.scatterOperator && state.status == .running
    }
}
