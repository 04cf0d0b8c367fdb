// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import CZlib

/// Messages compressed in gzip's format, by zlib.
enum GZip {
    /// Smaller messages are not worth the work.
    private static let smallest = 128

    /// A message in its frame, compressed where that makes it smaller.
    static func compress(frame: [UInt8]) -> [UInt8] {
        let size = frame.count - FramedMessage.prefixLength
        guard size >= Self.smallest, let compressed = Self.compressed(frame, size: size) else { return frame }
        return compressed
    }

    /// - Returns: nil where it would not get smaller, or zlib has no memory.
    private static func compressed(_ frame: [UInt8], size: Int) -> [UInt8]? {
        var stream = unsafe z_stream()
        guard unsafe tikv_gzip_deflate_init(&stream) == Z_OK else { return nil }
        defer { _ = unsafe deflateEnd(&stream) }
        let prefix = FramedMessage.prefixLength
        let result = unsafe [UInt8](unsafeUninitializedCapacity: frame.count) { output, count in
            count = 0
            let isDone = unsafe frame.withUnsafeBufferPointer { input in
                // zlib reads it only; its interface is older than const.
                unsafe stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress.map { unsafe $0 + prefix })
                unsafe stream.avail_in = UInt32(clamping: size)
                unsafe stream.next_out = output.baseAddress.map { unsafe $0 + prefix }
                // One byte less than the message itself: what needs more is not smaller.
                unsafe stream.avail_out = UInt32(clamping: size - 1)
                return unsafe deflate(&stream, Z_FINISH) == Z_STREAM_END
            }
            guard isDone else { return }
            let written = unsafe size - 1 - Int(stream.avail_out)
            unsafe output[0] = 1
            for index in 0..<4 {
                unsafe output[1 + index] = UInt8(truncatingIfNeeded: written >> (24 - 8 * index))
            }
            count = prefix + written
        }
        return result.isEmpty ? nil : result
    }

    /// - Parameter limit: the most bytes that may come out; memory for more is never taken.
    /// - Throws: `resourceExhausted` where it would be more, `internalError` where the input is damaged.
    static func decompress(_ input: [UInt8], limit: Int) throws(RPCError) -> [UInt8] {
        var stream = unsafe z_stream()
        guard unsafe tikv_gzip_inflate_init(&stream) == Z_OK else {
            throw RPCError(.resourceExhausted, "out of memory for zlib")
        }
        defer { _ = unsafe inflateEnd(&stream) }
        // The length in a message's frame allows no more.
        let limit = min(limit, Int(UInt32.max))
        var output: [UInt8] = []
        let failure: RPCError? = unsafe input.withUnsafeBufferPointer { source in
            unsafe stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
            unsafe stream.avail_in = UInt32(clamping: source.count)
            while true {
                // Grows with what comes out, so that a message which claims much costs no more than it gives.
                let room = min(max(4 * source.count, 2 * output.count, 4096), limit - output.count + 1)
                var result = Z_OK
                let piece = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
                    unsafe stream.next_out = buffer.baseAddress
                    unsafe stream.avail_out = UInt32(clamping: room)
                    result = unsafe inflate(&stream, Z_NO_FLUSH)
                    count = unsafe room - Int(stream.avail_out)
                }
                output += piece
                guard output.count <= limit else {
                    return RPCError(
                        .resourceExhausted, "a message of more than \(limit) bytes is over the limit of \(limit) bytes")
                }
                switch result {
                case Z_STREAM_END:
                    if unsafe stream.avail_in == 0 { return nil }
                    // Another member: gzip's format lets several follow each other.
                    guard unsafe inflateReset(&stream) == Z_OK else { return Self.damaged }
                case Z_OK where unsafe stream.avail_in > 0 || stream.avail_out == 0:
                    continue
                default:
                    return Self.damaged
                }
            }
        }
        if let failure { throw failure }
        return output
    }

    static let damaged = RPCError(.internalError, "a compressed message is damaged or cut off")
}
