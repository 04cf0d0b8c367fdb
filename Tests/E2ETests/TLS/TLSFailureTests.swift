// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing
import TiKV
import TiKVEmbedded

/// TLS that cannot work: told at once where the configuration shows it, else by the deadline, with peer and reason.
@Suite(.timeLimit(.minutes(2)), .enabled(if: TestCluster.hasControl, "needs certificates of its own"))
struct TLSFailureTests {
    /// Reads from a cluster that the client cannot talk to: the error has PD's address and the reason.
    private func expectFailure(
        _ server: EmbeddedCluster.TLS?, _ client: ClientConfiguration.TLS?, _ reason: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await EmbeddedCluster.withCluster(.init(storeCount: 1, replicaCount: 1, tls: server)) { cluster in
            let configuration = ClientConfiguration(tls: client)
            try await RawClient.withClient(pd: cluster.pdEndpoints, configuration: configuration) { client in
                // A write, to see that nobody thinks that it could have happened.
                let error = await failure { try await client.put("k", value: "v", timeout: .seconds(3)) }
                let message = error?.message ?? "success"
                #expect(error?.code == .pdUnreachable, sourceLocation: sourceLocation)
                #expect(message.contains(cluster.pdEndpoints[0]), sourceLocation: sourceLocation)
                #expect(message.contains(reason), sourceLocation: sourceLocation)
                #expect(error?.attempts.map(\.address) == cluster.pdEndpoints, sourceLocation: sourceLocation)
                #expect(error?.isOutcomeUnknown == false, sourceLocation: sourceLocation)
            }
            #expect(cluster.requestCount("GetMembers") == 0, sourceLocation: sourceLocation)
        }
    }

    // MARK: - Handshakes

    @Test func theWrongAuthority() async throws {
        let certificates = try EmbeddedCluster.TLS.development()
        let other = try EmbeddedCluster.TLS.development()
        try await self.expectFailure(certificates.serverTLS(), other.clientTLS, "not signed by a trusted CA")
    }

    @Test func theSystemsAuthorities() async throws {
        let certificates = try EmbeddedCluster.TLS.development()
        try await self.expectFailure(certificates.serverTLS(), .init(), "not signed by a trusted CA")
    }

    @Test func noClientCertificate() async throws {
        let certificates = try EmbeddedCluster.TLS.development()
        try await self.expectFailure(
            certificates.serverTLS(requiresClientCertificate: true), certificates.clientTLS,
            "demands a client certificate, and none is configured")
    }

    @Test func aClientCertificateOfTheWrongAuthority() async throws {
        let certificates = try EmbeddedCluster.TLS.development()
        var tls = certificates.clientTLS
        tls.identity = try EmbeddedCluster.TLS.development().clientIdentity
        try await self.expectFailure(
            certificates.serverTLS(requiresClientCertificate: true), tls, "rejected this side's certificate")
    }

    @Test func plaintextToTLS() async throws {
        let certificates = try EmbeddedCluster.TLS.development()
        try await self.expectFailure(certificates.serverTLS(), nil, "the peer speaks TLS")
    }

    @Test func plaintextToMutualTLS() async throws {
        let certificates = try EmbeddedCluster.TLS.development()
        try await self.expectFailure(
            certificates.serverTLS(requiresClientCertificate: true), nil, "the peer speaks TLS")
    }

    @Test func tlsToPlaintext() async throws {
        try await self.expectFailure(nil, try EmbeddedCluster.TLS.development().clientTLS, "does not speak TLS")
    }

    // MARK: - Configurations

    /// What the client's initializer says of a configuration.
    private func refusal(_ tls: ClientConfiguration.TLS) -> TiKVError? {
        do throws(TiKVError) {
            _ = try RawClient(pd: ["127.0.0.1"], configuration: .init(tls: tls))
            return nil
        } catch {
            return error
        }
    }

    @Test func configurationsThatCannotWork() throws {
        let certificates = try EmbeddedCluster.TLS.development()
        let other = try EmbeddedCluster.TLS.development()
        #expect(self.refusal(certificates.mutualTLS) == nil)

        let missing = self.refusal(.init(trustRoots: .file("/nowhere/ca.pem")))
        #expect(missing?.code == .invalidArgument)
        #expect(missing?.message.contains("/nowhere/ca.pem cannot be read: No such file or directory") == true)

        let garbage = self.refusal(.init(trustRoots: .bytes(Array("no PEM".utf8))))
        #expect(garbage?.code == .invalidArgument)

        let identity = ClientConfiguration.TLS.Identity(
            certificateChain: .bytes(certificates.clientCertificate), privateKey: .bytes(other.clientKey))
        let stranger = self.refusal(.init(trustRoots: .bytes(certificates.ca), identity: identity))
        #expect(stranger?.code == .invalidArgument)
        #expect(stranger?.message.contains("does not belong to the certificate") == true)

        let unenforceable = self.refusal(.init(verification: .none, allowedNames: ["tikv"]))
        #expect(unenforceable?.code == .invalidArgument)
    }

    @Test func aCertificateWithoutItsKey() {
        #expect(throws: TiKVError.self) { try ClientConfiguration.TLS(caPath: "ca", certificatePath: "cert") }
        #expect(throws: TiKVError.self) { try ClientConfiguration.TLS(caPath: "", keyPath: "key") }
    }

    @Test func emptyPathsAreNone() throws {
        let tls = try ClientConfiguration.TLS(caPath: "", allowedNames: ["tikv"])
        #expect(tls == ClientConfiguration.TLS(allowedNames: ["tikv"]))
        let full = try ClientConfiguration.TLS(caPath: "a", certificatePath: "b", keyPath: "c")
        let identity = ClientConfiguration.TLS.Identity(certificateChain: .file("b"), privateKey: .file("c"))
        #expect(full == ClientConfiguration.TLS(trustRoots: .file("a"), identity: identity))
    }

    @Test func clustersThatCannotServe() async throws {
        let certificates = try EmbeddedCluster.TLS.development()
        func refusal(_ tls: EmbeddedCluster.TLS) async -> EmbeddedClusterError? {
            do {
                let cluster = try await EmbeddedCluster.start(.init(tls: tls))
                cluster.shutdown()
                await cluster.run()
                return nil
            } catch {
                return error as? EmbeddedClusterError
            }
        }
        let missing = await refusal(.init(certificateChain: .file("/nowhere/a.pem"), privateKey: .bytes([])))
        #expect(missing?.code == .invalidTLS)
        #expect(missing?.message.contains("/nowhere/a.pem") == true)
        var tls = certificates.serverTLS()
        tls.clientCA = .bytes(Array("no PEM".utf8))
        #expect(await refusal(tls)?.code == .invalidTLS)
        #expect(throws: EmbeddedClusterError.self) { try EmbeddedCluster.TLS.development(hosts: ["a,b"]) }
    }

    @Test func keysAreNotPrinted() throws {
        let certificates = try EmbeddedCluster.TLS.development()
        let configuration = ClientConfiguration(tls: certificates.mutualTLS)
        let secret = String(decoding: certificates.clientKey.dropFirst(40).prefix(20), as: UTF8.self)
        let numbers = certificates.clientKey.prefix(20).map { "\($0)" }.joined(separator: ", ")
        var dumped = ""
        dump(configuration, to: &dumped)
        dump(certificates.serverTLS(), to: &dumped)
        dumped += String(reflecting: configuration) + "\(certificates.serverTLS())"
        #expect(dumped.contains("bytes of PEM"))
        #expect(!dumped.contains(secret))
        #expect(!dumped.contains(numbers))
    }
}
