// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL
internal import NIOCore

/// What OpenSSL's callbacks read and write for one session. They never call out: the owner of the session looks at what
/// is here once the call into OpenSSL has returned.
final class TLSSessionContext {
    /// Bytes from the peer that OpenSSL has not taken yet.
    var input = ByteBuffer()
    /// Bytes for the peer.
    var output = ByteBuffer()
    let verification: TLSVerification
    /// What is to be spoken, as a list of one in ALPN's form.
    let protocols: [UInt8]
    /// The first thing found wrong with the peer's certificates.
    var failure: TLSVerification.Failure?
    /// The peer asked for a certificate (client role).
    var isCertificateWanted = false
    /// The client offers no ALPN at all (server role).
    var isProtocolMissing = false
    /// Sessions that the server lets us resume.
    var tickets: [TLSTicket] = []

    init(_ verification: TLSVerification, protocols: [UInt8]) {
        self.verification = verification
        self.protocols = protocols
    }
}

/// OpenSSL's view of the context's buffers: a BIO that is never full, and that asks for another try when it is empty.
/// OpenSSL's own memory BIO copies and clears what passes through it; this one copies once, to where it is wanted.
@safe enum TLSBufferBIO {
    /// Nil where OpenSSL has no memory for it.
    static func make(_ context: TLSSessionContext) -> OpaquePointer? {
        guard let method = unsafe Self.method, let bio = unsafe BIO_new(method) else { return nil }
        // Unretained: the session owns both, and frees the BIO first.
        unsafe BIO_set_data(bio, Unmanaged.passUnretained(context).toOpaque())
        unsafe BIO_set_init(bio, 1)
        return unsafe bio
    }

    /// Made once, lives as long as the process; OpenSSL only reads it, from any thread.
    private nonisolated(unsafe) static let method: OpaquePointer? = {
        guard let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ByteBuffer") else {
            return nil
        }
        unsafe BIO_meth_set_write(method) { bio, bytes, count in
            guard let context = unsafe TLSBufferBIO.context(bio), let bytes = unsafe bytes, count > 0 else { return -1 }
            unsafe context.output.writeBytes(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            return count
        }
        unsafe BIO_meth_set_read(method) { bio, room, count in
            unsafe tikv_BIO_clear_retry_flags(bio)
            guard let context = unsafe TLSBufferBIO.context(bio), let room = unsafe room, count > 0 else { return -1 }
            let size = min(Int(count), context.input.readableBytes)
            guard size > 0 else {
                unsafe tikv_BIO_set_retry_read(bio)
                return -1
            }
            unsafe context.input.readWithUnsafeReadableBytes { bytes in
                unsafe UnsafeMutableRawBufferPointer(start: room, count: size)
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<size]))
                return size
            }
            return Int32(size)
        }
        unsafe BIO_meth_set_ctrl(method) { _, command, _, _ in
            // A flush has nothing to do and succeeds; nothing else is known.
            command == BIO_CTRL_FLUSH ? 1 : 0
        }
        return unsafe method
    }()

    @unsafe private static func context(_ bio: OpaquePointer?) -> TLSSessionContext? {
        guard let data = unsafe BIO_get_data(bio) else { return nil }
        return unsafe Unmanaged<TLSSessionContext>.fromOpaque(data).takeUnretainedValue()
    }
}
