// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore

@testable import TiKVTransport

/// One session in the hands of an owner who does what connections do, against a peer who does anything.
struct SessionProgram: ~Copyable {
    private struct Local {
        let stream: HTTP2Stream
        var isAnswered = false
        var isFinished = false
        var owed = 0
    }

    private var session: HTTP2Session
    private var checks: SessionChecks
    private var reader: FuzzReader
    private let isServer: Bool
    private let isFramed: Bool
    private let piece: Int
    private var input: [UInt8] = []
    private var streams: [Local] = []
    private var isBroken = false
    private var bytesIn = 0
    private var bytesOut = 0
    /// What the peer may make us send beyond answers to its own bytes.
    private var allowance = 4_096

    init?(isServer: Bool, isFramed: Bool, _ reader: FuzzReader) {
        var reader = reader
        let choices = reader.byte()
        var configuration = HTTP2Configuration()
        if choices & 1 != 0 { configuration.streamWindow = 100 }
        if choices & 2 != 0 { configuration.maxHeaderListSize = 400 }
        if choices & 4 != 0 { configuration.maxConcurrentStreams = 2 }
        if choices & 8 != 0 { configuration.maxFrameSize = 1 << 14 }
        guard let session = try? HTTP2Session(isServer ? .server : .client, configuration: configuration) else {
            return nil
        }
        self.session = session
        self.checks = SessionChecks(isServer: isServer)
        self.piece = [Int.max, 1, 7, 64][Int(choices >> 4) % 4]
        self.reader = reader
        self.isServer = isServer
        self.isFramed = isFramed
        if choices & 64 == 0 {
            if isServer { self.input += FuzzFrames.preface }
            self.input += FuzzFrames.frame(4, flags: 0, stream: 0, [])
        }
    }

    mutating func run() -> [String] {
        if !self.isServer { for _ in 0..<3 { self.request(finished: true) } }
        if self.isFramed {
            var steps = 0
            while !self.reader.isEmpty, steps < 2_000, !self.isBroken {
                self.step()
                steps += 1
            }
        } else {
            self.input += self.reader.remainder()
        }
        self.feed()
        for local in self.streams { self.session.consume(local.owed, on: local.stream) }
        self.drain()
        let body = self.checks.bodyBytes
        self.checks.expect(body <= self.bytesIn, "\(body) bytes of body in \(self.bytesIn)")
        self.checks.expect(
            self.bytesOut <= 8 * self.bytesIn + self.allowance,
            "\(self.bytesOut) bytes out for \(self.bytesIn) in and \(self.allowance) of our own")
        let open = self.checks.openStreams
        // The server role has slots for streams whose headers are not complete, too.
        self.checks.expect(
            self.session.openStreams == open || self.isServer && self.session.openStreams >= open,
            "\(self.session.openStreams) streams are open, by the events \(open)")
        return self.checks.faults
    }

    // MARK: - Steps

    private mutating func step() {
        let code = self.reader.byte()
        if let bytes = FuzzFrames.next(code, &self.reader) {
            self.input += bytes
        } else {
            self.feed()
            if code & 15 == 11 { self.command() }
        }
    }

    private mutating func command() {
        let code = self.reader.byte()
        self.allowance += 256
        switch code & 15 {
        case 0: self.session.ping(UInt64(code))
        case 1: self.session.goAway(HTTP2ErrorCode(rawValue: UInt32(self.reader.byte())))
        case 2: if self.isServer { self.session.announceShutdown() } else { self.request(finished: false) }
        case 3: if !self.isServer { self.request(finished: true) }
        default: self.streamCommand(code & 15)
        }
        self.drain()
    }

    private mutating func streamCommand(_ code: UInt8) {
        guard !self.streams.isEmpty else { return }
        let index = self.reader.below(self.streams.count)
        let stream = self.streams[index].stream
        switch code {
        case 4 where self.isServer && !self.streams[index].isAnswered:
            self.streams[index].isAnswered = true
            self.session.respond(stream, ResponseHeaders.start)
        case 5 where self.isServer && !self.streams[index].isAnswered:
            self.streams[index].isAnswered = true
            self.streams[index].isFinished = true
            self.session.respondOnly(stream, ResponseHeaders.only(RPCError(.internalError, "no")))
        case 6, 7:
            guard self.streams[index].isAnswered, !self.streams[index].isFinished else { return }
            let body = [UInt8](repeating: code, count: self.reader.below(256) * 9)
            // A window that opens byte by byte makes a frame of each byte.
            self.allowance += 2 * body.count
            self.session.send(body, on: stream)
        case 8, 9:
            guard self.streams[index].isAnswered, !self.streams[index].isFinished else { return }
            self.streams[index].isFinished = true
            self.session.finish(stream, trailers: self.isServer && code == 8 ? ResponseHeaders.ok : nil)
        case 10:
            self.session.reset(stream, HTTP2ErrorCode(rawValue: UInt32(self.reader.byte())))
        case 11:
            self.session.consume(self.streams[index].owed, on: stream)
            self.streams[index].owed = 0
        default:
            let part = min(self.reader.below(256), self.streams[index].owed)
            self.session.consumeConnection(part)
            self.session.consumeStream(part, on: stream)
            self.streams[index].owed -= part
        }
    }

    private mutating func request(finished: Bool) {
        var headers = RequestHeaders(authority: "x", scheme: "http")
        let (base, more) = headers.make(path: "/a.B/C", timeout: 1_000_000, metadata: ["k": "v"])
        guard let stream = try? self.session.request(base, more: more, body: [0, 0, 0, 0, 1, 7], finished: finished)
        else { return }
        self.allowance += 512
        self.checks.requested(stream)
        self.streams.append(Local(stream: stream, isAnswered: true, isFinished: finished))
    }

    // MARK: - Bytes

    private mutating func feed() {
        let bytes = self.input
        self.input = []
        var offset = 0
        while offset < bytes.count, !self.isBroken {
            let size = min(self.piece, bytes.count - offset)
            self.bytesIn += size
            do throws(RPCError) {
                try self.session.receive(ByteBuffer(bytes: bytes[offset..<(offset + size)]))
            } catch {
                self.checks.expect(!error.message.isEmpty, "an error without a reason")
                self.isBroken = true
            }
            offset += size
            self.takeEvents()
            self.drain()
        }
    }

    private mutating func drain() {
        var output = ByteBuffer()
        while (try? self.session.drain(into: &output)) == true {}
        self.bytesOut += output.readableBytes
        self.takeEvents()
    }

    private mutating func takeEvents() {
        for event in self.session.takeEvents() {
            self.checks.event(event)
            switch event {
            case .headers(let stream, _, _):
                if self.isServer, !self.streams.contains(where: { $0.stream == stream }) {
                    self.streams.append(Local(stream: stream))
                }
            case .data(let stream, let bytes):
                if let index = self.streams.firstIndex(where: { $0.stream == stream }) {
                    self.streams[index].owed += bytes.readableBytes
                }
            case .closed(let stream, _):
                if let index = self.streams.firstIndex(where: { $0.stream == stream }) {
                    self.session.consumeConnection(self.streams[index].owed)
                    self.streams.remove(at: index)
                }
                self.checks.released(stream)
                self.session.release(stream)
            default:
                break
            }
        }
    }
}
