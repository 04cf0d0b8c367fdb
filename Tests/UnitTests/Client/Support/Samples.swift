// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension RegionDescription {
    /// A region with peers on stores 1, 2 and 3, whose ids are the region's, times ten, plus the store's.
    static func sample(
        _ id: UInt64, _ start: String = "", _ end: String = "",
        epoch: RegionEpoch = RegionEpoch(confVer: 1, version: 1), leader: UInt64? = 1, stores: [UInt64] = [1, 2, 3]
    ) -> RegionDescription {
        let peers = stores.map { PeerDescription(id: id * 10 + $0, storeID: $0) }
        return RegionDescription(
            id: id, startKey: Array(start.utf8), endKey: Array(end.utf8), epoch: epoch, peers: peers,
            leader: peers.first { $0.storeID == leader })
    }
}
