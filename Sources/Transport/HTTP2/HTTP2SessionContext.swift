// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import CNGHTTP2
internal import NIOCore

/// What nghttp2's callbacks write to. A callback never calls out: it appends an event, and the owner of the session
/// works through the events once the call into nghttp2 has returned.
struct HTTP2SessionContext: ~Copyable {
    let isServer: Bool
    private var events: [HTTP2Event] = []
    /// The input of the `receive` under way, so that body bytes can be handed out as slices of it.
    private var input = ByteBuffer()
    private var inputBase: UInt = 0
    /// The header block that is being received; header blocks of different streams never interleave.
    private var blocks = HeaderBlockReader()
    private let maxHeaderListSize: Int
    /// Bodies by slot. A slot without a stream is on the free list.
    private var bodies: [OutboundBody?] = []
    private var freeSlots: [Int] = []
    /// Why nghttp2 found a frame invalid, for the error that follows.
    private var complaint: String?

    init(isServer: Bool, maxHeaderListSize: Int) {
        self.isServer = isServer
        self.maxHeaderListSize = maxHeaderListSize
    }

    mutating func complain(_ reason: String) {
        self.complaint = reason
    }

    /// What nghttp2 last found wrong. Told once: a later error is not its doing.
    mutating func takeComplaint() -> String? {
        self.complaint.take()
    }

    // MARK: - Events

    mutating func report(_ event: HTTP2Event) {
        self.events.append(event)
    }

    mutating func takeEvents() -> [HTTP2Event] {
        guard !self.events.isEmpty else { return [] }
        var taken: [HTTP2Event] = []
        swap(&taken, &self.events)
        // As many may come again: room for them is made once, not step by step.
        self.events.reserveCapacity(taken.count)
        return taken
    }

    // MARK: - Slots

    var openStreams: Int { self.bodies.count { $0 != nil } }

    mutating func takeSlot(_ body: consuming OutboundBody = OutboundBody()) -> Int {
        if let slot = self.freeSlots.popLast() {
            self.bodies[slot] = body
            return slot
        }
        self.bodies.append(body)
        return self.bodies.count - 1
    }

    mutating func setStream(_ id: Int32, of slot: Int) {
        self.bodies[slot]?.streamID = id
    }

    /// The stream is gone; its slot stays taken until the owner gives it back.
    mutating func dropBody(_ slot: Int) {
        self.bodies[slot] = nil
    }

    mutating func freeSlot(_ slot: Int) {
        self.bodies[slot] = nil
        self.freeSlots.append(slot)
    }

    /// Whether the slot still belongs to this stream.
    func owns(_ stream: HTTP2Stream) -> Bool {
        self.bodies.indices.contains(stream.slot) && self.bodies[stream.slot]?.streamID == stream.id
    }

    // MARK: - Bodies

    func queuedBytes(_ stream: HTTP2Stream) -> Int? {
        self.owns(stream) ? self.bodies[stream.slot]?.count : nil
    }

    /// Queues body bytes, the end, or both. Returns whether nghttp2 has stopped asking for this body and must be told.
    mutating func extend(_ stream: HTTP2Stream, _ bytes: [UInt8]?, end: OutboundBody.End?) -> Bool {
        guard self.owns(stream) else { return false }
        if let bytes { self.bodies[stream.slot]?.append(bytes) }
        if let end { self.bodies[stream.slot]?.finish(end) }
        guard self.bodies[stream.slot]?.isStarved == true else { return false }
        self.bodies[stream.slot]?.isStarved = false
        return true
    }

    /// Returns whether the stream is there and was not reset before.
    mutating func markReset(_ stream: HTTP2Stream) -> Bool {
        self.owns(stream) && self.bodies[stream.slot]?.markReset() == true
    }

    /// Moves body bytes to `room`. Nil where there is no such body.
    @unsafe mutating func readBody(
        _ slot: Int, into room: UnsafeMutableRawBufferPointer
    ) -> (written: Int, OutboundBody.Step)? {
        guard self.bodies.indices.contains(slot) else { return nil }
        guard let (written, step) = unsafe self.bodies[slot]?.read(into: room) else { return nil }
        if case .starved = step, written == 0 { self.bodies[slot]?.isStarved = true }
        return (written, step)
    }

    // MARK: - Input

    mutating func begin(_ input: ByteBuffer, base: UInt) {
        self.input = input
        self.inputBase = base
    }

    mutating func endInput() {
        self.input = ByteBuffer()
        self.inputBase = 0
    }

    // MARK: - What the callbacks report

    mutating func beginHeaders() {
        self.blocks.begin()
    }

    /// Takes in a field; returns whether the block had room for it. nghttp2 tells the peer the limit, but keeps no count:
    /// with HPACK a small frame can stand for a great many bytes.
    @unsafe mutating func header(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
        unsafe self.blocks.add(name, value)
        return self.blocks.size <= self.maxHeaderListSize
    }

    mutating func endHeaders(_ stream: HTTP2Stream, endStream: Bool) {
        self.events.append(.headers(stream, self.blocks.end(), endStream: endStream))
    }

    /// Body bytes at an address inside the input. Returns false where they lie elsewhere, which nghttp2 never does.
    mutating func data(_ stream: HTTP2Stream, address: UInt, count: Int) -> Bool {
        guard address >= self.inputBase else { return false }
        let index = self.input.readerIndex + Int(address - self.inputBase)
        guard let slice = self.input.getSlice(at: index, length: count) else { return false }
        self.events.append(.data(stream, slice))
        return true
    }

    mutating func closed(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        self.events.append(.closed(stream, code))
        self.dropBody(stream.slot)
    }
}
