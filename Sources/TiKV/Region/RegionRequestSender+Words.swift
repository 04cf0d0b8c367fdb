// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD

extension RegionRequestSender.Target {
    /// Where a try goes, for logs: region, peer, store and address, the replica's place in the region, and who stands between
    /// where somebody does.
    ///
    /// - Parameter target: nil, which is told too, where there is nobody to ask.
    static func words(_ target: Self?, in region: CachedRegion) -> String {
        guard let target else { return "region \(region.id) at nobody" }
        let replica = region.replicas[target.choice.index]
        var words =
            "region \(region.id) at peer \(replica.peer.id) (\(replica.peer.role), number \(target.choice.index)) "
        words += "on store \(target.store.id) (\(replica.store.engine)), \(target.store.address)"
        if let proxy = target.proxy { words += ", over store \(proxy.id), \(proxy.address)" }
        return words
    }
}
