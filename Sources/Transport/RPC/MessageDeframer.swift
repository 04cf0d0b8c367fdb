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
    /// Takes in the message under way where it is one of answers that is over the limit.
    private var sieve: BatchSieve?
    /// Decompresses it on the way there.
    private var inflater: GZipReader?

    /// - Parameters:
    ///   - limit: the most bytes that one message may have, compressed or not.
    ///   - encoding: how messages may be compressed.
    init(limit: Int, encoding: MessageEncoding = .identity) {
        self.limit = limit
        self.encoding = encoding
    }

    /// Whether the bytes so far end inside a message.
    var isMidMessage: Bool { self.missing != nil || !self.prefix.isEmpty }

    /// Takes a piece; calls back with each message that it completes. Throws where the body is not gRPC, and where a
    /// message is over the limit.
    ///
    /// - Parameters:
    ///   - answers: how many answers a message may have in it, each as large as the limit, where it is one of
    ///     `BatchCommands`; 0 where it is not.
    ///   - sifted: called in place of `deliver` with what is left of a message of answers that is over the limit as a whole.
    mutating func receive(
        _ piece: ByteBuffer, answers: Int = 0, _ deliver: ([UInt8]) -> Void,
        sifted: (BatchEnvelope, [BatchSieve.Oversize]) -> Void = { _, _ in }
    ) throws(RPCError) {
        var piece = piece
        while true {
            if let missing = self.missing {
                let size = min(missing, piece.readableBytes)
                let bytes = piece.readBytes(length: size) ?? []
                if self.sieve != nil {
                    try self.sift(bytes)
                    guard size == missing else {
                        self.missing = missing - size
                        return
                    }
                    self.missing = nil
                    try self.finishSifting(sifted)
                } else if size == missing, self.message.isEmpty {
                    // The usual case: the message lies in one piece, and is taken out of it once.
                    self.missing = nil
                    try self.decode(bytes, answers, deliver, sifted)
                } else {
                    self.message.append(contentsOf: bytes)
                    guard size == missing else {
                        self.missing = missing - size
                        return
                    }
                    let message = self.message
                    self.message = []
                    self.missing = nil
                    try self.decode(message, answers, deliver, sifted)
                }
            }
            guard try self.readPrefix(&piece, answers) else { return }
        }
    }

    private mutating func decode(
        _ message: [UInt8], _ answers: Int, _ deliver: ([UInt8]) -> Void,
        _ sifted: (BatchEnvelope, [BatchSieve.Oversize]) -> Void
    ) throws(RPCError) {
        guard self.isCompressed else { return deliver(message) }
        do throws(RPCError) {
            deliver(try self.encoding.decompress(message, limit: self.limit))
        } catch {
            guard error.code == .resourceExhausted, answers > 0 else { throw error }
            // Once more from the start: this is seldom.
            try self.beginSifting(answers)
            try self.sift(message)
            try self.finishSifting(sifted)
        }
    }

    // MARK: - Answers over the limit

    private mutating func beginSifting(_ answers: Int) throws(RPCError) {
        self.sieve = BatchSieve(limit: self.limit, answers: answers)
        self.inflater = self.isCompressed ? try GZipReader() : nil
    }

    private mutating func sift(_ bytes: [UInt8]) throws(RPCError) {
        // Out of here while it works, so that what it keeps is not copied.
        guard var sieve = self.sieve.take() else { return }
        if let inflater = self.inflater {
            try inflater.take(bytes) { piece throws(RPCError) in try sieve.take(piece) }
        } else {
            try sieve.take(bytes)
        }
        self.sieve = sieve
    }

    private mutating func finishSifting(_ sifted: (BatchEnvelope, [BatchSieve.Oversize]) -> Void) throws(RPCError) {
        guard var sieve = self.sieve.take() else { return }
        try self.inflater?.finish()
        self.inflater = nil
        let (envelope, oversize) = try sieve.finish()
        sifted(envelope, oversize)
    }

    // MARK: - Prefixes

    /// Returns false where the piece ran out before the prefix was whole.
    private mutating func readPrefix(_ piece: inout ByteBuffer, _ answers: Int) throws(RPCError) -> Bool {
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
            if answers > 0 {
                self.missing = Int(length)
                try self.beginSifting(answers)
                return true
            }
            throw RPCError(
                .resourceExhausted, "a message of \(length) bytes is over the limit of \(self.limit) bytes")
        }
        self.missing = Int(length)
        // What arrives is what is paid for: a length alone, which costs the peer nothing, reserves no more than this.
        self.message.reserveCapacity(Int(length) <= piece.readableBytes ? 0 : min(Int(length), 1 << 20))
        return true
    }
}
