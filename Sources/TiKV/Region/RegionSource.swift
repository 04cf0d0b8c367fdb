// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

/// Where regions and stores are looked up: PD, or a stand-in in tests.
protocol RegionSource: Sendable {
    func region(for key: [UInt8], deadline: Deadline) async throws(PDError) -> RegionDescription?
    func previousRegion(for key: [UInt8], deadline: Deadline) async throws(PDError) -> RegionDescription?
    func scanRegions(_ span: KeySpan, limit: Int, deadline: Deadline) async throws(PDError) -> [RegionDescription]
    func store(id: UInt64, deadline: Deadline) async throws(PDError) -> StoreDescription?
}

extension PDClient: RegionSource {}
