// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// A client and a cluster that speak TLS.
@Suite(.timeLimit(.minutes(2)), .enabled(if: TestCluster.hasControl, "needs certificates of its own"))
struct TLSTests {
    /// Everything a client does goes on over TLS: over regions on three stores, through a split and a store's restart.
    @Test(arguments: [false, true])
    func rawOperations(clientCertificates: Bool) async throws {
        let certificates = try EmbeddedCluster.TLS.development()
        let configuration = ClientConfiguration(
            tls: clientCertificates ? certificates.mutualTLS : certificates.clientTLS)
        let tls = certificates.serverTLS(requiresClientCertificate: clientCertificates)
        let splits = ["h", "p"].map { Array($0.utf8) }
        try await TestCluster.withControl(.init(splitKeys: splits, tls: tls), configuration: configuration) {
            client, cluster in
            #expect(Set(cluster.regions.compactMap(\.leaderStoreID)).count == 3)
            let letters = ["a", "h", "p", "z"]
            try await client.batchPut((0..<300).map { (Key("\(letters[$0 % 4])\(1000 + $0)"), Value("v\($0)")) })
            #expect(try await client.get("a1000") == "v0")
            try cluster.split(at: Array("a1100".utf8))

            let store = try #require(cluster.region(containing: Array("z".utf8))?.leaderStoreID)
            try await cluster.stopStore(store)
            try await client.put("z", value: "while the store is down")
            #expect(try await client.get("z") == "while the store is down")
            try await cluster.startStore(store)
            let region = try #require(cluster.region(containing: Array("z".utf8)))
            try cluster.transferLeader(ofRegion: region.id, to: store)
            // Only the restarted store serves this key now.
            let before = cluster.requestCount("RawGet", on: .store(store))
            #expect(try await client.get("z") == "while the store is down")
            #expect(cluster.requestCount("RawGet", on: .store(store)) > before)

            var found = 0
            for try await _ in client.scan(.everything) { found += 1 }
            #expect(found == 301)
            try await client.deleteRange(.everything)
            #expect(try await client.batchGet(["a1000", "z"]).isEmpty)
        }
    }

    @Test func aLargeValueGoesBothWays() async throws {
        let certificates = try EmbeddedCluster.TLS.development()
        let value = Value((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        try await TestCluster.withControl(
            .init(tls: certificates.serverTLS()), configuration: .init(tls: certificates.clientTLS)
        ) { client, _ in
            try await client.put("large", value: value)
            #expect(try await client.get("large") == value)
        }
    }

    // MARK: - Names

    /// The servers' certificate is not for the address that clients connect to.
    @Test func aNameOfItsOwn() async throws {
        let certificates = try EmbeddedCluster.TLS.development(hosts: ["tikv.internal"])
        let other = try EmbeddedCluster.TLS.development()
        try await EmbeddedCluster.withCluster(.init(tls: certificates.serverTLS())) { cluster in
            func error(_ change: (inout ClientConfiguration.TLS) -> Void) async throws -> TiKVError? {
                var tls = certificates.clientTLS
                change(&tls)
                return try await RawClient.withClient(pd: cluster.pdEndpoints, configuration: .init(tls: tls)) {
                    client in
                    await failure { try await client.put("k", value: "v", timeout: .seconds(3)) }
                }
            }
            let mismatch = try await error { _ in }
            #expect(mismatch?.code == .pdUnreachable)
            #expect(mismatch?.message.contains("tikv.internal") == true)
            #expect(mismatch?.message.contains("not for 127.0.0.1") == true)
            #expect(try await error { $0.serverName = "tikv.internal" } == nil)
            #expect(try await error { $0.verification = .withoutHostName } == nil)
            #expect(
                try await error {
                    $0.verification = .none
                    $0.trustRoots = .bytes(other.ca)
                } == nil)
            #expect(
                try await error {
                    $0.serverName = "tikv.internal"
                    $0.allowedNames = ["tikv"]
                } == nil)
            let notAllowed = try await error {
                $0.serverName = "tikv.internal"
                $0.allowedNames = ["pd"]
            }
            #expect(notAllowed?.message.contains("not one of those allowed: pd") == true)
        }
    }

    // MARK: - Files

    @Test func renewedFilesAreReadForNewConnections() async throws {
        let certificates = try EmbeddedCluster.TLS.development()
        try await TLSFiles.with { files in
            // Of another authority.
            try files.write(EmbeddedCluster.TLS.development().ca, "ca.pem")
            try files.write(certificates.clientCertificate, "client.pem")
            try files.write(certificates.clientKey, "client-key.pem")
            let tls = try ClientConfiguration.TLS(
                caPath: files.path("ca.pem"), certificatePath: files.path("client.pem"),
                keyPath: files.path("client-key.pem"))
            try await TestCluster.withControl(
                .init(tls: certificates.serverTLS(requiresClientCertificate: true)), configuration: .init(tls: tls)
            ) { client, _ in
                let error = await failure { try await client.get("k", timeout: .seconds(3)) }
                #expect(error?.message.contains("not signed by a trusted CA") == true)
                try files.write(certificates.ca, "ca.pem")
                // An attempt to connect that began before may still be the one that ends a call.
                while await failure({ try await client.put("k", value: "v") })?.code == .pdUnreachable {}
                #expect(try await client.get("k") == "v")
            }
        }
    }

    /// The client's own certificate and key too.
    @Test func aRenewedIdentityIsShownToNewConnections() async throws {
        let certificates = try EmbeddedCluster.TLS.development()
        let other = try EmbeddedCluster.TLS.development()
        try await TLSFiles.with { files in
            func write(_ identity: EmbeddedCluster.DevelopmentCertificates) throws {
                try files.write(identity.clientCertificate, "client.pem")
                try files.write(identity.clientKey, "client-key.pem")
            }
            try files.write(certificates.ca, "ca.pem")
            try write(other)
            let tls = try ClientConfiguration.TLS(
                caPath: files.path("ca.pem"), certificatePath: files.path("client.pem"),
                keyPath: files.path("client-key.pem"))
            try await TestCluster.withControl(
                .init(tls: certificates.serverTLS(requiresClientCertificate: true)), configuration: .init(tls: tls)
            ) { client, _ in
                let error = await failure { try await client.get("k", timeout: .seconds(3)) }
                #expect(error != nil)
                try write(certificates)
                try await client.put("k", value: "v")
                #expect(try await client.get("k") == "v")
            }
        }
    }

    /// PD is still connected when a store comes back with a certificate that nobody trusts.
    @Test func aStoreThatIsNotTrustedIsNamed() async throws {
        let good = try EmbeddedCluster.TLS.development()
        let bad = try EmbeddedCluster.TLS.development()
        try await TLSFiles.with { files in
            func serve(_ certificates: EmbeddedCluster.DevelopmentCertificates) throws {
                try files.write(certificates.serverKey, "key.pem")
                try files.write(certificates.serverCertificate, "server.pem")
            }
            try serve(good)
            let tls = EmbeddedCluster.TLS(
                certificateChain: .file(files.path("server.pem")), privateKey: .file(files.path("key.pem")))
            try await TestCluster.withControl(
                .init(storeCount: 1, replicaCount: 1, tls: tls), configuration: .init(tls: good.clientTLS)
            ) { client, cluster in
                try await client.put("k", value: "v")
                let store = cluster.stores[0]
                try await cluster.stopStore(store.id)
                try serve(bad)
                try await cluster.startStore(store.id)
                let error = await failure { try await client.put("k", value: "w", timeout: .seconds(3)) }
                #expect(error?.code == .storeUnreachable)
                #expect(error?.isOutcomeUnknown == false)
                #expect(error?.message.contains("store \(store.id) at \(store.address)") == true)
                #expect(error?.message.contains("not signed by a trusted CA") == true)
                // Once it is put right, the same client goes on.
                try serve(good)
                #expect(try await client.get("k") == "v")
            }
        }
    }
}
