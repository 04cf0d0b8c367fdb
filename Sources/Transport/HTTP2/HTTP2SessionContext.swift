// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import CNGHTTP2
internal import NIOCore

/// What nghttp2's callbacks write to. A callback never calls out: it appends an event, and the owner of the session
/// works through the events once the call into nghttp2 has returned.
final class HTTP2SessionContext {
    let isServer: Bool
    var events: [HTTP2Event] = []
    /// The input of the `receive` under way, so that body bytes can be handed out as slices of it.
    private var input = ByteBuffer()
    private var inputBase: UInt = 0
    /// The header block that is being received; header blocks of different streams never interleave.
    private var block = HeaderBlock()
    /// Its size as HTTP/2 counts it: names, values and 32 bytes for each field.
    private var blockSize = 0
    private let maxHeaderListSize: Int
    /// Bodies by slot. A slot without a stream is on the free list.
    private(set) var bodies: [OutboundBody?] = []
    private var freeSlots: [Int] = []
    /// Why nghttp2 found a frame invalid, for the error that follows.
    private(set) var complaint: String?

    init(isServer: Bool, maxHeaderListSize: Int) {
        self.isServer = isServer
        self.maxHeaderListSize = maxHeaderListSize
    }

    func complain(_ reason: String) {
        self.complaint = reason
    }

    /// What nghttp2 last found wrong. Told once: a later error is not its doing.
    func takeComplaint() -> String? {
        defer { self.complaint = nil }
        return self.complaint
    }

    // MARK: - Slots

    var openStreams: Int { self.bodies.count { $0 != nil } }

    func takeSlot() -> Int {
        if let slot = self.freeSlots.popLast() {
            self.bodies[slot] = OutboundBody()
            return slot
        }
        self.bodies.append(OutboundBody())
        return self.bodies.count - 1
    }

    /// The stream is gone; its slot stays taken until the owner gives it back.
    func dropBody(_ slot: Int) {
        self.bodies[slot] = nil
    }

    func freeSlot(_ slot: Int) {
        self.bodies[slot] = nil
        self.freeSlots.append(slot)
    }

    func withBody<Result>(_ slot: Int, _ change: (inout OutboundBody) -> Result) -> Result? {
        guard self.bodies.indices.contains(slot) else { return nil }
        return self.bodies[slot].modify(change)
    }

    /// Whether the slot still belongs to this stream.
    func owns(_ stream: HTTP2Stream) -> Bool {
        self.bodies.indices.contains(stream.slot) && self.bodies[stream.slot]?.streamID == stream.id
    }

    // MARK: - Input

    func begin(_ input: ByteBuffer, base: UInt) {
        self.input = input
        self.inputBase = base
    }

    func endInput() {
        self.input = ByteBuffer()
        self.inputBase = 0
    }

    // MARK: - What the callbacks report

    func beginHeaders() {
        self.block = HeaderBlock()
        self.blockSize = 0
    }

    /// Returns whether the block has room for a field of this size. nghttp2 tells the peer the limit, but keeps no count:
    /// with HPACK a small frame can stand for a great many bytes.
    func admitHeader(size: Int) -> Bool {
        self.blockSize += size + 32
        return self.blockSize <= self.maxHeaderListSize
    }

    func header(_ name: String, _ value: String) {
        self.block.append(name, value)
    }

    func endHeaders(_ stream: HTTP2Stream, endStream: Bool) {
        self.events.append(.headers(stream, self.block, endStream: endStream))
        self.block = HeaderBlock()
    }

    /// Body bytes at an address inside the input. Returns false where they lie elsewhere, which nghttp2 never does.
    func data(_ stream: HTTP2Stream, address: UInt, count: Int) -> Bool {
        guard address >= self.inputBase else { return false }
        let index = self.input.readerIndex + Int(address - self.inputBase)
        guard let slice = self.input.getSlice(at: index, length: count) else { return false }
        self.events.append(.data(stream, slice))
        return true
    }
}

extension Optional {
    fileprivate mutating func modify<Result>(_ change: (inout Wrapped) -> Result) -> Result? {
        guard var value = self.take() else { return nil }
        defer { self = value }
        return change(&value)
    }
}
