// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL

/// Decides what a failure inside OpenSSL means, from everything that is known of it.
struct TLSFailure {
    /// OpenSSL's errors, the first cause first.
    var entries: [TLSErrorQueue.Entry]
    var verification: TLSVerification
    /// What verification found wrong.
    var failure: TLSVerification.Failure?
    var isHandshaking: Bool
    var hasOwnCertificate: Bool
    var isCertificateWanted: Bool
    var isProtocolMissing: Bool

    var error: TLSError {
        if let alert = self.entries.compactMap(\.alert).first {
            return TLSAlert.error(
                alert, ownCertificate: self.hasOwnCertificate, certificateWanted: self.isCertificateWanted,
                isHandshaking: self.isHandshaking)
        }
        if self.isProtocolMissing {
            return TLSError(.applicationProtocol, "the peer does not say that it speaks HTTP/2 (no ALPN)")
        }
        for entry in self.entries where entry.library == ERR_LIB_SSL {
            if let error = self.error(for: entry) { return error }
        }
        let text = self.entries.isEmpty ? "no reason given" : self.entries.map(\.text).joined(separator: "; ")
        return TLSError(.protocolViolation, "the peer broke the protocol: \(text)")
    }

    private func error(for entry: TLSErrorQueue.Entry) -> TLSError? {
        switch entry.reason {
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            guard let failure = self.failure else { return nil }
            return self.verification.error(failure)
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return TLSError(.certificateMissing, "the peer shows no certificate, and one is required")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_WRONG_SSL_VERSION, SSL_R_VERSION_TOO_LOW, SSL_R_UNKNOWN_PROTOCOL,
            SSL_R_NO_PROTOCOLS_AVAILABLE:
            return TLSError(.version, "the peer speaks no version of TLS that is accepted here: \(entry.text)")
        case SSL_R_WRONG_VERSION_NUMBER where self.isHandshaking:
            return TLSError(.version, "the peer speaks no version of TLS that is accepted here: \(entry.text)")
        case SSL_R_NO_SHARED_CIPHER, SSL_R_WRONG_CIPHER_RETURNED:
            return TLSError(.cipher, "no cipher in common with the peer: \(entry.text)")
        case SSL_R_NO_APPLICATION_PROTOCOL:
            return TLSError(.applicationProtocol, "the peer offers other protocols only (ALPN)")
        default:
            return nil
        }
    }
}
