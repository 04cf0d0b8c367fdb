// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// A session and the channel that carries it: takes what the session has to send to the socket, in one write per tick.
struct HTTP2Link: ~Copyable {
    /// After a flush.
    enum Flushed {
        /// All is written, or the socket takes no more for now.
        case done
        /// The session is at its end: the channel is to be closed.
        case finished
    }

    var session: HTTP2Session
    private(set) var channel: (any Channel)?
    private var buffer = ByteBuffer()
    /// A flush is due at the end of this tick.
    var isFlushScheduled = false

    init(session: consuming HTTP2Session) {
        self.session = session
    }

    mutating func attach(_ channel: any Channel) {
        self.channel = channel
        self.buffer = channel.allocator.buffer(capacity: 16 << 10)
    }

    /// Writes what the session has queued, as long as the socket takes it.
    mutating func flush() throws(RPCError) -> Flushed {
        guard let channel = self.channel else { return .done }
        var more = true
        while more, channel.isWritable {
            self.buffer.clear(minimumCapacity: 16 << 10)
            more = try self.session.drain(into: &self.buffer)
            if self.buffer.readableBytes > 0 { channel.writeAndFlush(self.buffer, promise: nil) }
        }
        return self.session.isFinished ? .finished : .done
    }
}
