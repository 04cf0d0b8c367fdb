// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import CZlib

/// Decompresses one message of gzip's format, piece by piece.
///
/// `@unchecked Sendable`: it belongs to the deframer that made it, and so to one event loop; it is a class only because
/// zlib's state must stay at one address and be freed.
@safe final class GZipReader: @unchecked Sendable {
    private static let pieceSize = 64 << 10

    private let stream: UnsafeMutablePointer<z_stream>
    private var hasEnded = false

    init() throws(RPCError) {
        unsafe self.stream = .allocate(capacity: 1)
        unsafe self.stream.initialize(to: z_stream())
        guard unsafe tikv_gzip_inflate_init(self.stream) == Z_OK else {
            unsafe self.stream.deallocate()
            throw RPCError(.resourceExhausted, "out of memory for zlib")
        }
    }

    deinit {
        _ = unsafe inflateEnd(self.stream)
        unsafe self.stream.deallocate()
    }

    /// Takes the next piece of the input; calls back with what comes out of it, in pieces.
    func take(_ input: [UInt8], _ deliver: ([UInt8]) throws(RPCError) -> Void) throws(RPCError) {
        var offset = 0
        while true {
            var result = Z_OK
            var isFull = false
            let piece = unsafe [UInt8](unsafeUninitializedCapacity: Self.pieceSize) { buffer, count in
                unsafe input.withUnsafeBufferPointer { source in
                    let rest = source.count - offset
                    // zlib reads it only; its interface is older than const.
                    unsafe self.stream.pointee.next_in = UnsafeMutablePointer(
                        mutating: source.baseAddress.map { unsafe $0 + offset })
                    unsafe self.stream.pointee.avail_in = UInt32(clamping: rest)
                    unsafe self.stream.pointee.next_out = buffer.baseAddress
                    unsafe self.stream.pointee.avail_out = UInt32(clamping: Self.pieceSize)
                    // Another member: gzip's format lets several follow each other.
                    if self.hasEnded, rest > 0 {
                        self.hasEnded = false
                        result = unsafe inflateReset(self.stream)
                    }
                    if result == Z_OK { result = unsafe inflate(self.stream, Z_NO_FLUSH) }
                    offset = unsafe source.count - Int(self.stream.pointee.avail_in)
                    isFull = unsafe self.stream.pointee.avail_out == 0
                    count = unsafe Self.pieceSize - Int(self.stream.pointee.avail_out)
                    unsafe self.stream.pointee.next_in = nil
                    unsafe self.stream.pointee.next_out = nil
                }
            }
            if !piece.isEmpty { try deliver(piece) }
            switch result {
            case Z_STREAM_END:
                self.hasEnded = true
                if offset == input.count { return }
            case Z_OK:
                if offset == input.count, !isFull { return }
            case Z_BUF_ERROR where offset == input.count:
                // It was all used up before.
                return
            default:
                throw GZip.damaged
            }
        }
    }

    /// The input is at its end.
    func finish() throws(RPCError) {
        guard self.hasEnded else { throw GZip.damaged }
    }
}
