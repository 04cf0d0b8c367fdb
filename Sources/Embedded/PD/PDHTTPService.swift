// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a member of PD answers over HTTP, under `/pd/api/v1`. A member that doesn't lead passes questions on.
struct PDHTTPService: Sendable {
    let model: SharedModel
    let memberID: Int

    /// The most that a store says it can hold.
    private static let capacity = "1TiB"

    func respond(to request: HTTP1Request) -> HTTP1Response? {
        let path = request.path.split(separator: "/").map(String.init)
        guard path.count >= 4, Array(path[..<3]) == ["pd", "api", "v1"] else {
            return Self.failure(404, "404 page not found")
        }
        let rest = Array(path[3...])
        let rpc = "HTTP/\(rest[0])"
        return self.model.withLock { model -> HTTP1Response? in
            if let fault = model.begin(rpc, on: .placementDriver(self.memberID), regionID: nil) {
                // Whatever else a fault is, here it is silence.
                guard case .status(_, let message) = fault.kind else { return nil }
                return Self.failure(500, message)
            }
            guard request.method == "GET" else { return Self.failure(405, "Method Not Allowed") }
            if rest == ["members"] { return Self.json(Self.members(model)) }
            if rest == ["health"] { return Self.json(Self.health(model)) }
            guard model.pd.members.leader != nil else { return Self.failure(503, "no leader") }
            return Self.respond(model, rest, request)
        }
    }

    private static func respond(_ model: ClusterModel, _ path: [String], _ request: HTTP1Request) -> HTTP1Response {
        switch (path.first, path.count) {
        case ("min-resolved-ts", 1):
            return Self.resolvedTimestamps(model, scope: request.query("scope"))
        case ("leader", 1):
            return Self.json(model.pd.members.leader.map { Self.member($0, model) })
        case ("stores", 1):
            let stores = model.cluster.storeIDs.compactMap { Self.store($0, model) }
            return Self.json(StoresBody(count: stores.count, stores: stores))
        case ("store", 2):
            guard let id = UInt64(path[1]) else { return Self.failure(400, "invalid store id") }
            guard let store = Self.store(id, model) else {
                return Self.failure(404, "[PD:core:ErrStoreNotFound]store \(id) not found")
            }
            return Self.json(store)
        case ("regions", 1):
            let regions = model.cluster.regions.map { Self.region($0) }
            return Self.json(RegionsBody(count: regions.count, regions: regions))
        case ("region", 3) where path[1] == "id":
            guard let id = UInt64(path[2]) else { return Self.failure(400, "invalid region id") }
            return Self.json(model.cluster.region(id).map { Self.region($0) })
        case ("region", 2...3) where path[1] == "key":
            let key = path.count == 3 ? HTTP1Request.decode(path[2]) : []
            return Self.json(model.cluster.region(containing: key).map { Self.region($0) })
        case ("config", 2) where path[1] == "cluster-version":
            return Self.json(ClusterModel.version)
        case ("config", 1...2):
            return Self.configuration(model, section: path.count == 2 ? path[1] : nil)
        case ("version", 1):
            return Self.json(["version": ClusterModel.version])
        default:
            return Self.failure(404, "404 page not found")
        }
    }

    // MARK: - Answers

    private static func resolvedTimestamps(_ model: ClusterModel, scope: String?) -> HTTP1Response {
        let known = model.pd.resolvedTimestamps
        guard let scope, !scope.isEmpty else {
            return Self.json(ResolvedBody(minResolvedTs: known.cluster ?? 0, isRealTime: true))
        }
        let ids = scope == "cluster" ? model.cluster.storeIDs : scope.split(separator: ",").compactMap { UInt64($0) }
        guard scope == "cluster" || ids.count == scope.split(separator: ",").count else {
            return Self.failure(400, "invalid store id")
        }
        let pairs = ids.map { ($0, known.stores[$0] ?? 0) }
        let lowest = pairs.map(\.1).min() ?? .max
        return Self.json(
            ResolvedBody(
                minResolvedTs: scope == "cluster" ? known.cluster ?? 0 : lowest, isRealTime: true,
                storesMinResolvedTs: Dictionary(pairs.map { ("\($0.0)", $0.1) }) { first, _ in first }))
    }

    private static func members(_ model: ClusterModel) -> MembersBody {
        MembersBody(
            members: model.pd.members.list.map { Self.member($0, model) },
            leader: model.pd.members.leader.map { Self.member($0, model) })
    }

    private static func member(_ member: PDMembers.Member, _ model: ClusterModel) -> MemberBody {
        MemberBody(
            name: "pd-\(member.id)", memberId: UInt64(member.id),
            clientUrls: ["\(model.pdScheme)://\(member.address)"], binaryVersion: ClusterModel.version)
    }

    private static func health(_ model: ClusterModel) -> [HealthBody] {
        model.pd.members.list.map {
            HealthBody(
                name: "pd-\($0.id)", memberId: UInt64($0.id), clientUrls: ["\(model.pdScheme)://\($0.address)"],
                health: $0.isRunning)
        }
    }

    private static func store(_ id: UInt64, _ model: ClusterModel) -> StoreBody? {
        guard let store = model.cluster.stores[id] else { return nil }
        let regions = model.cluster.regions.filter { $0.peer(on: id) != nil }
        let state =
            switch store.phase {
            case .up: store.isRunning ? "Up" : "Disconnected"
            case .offline: "Offline"
            case .tombstone: "Tombstone"
            }
        return StoreBody(
            store: StoreBody.Store(
                id: id, address: store.address, version: ClusterModel.version, stateName: state,
                labels: store.labels.sorted { $0.key < $1.key }.map { StoreBody.Label(key: $0.key, value: $0.value) }),
            status: StoreBody.Status(
                capacity: Self.capacity, available: Self.capacity,
                leaderCount: regions.count(where: { $0.leaderStoreID == id }), regionCount: regions.count))
    }

    private static func region(_ region: RegionState) -> RegionBody {
        RegionBody(
            id: region.id, startKey: region.startKey.hex, endKey: region.endKey.hex,
            epoch: RegionBody.Epoch(confVer: region.epoch.confVer, version: region.epoch.version),
            peers: region.peers.map { RegionBody.Peer(id: $0.id, storeId: $0.storeID) },
            leader: region.leader.map { RegionBody.Peer(id: $0.id, storeId: $0.storeID) },
            approximateSize: 1, approximateKeys: 0)
    }

    private static func configuration(_ model: ClusterModel, section: String?) -> HTTP1Response {
        let replicas = model.cluster.regions.map(\.peers.count).max() ?? 0
        let replication = ReplicationBody(maxReplicas: replicas, locationLabels: "")
        switch section {
        case nil: return Self.json(["replication": replication])
        case "replicate": return Self.json(replication)
        case "schedule": return Self.json([String: Int]())
        default: return Self.failure(404, "404 page not found")
        }
    }

    private static func json(_ body: some Encodable) -> HTTP1Response {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = .sortedKeys
        guard let data = try? encoder.encode(body) else { return Self.failure(500, "cannot be encoded") }
        return HTTP1Response(body: [UInt8](data))
    }

    /// PD's errors are JSON strings.
    private static func failure(_ status: Int, _ message: String) -> HTTP1Response {
        var response = Self.json(message)
        response.status = status
        return response
    }
}

// The names of the fields are PD's, which has them in snake case.

private struct ResolvedBody: Encodable {
    var minResolvedTs: UInt64
    var isRealTime: Bool
    var storesMinResolvedTs: [String: UInt64]?
}

private struct MemberBody: Encodable {
    var name: String
    var memberId: UInt64
    var clientUrls: [String]
    var binaryVersion: String
}

private struct MembersBody: Encodable {
    var members: [MemberBody]
    var leader: MemberBody?
}

private struct HealthBody: Encodable {
    var name: String
    var memberId: UInt64
    var clientUrls: [String]
    var health: Bool
}

private struct StoresBody: Encodable {
    var count: Int
    var stores: [StoreBody]
}

private struct StoreBody: Encodable {
    struct Label: Encodable {
        var key: String
        var value: String
    }

    struct Store: Encodable {
        var id: UInt64
        var address: String
        var version: String
        var stateName: String
        var labels: [Label]
    }

    struct Status: Encodable {
        var capacity: String
        var available: String
        var leaderCount: Int
        var regionCount: Int
    }

    var store: Store
    var status: Status
}

private struct RegionsBody: Encodable {
    var count: Int
    var regions: [RegionBody]
}

private struct RegionBody: Encodable {
    struct Epoch: Encodable {
        var confVer: UInt64
        var version: UInt64
    }

    struct Peer: Encodable {
        var id: UInt64
        var storeId: UInt64
    }

    var id: UInt64
    var startKey: String
    var endKey: String
    var epoch: Epoch
    var peers: [Peer]
    var leader: Peer?
    var approximateSize: Int64
    var approximateKeys: Int64
}

private struct ReplicationBody: Encodable {
    enum CodingKeys: String, CodingKey {
        case maxReplicas = "max-replicas"
        case locationLabels = "location-labels"
    }

    var maxReplicas: Int
    var locationLabels: String
}
