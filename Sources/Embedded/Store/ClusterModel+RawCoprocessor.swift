// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// What a plugin is asked, once it has been found and the region checked.
struct CoprocessorPlan: Sendable {
    var plugin: EmbeddedCluster.CoprocessorPlugin
    var request: EmbeddedCluster.CoprocessorPlugin.Request
}

extension ClusterModel {
    func rawCoprocessor(
        _ request: Kvrpcpb_RawCoprocessorRequest, on storeID: UInt64, now: UInt64
    ) throws(StorageError) -> CoprocessorPlan {
        guard !self.coprocessorPlugins.isEmpty else { throw .request("Coprocessor plugin is disabled!") }
        guard let plugin = self.coprocessorPlugins.first(where: { $0.name == request.coprName }) else {
            throw .request("No registered coprocessor with name '\(request.coprName)'")
        }
        guard let requirement = VersionRequirement(request.coprVersionReq) else {
            throw .request("unexpected version requirement '\(request.coprVersionReq)'")
        }
        guard requirement.isMet(by: plugin.version) else {
            throw .request(
                "The plugin '\(plugin.name)' with version '\(plugin.version)' does not satisfy the version constraint "
                    + "'\(request.coprVersionReq)'")
        }
        // TiKV checks when the plugin reads.
        let region = try self.region(for: request.context, on: storeID)
        var ranges: [RawRange] = []
        for range in request.ranges {
            try self.checkVersion(request.context, "raw_scan", ranges: [(range.startKey, range.endKey)])
            let start = self.stored(range.startKey)
            try region.checkSeek(start)
            let end = range.endKey.isEmpty ? [] : self.stored(range.endKey)
            ranges.append(RawRange(start: start, end: end).clamped(to: region))
        }
        let plan = ScanPlan(
            entries: self.engine.entries(.default), ranges: ranges, limit: .max, isReversed: false, isKeyOnly: false,
            isEncoded: self.apiVersion.kind == .v2)
        return CoprocessorPlan(
            plugin: plugin,
            request: .init(
                regionID: region.id, ranges: request.ranges.map { ([UInt8]($0.startKey), [UInt8]($0.endKey)) },
                data: [UInt8](request.data),
                read: { plan.run(now: now).map { ([UInt8]($0.key), [UInt8]($0.value)) } }))
    }
}
