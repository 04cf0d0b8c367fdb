// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL

/// Makes certificates for development and tests: an authority that lives as long as the process, so that an embedded
/// cluster can serve TLS without any file or tool.
///
/// Keys are on the curve P-256, and are never written anywhere by this type.
@safe package struct CertificateAuthority: Sendable {
    /// What one certificate is to say.
    package struct Request: Sendable {
        /// The subject's common name.
        package var commonName: String
        /// DNS names and IP addresses that it is for.
        package var names: [String]
        /// Seconds from now; negative for the past. Begins an hour ago, since clocks differ.
        package var validFrom: Int
        package var validUntil: Int

        package init(
            _ commonName: String, names: [String] = [], validFrom: Int = -3_600, validUntil: Int = 365 * 86_400
        ) {
            self.commonName = commonName
            self.names = names
            self.validFrom = validFrom
            self.validUntil = validUntil
        }
    }

    /// A certificate with its chain and its key, in PEM.
    package struct Issued: Sendable {
        /// The certificate, then those between it and the root; the root is not among them.
        package var chain: [UInt8]
        package var key: [UInt8]

        package var identity: TLSConfiguration.Identity {
            TLSConfiguration.Identity(certificateChain: .bytes(self.chain), privateKey: .bytes(self.key))
        }
    }

    private let certificate: TLSCertificate
    private let key: TLSPrivateKey
    /// Certificates between the root and what this authority signs, in PEM, the lowest first.
    private let intermediates: [UInt8]

    /// A root: it vouches for itself.
    package init(_ commonName: String = "TiKV development CA") throws(TLSError) {
        let key = try Self.makeKey()
        let request = Request(commonName, validUntil: 10 * 365 * 86_400)
        self.certificate = try Self.make(request, for: key, isAuthority: true, issuer: nil, signer: key)
        self.key = key
        self.intermediates = []
    }

    private init(_ certificate: TLSCertificate, _ key: TLSPrivateKey, _ intermediates: [UInt8]) {
        self.certificate = certificate
        self.key = key
        self.intermediates = intermediates
    }

    /// The authority's own certificate in PEM: what peers are to trust.
    package var pem: [UInt8] {
        get throws(TLSError) { try Self.pem(self.certificate) }
    }

    /// Trust in this authority alone.
    package var trustRoots: TLSConfiguration.TrustRoots {
        get throws(TLSError) { .pem(.bytes(try self.pem)) }
    }

    /// An authority that this one vouches for.
    package func intermediate(_ request: Request) throws(TLSError) -> CertificateAuthority {
        let key = try Self.makeKey()
        let made = try Self.make(request, for: key, isAuthority: true, issuer: self.certificate, signer: self.key)
        return CertificateAuthority(made, key, try Self.pem(made) + self.intermediates)
    }

    /// A certificate for a server, a client or both.
    package func issue(_ request: Request) throws(TLSError) -> Issued {
        let key = try Self.makeKey()
        let made = try Self.make(request, for: key, isAuthority: false, issuer: self.certificate, signer: self.key)
        return Issued(chain: try Self.pem(made) + self.intermediates, key: try Self.pem(key))
    }

    /// A certificate that nobody but itself vouches for.
    package static func selfSigned(_ request: Request) throws(TLSError) -> Issued {
        let key = try Self.makeKey()
        let made = try Self.make(request, for: key, isAuthority: false, issuer: nil, signer: key)
        return Issued(chain: try Self.pem(made), key: try Self.pem(key))
    }

    // MARK: - Private

    private static func failed(_ what: String) -> TLSError {
        TLSError(.internalError, "OpenSSL could not make \(what): \(TLSErrorQueue.takeText())")
    }

    private static func makeKey() throws(TLSError) -> TLSPrivateKey {
        TLSErrorQueue.clear()
        guard let maker = unsafe EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil) else { throw Self.failed("a key") }
        defer { unsafe EVP_PKEY_CTX_free(maker) }
        var key: OpaquePointer?
        guard unsafe EVP_PKEY_keygen_init(maker) == 1,
            unsafe EVP_PKEY_CTX_set_ec_paramgen_curve_nid(maker, NID_X9_62_prime256v1) == 1,
            unsafe EVP_PKEY_keygen(maker, &key) == 1, let key = unsafe key
        else { throw Self.failed("a key") }
        return unsafe TLSPrivateKey(owning: key)
    }

    private static func make(
        _ request: Request, for key: TLSPrivateKey, isAuthority: Bool, issuer: TLSCertificate?, signer: TLSPrivateKey
    ) throws(TLSError) -> TLSCertificate {
        TLSErrorQueue.clear()
        guard let pointer = unsafe X509_new() else { throw Self.failed("a certificate") }
        let certificate = unsafe TLSCertificate(owning: pointer)
        let authority = issuer ?? certificate
        let name = Array(request.commonName.utf8)
        // 2 stands for version 3. The serial number is random: some peers refuse two of one issuer that are alike.
        guard unsafe X509_set_version(pointer, 2) == 1,
            unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(pointer), UInt64.random(in: 1...UInt64(Int64.max)))
                == 1,
            unsafe X509_gmtime_adj(X509_getm_notBefore(pointer), request.validFrom) != nil,
            unsafe X509_gmtime_adj(X509_getm_notAfter(pointer), request.validUntil) != nil,
            unsafe X509_NAME_add_entry_by_NID(
                X509_get_subject_name(pointer), NID_commonName, V_ASN1_UTF8STRING, name, Int32(name.count), -1, 0) == 1,
            unsafe X509_set_issuer_name(pointer, X509_get_subject_name(authority.pointer)) == 1,
            unsafe X509_set_pubkey(pointer, key.pointer) == 1
        else { throw Self.failed("a certificate") }
        try Self.extend(certificate, by: authority, NID_subject_key_identifier, "hash")
        // The issuer's own identifier, which a certificate that signs itself has only by now.
        try Self.extend(certificate, by: authority, NID_authority_key_identifier, "keyid")
        if isAuthority {
            try Self.extend(certificate, by: authority, NID_basic_constraints, "critical,CA:TRUE")
            try Self.extend(certificate, by: authority, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature")
        } else {
            try Self.extend(certificate, by: authority, NID_basic_constraints, "critical,CA:FALSE")
            try Self.extend(certificate, by: authority, NID_key_usage, "critical,digitalSignature")
            try Self.extend(certificate, by: authority, NID_ext_key_usage, "serverAuth,clientAuth")
        }
        if !request.names.isEmpty {
            try Self.extend(certificate, by: authority, NID_subject_alt_name, try Self.alternativeNames(request.names))
        }
        TLSErrorQueue.clear()
        guard unsafe X509_sign(pointer, signer.pointer, EVP_sha256()) > 0 else { throw Self.failed("a signature") }
        return certificate
    }

    /// Names in the form of OpenSSL's configuration files, in which a comma would begin another field.
    private static func alternativeNames(_ names: [String]) throws(TLSError) -> String {
        var fields: [String] = []
        for name in names {
            guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: ",") }) else {
                throw TLSError(.configuration, "\"\(name)\" is no host name or address for a certificate")
            }
            switch TLSPeerName(name) {
            case .dns(let name): fields.append("DNS:\(name)")
            case .address(let address): fields.append("IP:\(address)")
            }
        }
        return fields.joined(separator: ",")
    }

    private static func extend(
        _ certificate: TLSCertificate, by issuer: TLSCertificate, _ type: Int32, _ value: String
    ) throws(TLSError) {
        TLSErrorQueue.clear()
        var context = unsafe X509V3_CTX()
        unsafe X509V3_set_ctx(&context, issuer.pointer, certificate.pointer, nil, nil, 0)
        guard let made = unsafe X509V3_EXT_conf_nid(nil, &context, type, value) else {
            throw Self.failed("a certificate with \(value)")
        }
        defer { unsafe X509_EXTENSION_free(made) }
        guard unsafe X509_add_ext(certificate.pointer, made, -1) == 1 else { throw Self.failed("a certificate") }
    }

    private static func pem(_ certificate: TLSCertificate) throws(TLSError) -> [UInt8] {
        try unsafe Self.text { bio in unsafe PEM_write_bio_X509(bio, certificate.pointer) }
    }

    private static func pem(_ key: TLSPrivateKey) throws(TLSError) -> [UInt8] {
        try unsafe Self.text { bio in unsafe PEM_write_bio_PKCS8PrivateKey(bio, key.pointer, nil, nil, 0, nil, nil) }
    }

    @unsafe private static func text(_ write: (OpaquePointer) -> Int32) throws(TLSError) -> [UInt8] {
        TLSErrorQueue.clear()
        guard let bio = unsafe BIO_new(BIO_s_mem()) else { throw Self.failed("PEM") }
        defer { unsafe BIO_free(bio) }
        guard unsafe write(bio) == 1 else { throw Self.failed("PEM") }
        var text: [UInt8] = []
        while true {
            let piece = unsafe [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                count = max(Int(unsafe BIO_read(bio, buffer.baseAddress, Int32(buffer.count))), 0)
            }
            if piece.isEmpty { return text }
            text += piece
        }
    }
}
