// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import DequeModule

/// What one stream still has to send: pieces in order, then its end, with trailers or without.
struct OutboundBody: Sendable {
    enum End: Sendable {
        /// More pieces may come.
        case open
        /// After the last piece the stream ends.
        case finished
        /// After the last piece come these trailers, then the stream ends.
        case trailers(HeaderList)
    }

    /// What a read met after its bytes.
    enum Step: Sendable {
        /// The room was filled, or more is queued.
        case more
        /// Nothing is queued and the end is not known: ask again when there is more.
        case starved
        /// That was all.
        case finished
        /// That was all, and the trailers are to be sent.
        case trailers(HeaderList)
    }

    /// The stream that it belongs to: slots are used again, stream numbers never.
    var streamID: Int32 = 0
    /// The piece that is read now; most bodies have no other.
    private var piece: [UInt8]
    private var offset = 0
    private var later: Deque<[UInt8]> = []
    /// Bytes queued and not yet read.
    private(set) var count: Int
    private(set) var end: End
    /// The session stopped asking and must be told when there is more.
    var isStarved = false
    private var isReset = false

    /// The stream is given up: what it had to send is let go at once, also where nghttp2 keeps the stream until the peer's
    /// limit has room for it. Returns whether this is the first time.
    mutating func markReset() -> Bool {
        guard !self.isReset else { return false }
        self.isReset = true
        self.piece = []
        self.offset = 0
        self.later = []
        self.count = 0
        // No end: RST_STREAM is the end, and nothing may look like a regular one.
        self.end = .open
        return true
    }

    init(_ piece: [UInt8] = [], end: End = .open) {
        self.piece = piece
        self.count = piece.count
        self.end = end
    }

    mutating func append(_ piece: [UInt8]) {
        guard !piece.isEmpty, !self.isReset else { return }
        if self.count == 0 {
            self.piece = piece
            self.offset = 0
        } else {
            self.later.append(piece)
        }
        self.count += piece.count
    }

    mutating func finish(_ end: End) {
        if !self.isReset { self.end = end }
    }

    /// Moves up to `room.count` bytes to `room`.
    @unsafe mutating func read(into room: UnsafeMutableRawBufferPointer) -> (written: Int, Step) {
        var written = 0
        while self.count > 0, written < room.count {
            let size = min(room.count - written, self.piece.count - self.offset)
            unsafe self.piece.withUnsafeBytes { piece in
                let target = unsafe UnsafeMutableRawBufferPointer(rebasing: room[written..<(written + size)])
                unsafe target.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: piece[self.offset..<(self.offset + size)]))
            }
            written += size
            self.offset += size
            self.count -= size
            if self.offset == self.piece.count {
                self.piece = self.later.popFirst() ?? []
                self.offset = 0
            }
        }
        guard self.count == 0 else { return (written, .more) }
        switch self.end {
        case .open: return (written, .starved)
        case .finished: return (written, .finished)
        case .trailers(let trailers): return (written, .trailers(trailers))
        }
    }
}
