// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// One stream of a session: its number on the wire, and the slot under which both sides of this API keep its state.
/// A slot is free again when its owner has released it, after the stream's `closed` event.
package struct HTTP2Stream: Sendable, Hashable {
    package let id: Int32
    package let slot: Int
}

/// What a session has to say after it was given bytes, or after bytes were taken from it.
package enum HTTP2Event: Sendable {
    /// A whole header block: the request's or response's headers, or its trailers.
    case headers(HTTP2Stream, HeaderBlock, endStream: Bool)
    /// Part of the body. The receiver owes the session `consume` for every byte, or the peer stops sending.
    case data(HTTP2Stream, ByteBuffer)
    /// The peer's side of the stream is at its end. (For headers that end the stream, their flag says so instead.)
    case endStream(HTTP2Stream)
    /// The stream is gone: no event follows for it. Code 0 is the regular end.
    case closed(HTTP2Stream, HTTP2ErrorCode)
    /// The peer's settings arrived: the connection is up.
    case settings
    case pong(UInt64)
    /// The peer takes no new streams; those above `lastStreamID` were not looked at.
    case goAway(lastStreamID: Int32, HTTP2ErrorCode, debug: String)
}

/// Error codes of HTTP/2 (RFC 9113 §7).
package struct HTTP2ErrorCode: RawRepresentable, Sendable, Hashable {
    package var rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    package static let noError = Self(rawValue: 0x0)
    package static let protocolError = Self(rawValue: 0x1)
    package static let internalError = Self(rawValue: 0x2)
    package static let flowControlError = Self(rawValue: 0x3)
    package static let streamClosed = Self(rawValue: 0x5)
    package static let refusedStream = Self(rawValue: 0x7)
    package static let cancel = Self(rawValue: 0x8)
    package static let enhanceYourCalm = Self(rawValue: 0xb)
    package static let inadequateSecurity = Self(rawValue: 0xc)
}

extension HTTP2ErrorCode: CustomStringConvertible {
    package var description: String {
        let names = [
            "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
            "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
        ]
        return Int(self.rawValue) < names.count ? names[Int(self.rawValue)] : "error code \(self.rawValue)"
    }
}
