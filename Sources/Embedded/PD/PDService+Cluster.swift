// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto
import TiKVTransport

extension PDService {
    /// Members, identifiers, stores, safe points.
    func registerCluster(in services: inout RPCServices) {
        self.register(PdpbPDRPC.getMembers, in: &services, header: { _ in nil }) { model, _, _ in
            "\(model.pdScheme)://\(model.pdAddress)"
        } answer: { url, header in
            let member = Pdpb_Member.with {
                $0.name = "pd-embedded"
                $0.memberID = 1
                $0.peerUrls = [url]
                $0.clientUrls = [url]
                $0.binaryVersion = ClusterModel.version
            }
            return .with {
                $0.header = header
                $0.members = [member]
                $0.leader = member
                $0.etcdLeader = member
            }
        }
        self.register(PdpbPDRPC.getClusterInfo, in: &services, header: { _ in nil }) { _, _, _ in
        } answer: { _, header in
            .with {
                $0.header = header
                $0.serviceModes = [.pdSvcMode]
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
        self.registerSafePoints(in: &services)
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
        self.register(PdpbPDRPC.getAllStores, in: &services, header: { $0.header }) { model, _, _ in
            // None of them is ever a tombstone, so that it does not matter whether those are wanted.
            model.cluster.storeIDs.compactMap { model.cluster.stores[$0] }
        } answer: { stores, header in
            .with {
                $0.header = header
                $0.stores = stores.map(\.proto)
            }
        }
    }

    private func registerSafePoints(in services: inout RPCServices) {
        self.register(PdpbPDRPC.getGCSafePoint, in: &services, header: { $0.header }) { model, _, _ in
            model.gcSafePoint
        } answer: { safePoint, header in
            .with {
                $0.header = header
                $0.safePoint = safePoint
            }
        }
        self.register(PdpbPDRPC.updateGCSafePoint, in: &services, header: { $0.header }) { model, request, _ in
            // It never goes back; the answer says where it is.
            model.gcSafePoint = max(model.gcSafePoint, request.safePoint)
            return model.gcSafePoint
        } answer: { safePoint, header in
            .with {
                $0.header = header
                $0.newSafePoint = safePoint
            }
        }
    }
}
