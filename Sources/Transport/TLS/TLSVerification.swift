// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL

/// Puts OpenSSL's verdict on a certificate into an error that says what is wrong with which certificate.
struct TLSVerification: Equatable {
    /// The first thing that OpenSSL found wrong.
    struct Failure: Equatable {
        /// `X509_V_ERR_…`
        var code: Int32
        /// 0 is the peer's own certificate, 1 the one above it.
        var depth: Int32
        var certificate: TLSCertificateInfo
        /// OpenSSL's own words.
        var text: String
    }

    var peerName: TLSPeerName?
    var allowedNames: Set<String>

    /// Whether the common name is one of those that are allowed, or nothing is asked of it.
    func allows(commonName: String?) -> Bool {
        self.allowedNames.isEmpty || commonName.map { self.allowedNames.contains($0) } ?? false
    }

    func error(_ failure: Failure) -> TLSError {
        let certificate = failure.certificate
        let which =
            failure.depth == 0
            ? "the peer's certificate (\(certificate.subject))"
            : "the certificate authority \(certificate.subject) in the peer's chain"
        switch failure.code {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return TLSError(.certificateExpired, "\(which) has expired: it was valid until \(certificate.notAfter)")
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return TLSError(
                .certificateNotYetValid, "\(which) is not yet valid: it is so from \(certificate.notBefore) on")
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_CERT_SIGNATURE_FAILURE, X509_V_ERR_CERT_UNTRUSTED,
            X509_V_ERR_AKID_SKID_MISMATCH, X509_V_ERR_SUBJECT_ISSUER_MISMATCH:
            return TLSError(
                .certificateNotTrusted,
                "\(which) is not signed by a trusted CA: \(failure.text), issuer \(certificate.issuer)")
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            return self.mismatch(certificate)
        case X509_V_ERR_APPLICATION_VERIFICATION:
            return self.notAllowed(certificate)
        default:
            return TLSError(.certificateInvalid, "\(which) is not acceptable: \(failure.text)")
        }
    }

    /// For a session that was resumed: its certificate was verified when it was first seen, which may be long ago.
    func errorOnResumption(_ certificate: TLSCertificateInfo) -> TLSError? {
        guard certificate.isInValidityPeriod else {
            return TLSError(
                .certificateExpired,
                "the peer's certificate (\(certificate.subject)) has expired since: it was valid until "
                    + certificate.notAfter)
        }
        return self.allows(commonName: certificate.commonName) ? nil : self.notAllowed(certificate)
    }

    // MARK: - Private

    private func mismatch(_ certificate: TLSCertificateInfo) -> TLSError {
        let wanted = self.peerName.map { "\($0)" } ?? "?"
        guard !certificate.names.isEmpty else {
            return TLSError(
                .nameMismatch,
                "the peer's certificate (\(certificate.subject)) names no host or address (subject alternative names), "
                    + "so it is not for \(wanted)")
        }
        return TLSError(
            .nameMismatch, "the peer's certificate is for \(Self.list(certificate.names)), not for \(wanted)")
    }

    private func notAllowed(_ certificate: TLSCertificateInfo) -> TLSError {
        let name = certificate.commonName.map { "\"\(TLSCertificateInfo.printable($0))\"" } ?? "(none)"
        return TLSError(
            .nameNotAllowed,
            "the peer's common name \(name) is not one of those allowed: \(Self.list(self.allowedNames.sorted()))")
    }

    private static func list(_ names: [String]) -> String {
        let most = 8
        let shown = names.prefix(most).joined(separator: ", ")
        return names.count > most ? "\(shown) and \(names.count - most) more" : shown
    }
}
