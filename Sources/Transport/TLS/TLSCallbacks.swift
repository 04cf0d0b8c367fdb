// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL

/// The C functions that OpenSSL calls during a handshake. Each finds its context behind the session.
@safe enum TLSCallbacks {
    /// The place of the context among a session's data; 0 is the one that OpenSSL leaves to applications.
    private static let place: Int32 = 0

    /// Names of protocols in ALPN's form.
    static func list(_ names: [String]) -> [UInt8] {
        names.flatMap { [UInt8(clamping: $0.utf8.count)] + $0.utf8 }
    }

    /// The context outlives the session: `TLSSession` holds both, and frees the session first.
    @unsafe static func attach(_ context: TLSSessionContext, to ssl: OpaquePointer) -> Bool {
        unsafe SSL_set_ex_data(ssl, Self.place, Unmanaged.passUnretained(context).toOpaque()) == 1
    }

    /// What both roles need.
    @unsafe static func installVerification(on context: OpaquePointer, mode: Int32) {
        unsafe SSL_CTX_set_verify(context, mode) { isGood, store in unsafe TLSCallbacks.verified(isGood, store) }
    }

    @unsafe static func installForClient(on context: OpaquePointer, protocols: [UInt8]) -> Bool {
        // Asked for when the server wants a certificate; which one it gets was settled with the context.
        unsafe SSL_CTX_set_cert_cb(
            context,
            { ssl, _ in
                unsafe TLSCallbacks.context(ssl)?.isCertificateWanted = true
                return 1
            }, nil)
        unsafe SSL_CTX_sess_set_new_cb(context) { ssl, session in
            guard let session = unsafe session, let context = unsafe TLSCallbacks.context(ssl) else { return 0 }
            // 1 says that we keep the reference that came with it.
            context.tickets.append(unsafe TLSTicket(owning: session))
            return 1
        }
        return unsafe SSL_CTX_set_alpn_protos(context, protocols, UInt32(protocols.count)) == 0
    }

    @unsafe static func installForServer(on context: OpaquePointer) {
        unsafe SSL_CTX_set_client_hello_cb(
            context,
            { ssl, alert, _ in
                var start: UnsafePointer<UInt8>?
                var count = 0
                let found = unsafe SSL_client_hello_get0_ext(
                    ssl, UInt32(TLSEXT_TYPE_application_layer_protocol_negotiation), &start, &count)
                if found == 1 { return SSL_CLIENT_HELLO_SUCCESS }
                unsafe TLSCallbacks.context(ssl)?.isProtocolMissing = true
                unsafe alert?.pointee = TLS1_AD_NO_APPLICATION_PROTOCOL
                return SSL_CLIENT_HELLO_ERROR
            }, nil)
        unsafe SSL_CTX_set_alpn_select_cb(
            context,
            { ssl, chosen, chosenCount, offered, offeredCount, _ in
                guard let wanted = unsafe TLSCallbacks.context(ssl)?.protocols else {
                    return SSL_TLSEXT_ERR_ALERT_FATAL
                }
                return unsafe TLSCallbacks.choose(
                    wanted, from: UnsafeBufferPointer(start: offered, count: Int(offeredCount)), chosen, chosenCount)
            }, nil)
    }

    // MARK: - Private

    @unsafe private static func context(_ ssl: OpaquePointer?) -> TLSSessionContext? {
        guard let data = unsafe SSL_get_ex_data(ssl, Self.place) else { return nil }
        return unsafe Unmanaged<TLSSessionContext>.fromOpaque(data).takeUnretainedValue()
    }

    /// Called for each certificate of the peer's chain, and for each thing that is wrong with one.
    @unsafe private static func verified(_ isGood: Int32, _ store: OpaquePointer?) -> Int32 {
        let index = SSL_get_ex_data_X509_STORE_CTX_idx()
        guard let ssl = unsafe X509_STORE_CTX_get_ex_data(store, index),
            let context = unsafe Self.context(OpaquePointer(ssl))
        else { return 0 }
        let depth = unsafe X509_STORE_CTX_get_error_depth(store)
        let certificate = unsafe X509_STORE_CTX_get_current_cert(store)
        if isGood != 1 {
            let code = unsafe X509_STORE_CTX_get_error(store)
            if context.failure == nil {
                context.failure = TLSVerification.Failure(
                    code: code, depth: depth,
                    certificate: unsafe certificate.map { unsafe TLSCertificateInfo($0) } ?? TLSCertificateInfo(),
                    text: unsafe String(cString: X509_verify_cert_error_string(Int(code))))
            }
            return 0
        }
        guard depth == 0, !context.verification.allowedNames.isEmpty, let certificate = unsafe certificate else {
            return 1
        }
        let info = unsafe TLSCertificateInfo(certificate)
        guard !context.verification.allows(commonName: info.commonName) else { return 1 }
        context.failure = TLSVerification.Failure(
            code: X509_V_ERR_APPLICATION_VERIFICATION, depth: 0, certificate: info, text: "name is not allowed")
        // Of what OpenSSL can say about it to the peer, this comes out as a bad certificate.
        unsafe X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED)
        return 0
    }

    /// Picks the first of ours that is on the client's list.
    @unsafe private static func choose(
        _ wanted: [UInt8], from offered: UnsafeBufferPointer<UInt8>,
        _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, _ chosenCount: UnsafeMutablePointer<UInt8>?
    ) -> Int32 {
        var rest = wanted[...]
        while let count = rest.first, rest.count > Int(count) {
            let name = rest.prefix(1 + Int(count))
            rest = rest.dropFirst(1 + Int(count))
            if unsafe Self.find(name, in: offered, chosen, chosenCount) { return SSL_TLSEXT_ERR_OK }
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }

    @unsafe private static func find(
        _ wanted: ArraySlice<UInt8>, in offered: UnsafeBufferPointer<UInt8>,
        _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, _ chosenCount: UnsafeMutablePointer<UInt8>?
    ) -> Bool {
        var index = 0
        while index < offered.count {
            let count = Int(unsafe offered[index])
            let name = index + 1
            guard name + count <= offered.count else { break }
            if unsafe offered[index..<name + count].elementsEqual(wanted), let start = offered.baseAddress {
                unsafe chosen?.pointee = start + name
                unsafe chosenCount?.pointee = UInt8(count)
                return true
            }
            index = name + count
        }
        return false
    }
}
