// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension PDService {
    /// Regions, and the changes of them that a client may ask PD for. Keys are taken as they are: a client that encodes
    /// its keys encodes them here as well.
    func registerRegions(in services: inout RPCServices) {
        self.register(PdpbPDRPC.getRegion, in: &services, access: .regions, header: { $0.header }) {
            model, request, _ in
            model.pdRegion(model.cluster.region(containing: [UInt8](request.regionKey)), request.needBuckets)
        } answer: {
            Self.answer($0, $1)
        }
        self.register(PdpbPDRPC.getPrevRegion, in: &services, access: .regions, header: { $0.header }) {
            model, request, _ in
            model.pdRegion(model.cluster.region(before: [UInt8](request.regionKey)), request.needBuckets)
        } answer: {
            Self.answer($0, $1)
        }
        self.register(PdpbPDRPC.getRegionByID, in: &services, access: .regions, header: { $0.header }) {
            model, request, _ in
            model.pdRegion(model.cluster.region(request.regionID), request.needBuckets)
        } answer: {
            Self.answer($0, $1)
        }
        self.register(PdpbPDRPC.scanRegions, in: &services, access: .regions, header: { $0.header }) {
            model, request, _ in
            model.cluster.regions(
                from: [UInt8](request.startKey), to: [UInt8](request.endKey),
                limit: request.limit > 0 ? Int(request.limit) : .max
            ).map { model.pdRegion($0, false) }
        } answer: { regions, header in
            .with {
                $0.header = header
                $0.regions = regions
                $0.regionMetas = $0.regions.map(\.region)
                $0.leaders = $0.regions.map(\.leader)
            }
        }
        self.register(PdpbPDRPC.batchScanRegions, in: &services, access: .regions, header: { $0.header }) {
            model, request, _ in
            let ranges = request.ranges.map { RawRange(start: [UInt8]($0.startKey), end: [UInt8]($0.endKey)) }
            return Result { () throws(RangeError) in
                try model.cluster.regions(in: ranges, limit: Int(request.limit)).map {
                    model.pdRegion($0, request.needBuckets)
                }
            }
        } answer: { result, header in
            .with {
                switch result {
                case .success(let regions):
                    $0.header = header
                    $0.regions = regions
                case .failure(let error):
                    $0.header = header.failed(.unknown, error.rawValue)
                }
            }
        }
        self.registerRegionChanges(in: &services)
    }

    private func registerRegionChanges(in services: inout RPCServices) {
        self.register(PdpbPDRPC.splitRegions, in: &services, header: { $0.header }) { model, request, _ in
            model.cluster.split(at: request.splitKeys.map { [UInt8]($0) })
        } answer: { created, header in
            .with {
                $0.header = header
                $0.regionsID = created
                $0.finishedPercentage = 100
            }
        }
        self.register(PdpbPDRPC.splitAndScatterRegions, in: &services, header: { $0.header }) { model, request, _ in
            let created = model.cluster.split(at: request.splitKeys.map { [UInt8]($0) })
            for id in created { model.scatter(id) }
            return created
        } answer: { created, header in
            .with {
                $0.header = header
                $0.regionsID = created
                $0.splitFinishedPercentage = 100
                $0.scatterFinishedPercentage = 100
            }
        }
        self.register(PdpbPDRPC.scatterRegion, in: &services, header: { $0.header }) { model, request, _ in
            let ids = request.regionsID.isEmpty ? [request.legacyRegionID] : request.regionsID
            let unknown = ids.filter { model.cluster.region($0) == nil }
            for id in ids { model.scatter(id) }
            return (isLegacy: request.regionsID.isEmpty, count: ids.count, unknown: unknown)
        } answer: { result, header in
            .with {
                if result.isLegacy, let id = result.unknown.first {
                    $0.header = header.failed(.regionNotFound, "region \(id) not found")
                    return
                }
                $0.header = header
                $0.finishedPercentage = UInt64(100 - 100 * result.unknown.count / result.count)
                $0.failedRegionsID = result.unknown
            }
        }
        self.register(PdpbPDRPC.getOperator, in: &services, header: { $0.header }) { model, request, _ in
            (request.regionID, model.pd.operators[request.regionID])
        } answer: { found, header in
            .with {
                let (regionID, state) = found
                guard let state else {
                    $0.header = header.failed(.regionNotFound, "Not Found")
                    return
                }
                $0.header = header
                $0.regionID = regionID
                $0.desc = Data("scatter-region".utf8)
                $0.kind = Data("leader".utf8)
                $0.status =
                    switch state {
                    case .finished: .success
                    case .running: .running
                    }
            }
        }
    }

    /// Where there is no such region, PD's answer is empty and no error.
    private static func answer(_ region: Pdpb_Region?, _ header: Pdpb_ResponseHeader) -> Pdpb_GetRegionResponse {
        .with {
            $0.header = header
            guard let region else { return }
            $0.region = region.region
            if region.leader.id != 0 { $0.leader = region.leader }
            $0.downPeers = region.downPeers
            $0.pendingPeers = region.pendingPeers
            if region.hasBuckets { $0.buckets = region.buckets }
        }
    }
}

extension ClusterModel {
    /// Scatters a region and remembers it, for those who ask after the operator.
    mutating func scatter(_ regionID: UInt64) {
        guard self.cluster.region(regionID) != nil else { return }
        self.cluster.scatter(regionID)
        self.pd.operators[regionID] = .finished
    }
}

extension ClusterModel {
    func pdRegion(_ region: RegionState?, _ needBuckets: Bool) -> Pdpb_Region? {
        region.map { self.pdRegion($0, needBuckets) }
    }

    /// In a scan, a region without a leader has an empty one.
    func pdRegion(_ region: RegionState, _ needBuckets: Bool) -> Pdpb_Region {
        .with {
            $0.region = region.proto
            $0.leader = region.leader?.proto ?? Metapb_Peer()
            guard needBuckets, let buckets = self.pd.buckets[region.id] else { return }
            $0.buckets.regionID = region.id
            $0.buckets.version = buckets.version
            $0.buckets.keys = [Data(region.startKey)] + buckets.keys.map { Data($0) } + [Data(region.endKey)]
        }
    }
}

extension Pdpb_ScatterRegionRequest {
    /// The field that older clients use.
    fileprivate var legacyRegionID: UInt64 { self.regionID != 0 ? self.regionID : self.region.id }
}
