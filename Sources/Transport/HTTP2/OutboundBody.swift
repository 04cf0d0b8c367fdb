// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

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
    private var pieces: [[UInt8]] = []
    private var first = 0
    private var offset = 0
    /// Bytes queued and not yet read.
    private(set) var count = 0
    var end = End.open
    /// The session stopped asking and must be told when there is more.
    var isStarved = false
    private var isReset = false

    /// Returns whether this is the first time.
    mutating func markReset() -> Bool {
        defer { self.isReset = true }
        return !self.isReset
    }

    mutating func append(_ piece: [UInt8]) {
        guard !piece.isEmpty else { return }
        self.pieces.append(piece)
        self.count += piece.count
    }

    /// Moves up to `room.count` bytes to `room`.
    @unsafe mutating func read(into room: UnsafeMutableRawBufferPointer) -> (written: Int, Step) {
        var written = 0
        while self.first < self.pieces.count, written < room.count {
            let size = min(room.count - written, self.pieces[self.first].count - self.offset)
            unsafe self.pieces[self.first].withUnsafeBytes { piece in
                let target = unsafe UnsafeMutableRawBufferPointer(rebasing: room[written..<(written + size)])
                unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: piece[self.offset...].prefix(size)))
            }
            written += size
            self.offset += size
            if self.offset == self.pieces[self.first].count {
                self.pieces[self.first] = []
                self.first += 1
                self.offset = 0
            }
        }
        self.count -= written
        guard self.first == self.pieces.count else { return (written, .more) }
        self.pieces.removeAll(keepingCapacity: self.first < 64)
        self.first = 0
        switch self.end {
        case .open: return (written, .starved)
        case .finished: return (written, .finished)
        case .trailers(let trailers): return (written, .trailers(trailers))
        }
    }
}
