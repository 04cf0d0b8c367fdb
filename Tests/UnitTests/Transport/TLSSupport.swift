// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import Synchronization

@testable import TiKVTransport

/// Certificates made for one test, and the sides that use them.
struct TLSSupport: Sendable {
    let authority: CertificateAuthority

    init() throws {
        self.authority = try CertificateAuthority("test CA")
    }

    static let names = ["localhost", "store.tikv.test", "*.pod.tikv.test", "127.0.0.1", "::1"]

    func server(
        _ request: CertificateAuthority.Request = .init("server", names: TLSSupport.names),
        _ change: (inout TLSConfiguration) throws -> Void = { _ in }
    ) throws -> TLSConfiguration {
        var configuration = TLSConfiguration(
            trustRoots: try self.authority.trustRoots, identity: try self.authority.issue(request).identity)
        try change(&configuration)
        return configuration
    }

    func client(_ change: (inout TLSConfiguration) throws -> Void = { _ in }) throws -> TLSConfiguration {
        var configuration = TLSConfiguration(trustRoots: try self.authority.trustRoots)
        try change(&configuration)
        return configuration
    }

    func identity(
        _ commonName: String = "client", validFrom: Int = -60, validUntil: Int = 60
    ) throws
        -> TLSConfiguration.Identity
    {
        try self.authority.issue(.init(commonName, validFrom: validFrom, validUntil: validUntil)).identity
    }
}

/// Two TLS sessions that exchange bytes in memory: no socket, no clock.
final class TLSPair {
    private(set) var client: TLSSession
    private(set) var server: TLSSession
    var clientReceived: [UInt8] = []
    var serverReceived: [UInt8] = []
    var clientDone = false
    var serverDone = false
    var clientSawEnd = false
    var serverSawEnd = false
    var clientError: TLSError?
    var serverError: TLSError?

    init(_ client: TLSContext, _ server: TLSContext, host: String = "localhost") throws {
        self.client = try TLSSession(client: client, host: host, port: 1)
        self.server = try TLSSession(server: server)
    }

    var clientAgreement: TLSSession.Agreement? { self.client.agreement }
    var serverAgreement: TLSSession.Agreement? { self.server.agreement }
    var clientOutput: ByteBuffer? { self.client.takeOutput() }
    var serverOutput: ByteBuffer? { self.server.takeOutput() }

    func start() throws(TLSError) {
        try self.server.start()
        try self.client.start()
    }

    func clientWrites(_ bytes: [UInt8]) throws(TLSError) {
        if self.client.isOpen { try self.client.write(ByteBuffer(bytes: bytes)) }
    }

    func serverWrites(_ bytes: [UInt8]) throws(TLSError) {
        try self.server.write(ByteBuffer(bytes: bytes))
    }

    func clientCloses() { self.client.close() }

    /// Begins the handshake and carries it to its end, well or not.
    func connect(piece size: Int = .max) {
        do throws(TLSError) {
            try self.start()
        } catch {
            self.clientError = error
        }
        self.exchange(piece: size)
    }

    /// Carries bytes both ways until neither side has any, in pieces of at most `size` bytes.
    func exchange(piece size: Int = .max) {
        while true {
            var moved = false
            while var bytes = self.client.takeOutput() {
                moved = true
                while let piece = bytes.readSlice(length: min(size, bytes.readableBytes)), piece.readableBytes > 0 {
                    self.toServer(piece)
                }
            }
            while var bytes = self.server.takeOutput() {
                moved = true
                while let piece = bytes.readSlice(length: min(size, bytes.readableBytes)), piece.readableBytes > 0 {
                    self.toClient(piece)
                }
            }
            if !moved { return }
        }
    }

    func toServer(_ bytes: ByteBuffer) {
        var plaintext = ByteBuffer()
        do throws(TLSError) {
            let received = try self.server.receive(bytes, into: &plaintext)
            self.serverDone = self.serverDone || received.isHandshakeDone
            self.serverSawEnd = self.serverSawEnd || received.isClosedByPeer
        } catch {
            if self.serverError == nil { self.serverError = error }
        }
        self.serverReceived += plaintext.readableBytesView
    }

    func toClient(_ bytes: ByteBuffer) {
        var plaintext = ByteBuffer()
        do throws(TLSError) {
            let received = try self.client.receive(bytes, into: &plaintext)
            self.clientDone = self.clientDone || received.isHandshakeDone
            self.clientSawEnd = self.clientSawEnd || received.isClosedByPeer
        } catch {
            if self.clientError == nil { self.clientError = error }
        }
        self.clientReceived += plaintext.readableBytesView
    }

    /// Both sides can send to each other.
    func canTalk() throws -> Bool {
        let ping = Array("ping \(self.serverReceived.count)".utf8)
        let pong = Array("pong \(self.clientReceived.count)".utf8)
        try self.client.write(ByteBuffer(bytes: ping))
        try self.server.write(ByteBuffer(bytes: pong))
        self.exchange()
        return self.serverReceived.suffix(ping.count).elementsEqual(ping)
            && self.clientReceived.suffix(pong.count).elementsEqual(pong)
    }
}

/// Keeps what is logged, and lets a test wait for it.
final class RecordingLog: Sendable {
    private let lines = Mutex<[String]>([])
    private let stream = AsyncStream<String>.makeStream()

    var logger: Logger {
        Logger(label: "test") { _ in Handler(log: self) }
    }

    var all: [String] { self.lines.withLock { $0 } }

    /// The first line from here on, or already there, that has this text in it.
    func line(with text: String) async -> String? {
        for await line in self.stream.stream where line.contains(text) { return line }
        return nil
    }

    private func add(_ line: String) {
        self.lines.withLock { $0.append(line) }
        self.stream.continuation.yield(line)
    }

    private struct Handler: LogHandler {
        let log: RecordingLog
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace

        init(log: RecordingLog) { self.log = log }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            self.log.add("\(event.level) \(event.message) \(event.metadata ?? [:])")
        }
    }
}
