// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOPosix
import Testing
import TiKVEmbedded
import TiKVPD
import TiKVTransport

/// What PD says over HTTP, on the port that it serves gRPC on.
@Suite(.timeLimit(.minutes(1)), .enabled(if: TestCluster.hasControl)) struct PDHTTPTests {
    @Test func resolvedTimestamps() async throws {
        try await PDHarness.with { client, cluster in
            let deadline = PDHarness.deadline()
            #expect(try await client.minimumResolvedTimestamps(deadline: deadline).minimum == .zero)
            cluster.setResolvedTimestamps(cluster: .max, stores: [1: 100, 2: 90])
            let whole = try await client.minimumResolvedTimestamps(deadline: deadline)
            #expect(whole == MinimumResolvedTimestamps(minimum: .max, stores: [:]))
            let some = try await client.minimumResolvedTimestamps(ofStores: [1, 2], deadline: deadline)
            #expect(some.minimum == Timestamp(rawValue: 90))
            #expect(some.stores.mapValues(\.rawValue) == [1: 100, 2: 90])
        }
    }

    @Test func storesRegionsAndConfiguration() async throws {
        try await PDHarness.with(.init(splitKeys: [[0x6d]], pdMembers: 3)) { client, cluster in
            let deadline = PDHarness.deadline()
            try cluster.setLabels(["zone": "z1"], ofStore: 2)
            let stores = try await client.storeStatuses(deadline: deadline)
            #expect(stores.map(\.id) == [1, 2, 3] && stores.allSatisfy { $0.regionCount == 2 && $0.state == "Up" })
            let store = try await client.storeStatus(id: 2, deadline: deadline)
            #expect(store == stores[1] && store.labels == ["zone": "z1"])
            let region = try #require(cluster.region(containing: [0x6d, 0]))
            let status = try await client.regionStatus(id: region.id, deadline: deadline)
            #expect(status?.startKey == "6D" && status?.endKey == "" && status?.peerStoreIDs.sorted() == [1, 2, 3])
            #expect(status?.leaderStoreID == region.leaderStoreID)
            #expect(try await client.regionStatus(for: [0x6d, 0x2f, 0xff], deadline: deadline) == status)
            #expect(try await client.regionStatus(id: 9999, deadline: deadline) == nil)
            let unknown = await pdFailure { try await client.storeStatus(id: 9, deadline: deadline) }
            #expect(unknown?.code == .server && unknown?.detail.contains("404") == true)
            let configuration = try await client.configuration(section: "replicate", deadline: deadline)
            #expect(String(decoding: configuration, as: UTF8.self).contains("\"max-replicas\":3"))
            #expect(try await client.clusterVersion(deadline: deadline) == stores[0].version)
        }
    }

    @Test func anotherMemberAnswersForOneThatIsGone() async throws {
        try await PDHarness.with { client, cluster in
            _ = try await client.clusterVersion(deadline: PDHarness.deadline())
            try await cluster.stopPDMember(1)
            let version2 = try await client.clusterVersion(deadline: PDHarness.deadline())
            #expect(!version2.isEmpty)
            cluster.inject(.status(code: 14, message: "trouble"), into: .init(rpc: "HTTP/config"), times: 2)
            let version3 = try await client.clusterVersion(deadline: PDHarness.deadline())
            #expect(!version3.isEmpty)
            for member in 2...3 { try await cluster.stopPDMember(member) }
            let error = await pdFailure { try await client.clusterVersion(deadline: PDHarness.deadline(.seconds(1))) }
            #expect(error?.code == .unreachable)
        }
    }

    @Test func aMemberThatSaysNothingIsGivenUp() async throws {
        try await PDHarness.with(pd: PDConfiguration(requestTimeout: .milliseconds(200))) { client, cluster in
            cluster.inject(.dropRequest, into: .init(rpc: "HTTP/config"))
            let version4 = try await client.clusterVersion(deadline: PDHarness.deadline())
            #expect(!version4.isEmpty)
        }
    }

    @Test func overTLS() async throws {
        let development = try EmbeddedCluster.TLS.development()
        let configuration = EmbeddedCluster.Configuration(storeCount: 1, pdMembers: 2, tls: development.serverTLS())
        let tls = TLSConfiguration(trustRoots: .pem(.bytes(development.ca)))
        try await PDHarness.with(configuration, tls: tls) { client, _ in
            // Both protocols, on one port, over TLS.
            let found1 = try await client.store(id: 1, deadline: PDHarness.deadline())
            #expect(found1 != nil)
            let version5 = try await client.clusterVersion(deadline: PDHarness.deadline())
            #expect(!version5.isEmpty)
        }
    }

    @Test func aResponseOverTheLimitIsRefused() async throws {
        try await PDHarness.with { _, cluster in
            let address = try #require(PeerAddress(cluster.pdEndpoints[0]))
            let http = try HTTP1Client(
                group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "test"))
            let request = HTTP1Request(target: "/pd/api/v1/regions")
            let whole = try await http.send(request, to: address, timeout: .seconds(30))
            #expect(whole.status == 200 && whole.body.count > 50)
            let error = await #expect(throws: RPCError.self) {
                try await http.send(request, to: address, timeout: .seconds(30), limit: 50)
            }
            #expect(error?.code == .resourceExhausted)
            let missing = try await http.send(HTTP1Request(target: "/nothing"), to: address, timeout: .seconds(30))
            #expect(missing.status == 404)
            let nobody = await #expect(throws: RPCError.self) {
                try await http.send(request, to: PeerAddress(host: "127.0.0.1", port: 1), timeout: .seconds(30))
            }
            #expect(nobody?.delivery == .notSent)
        }
    }
}
