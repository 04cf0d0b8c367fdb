// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// Where regions and stores are looked up: PD, or a stand-in in tests.
protocol RegionSource: Sendable {
    /// - Parameter fromLeader: the answer of one of PD's followers won't do, since it may be late.
    func region(for key: [UInt8], fromLeader: Bool, deadline: Deadline) async throws(PDError) -> RegionDescription?
    func previousRegion(
        for key: [UInt8], fromLeader: Bool, deadline: Deadline
    ) async throws(PDError) -> RegionDescription?
    func region(id: UInt64, deadline: Deadline) async throws(PDError) -> RegionDescription?
    func scanRegions(_ span: KeySpan, limit: Int, deadline: Deadline) async throws(PDError) -> [RegionDescription]
    func batchScanRegions(
        _ spans: [KeySpan], limit: Int, deadline: Deadline
    ) async throws(PDError) -> [RegionDescription]
    func store(id: UInt64, deadline: Deadline) async throws(PDError) -> StoreDescription?
    /// The cluster's id; nil before PD has answered anything.
    func currentClusterID() async -> UInt64?
    /// Whether some of the answers may come from others than PD's leader.
    var hasFollowers: Bool { get }
}

extension PDClient: RegionSource {
    nonisolated var hasFollowers: Bool { false }

    nonisolated func region(
        for key: [UInt8], fromLeader: Bool, deadline: Deadline
    ) async throws(PDError) -> RegionDescription? {
        try await self.region(for: key, options: RegionOptions(allowFollower: !fromLeader), deadline: deadline)
    }

    nonisolated func previousRegion(
        for key: [UInt8], fromLeader: Bool, deadline: Deadline
    ) async throws(PDError) -> RegionDescription? {
        try await self.previousRegion(
            for: key, options: RegionOptions(allowFollower: !fromLeader), deadline: deadline)
    }

    func currentClusterID() async -> UInt64? { self.clusterID }
}
