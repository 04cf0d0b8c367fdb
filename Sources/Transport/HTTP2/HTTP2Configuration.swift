// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The numbers of one HTTP/2 session.
package struct HTTP2Configuration: Sendable {
    /// Bytes that the peer may send on one stream before we say that we have read some. 1 to 2³¹-1.
    package var streamWindow: Int
    /// The same for all streams together.
    package var connectionWindow: Int
    /// The largest frame that the peer may send: 16,384 to 16,777,215 bytes.
    package var maxFrameSize: Int
    /// Streams that the peer may have open at once (server role).
    package var maxConcurrentStreams: Int
    /// Bytes of one header block that we accept.
    package var maxHeaderListSize: Int

    package init(
        streamWindow: Int = 8 << 20, connectionWindow: Int = 128 << 20, maxFrameSize: Int = 1 << 20,
        maxConcurrentStreams: Int = 1 << 20, maxHeaderListSize: Int = 64 << 10
    ) {
        self.streamWindow = streamWindow
        self.connectionWindow = connectionWindow
        self.maxFrameSize = maxFrameSize
        self.maxConcurrentStreams = maxConcurrentStreams
        self.maxHeaderListSize = maxHeaderListSize
    }
}
