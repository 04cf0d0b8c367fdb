// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore

@testable import TiKVTransport

/// Holds what a session reports against what its owner relies on.
struct SessionChecks {
    private enum Phase {
        /// Asked for by us; nothing came yet.
        case requested
        case open
        /// The peer has no more to say.
        case ended
        case closed
    }

    private let isServer: Bool
    private var phases: [Int32: Phase] = [:]
    /// Slots that are taken, and by which stream.
    private var slots: [Int: Int32] = [:]
    private(set) var bodyBytes = 0
    private(set) var faults: [String] = []

    init(isServer: Bool) {
        self.isServer = isServer
    }

    var openStreams: Int { self.phases.values.count { $0 != .closed } }

    mutating func requested(_ stream: HTTP2Stream) {
        self.take(stream)
        self.phases[stream.id] = .requested
    }

    mutating func released(_ stream: HTTP2Stream) {
        self.expect(self.slots[stream.slot] == stream.id, "slot \(stream.slot) is not that of stream \(stream.id)")
        self.slots[stream.slot] = nil
    }

    mutating func event(_ event: HTTP2Event) {
        switch event {
        case .headers(let stream, let block, let endStream):
            if self.isServer, self.phases[stream.id] == nil { self.take(stream) }
            self.live(stream, "headers")
            self.phases[stream.id] = endStream ? .ended : .open
            let size = block.fields.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 32 }
            // Bytes that are no UTF-8 become replacement characters, of three bytes each.
            self.expect(size <= 3 * (64 << 10), "a header block of \(size) bytes")
        case .data(let stream, let bytes):
            self.live(stream, "data")
            self.bodyBytes += bytes.readableBytes
        case .endStream(let stream):
            self.live(stream, "the end")
            self.phases[stream.id] = .ended
        case .closed(let stream, _):
            // The server role may close a stream of which nothing was told: its headers were refused.
            if self.isServer, self.phases[stream.id] == nil {
                self.take(stream)
                self.phases[stream.id] = .open
            }
            self.expect(self.phases[stream.id] != nil, "stream \(stream.id) was never there and is closed")
            self.expect(self.phases[stream.id] != .closed, "stream \(stream.id) is closed twice")
            self.expect(self.slots[stream.slot] == stream.id, "stream \(stream.id) is closed in another's slot")
            self.phases[stream.id] = .closed
        case .settings, .pong, .goAway:
            break
        }
    }

    mutating func expect(_ condition: Bool, _ fault: @autoclosure () -> String) {
        if !condition { self.faults.append(fault()) }
    }

    private mutating func live(_ stream: HTTP2Stream, _ what: String) {
        let phase = self.phases[stream.id]
        self.expect(self.slots[stream.slot] == stream.id, "\(what) for stream \(stream.id) in another's slot")
        switch phase {
        case .requested, .open: break
        case nil: self.expect(self.isServer, "\(what) for stream \(stream.id), which we did not open")
        case .ended: self.expect(false, "\(what) for stream \(stream.id) after its end")
        case .closed: self.expect(false, "\(what) for stream \(stream.id) after it was closed")
        }
    }

    private mutating func take(_ stream: HTTP2Stream) {
        self.expect(self.slots[stream.slot] == nil, "slot \(stream.slot) is given out twice")
        self.slots[stream.slot] = stream.id
    }
}
