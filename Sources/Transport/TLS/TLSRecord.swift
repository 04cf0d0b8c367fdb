// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Tells TLS from what is not, by the first bytes that a peer sends.
enum TLSRecord {
    /// What a TLS peer answers to bytes that are not TLS: a fatal alert, `protocol_version`. A plaintext client of ours
    /// knows it when it sees it.
    static let refusal: [UInt8] = [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46]

    private static let alert: UInt8 = 0x15
    private static let handshake: UInt8 = 0x16
    private static let majorVersion: UInt8 = 0x03

    /// Whether the byte at this place of a peer's first record (0 or 1) can be TLS.
    static func canBegin(with byte: UInt8, at place: Int) -> Bool {
        switch place {
        case 0: byte == Self.handshake || byte == Self.alert
        case 1: byte == Self.majorVersion
        default: true
        }
    }

    /// Whether a peer that was spoken to in plaintext answers in TLS. HTTP/2 never begins with these bytes.
    static func looksLikeTLS(_ bytes: ByteBuffer) -> Bool {
        let start = bytes.readerIndex
        guard let type = bytes.getInteger(at: start, as: UInt8.self), Self.canBegin(with: type, at: 0),
            let major = bytes.getInteger(at: start + 1, as: UInt8.self), major == Self.majorVersion,
            let minor = bytes.getInteger(at: start + 2, as: UInt8.self), minor <= 4
        else { return false }
        return true
    }

    /// What bytes that are not TLS seem to be.
    static func describe(_ bytes: ByteBuffer) -> String {
        let start = bytes.readerIndex
        let text = String(decoding: bytes.readableBytesView.prefix(24), as: UTF8.self)
        if text.hasPrefix("PRI * HTTP/2") { return "an HTTP/2 client's preface in plaintext" }
        if text.hasPrefix("HTTP/") { return "a plaintext HTTP/1 response" }
        if ["GET ", "POST ", "PUT ", "HEAD "].contains(where: { text.hasPrefix($0) }) {
            return "a plaintext HTTP/1 request"
        }
        // A SETTINGS frame on stream 0, with which an HTTP/2 server begins.
        if bytes.getInteger(at: start + 3, as: UInt8.self) == 4, bytes.getInteger(at: start + 5, as: UInt32.self) == 0 {
            return "HTTP/2 in plaintext"
        }
        return "plaintext or something else"
    }
}
