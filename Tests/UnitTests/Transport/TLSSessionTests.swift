// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import TiKVTransport

/// TLS in bytes alone.
@Suite struct TLSSessionTests {
    let support: TLSSupport

    init() throws {
        self.support = try TLSSupport()
    }

    private func pair(
        _ client: TLSConfiguration, _ server: TLSConfiguration, host: String = "localhost"
    ) throws -> TLSPair {
        try TLSPair(TLSContext(client, .client), TLSContext(server, .server), host: host)
    }

    // MARK: - What works

    @Test(arguments: TLSConfiguration.Version.allCases, [Int.max, 1, 7])
    func bothSidesTalkAfterTheHandshake(version: TLSConfiguration.Version, piece: Int) throws {
        let pair = try self.pair(self.support.client { $0.maximumVersion = version }, self.support.server())
        pair.connect(piece: piece)
        #expect(pair.clientError == nil && pair.serverError == nil)
        #expect(pair.clientDone && pair.serverDone)
        #expect(try pair.canTalk())
        let agreement = try #require(pair.clientAgreement)
        #expect(agreement.version == (version == .tls12 ? "TLSv1.2" : "TLSv1.3"))
        #expect(agreement.peerCertificate?.commonName == "server")
        #expect(agreement.peerCertificate?.names.sorted() == TLSSupport.names.sorted())
        #expect(!agreement.isResumed)
        #expect(pair.serverAgreement?.peerCertificate == nil)
    }

    @Test(arguments: [
        "localhost", "LOCALHOST", "localhost.", "store.tikv.test", "tikv-0.pod.tikv.test", "127.0.0.1", "::1",
        "0:0:0:0:0:0:0:1",
    ])
    func aHostThatTheCertificateIsForIsAccepted(host: String) throws {
        let pair = try self.pair(self.support.client(), self.support.server(), host: host)
        pair.connect()
        #expect(pair.clientError == nil)
        #expect(try pair.canTalk())
    }

    @Test(arguments: TLSConfiguration.Version.allCases)
    func bothSidesShowCertificates(version: TLSConfiguration.Version) throws {
        let pair = try self.pair(
            self.support.client {
                $0.identity = try self.support.identity("tikv-client")
                $0.maximumVersion = version
            },
            self.support.server {
                $0.requireClientCertificate = true
                $0.allowedNames = ["other", "tikv-client"]
            })
        pair.connect()
        #expect(pair.clientError == nil && pair.serverError == nil)
        #expect(try pair.canTalk())
        #expect(pair.serverAgreement?.peerCertificate?.commonName == "tikv-client")
    }

    @Test func anIntermediateAuthorityIsFoundInTheChain() throws {
        let lower = try self.support.authority.intermediate(.init("lower CA"))
        let lowest = try lower.intermediate(.init("lowest CA"))
        let server = TLSConfiguration(identity: try lowest.issue(.init("server", names: ["localhost"])).identity)
        let pair = try self.pair(self.support.client(), server)
        pair.connect()
        #expect(try pair.canTalk())
        // And it may be the root of trust itself, without the one that signed it.
        let direct = try self.pair(TLSConfiguration(trustRoots: lower.trustRoots), server)
        direct.connect()
        #expect(try direct.canTalk())
    }

    @Test func anotherServerNameCanBeAskedFor() throws {
        let pair = try self.pair(
            self.support.client { $0.serverName = "store.tikv.test" }, self.support.server(), host: "10.0.0.7")
        pair.connect()
        #expect(try pair.canTalk())
    }

    @Test func verificationCanBeWeakened() throws {
        let stranger = try CertificateAuthority("stranger")
        let server = TLSConfiguration(identity: try stranger.issue(.init("x", names: ["elsewhere"])).identity)
        let unverified = try self.pair(self.support.client { $0.verification = .none }, server)
        unverified.connect()
        #expect(try unverified.canTalk())
        let unnamed = try self.pair(
            self.support.client { $0.verification = .withoutHostName },
            self.support.server(.init("x", names: ["elsewhere"])))
        unnamed.connect()
        #expect(try unnamed.canTalk())
        // The chain still counts there.
        let strange = try self.pair(self.support.client { $0.verification = .withoutHostName }, server)
        strange.connect()
        #expect(strange.clientError?.reason == .certificateNotTrusted)
    }

    @Test(arguments: [1, 100, 16_384, 16_385, 200_000])
    func bytesArriveUnchangedWhateverTheirNumber(count: Int) throws {
        let pair = try self.pair(self.support.client(), self.support.server())
        pair.connect()
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 131) }
        try pair.clientWrites(bytes)
        try pair.serverWrites(bytes)
        pair.exchange(piece: 5_000)
        #expect(pair.serverReceived == bytes)
        #expect(pair.clientReceived == bytes)
    }

    @Test func anEndIsSaidAndSeen() throws {
        let pair = try self.pair(self.support.client(), self.support.server())
        pair.connect()
        try pair.clientWrites(Array("last".utf8))
        pair.clientCloses()
        pair.clientCloses()
        pair.exchange()
        #expect(pair.serverReceived == Array("last".utf8))
        #expect(pair.serverSawEnd)
        // The answer to it.
        #expect(pair.clientSawEnd)
        #expect(pair.clientError == nil && pair.serverError == nil)
        try pair.clientWrites(Array("more".utf8))
        #expect(pair.clientOutput == nil)
    }

    // MARK: - Certificates that are refused

    /// What is wrong, what the client says, and a part of its words.
    enum Wrong: CaseIterable {
        case expired, notYetValid, otherAuthority, sameNameAuthority, selfSigned, host, address, commonNameOnly
        case expiredAuthority, name, wildcardTooDeep
    }

    @Test(arguments: Wrong.allCases, TLSConfiguration.Version.allCases)
    func aWrongServerCertificateIsRefusedWithTheReason(wrong: Wrong, version: TLSConfiguration.Version) throws {
        let authority = self.support.authority
        let good = CertificateAuthority.Request("server", names: TLSSupport.names)
        var client = try self.support.client { $0.maximumVersion = version }
        var host = "localhost"
        let identity: TLSConfiguration.Identity
        let reason: TLSError.Reason
        var words: [String]
        switch wrong {
        case .expired:
            identity = try authority.issue(.init("old", names: ["localhost"], validFrom: -90, validUntil: -30)).identity
            (reason, words) = (.certificateExpired, ["has expired", "CN=old", "UTC"])
        case .notYetValid:
            identity = try authority.issue(.init("new", names: ["localhost"], validFrom: 3_600)).identity
            (reason, words) = (.certificateNotYetValid, ["not yet valid", "CN=new", "UTC"])
        case .otherAuthority:
            identity = try CertificateAuthority("other CA").issue(good).identity
            (reason, words) = (.certificateNotTrusted, ["not signed by a trusted CA", "CN=other CA"])
        case .sameNameAuthority:
            identity = try CertificateAuthority("test CA").issue(good).identity
            (reason, words) = (.certificateNotTrusted, ["not signed by a trusted CA"])
        case .selfSigned:
            identity = try CertificateAuthority.selfSigned(good).identity
            (reason, words) = (.certificateNotTrusted, ["not signed by a trusted CA", "self-signed"])
        case .host:
            (identity, host) = (try authority.issue(good).identity, "other.test")
            (reason, words) = (.nameMismatch, ["is for localhost, store.tikv.test", "not for other.test"])
        case .address:
            (identity, host) = (try authority.issue(good).identity, "127.0.0.2")
            (reason, words) = (.nameMismatch, ["127.0.0.1", "not for 127.0.0.2"])
        case .commonNameOnly:
            identity = try authority.issue(.init("localhost")).identity
            (reason, words) = (.nameMismatch, ["names no host", "not for localhost"])
        case .expiredAuthority:
            let old = try authority.intermediate(.init("old CA", validFrom: -90, validUntil: -30))
            identity = try old.issue(good).identity
            (reason, words) = (.certificateExpired, ["authority", "CN=old CA", "has expired"])
        case .name:
            identity = try authority.issue(good).identity
            client.allowedNames = ["tikv", "pd"]
            (reason, words) = (.nameNotAllowed, ["\"server\"", "pd, tikv"])
        case .wildcardTooDeep:
            (identity, host) = (try authority.issue(good).identity, "a.b.pod.tikv.test")
            (reason, words) = (.nameMismatch, ["*.pod.tikv.test"])
        }
        let pair = try self.pair(client, TLSConfiguration(identity: identity), host: host)
        pair.connect()
        let error = try #require(pair.clientError)
        #expect(error.reason == reason, "\(error)")
        for word in words { #expect(error.message.contains(word), "\(error)") }
        #expect(!pair.clientDone && pair.clientAgreement == nil)
        // The server is told why.
        #expect(pair.serverError?.reason == .certificateRejected, "\(String(describing: pair.serverError))")
    }

    enum WrongClient: CaseIterable {
        case none, otherAuthority, expired, notYetValid, name
    }

    @Test(arguments: WrongClient.allCases, TLSConfiguration.Version.allCases)
    func aWrongClientCertificateIsRefusedAndTheClientLearnsIt(
        wrong: WrongClient, version: TLSConfiguration.Version
    ) throws {
        let support = self.support
        let identity: TLSConfiguration.Identity?
        let serverReason: TLSError.Reason
        var clientReason = TLSError.Reason.certificateRejected
        switch wrong {
        case .none:
            (identity, serverReason, clientReason) = (nil, .certificateMissing, .certificateRequired)
        case .otherAuthority:
            identity = try CertificateAuthority("other CA").issue(.init("client")).identity
            serverReason = .certificateNotTrusted
        case .expired:
            (identity, serverReason) = (try support.identity(validFrom: -90, validUntil: -30), .certificateExpired)
        case .notYetValid:
            identity = try support.identity(validFrom: 3_600, validUntil: 7_200)
            serverReason = .certificateNotYetValid
        case .name:
            (identity, serverReason) = (try support.identity("mallory"), .nameNotAllowed)
        }
        let pair = try self.pair(
            support.client {
                $0.identity = identity
                $0.maximumVersion = version
            },
            support.server {
                $0.requireClientCertificate = true
                $0.allowedNames = ["client"]
            })
        pair.connect()
        #expect(pair.serverError?.reason == serverReason, "\(String(describing: pair.serverError))")
        #expect(pair.clientError?.reason == clientReason, "\(String(describing: pair.clientError))")
        #expect(!pair.serverDone)
        // With TLS 1.3 the client's handshake ends before the server has seen the certificate.
        #expect(pair.clientDone == (version == .tls13))
    }

    // MARK: - Versions and protocols

    /// A ClientHello as an old client sends it.
    static func clientHello(version: UInt8, alpn: Bool) -> ByteBuffer {
        var body: [UInt8] = [0x03, version] + [UInt8](repeating: 7, count: 32) + [0]
        body += [0, 4, 0xc0, 0x2b, 0xc0, 0x09, 1, 0]
        // Curve P-256, its point format and ECDSA with SHA-256, which the test's certificate needs.
        var extensions: [UInt8] = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3]
        if alpn { extensions += [0, 16, 0, 5, 0, 3, 2, 0x68, 0x32] }
        body += [0, UInt8(extensions.count)] + extensions
        let message: [UInt8] = [1, 0, 0, UInt8(body.count)] + body
        return ByteBuffer(bytes: [0x16, 0x03, 0x01, 0, UInt8(message.count)] + message)
    }

    static func bytes(_ bytes: ByteBuffer?) -> [UInt8] {
        Array(bytes?.readableBytesView ?? ByteBuffer().readableBytesView)
    }

    @Test func aClientOfTLS11IsRefused() throws {
        var server = try TLSSession(server: TLSContext(self.support.server(), .server))
        try server.start()
        var plaintext = ByteBuffer()
        var failure: TLSError?
        do throws(TLSError) {
            _ = try server.receive(Self.clientHello(version: 2, alpn: true), into: &plaintext)
        } catch {
            failure = error
        }
        #expect(failure?.reason == .version)
        // Fatal: protocol_version.
        let answer = Self.bytes(server.takeOutput())
        #expect(answer.suffix(2) == [2, 70])
    }

    @Test func theSameHelloWithTLS12IsAnswered() throws {
        var server = try TLSSession(server: TLSContext(self.support.server(), .server))
        try server.start()
        var plaintext = ByteBuffer()
        _ = try server.receive(Self.clientHello(version: 3, alpn: true), into: &plaintext)
        // A handshake record that begins with a ServerHello.
        let answer = Self.bytes(server.takeOutput())
        #expect(answer.first == 0x16 && answer[5] == 2)
    }

    @Test func aServerOfTLS11IsRefused() throws {
        var client = try TLSSession(client: TLSContext(self.support.client(), .client), host: "localhost", port: 1)
        try client.start()
        _ = client.takeOutput()
        let body: [UInt8] = [0x03, 0x02] + [UInt8](repeating: 7, count: 32) + [0, 0xc0, 0x09, 0]
        let message: [UInt8] = [2, 0, 0, UInt8(body.count)] + body
        let record: [UInt8] = [0x16, 0x03, 0x02, 0, UInt8(message.count)] + message
        var plaintext = ByteBuffer()
        var failure: TLSError?
        do throws(TLSError) {
            _ = try client.receive(ByteBuffer(bytes: record), into: &plaintext)
        } catch {
            failure = error
        }
        #expect(failure?.reason == .version)
    }

    @Test func versionsThatDoNotMeetAreRefusedOnBothSides() throws {
        let pair = try self.pair(
            self.support.client { $0.maximumVersion = .tls12 }, self.support.server { $0.minimumVersion = .tls13 })
        pair.connect()
        #expect(pair.serverError?.reason == .version)
        #expect(pair.clientError?.reason == .version)
    }

    @Test func aClientWithoutALPNIsRefused() throws {
        var server = try TLSSession(server: TLSContext(self.support.server(), .server))
        try server.start()
        var plaintext = ByteBuffer()
        var failure: TLSError?
        do throws(TLSError) {
            _ = try server.receive(Self.clientHello(version: 3, alpn: false), into: &plaintext)
        } catch {
            failure = error
        }
        #expect(failure?.reason == .applicationProtocol)
        // Fatal: no_application_protocol.
        let answer = Self.bytes(server.takeOutput())
        #expect(answer.suffix(2) == [2, 120])
    }

    @Test func aPeerThatSpeaksAnotherProtocolIsRefused() throws {
        let pair = try self.pair(
            self.support.client { $0.applicationProtocol = "http/1.1" }, self.support.server())
        pair.connect()
        #expect(pair.serverError?.reason == .applicationProtocol)
        #expect(pair.clientError?.reason == .applicationProtocol)
    }

    // MARK: - Resumption

    @Test(arguments: TLSConfiguration.Version.allCases)
    func aSecondConnectionResumesTheSessionOfTheFirst(version: TLSConfiguration.Version) throws {
        let client = try TLSContext(
            self.support.client {
                $0.maximumVersion = version
                $0.identity = try self.support.identity()
            }, .client)
        let server = try TLSContext(self.support.server { $0.requireClientCertificate = true }, .server)
        for round in 0..<4 {
            let pair = try TLSPair(client, server)
            pair.connect()
            #expect(try pair.canTalk())
            #expect(pair.clientAgreement?.isResumed == (round > 0))
            #expect(pair.serverAgreement?.isResumed == (round > 0))
            // Both still know who the other is.
            #expect(pair.serverAgreement?.peerCertificate?.commonName == "client")
            #expect(pair.clientAgreement?.peerCertificate?.commonName == "server")
        }
        #expect(server.counts == TLSContext.Counts(full: 1, resumed: 3))
        #expect(client.counts == TLSContext.Counts(full: 1, resumed: 3))
    }

    @Test func aSessionIsNotResumedForAnotherName() throws {
        let client = try TLSContext(self.support.client(), .client)
        let server = try TLSContext(self.support.server(), .server)
        let first = try TLSPair(client, server)
        first.connect()
        let other = try TLSPair(client, server, host: "store.tikv.test")
        other.connect()
        #expect(other.clientAgreement?.isResumed == false)
        // A name that the certificate does not have is refused for all that is known of the server.
        let wrong = try TLSPair(client, server, host: "other.test")
        wrong.connect()
        #expect(wrong.clientError?.reason == .nameMismatch)
    }

    @Test func aServerThatForgotItsKeysGetsAFullHandshake() throws {
        let client = try TLSContext(self.support.client(), .client)
        let configuration = try self.support.server()
        let first = try TLSPair(client, TLSContext(configuration, .server))
        first.connect()
        let second = try TLSPair(client, TLSContext(configuration, .server))
        second.connect()
        #expect(try second.canTalk())
        #expect(second.clientAgreement?.isResumed == false)
    }

    @Test func theTicketStoreIsBounded() throws {
        let client = try TLSContext(self.support.client(), .client)
        let server = try TLSContext(self.support.server(), .server)
        let pair = try TLSPair(client, server)
        pair.connect()
        let key = TLSTicketStore.Key(name: .dns("localhost"), port: 1)
        let ticket = try #require(client.takeTicket(for: key))
        #expect(ticket.isForOneUse)
        var store = TLSTicketStore(peerLimit: 3)
        for port in 0..<10 {
            for _ in 0..<10 { store.put(ticket, for: .init(name: .dns("localhost"), port: port)) }
        }
        #expect(store.peerCount == 3)
        #expect(store.take(for: .init(name: .dns("localhost"), port: 6)) == nil)
        for _ in 0..<4 { #expect(store.take(for: .init(name: .dns("localhost"), port: 9)) != nil) }
        #expect(store.take(for: .init(name: .dns("localhost"), port: 9)) == nil)
        store.forget(.init(name: .dns("localhost"), port: 8))
        #expect(store.take(for: .init(name: .dns("localhost"), port: 8)) == nil)
    }

    @Test func aCertificateThatExpiredSinceIsNotResumed() {
        let verification = TLSVerification(peerName: nil, allowedNames: ["a"])
        var certificate = TLSCertificateInfo()
        certificate.commonName = "a"
        #expect(verification.errorOnResumption(certificate)?.reason == .certificateExpired)
        certificate.isInValidityPeriod = true
        #expect(verification.errorOnResumption(certificate) == nil)
        certificate.commonName = "b"
        #expect(verification.errorOnResumption(certificate)?.reason == .nameNotAllowed)
    }

    // MARK: - Bytes that are not TLS

    @Test(arguments: [
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 client's preface"), ("GET / HTTP/1.1\r\n\r\n", "HTTP/1 request"),
        ("\u{0}", "plaintext"), ("\u{16}\u{7}", "plaintext"),
    ])
    func aServerKnowsPlaintextAtItsFirstBytes(text: String, words: String) throws {
        var server = try TLSSession(server: TLSContext(self.support.server(), .server))
        try server.start()
        var plaintext = ByteBuffer()
        var failure: TLSError?
        do throws(TLSError) {
            _ = try server.receive(ByteBuffer(string: text), into: &plaintext)
        } catch {
            failure = error
        }
        #expect(failure?.reason == .notTLS)
        #expect(failure?.message.contains(words) == true)
        // The answer is one that a plaintext client of ours recognizes.
        let output = server.takeOutput()
        let answer = try #require(output)
        #expect(TLSRecord.looksLikeTLS(answer))
    }

    @Test func aClientKnowsAPlaintextServer() throws {
        let cases: [([UInt8], String)] = [
            ([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100], "HTTP/2 in plaintext"),
            (Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), "HTTP/1 response"),
        ]
        for (bytes, words) in cases {
            var client = try TLSSession(client: TLSContext(self.support.client(), .client), host: "localhost", port: 1)
            try client.start()
            var plaintext = ByteBuffer()
            var failure: TLSError?
            do throws(TLSError) {
                _ = try client.receive(ByteBuffer(bytes: bytes), into: &plaintext)
            } catch {
                failure = error
            }
            #expect(failure?.reason == .notTLS)
            #expect(failure?.message.contains(words) == true)
        }
    }

    @Test(
        arguments: [
            ([0x15, 0x03, 0x03, 0, 2, 2, 40], true), ([0x16, 0x03, 0x01], true), ([0x15, 0x03], false), ([], false),
            ([0, 0, 0x15, 0x03, 0x03], false), ([0x15, 0x03, 0x09, 0, 2], false),
        ] as [([UInt8], Bool)])
    func aPlaintextClientKnowsTLSWhenItSeesIt(bytes: [UInt8], isTLS: Bool) {
        #expect(TLSRecord.looksLikeTLS(ByteBuffer(bytes: bytes)) == isTLS)
    }

    /// A recorded exchange with bytes flipped, cut or doubled: whatever a peer sends may end its session, never the
    /// process, and nothing that was damaged comes out as plaintext.
    @Test func damagedBytesNeverTrap() throws {
        var random = SeededRandom(seed: 20_261_123)
        let client = try TLSContext(
            self.support.client { $0.identity = try self.support.identity() }, .client)
        let server = try TLSContext(self.support.server { $0.requireClientCertificate = true }, .server)
        let secret = [UInt8](repeating: 9, count: 400)
        var failed = 0
        for _ in 0..<150 {
            let pair = try TLSPair(client, server)
            try pair.start()
            // Which of the flights is damaged.
            var countdown = Int.random(in: 0..<6, using: &random)
            func damage(_ buffer: ByteBuffer) -> ByteBuffer {
                defer { countdown -= 1 }
                guard countdown == 0 else { return buffer }
                var bytes = Array(buffer.readableBytesView)
                for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
                    let index = Int.random(in: 0..<bytes.count, using: &random)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                    case 1: bytes.removeSubrange(index..<min(index + 9, bytes.count))
                    case 2: bytes.insert(contentsOf: bytes[..<min(index, 30)], at: index)
                    default: bytes[index] ^= 1
                    }
                }
                return ByteBuffer(bytes: bytes)
            }
            for _ in 0..<6 {
                if let bytes = pair.clientOutput { pair.toServer(damage(bytes)) }
                if let bytes = pair.serverOutput { pair.toClient(damage(bytes)) }
                try pair.clientWrites(secret)
            }
            if pair.clientError != nil || pair.serverError != nil { failed += 1 }
            #expect(pair.serverReceived.allSatisfy { $0 == 9 })
        }
        #expect(failed > 75)
    }

    @Test func noiseNeverTraps() throws {
        var random = SeededRandom(seed: 7)
        let client = try TLSContext(self.support.client(), .client)
        let server = try TLSContext(self.support.server(), .server)
        for round in 0..<100 {
            let pair = try TLSPair(client, server)
            try pair.start()
            // Half of it looks like a record at first.
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...300, using: &random) { bytes.append(.random(in: 0...255, using: &random)) }
            if round % 2 == 0 { bytes = [0x16, 3, 3, 0, UInt8(min(bytes.count, 255))] + bytes }
            pair.toServer(ByteBuffer(bytes: bytes))
            pair.toClient(ByteBuffer(bytes: bytes))
            #expect(!pair.clientDone && !pair.serverDone)
            #expect(pair.clientReceived.isEmpty && pair.serverReceived.isEmpty)
        }
    }
}
