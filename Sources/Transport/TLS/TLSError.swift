// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Why a TLS connection could not be made or did not last.
package struct TLSError: Error, Sendable, Equatable {
    package enum Reason: Sendable, Equatable, CaseIterable {
        /// A file cannot be read, a key does not belong to its certificate, settings contradict each other.
        case configuration
        /// The peer's certificate, or one of those above it, is past its last day.
        case certificateExpired
        /// The peer's certificate, or one of those above it, is before its first day.
        case certificateNotYetValid
        /// No trusted certificate authority stands behind the peer's certificate.
        case certificateNotTrusted
        /// The peer's certificate is for another host name or address.
        case nameMismatch
        /// The peer's common name is not on the list of those that are allowed.
        case nameNotAllowed
        /// Something else is wrong with the peer's certificate.
        case certificateInvalid
        /// The peer showed no certificate where one is required (server role).
        case certificateMissing
        /// The peer wants a certificate, and this side has none.
        case certificateRequired
        /// The peer did not accept this side's certificate.
        case certificateRejected
        /// The peer does not speak TLS.
        case notTLS
        /// Both sides speak TLS, but no version in common.
        case version
        /// No cipher in common.
        case cipher
        /// The peer does not speak HTTP/2 over TLS (it did not agree on `h2` by ALPN).
        case applicationProtocol
        /// The peer hung up before the handshake was done, or did not finish it in time.
        case handshakeBrokenOff
        /// The connection ended without TLS's own end: something may have been cut off.
        case truncated
        /// The peer broke the protocol, or the bytes were damaged.
        case protocolViolation
        /// The peer gave up for a reason of its own.
        case alert
        /// OpenSSL failed for lack of memory or the like.
        case internalError
    }

    package var reason: Reason
    /// What happened, in words for a user.
    package var message: String

    package init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }
}

extension TLSError.Reason {
    /// Whether another handshake would end in the same way, as long as nobody changes a certificate or a setting. What
    /// may be the network's or the moment's fault is not.
    package var isPermanent: Bool {
        switch self {
        case .configuration, .certificateExpired, .certificateNotYetValid, .certificateNotTrusted, .nameMismatch,
            .nameNotAllowed, .certificateInvalid, .certificateMissing, .certificateRequired, .certificateRejected,
            .notTLS, .version, .cipher, .applicationProtocol:
            true
        case .handshakeBrokenOff, .truncated, .protocolViolation, .alert, .internalError:
            false
        }
    }
}

extension TLSError: CustomStringConvertible {
    package var description: String { "TLS: \(self.message)" }
}
