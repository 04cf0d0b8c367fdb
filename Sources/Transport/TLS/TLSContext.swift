// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL
internal import Synchronization

/// Certificates, keys, trust roots and rules in OpenSSL's form, shared by all connections that were made with them.
///
/// `@unchecked Sendable`: the `SSL_CTX` is set up before anyone else sees it and only read from then on, which OpenSSL
/// allows from any thread; what changes later is behind the lock.
@safe package final class TLSContext: @unchecked Sendable {
    /// Handshakes that were done with this context.
    package struct Counts: Sendable, Equatable {
        package var full = 0
        package var resumed = 0
    }

    private struct State {
        var counts = Counts()
        var tickets = TLSTicketStore()
    }

    let role: TLSRole
    let configuration: TLSConfiguration
    @unsafe private let context: OpaquePointer
    private let state = Mutex(State())

    /// - Throws: `configuration`, with the file or setting that is wrong.
    package init(_ configuration: TLSConfiguration, _ role: TLSRole) throws(TLSError) {
        try Self.check(configuration, role)
        TLSErrorQueue.clear()
        let method = unsafe role == .client ? TLS_client_method() : TLS_server_method()
        guard let context = unsafe SSL_CTX_new(method) else {
            throw TLSError(.internalError, "OpenSSL: \(TLSErrorQueue.takeText())")
        }
        // From here on deinit frees it, whatever is thrown.
        unsafe self.context = context
        self.role = role
        self.configuration = configuration
        try self.setProtocol()
        try self.setTrust()
        try self.setIdentity()
        try self.setCallbacks()
    }

    deinit {
        unsafe SSL_CTX_free(self.context)
    }

    package var counts: Counts { self.state.withLock { $0.counts } }

    // MARK: - For sessions

    /// Nil where OpenSSL has no memory for it.
    @unsafe func makeSession() -> OpaquePointer? {
        TLSErrorQueue.clear()
        return unsafe SSL_new(self.context)
    }

    func handshakeDone(resumed: Bool) {
        self.state.withLock { state in
            if resumed { state.counts.resumed += 1 } else { state.counts.full += 1 }
        }
    }

    func keep(_ tickets: [TLSTicket], for key: TLSTicketStore.Key) {
        self.state.withLock { state in
            for ticket in tickets where ticket.isResumable { state.tickets.put(ticket, for: key) }
        }
    }

    func takeTicket(for key: TLSTicketStore.Key) -> TLSTicket? {
        self.state.withLock { $0.tickets.take(for: key) }
    }

    func forgetTickets(for key: TLSTicketStore.Key) {
        self.state.withLock { $0.tickets.forget(key) }
    }

    // MARK: - Setting up

    /// Settings that contradict each other are refused rather than weakened in silence.
    private static func check(_ configuration: TLSConfiguration, _ role: TLSRole) throws(TLSError) {
        for name in configuration.protocols where !(1...255).contains(name.utf8.count) {
            throw TLSError(.configuration, "\"\(name)\" is no name of a protocol")
        }
        guard configuration.minimumVersion == .tls12 || configuration.maximumVersion != .tls12 else {
            throw TLSError(.configuration, "the oldest TLS version is newer than the newest")
        }
        switch role {
        case .client:
            guard configuration.allowedNames.isEmpty || configuration.verification != .none else {
                throw TLSError(.configuration, "allowed names can't be enforced where verification is off")
            }
            guard !configuration.requireClientCertificate else {
                throw TLSError(.configuration, "only a server can require client certificates")
            }
        case .server:
            guard configuration.identity != nil else {
                throw TLSError(.configuration, "a server needs a certificate and its private key")
            }
            guard configuration.allowedNames.isEmpty || configuration.requireClientCertificate else {
                throw TLSError(.configuration, "allowed names can't be enforced without requiring client certificates")
            }
        }
    }

    private func setProtocol() throws(TLSError) {
        // 0 is the newest that there is.
        let minimum = Self.number(self.configuration.minimumVersion)
        let maximum = self.configuration.maximumVersion.map { Self.number($0) } ?? 0
        // Of TLS 1.2's ciphers, those that HTTP/2 allows: forward secret and authenticated (RFC 7540, 9.2.2).
        let ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20"
        guard unsafe tikv_SSL_CTX_set_min_proto_version(self.context, minimum) == 1,
            unsafe tikv_SSL_CTX_set_max_proto_version(self.context, maximum) == 1,
            unsafe SSL_CTX_set_cipher_list(self.context, ciphers) == 1
        else { throw TLSError(.configuration, "OpenSSL: \(TLSErrorQueue.takeText())") }
        unsafe tikv_SSL_CTX_set_safe_options(self.context)
    }

    private static func number(_ version: TLSConfiguration.Version) -> Int32 {
        switch version {
        case .tls12: TLS1_2_VERSION
        case .tls13: TLS1_3_VERSION
        }
    }

    private func setTrust() throws(TLSError) {
        let isNeeded =
            switch self.role {
            case .client: self.configuration.verification != .none
            case .server: self.configuration.requireClientCertificate
            }
        guard isNeeded else { return }
        TLSErrorQueue.clear()
        switch self.configuration.trustRoots {
        case .systemDefault:
            guard unsafe SSL_CTX_set_default_verify_paths(self.context) == 1 else {
                throw TLSError(.configuration, "the system's trust roots can't be used: \(TLSErrorQueue.takeText())")
            }
        case .pem(let pem):
            let roots = try TLSCertificate.readAll(pem: Self.bytes(pem), from: "\(pem)")
            let store = unsafe SSL_CTX_get_cert_store(self.context)
            for root in roots {
                TLSErrorQueue.clear()
                guard unsafe X509_STORE_add_cert(store, root.pointer) == 1 else {
                    throw TLSError(
                        .configuration, "a certificate in \(pem) can't be a trust root: \(TLSErrorQueue.takeText())")
                }
                // Tells clients which of their certificates will do.
                if self.role == .server { _ = unsafe SSL_CTX_add_client_CA(self.context, root.pointer) }
            }
            // What was named as trusted is trusted, even where another authority signed it.
            _ = unsafe X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(self.context), UInt(X509_V_FLAG_PARTIAL_CHAIN))
        }
    }

    private func setIdentity() throws(TLSError) {
        guard let identity = self.configuration.identity else { return }
        let chain = try TLSCertificate.readAll(
            pem: Self.bytes(identity.certificateChain), from: "\(identity.certificateChain)")
        let key = try TLSPrivateKey.read(pem: Self.bytes(identity.privateKey), from: "\(identity.privateKey)")
        for (index, certificate) in chain.enumerated() {
            TLSErrorQueue.clear()
            let result =
                unsafe index == 0
                ? SSL_CTX_use_certificate(self.context, certificate.pointer)
                : tikv_SSL_CTX_add1_chain_cert(self.context, certificate.pointer)
            guard result == 1 else {
                throw TLSError(
                    .configuration,
                    "certificate \(index + 1) in \(identity.certificateChain) can't be used: \(TLSErrorQueue.takeText())"
                )
            }
        }
        TLSErrorQueue.clear()
        guard unsafe SSL_CTX_use_PrivateKey(self.context, key.pointer) == 1,
            unsafe SSL_CTX_check_private_key(self.context) == 1
        else {
            throw TLSError(
                .configuration,
                "the private key in \(identity.privateKey) does not belong to the certificate in "
                    + "\(identity.certificateChain): \(TLSErrorQueue.takeText())")
        }
    }

    private func setCallbacks() throws(TLSError) {
        TLSErrorQueue.clear()
        var isDone = true
        switch self.role {
        case .client:
            let mode = self.configuration.verification == .none ? SSL_VERIFY_NONE : SSL_VERIFY_PEER
            unsafe TLSCallbacks.installVerification(on: self.context, mode: mode)
            isDone = unsafe TLSCallbacks.installForClient(
                on: self.context, protocols: TLSCallbacks.list(self.configuration.protocols))
            // Tickets go to our own store, which knows which peer they are of.
            let cache = SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE
            unsafe tikv_SSL_CTX_set_session_cache_mode(self.context, Int(cache))
        case .server:
            let isRequired = self.configuration.requireClientCertificate
            let mode = isRequired ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE
            unsafe TLSCallbacks.installVerification(on: self.context, mode: mode)
            unsafe TLSCallbacks.installForServer(on: self.context)
            // Clients keep their session, sealed with a key of this context: there is nothing to store here, and none
            // of them outlives the rules under which it was made.
            unsafe tikv_SSL_CTX_set_session_cache_mode(self.context, Int(SSL_SESS_CACHE_OFF))
            isDone = unsafe SSL_CTX_set_session_id_context(self.context, Array("tikv".utf8), 4) == 1
        }
        guard isDone else { throw TLSError(.internalError, "OpenSSL: \(TLSErrorQueue.takeText())") }
    }

    private static func bytes(_ pem: TLSConfiguration.PEM) throws(TLSError) -> [UInt8] {
        switch pem {
        case .file(let path): try TLSFile.read(path)
        case .bytes(let bytes): bytes
        }
    }
}
