// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL
package import NIOCore

/// The one owner of an OpenSSL session, in either role: bytes from the peer go in, plaintext and bytes for the peer
/// come out. It has no socket and no clock. Not thread-safe: it belongs to one event loop.
///
/// After each call, whether it threw or not, `takeOutput()` has what is to be sent: after an error that is the alert
/// which tells the peer. A session that has thrown takes and gives nothing more.
@safe package struct TLSSession: ~Copyable {
    /// What the peer's bytes brought about, besides plaintext.
    package struct Received: Sendable, Equatable {
        /// The handshake was done with these bytes: the peer is who it should be and speaks HTTP/2.
        package var isHandshakeDone = false
        /// The peer sends nothing more.
        package var isClosedByPeer = false
    }

    /// What was agreed on.
    package struct Agreement: Sendable, Equatable {
        /// "TLSv1.3"
        package var version: String
        package var cipher: String
        package var isResumed: Bool
        /// Nil where the peer showed no certificate.
        package var peerCertificate: TLSCertificateInfo?
    }

    private enum State: Equatable {
        case idle
        case handshaking
        case open
        /// The peer is done, or we are, or something failed.
        case closed
    }

    private let ssl: OpaquePointer
    private let tls: TLSContext
    private let context: TLSSessionContext
    private let ticketKey: TLSTicketStore.Key?
    private var state = State.idle
    /// Bytes of the peer's first record that were seen to be TLS: the first two tell.
    private var recognized = 0
    private var wroteCloseNotify = false
    private var hasReceivedPlaintext = false

    /// A client's session.
    ///
    /// - Parameters:
    ///   - host: as connected to; the certificate must be for it, unless the configuration names another.
    ///   - port: tells apart servers whose sessions can't be resumed with each other.
    package init(client tls: TLSContext, host: String, port: Int) throws(TLSError) {
        let name = TLSPeerName(tls.configuration.serverName ?? host)
        try self.init(tls, name, TLSTicketStore.Key(name: name, port: port))
    }

    /// A server's session.
    package init(server tls: TLSContext) throws(TLSError) {
        try self.init(tls, nil, nil)
    }

    private init(_ tls: TLSContext, _ name: TLSPeerName?, _ key: TLSTicketStore.Key?) throws(TLSError) {
        guard let ssl = unsafe tls.makeSession() else {
            throw TLSError(.internalError, "OpenSSL: \(TLSErrorQueue.takeText())")
        }
        let context = TLSSessionContext(
            TLSVerification(peerName: name, allowedNames: tls.configuration.allowedNames),
            protocols: TLSCallbacks.list(tls.configuration.protocols))
        guard unsafe TLSCallbacks.attach(context, to: ssl), let bio = unsafe TLSBufferBIO.make(context) else {
            unsafe SSL_free(ssl)
            throw TLSError(.internalError, "out of memory for a TLS session")
        }
        // One BIO for both directions; the session takes it over.
        unsafe SSL_set_bio(ssl, bio, bio)
        switch tls.role {
        case .client: unsafe SSL_set_connect_state(ssl)
        case .server: unsafe SSL_set_accept_state(ssl)
        }
        if let name, unsafe !Self.setName(name, on: ssl, verify: tls.configuration.verification == .full) {
            unsafe SSL_free(ssl)
            throw TLSError(.configuration, "\"\(name)\" is neither a host name nor an address")
        }
        unsafe self.ssl = ssl
        self.tls = tls
        self.context = context
        self.ticketKey = key
    }

    deinit {
        // Else OpenSSL takes a connection that merely broke for an attack, and makes its tickets useless.
        unsafe SSL_set_shutdown(self.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        unsafe SSL_free(self.ssl)
    }

    // MARK: - Bytes

    /// Begins the handshake: a client has something to send then.
    package mutating func start() throws(TLSError) {
        guard self.state == .idle else { return }
        self.state = .handshaking
        if let key = self.ticketKey, let ticket = self.tls.takeTicket(for: key) { unsafe ticket.offer(on: self.ssl) }
        guard self.tls.role == .client else { return }
        _ = try self.handshake()
    }

    /// Feeds bytes from the peer, in pieces of any size.
    ///
    /// - Parameter plaintext: is appended to; what was there before an error counts.
    package mutating func receive(
        _ input: ByteBuffer, into plaintext: inout ByteBuffer
    ) throws(TLSError) -> Received {
        var received = Received()
        guard self.state == .handshaking || self.state == .open else { return received }
        try self.recognize(input)
        if self.context.input.readableBytes == 0 {
            self.context.input = input
        } else {
            self.context.input.writeImmutableBuffer(input)
        }
        if self.state == .handshaking {
            guard try self.handshake() else { return received }
            received.isHandshakeDone = true
        }
        received.isClosedByPeer = try self.read(into: &plaintext)
        self.keepTickets()
        return received
    }

    /// Encrypts. Only between the handshake's end and `close()`; otherwise the bytes go nowhere.
    package mutating func write(_ plaintext: ByteBuffer) throws(TLSError) {
        guard self.state == .open, !self.wroteCloseNotify, plaintext.readableBytes > 0 else { return }
        // Each record of at most 16 KiB grows by a header and a tag.
        let records = plaintext.readableBytes / (16 << 10) + 1
        self.context.output.reserveCapacity(minimumWritableBytes: plaintext.readableBytes + records * 64)
        TLSErrorQueue.clear()
        var written = 0
        let result = unsafe plaintext.withUnsafeReadableBytes { bytes in
            unsafe SSL_write_ex(self.ssl, bytes.baseAddress, bytes.count, &written)
        }
        if result != 1 { throw self.failure(result) }
    }

    /// The peer hung up without TLS's own end. Returns what that means; nil where the session was at its end already.
    ///
    /// - Parameter cause: what broke the socket, where something did.
    package mutating func inputEnded(_ cause: String?) -> TLSError? {
        let before = self.state
        guard before == .handshaking || before == .open else { return nil }
        self.state = .closed
        let cause = cause.map { ": \($0)" } ?? ""
        // Servers built on gRPC's C core, TiKV among them, refuse a client's certificate without an alert: they just
        // hang up, with TLS 1.3 when this side's handshake is done.
        if self.context.isCertificateWanted, !self.hasReceivedPlaintext {
            guard self.tls.configuration.identity != nil else {
                return TLSError(
                    .certificateRequired,
                    "the peer demands a client certificate, none is configured, and it closed the connection\(cause)")
            }
            return TLSError(
                .certificateRejected,
                "the peer asked for this side's certificate and closed the connection when it had it; it seems not to "
                    + "accept it\(cause)")
        }
        if before == .handshaking {
            return TLSError(
                .handshakeBrokenOff,
                "the peer closed the connection during the TLS handshake (does it speak TLS?)\(cause)")
        }
        return TLSError(
            .truncated, "the peer closed the connection without ending the TLS session (no close_notify)\(cause)")
    }

    /// What is to be sent to the peer; nil where there is nothing.
    package mutating func takeOutput() -> ByteBuffer? {
        guard self.context.output.readableBytes > 0 else { return nil }
        let output = self.context.output
        self.context.output = ByteBuffer()
        return output
    }

    /// Tells the peer that nothing more will come (`close_notify`).
    package mutating func close() {
        guard self.state == .open, !self.wroteCloseNotify else { return }
        self.wroteCloseNotify = true
        TLSErrorQueue.clear()
        _ = unsafe SSL_shutdown(self.ssl)
    }

    // MARK: - State

    package var isOpen: Bool { self.state == .open }

    package var agreement: Agreement? {
        guard self.state == .open else { return nil }
        return Agreement(
            version: unsafe String(cString: SSL_get_version(self.ssl)),
            cipher: unsafe SSL_CIPHER_get_name(SSL_get_current_cipher(self.ssl)).map { unsafe String(cString: $0) }
                ?? "",
            isResumed: self.isResumed, peerCertificate: self.peerCertificate)
    }

    private var isResumed: Bool { unsafe SSL_session_reused(self.ssl) == 1 }

    private var peerCertificate: TLSCertificateInfo? {
        unsafe SSL_get0_peer_certificate(self.ssl).map { unsafe TLSCertificateInfo($0) }
    }

    // MARK: - Private

    /// Names the server that is wanted: to the server itself, and to the verification of its certificate.
    @unsafe private static func setName(_ name: TLSPeerName, on ssl: OpaquePointer, verify: Bool) -> Bool {
        TLSErrorQueue.clear()
        switch name {
        case .dns(let name):
            // No name, or one with a NUL in it, would be cut short and then verified as something else.
            guard !name.isEmpty, !name.utf8.contains(0),
                unsafe tikv_SSL_set_tlsext_host_name(ssl, name) == 1
            else { return false }
            guard verify else { return true }
            // Names stand among the alternative names. The subject's common name, where they stood long ago, is not
            // looked at: no certificate authority vouches for what is there.
            unsafe SSL_set_hostflags(
                ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS) | UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT))
            return unsafe SSL_set1_host(ssl, name) == 1
        case .address(let address):
            guard verify else { return true }
            return unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address) == 1
        }
    }

    /// Refuses at the first byte what is not TLS: OpenSSL would wait for five of them, and then speak of versions.
    private mutating func recognize(_ input: ByteBuffer) throws(TLSError) {
        guard self.recognized < 2 else { return }
        for byte in input.readableBytesView.prefix(2 - self.recognized) {
            guard TLSRecord.canBegin(with: byte, at: self.recognized) else {
                self.state = .closed
                if self.tls.role == .server { self.context.output.writeBytes(TLSRecord.refusal) }
                throw TLSError(.notTLS, "the peer does not speak TLS: it sent \(TLSRecord.describe(input))")
            }
            self.recognized += 1
        }
    }

    /// Goes on with the handshake. Returns whether it is done.
    private mutating func handshake() throws(TLSError) -> Bool {
        TLSErrorQueue.clear()
        let result = unsafe SSL_do_handshake(self.ssl)
        guard result == 1 else {
            switch unsafe SSL_get_error(self.ssl, result) {
            case SSL_ERROR_WANT_READ:
                return false
            case SSL_ERROR_ZERO_RETURN:
                self.state = .closed
                throw TLSError(.handshakeBrokenOff, "the peer closed the connection during the TLS handshake")
            default:
                throw self.failure(result)
            }
        }
        do {
            try self.checkPeer()
        } catch {
            // The handshake is done, so there is no alert left that would fit; it ends in order.
            TLSErrorQueue.clear()
            _ = unsafe SSL_shutdown(self.ssl)
            self.state = .closed
            throw error
        }
        self.state = .open
        self.tls.handshakeDone(resumed: self.isResumed)
        self.keepTickets()
        return true
    }

    /// What OpenSSL leaves to its user.
    private func checkPeer() throws(TLSError) {
        var selected: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        unsafe SSL_get0_alpn_selected(self.ssl, &selected, &count)
        let agreed = unsafe UnsafeBufferPointer(start: selected, count: Int(count))
        let wanted = self.tls.configuration.applicationProtocol
        let isWanted = self.tls.configuration.protocols.contains { unsafe agreed.elementsEqual($0.utf8) }
        guard isWanted else {
            throw TLSError(.applicationProtocol, "the peer did not agree to speak \(wanted) (ALPN)")
        }
        let isVerified =
            self.tls.role == .client
            ? self.tls.configuration.verification != .none : self.tls.configuration.requireClientCertificate
        guard isVerified else { return }
        guard let certificate = self.peerCertificate else {
            throw TLSError(.certificateMissing, "the peer shows no certificate")
        }
        let verdict = unsafe SSL_get_verify_result(self.ssl)
        guard verdict == Int(X509_V_OK) else {
            throw TLSError(
                .certificateInvalid,
                "the peer's certificate is not acceptable: \(unsafe String(cString: X509_verify_cert_error_string(verdict)))"
            )
        }
        if self.isResumed, let error = self.context.verification.errorOnResumption(certificate) { throw error }
    }

    /// Decrypts all that is there. Returns whether the peer has closed.
    private mutating func read(into plaintext: inout ByteBuffer) throws(TLSError) -> Bool {
        while true {
            let pending = Int(unsafe SSL_pending(self.ssl))
            guard self.context.input.readableBytes > 0 || pending > 0 else { return false }
            TLSErrorQueue.clear()
            var count = 0
            // What arrived bounds what comes out, but for a record that began earlier.
            let room = max(self.context.input.readableBytes, pending, 256)
            var result: Int32 = 0
            _ = unsafe plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { bytes in
                result = unsafe SSL_read_ex(self.ssl, bytes.baseAddress, bytes.count, &count)
                return result == 1 ? count : 0
            }
            if result == 1 {
                self.hasReceivedPlaintext = true
                continue
            }
            switch unsafe SSL_get_error(self.ssl, result) {
            case SSL_ERROR_WANT_READ:
                return false
            case SSL_ERROR_ZERO_RETURN:
                self.close()
                self.state = .closed
                return true
            default:
                throw self.failure(result)
            }
        }
    }

    private mutating func keepTickets() {
        guard !self.context.tickets.isEmpty, let key = self.ticketKey else { return }
        self.tls.keep(self.context.tickets, for: key)
        self.context.tickets = []
    }

    /// Ends the session for what is in the error queue.
    private mutating func failure(_ result: Int32) -> TLSError {
        let wasHandshaking = self.state == .handshaking
        self.state = .closed
        let entries = TLSErrorQueue.take()
        let error = TLSFailure(
            entries: entries, verification: self.context.verification, failure: self.context.failure,
            isHandshaking: wasHandshaking, hasOwnCertificate: self.tls.configuration.identity != nil,
            isCertificateWanted: self.context.isCertificateWanted, isProtocolMissing: self.context.isProtocolMissing
        ).error
        // Whatever was wrong with it, a session that failed is not tried again.
        if wasHandshaking, let key = self.ticketKey { self.tls.forgetTickets(for: key) }
        return error
    }
}
