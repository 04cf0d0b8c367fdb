// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import NIOCore
import Testing

@testable import TiKVTransport

/// Mistakes in settings and files are found when they are read, and renewed files are taken up.
@Suite struct TLSConfigurationTests {
    let support: TLSSupport

    init() throws {
        self.support = try TLSSupport()
    }

    private func reason(_ configuration: TLSConfiguration, _ role: TLSRole) -> TLSError? {
        do throws(TLSError) {
            _ = try TLSContext(configuration, role)
            return nil
        } catch {
            return error
        }
    }

    private func expectRefused(_ configuration: TLSConfiguration, _ role: TLSRole, _ words: String) {
        let error = self.reason(configuration, role)
        #expect(error?.reason == .configuration)
        #expect(error?.message.contains(words) == true, "\(String(describing: error))")
    }

    @Test func settingsThatContradictEachOtherAreRefused() throws {
        let support = self.support
        self.expectRefused(TLSConfiguration(), .server, "needs a certificate")
        self.expectRefused(try support.server { $0.allowedNames = ["a"] }, .server, "allowed names")
        self.expectRefused(
            try support.client {
                $0.verification = .none
                $0.allowedNames = ["a"]
            }, .client, "allowed names")
        self.expectRefused(try support.client { $0.requireClientCertificate = true }, .client, "only a server")
        self.expectRefused(
            try support.client {
                $0.minimumVersion = .tls13
                $0.maximumVersion = .tls12
            }, .client, "newer")
        self.expectRefused(try support.client { $0.applicationProtocol = "" }, .client, "protocol")
    }

    @Test func pemThatIsNotWhatItShouldBeIsRefused() throws {
        let support = self.support
        let one = try support.authority.issue(.init("one"))
        let two = try support.authority.issue(.init("two"))
        func client(_ roots: [UInt8]) -> TLSConfiguration { TLSConfiguration(trustRoots: .pem(.bytes(roots))) }
        func server(_ chain: [UInt8], _ key: [UInt8]) -> TLSConfiguration {
            TLSConfiguration(identity: .init(certificateChain: .bytes(chain), privateKey: .bytes(key)))
        }
        self.expectRefused(client([]), .client, "no certificate in 0 bytes")
        self.expectRefused(client(Array("not PEM".utf8)), .client, "no certificate")
        self.expectRefused(client(one.key), .client, "no certificate")
        self.expectRefused(client(Array(try support.authority.pem.dropLast(60))), .client, "broken")
        self.expectRefused(server(one.chain, two.key), .server, "does not belong")
        self.expectRefused(server(one.chain, one.chain), .server, "no private key")
        self.expectRefused(server(one.key, one.key), .server, "no certificate")
        let encrypted = """
            -----BEGIN ENCRYPTED PRIVATE KEY-----
            MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAi1v1GgcXQ3pwICCAAw
            DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEGmCFJtb0HcJ8w+Gp0zeH3wEgZBd
            -----END ENCRYPTED PRIVATE KEY-----

            """
        let error = self.reason(server(one.chain, Array(encrypted.utf8)), .server)
        #expect(error?.reason == .configuration)
        self.expectRefused(TLSConfiguration(trustRoots: .pem(.file("/no/such/ca.pem"))), .client, "/no/such/ca.pem")
        self.expectRefused(TLSConfiguration(trustRoots: .pem(.file("/"))), .client, "/ cannot be read")
        #expect(self.reason(server(two.chain, two.key), .server) == nil)
        #expect(self.reason(TLSConfiguration(), .client) == nil)
    }

    @Test func pathsInTheFormOfTiKVsToolsAreTaken() throws {
        #expect(try TLSConfiguration(caPath: "") == TLSConfiguration())
        let full = try TLSConfiguration(caPath: "ca", certificatePath: "c", keyPath: "k", allowedNames: ["a"])
        #expect(full.trustRoots == .pem(.file("ca")))
        #expect(full.identity == .init(certificateChain: .file("c"), privateKey: .file("k")))
        #expect(full.allowedNames == ["a"])
        #expect(throws: TLSError.self) { try TLSConfiguration(caPath: "", certificatePath: "c") }
        #expect(throws: TLSError.self) { try TLSConfiguration(caPath: "", keyPath: "k") }
    }

    @Test func aKeyIsNeverShown() throws {
        let issued = try self.support.authority.issue(.init("one"))
        var dumped = ""
        dump(issued.identity, to: &dumped)
        let shown = "\(issued.identity) \(String(reflecting: issued.identity)) \(dumped)"
        #expect(shown.contains("\(issued.key.count) bytes of PEM"))
        #expect(!shown.contains("\(issued.key[0]), \(issued.key[1])"))
        #expect(!shown.contains("PRIVATE KEY-----"))
    }

    @Test(arguments: [
        ("a.test", TLSPeerName.dns("a.test")), ("a.test.", .dns("a.test")), ("127.0.0.1", .address("127.0.0.1")),
        ("::1", .address("::1")), ("fe80::1%eth0", .address("fe80::1")), ("1.2.3", .dns("1.2.3")),
    ])
    func namesAndAddressesAreToldApart(host: String, name: TLSPeerName) {
        #expect(TLSPeerName(host) == name)
    }

    @Test(arguments: ["", "a\u{0}b", "."])
    func aHostThatCannotBeVerifiedIsRefused(host: String) throws {
        let context = try TLSContext(self.support.client(), .client)
        #expect(throws: TLSError.self) { _ = try TLSSession(client: context, host: host, port: 1) }
    }

    @Test func namesInCertificatesAreFitForALog() throws {
        let hostile = "evil\n2026-01-01 INFO all is well\u{1b}[0m" + String(repeating: "x", count: 20)
        #expect(!TLSCertificateInfo.printable(hostile).contains("\n"))
        #expect(!TLSCertificateInfo.printable(hostile).contains("\u{1b}"))
        #expect(TLSCertificateInfo.printable(String(repeating: "x", count: 1_000)).count == 128)
        #expect(TLSCertificateInfo.printable("TiKV Größe") == "TiKV Größe")
    }

    // MARK: - Renewal

    /// Files in a directory of their own.
    struct Files {
        let directory: URL

        init() throws {
            self.directory = FileManager.default.temporaryDirectory.appending(path: "tikv-tls-\(UUID())")
            try FileManager.default.createDirectory(at: self.directory, withIntermediateDirectories: true)
        }

        func path(_ name: String) -> String { self.directory.appending(path: name).path() }

        /// Replaces the file by another, as tools that renew certificates do.
        func write(_ bytes: [UInt8], to name: String) throws {
            try Data(bytes).write(to: self.directory.appending(path: name), options: .atomic)
        }

        func write(_ issued: CertificateAuthority.Issued) throws {
            try self.write(issued.chain, to: "cert.pem")
            try self.write(issued.key, to: "key.pem")
        }

        var identity: TLSConfiguration.Identity {
            .init(certificateChain: .file(self.path("cert.pem")), privateKey: .file(self.path("key.pem")))
        }

        func remove() { try? FileManager.default.removeItem(at: self.directory) }
    }

    private func names(_ server: TLSContext, client: TLSContext) throws -> String? {
        let pair = try TLSPair(client, server)
        pair.connect()
        #expect(pair.clientError == nil)
        return pair.clientAgreement?.peerCertificate?.commonName
    }

    @Test func renewedFilesAreTakenUpAndBrokenOnesAreNot() throws {
        let authority = self.support.authority
        let files = try Files()
        defer { files.remove() }
        let request = { (name: String) in CertificateAuthority.Request(name, names: ["localhost"]) }
        try files.write(authority.issue(request("first")))
        let log = RecordingLog()
        let source = try TLSContextSource(
            TLSConfiguration(identity: files.identity), .server, logger: log.logger)
        let client = try TLSContext(self.support.client(), .client)
        let first = source.current()
        #expect(source.current() === first)
        #expect(try self.names(first, client: client) == "first")

        try files.write(authority.issue(request("second")))
        let second = source.current()
        #expect(second !== first)
        #expect(try self.names(second, client: client) == "second")
        // Those who hold it go on with what they had.
        #expect(try self.names(first, client: client) == "first")

        // Half of a renewal: the certificate is there, its key is not yet.
        let third = try authority.issue(request("third"))
        try files.write(third.chain, to: "cert.pem")
        #expect(source.current() === second)
        #expect(source.current() === second)
        #expect(log.all.filter { $0.contains("previous ones stay") && $0.contains("does not belong") }.count == 1)
        try files.write(third.key, to: "key.pem")
        #expect(try self.names(source.current(), client: client) == "third")

        let last = source.current()
        try files.write(Array("garbage".utf8), to: "cert.pem")
        #expect(source.current() === last)
        try FileManager.default.removeItem(atPath: files.path("cert.pem"))
        #expect(source.current() === last)
        try files.write(authority.issue(request("fourth")))
        #expect(try self.names(source.current(), client: client) == "fourth")
    }

    @Test func renewedTrustRootsAreTakenUp() throws {
        let files = try Files()
        defer { files.remove() }
        let other = try CertificateAuthority("other CA")
        try files.write(other.pem, to: "ca.pem")
        let source = try TLSContextSource(
            TLSConfiguration(trustRoots: .pem(.file(files.path("ca.pem")))), .client, logger: RecordingLog().logger)
        let server = try TLSContext(self.support.server(), .server)
        let refused = try TLSPair(source.current(), server)
        refused.connect()
        #expect(refused.clientError?.reason == .certificateNotTrusted)
        try files.write(other.pem + self.support.authority.pem, to: "ca.pem")
        let accepted = try TLSPair(source.current(), server)
        accepted.connect()
        #expect(try accepted.canTalk())
    }

    @Test func aSourceWithBrokenFilesIsRefusedAtOnce() throws {
        let files = try Files()
        defer { files.remove() }
        #expect(throws: TLSError.self) {
            _ = try TLSContextSource(
                TLSConfiguration(identity: files.identity), .server, logger: RecordingLog().logger)
        }
    }
}
