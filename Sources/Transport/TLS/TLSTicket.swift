// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL

/// What a client needs to resume an earlier session: saves a round of signatures and, before TLS 1.3, a round trip.
///
/// `@unchecked Sendable`: OpenSSL counts references to a session atomically, and nothing changes it once it is here.
@safe final class TLSTicket: @unchecked Sendable {
    @unsafe private let session: OpaquePointer
    /// To be used once: so TLS 1.3 wants it, lest connections can be told to be of one client.
    let isForOneUse: Bool

    /// Takes over the reference that the caller has.
    @unsafe init(owning session: OpaquePointer) {
        unsafe self.session = session
        self.isForOneUse = unsafe SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION
    }

    deinit {
        unsafe SSL_SESSION_free(self.session)
    }

    var isResumable: Bool { unsafe SSL_SESSION_is_resumable(self.session) == 1 }

    /// Offers the session to the server. Where OpenSSL will not have it, the handshake is a full one.
    @unsafe func offer(on ssl: OpaquePointer) {
        TLSErrorQueue.clear()
        _ = unsafe SSL_set_session(ssl, self.session)
    }
}
