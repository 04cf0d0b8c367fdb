// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// A session and the channel that carries it: turns what the session has to send into one write per tick.
struct HTTP2Link: ~Copyable {
    var session: HTTP2Session
    private(set) var channel: (any Channel)?
    private var buffer = ByteBuffer()
    /// A flush is due at the end of this tick.
    var isFlushScheduled = false
    /// A flush is under way. A write may call back into the connection (the socket became writable, or broke), so the
    /// owner writes outside of any access to this struct, and this keeps the flush from starting within itself.
    var isFlushing = false

    init(session: consuming HTTP2Session) {
        self.session = session
    }

    mutating func attach(_ channel: any Channel) {
        self.channel = channel
        self.buffer = channel.allocator.buffer(capacity: 16 << 10)
    }

    /// The socket takes bytes now.
    var canWrite: Bool { self.channel?.isWritable ?? false }

    /// What the owner is to write next; nil when there is nothing, or when the socket takes no more for now.
    mutating func takeOutput() throws(RPCError) -> ByteBuffer? {
        guard let channel = self.channel, channel.isWritable else { return nil }
        self.buffer.clear(minimumCapacity: 16 << 10)
        _ = try self.session.drain(into: &self.buffer)
        return self.buffer.readableBytes > 0 ? self.buffer : nil
    }
}
