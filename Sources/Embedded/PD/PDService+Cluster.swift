// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

extension PDService {
    /// Members, identifiers, stores, safe points.
    func registerCluster(in services: inout RPCServices) {
        self.register(PdpbPDRPC.getMembers, in: &services, access: .anyMember, header: { _ in nil }) { model, _, _ in
            (model.pd.members, model.pdScheme)
        } answer: { taken, header in
            let (members, scheme) = taken
            func proto(_ member: PDMembers.Member) -> Pdpb_Member {
                .with {
                    $0.name = "pd-\(member.id)"
                    $0.memberID = UInt64(member.id)
                    $0.peerUrls = ["\(scheme)://\(member.address)"]
                    $0.clientUrls = $0.peerUrls
                    $0.binaryVersion = ClusterModel.version
                }
            }
            return .with {
                $0.header = header
                $0.members = members.list.map(proto)
                if let leader = members.leader {
                    $0.leader = proto(leader)
                    $0.etcdLeader = $0.leader
                }
            }
        }
        self.register(PdpbPDRPC.getClusterInfo, in: &services, access: .anyMember, header: { _ in nil }) {
            model, _, _ in
            model.pd.timestampServers.map { "\(model.pdScheme)://\($0)" }
        } answer: { urls, header in
            .with {
                $0.header = header
                $0.serviceModes = [urls.isEmpty ? .pdSvcMode : .apiSvcMode]
                $0.tsoUrls = urls
            }
        }
        self.register(PdpbPDRPC.isBootstrapped, in: &services, header: { $0.header }) { _, _, _ in
        } answer: { _, header in
            .with {
                $0.header = header
                $0.bootstrapped = true
            }
        }
        self.register(PdpbPDRPC.bootstrap, in: &services, header: { $0.header }) { _, _, _ in
        } answer: { _, header in
            .with { $0.header = header.failed(.alreadyBootstrapped, "cluster is already bootstrapped") }
        }
        self.register(PdpbPDRPC.allocID, in: &services, header: { $0.header }) { model, request, _ in
            let count = max(1, request.count)
            // PD names the last of the identifiers.
            return (model.cluster.allocateID(count: UInt64(count)) + UInt64(count) - 1, count)
        } answer: { allocated, header in
            .with {
                $0.header = header
                $0.id = allocated.0
                if allocated.1 > 1 { $0.count = allocated.1 }
            }
        }
        self.register(PdpbPDRPC.getClusterConfig, in: &services, header: { $0.header }) { model, _, _ in
            model.cluster.regions.map(\.peers.count).max() ?? 0
        } answer: { peerCount, header in
            .with {
                $0.header = header
                $0.cluster.id = header.clusterID
                $0.cluster.maxPeerCount = UInt32(clamping: peerCount)
            }
        }
        self.registerStores(in: &services)
    }

    private func registerStores(in services: inout RPCServices) {
        self.register(PdpbPDRPC.getStore, in: &services, header: { $0.header }) { model, request, _ in
            (model.cluster.stores[request.storeID], request.storeID)
        } answer: { found, header in
            .with {
                if let store = found.0 {
                    $0.header = header
                    $0.store = store.proto
                } else {
                    $0.header = header.failed(.unknown, "invalid store ID \(found.1), not found")
                }
            }
        }
        self.register(PdpbPDRPC.getAllStores, in: &services, header: { $0.header }) { model, request, _ in
            model.cluster.storeIDs.compactMap { model.cluster.stores[$0] }.filter {
                !request.excludeTombstoneStores || $0.phase != .tombstone
            }
        } answer: { stores, header in
            .with {
                $0.header = header
                $0.stores = stores.map(\.proto)
            }
        }
    }
}
