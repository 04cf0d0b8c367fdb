// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Cuts a stream's body into messages: pieces of any size go in, whole messages come out.
struct MessageDeframer: Sendable {
    private let limit: Int
    private let encoding: MessageEncoding
    /// The message under way is compressed.
    private var isCompressed = false
    private var prefix: [UInt8] = []
    private var message: [UInt8] = []
    /// Bytes that the message under way still lacks; nil between messages.
    private var missing: Int?

    /// - Parameters:
    ///   - limit: the most bytes that one message may have, compressed or not.
    ///   - encoding: how messages may be compressed.
    init(limit: Int, encoding: MessageEncoding = .identity) {
        self.limit = limit
        self.encoding = encoding
    }

    /// Whether the bytes so far end inside a message.
    var isMidMessage: Bool { self.missing != nil || !self.prefix.isEmpty }

    /// Takes a piece; calls back with each message that it completes. Throws where the body is not gRPC.
    mutating func receive(_ piece: ByteBuffer, _ deliver: ([UInt8]) -> Void) throws(RPCError) {
        var piece = piece
        while true {
            if let missing = self.missing {
                let size = min(missing, piece.readableBytes)
                let bytes = piece.readBytes(length: size) ?? []
                if size == missing, self.message.isEmpty {
                    // The usual case: the message lies in one piece, and is taken out of it once.
                    self.missing = nil
                    deliver(try self.decoded(bytes))
                } else {
                    self.message.append(contentsOf: bytes)
                    guard size == missing else {
                        self.missing = missing - size
                        return
                    }
                    let message = self.message
                    self.message = []
                    self.missing = nil
                    deliver(try self.decoded(message))
                }
            }
            guard try self.readPrefix(&piece) else { return }
        }
    }

    private func decoded(_ message: [UInt8]) throws(RPCError) -> [UInt8] {
        self.isCompressed ? try self.encoding.decompress(message, limit: self.limit) : message
    }

    /// Returns false where the piece ran out before the prefix was whole.
    private mutating func readPrefix(_ piece: inout ByteBuffer) throws(RPCError) -> Bool {
        let compressed: UInt8
        let length: UInt32
        if self.prefix.isEmpty, let whole = piece.readMultipleIntegers(as: (UInt8, UInt32).self) {
            (compressed, length) = whole
        } else {
            self.prefix += piece.readBytes(length: min(5 - self.prefix.count, piece.readableBytes)) ?? []
            guard self.prefix.count == 5 else { return false }
            compressed = self.prefix[0]
            length = self.prefix[1...].reduce(0) { $0 << 8 | UInt32($1) }
            self.prefix.removeAll(keepingCapacity: true)
        }
        guard compressed <= 1 else { throw RPCError(.internalError, "a message has a broken prefix") }
        self.isCompressed = compressed == 1
        // Said at once, before its bytes are taken in.
        if self.isCompressed, self.encoding != .gzip { _ = try self.encoding.decompress([], limit: 0) }
        guard Int(length) <= self.limit else {
            throw RPCError(
                .resourceExhausted, "a message of \(length) bytes is over the limit of \(self.limit) bytes")
        }
        self.missing = Int(length)
        // What arrives is what is paid for: a length alone, which costs the peer nothing, reserves no more than this.
        self.message.reserveCapacity(Int(length) <= piece.readableBytes ? 0 : min(Int(length), 1 << 20))
        return true
    }
}
