// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL

/// The owner of one certificate in memory.
///
/// `@unchecked Sendable`: nothing changes a certificate once it is read or signed, and OpenSSL counts references and
/// fills its caches under locks of its own.
@safe final class TLSCertificate: @unchecked Sendable {
    /// Valid as long as this object.
    @unsafe let pointer: OpaquePointer

    /// Takes over the reference that the caller has.
    @unsafe init(owning pointer: OpaquePointer) {
        unsafe self.pointer = pointer
    }

    deinit {
        unsafe X509_free(self.pointer)
    }

    var info: TLSCertificateInfo { unsafe TLSCertificateInfo(self.pointer) }

    /// All certificates in a PEM text, in their order; what stands between them is passed over.
    ///
    /// - Parameter origin: where the text is from, for the error.
    static func readAll(pem: [UInt8], from origin: String) throws(TLSError) -> [TLSCertificate] {
        TLSErrorQueue.clear()
        guard let reader = TLSMemoryReader(pem) else { throw TLSMemoryReader.outOfMemory }
        var certificates: [TLSCertificate] = []
        while let pointer = unsafe PEM_read_bio_X509(reader.bio, nil, TLSMemoryReader.noPassword, nil) {
            certificates.append(unsafe TLSCertificate(owning: pointer))
        }
        // The text always ends with this error, which says that no further certificate begins.
        let failure = TLSErrorQueue.take().last
        guard failure?.library == ERR_LIB_PEM, failure?.reason == PEM_R_NO_START_LINE else {
            throw TLSError(
                .configuration, "certificate \(certificates.count + 1) in \(origin) is broken: \(failure?.text ?? "?")")
        }
        guard !certificates.isEmpty else {
            throw TLSError(.configuration, "there is no certificate in \(origin)")
        }
        return certificates
    }
}

/// The owner of one private key in memory.
///
/// `@unchecked Sendable`: as for certificates.
@safe final class TLSPrivateKey: @unchecked Sendable {
    /// Valid as long as this object.
    @unsafe let pointer: OpaquePointer

    /// Takes over the reference that the caller has.
    @unsafe init(owning pointer: OpaquePointer) {
        unsafe self.pointer = pointer
    }

    deinit {
        unsafe EVP_PKEY_free(self.pointer)
    }

    static func read(pem: [UInt8], from origin: String) throws(TLSError) -> TLSPrivateKey {
        TLSErrorQueue.clear()
        guard let reader = TLSMemoryReader(pem) else { throw TLSMemoryReader.outOfMemory }
        guard let pointer = unsafe PEM_read_bio_PrivateKey(reader.bio, nil, TLSMemoryReader.noPassword, nil) else {
            let failures = TLSErrorQueue.take()
            let encrypted = failures.contains { $0.library == ERR_LIB_PEM && $0.reason == PEM_R_BAD_PASSWORD_READ }
            if encrypted {
                throw TLSError(.configuration, "the private key in \(origin) is encrypted; only plain ones can be read")
            }
            throw TLSError(
                .configuration, "there is no private key to be read in \(origin): \(failures.first?.text ?? "?")")
        }
        return unsafe TLSPrivateKey(owning: pointer)
    }
}

/// Bytes in the form in which OpenSSL's PEM functions read them.
@safe struct TLSMemoryReader: ~Copyable {
    @unsafe let bio: OpaquePointer

    static var outOfMemory: TLSError { TLSError(.internalError, "out of memory") }

    /// Without this, OpenSSL asks for the password of an encrypted key on the terminal.
    static let noPassword:
        @convention(c) (
            UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?
        ) -> Int32 = { _, _, _, _ in -1 }

    init?(_ bytes: [UInt8]) {
        // BIO_s_mem, which copies, rather than BIO_new_mem_buf, which would point into the array.
        guard let bio = unsafe BIO_new(BIO_s_mem()) else { return nil }
        let written = unsafe bytes.withUnsafeBytes { unsafe BIO_write(bio, $0.baseAddress, Int32(clamping: $0.count)) }
        guard written == bytes.count || bytes.isEmpty else {
            unsafe BIO_free(bio)
            return nil
        }
        unsafe self.bio = bio
    }

    deinit {
        unsafe BIO_free(self.bio)
    }
}
