// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// What a fatal alert from the peer means. Numbers are those of RFC 8446, section 6.
enum TLSAlert {
    /// - Parameters:
    ///   - ownCertificate: whether this side showed a certificate.
    ///   - certificateWanted: whether the peer asked this side for one.
    ///   - isHandshaking: whether this side is still in the handshake. With TLS 1.3 a client is through with it before
    ///     the server has looked at its certificate.
    static func error(
        _ number: Int32, ownCertificate: Bool, certificateWanted: Bool, isHandshaking: Bool
    ) -> TLSError {
        if certificateWanted, !ownCertificate, Self.isAboutCertificate(number) || number == Self.handshakeFailure {
            return TLSError(
                .certificateRequired,
                "the peer demands a client certificate, and none is configured (alert: \(Self.name(number)))")
        }
        if number == Self.certificateRequired {
            return TLSError(.certificateRequired, "the peer demands a certificate (alert: \(Self.name(number)))")
        }
        if Self.isAboutCertificate(number) {
            return TLSError(
                .certificateRejected, "the peer rejected this side's certificate (alert: \(Self.name(number)))")
        }
        switch number {
        case Self.handshakeFailure where certificateWanted:
            // Before TLS 1.3, OpenSSL says so where it does not accept a name, and others where ciphers do not match.
            return TLSError(
                .certificateRejected,
                "the peer rejected this side's certificate or ciphers (alert: handshake_failure)")
        case Self.handshakeFailure where isHandshaking, 71:
            return TLSError(.cipher, "the peer accepts none of the ciphers offered (alert: \(Self.name(number)))")
        case 70:
            return TLSError(
                .version, "the peer speaks no version of TLS that is accepted here (alert: protocol_version)")
        case 112:
            return TLSError(.nameMismatch, "the peer does not serve this host name (alert: unrecognized_name)")
        case 120:
            return TLSError(
                .applicationProtocol,
                "the peer does not speak the protocol offered, HTTP/2 (alert: no_application_protocol)")
        default:
            return TLSError(.alert, "the peer gave up (alert: \(Self.name(number)))")
        }
    }

    private static let handshakeFailure: Int32 = 40
    private static let certificateRequired: Int32 = 116

    private static func isAboutCertificate(_ number: Int32) -> Bool {
        switch number {
        // No certificate, bad, unsupported, revoked, expired, unknown, unknown CA, access denied, signature does not
        // hold, required.
        case 41...46, 48, 49, 51, Self.certificateRequired: true
        default: false
        }
    }

    private static func name(_ number: Int32) -> String {
        switch number {
        case 0: "close_notify"
        case 10: "unexpected_message"
        case 20: "bad_record_mac"
        case 22: "record_overflow"
        case 40: "handshake_failure"
        case 41: "no_certificate"
        case 42: "bad_certificate"
        case 43: "unsupported_certificate"
        case 44: "certificate_revoked"
        case 45: "certificate_expired"
        case 46: "certificate_unknown"
        case 47: "illegal_parameter"
        case 48: "unknown_ca"
        case 49: "access_denied"
        case 50: "decode_error"
        case 51: "decrypt_error"
        case 70: "protocol_version"
        case 71: "insufficient_security"
        case 80: "internal_error"
        case 86: "inappropriate_fallback"
        case 90: "user_canceled"
        case 109: "missing_extension"
        case 110: "unsupported_extension"
        case 112: "unrecognized_name"
        case 115: "unknown_psk_identity"
        case 116: "certificate_required"
        case 120: "no_application_protocol"
        default: "\(number)"
        }
    }
}
