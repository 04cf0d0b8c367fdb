// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore

@testable import TiKVTransport

/// A client's and a server's session against each other, each in the hands of an owner who keeps the rules: no session
/// may complain, every byte arrives once and in order, and in the end nothing is left open.
struct PairProgram: ~Copyable {
    private struct Side: ~Copyable {
        var session: HTTP2Session
        var checks: SessionChecks
        let isClient: Bool
        var streams: [HTTP2Stream] = []
        var finished: Set<Int32> = []
        /// By stream: bytes that this side received, and those it sent. A sum that depends on their order stands for each.
        var received: [Int32: Sum] = [:]
        var sent: [Int32: Sum] = [:]
        var reset: Set<Int32> = []
    }

    private struct Sum: Equatable {
        var count = 0
        var hash: UInt64 = 0

        mutating func add(_ bytes: some Sequence<UInt8>) {
            for byte in bytes {
                self.count += 1
                self.hash = self.hash &* 31 &+ UInt64(byte)
            }
        }
    }

    private var client: Side
    private var server: Side
    private var reader: FuzzReader
    private let piece: Int
    private var hasGoneAway = false
    private var faults: [String] = []

    init?(_ reader: FuzzReader) {
        var reader = reader
        func side(_ isServer: Bool) -> Side? {
            let choices = reader.byte()
            var configuration = HTTP2Configuration()
            if choices & 1 != 0 { configuration.streamWindow = 100 }
            if choices & 2 != 0 { configuration.connectionWindow = 65_535 }
            if choices & 4 != 0 { configuration.maxConcurrentStreams = 1 }
            guard let session = try? HTTP2Session(isServer ? .server : .client, configuration: configuration) else {
                return nil
            }
            return Side(session: session, checks: SessionChecks(isServer: isServer), isClient: !isServer)
        }
        guard let client = side(false), let server = side(true) else { return nil }
        self.client = client
        self.server = server
        self.piece = [Int.max, 20, 100, 1_000][reader.below(4)]
        self.reader = reader
    }

    mutating func run() -> [String] {
        var steps = 0
        while !self.reader.isEmpty, steps < 300 {
            self.step()
            steps += 1
        }
        self.exchange()
        self.finishAll()
        if self.client.session.openStreams + self.server.session.openStreams > 0 {
            self.faults.append("\(self.client.session.openStreams) and \(self.server.session.openStreams) are open")
        }
        for (id, sum) in self.server.sent where !self.wasReset(id) && self.client.received[id, default: Sum()] != sum {
            self.faults.append("stream \(id): sent \(sum), arrived \(self.client.received[id, default: Sum()])")
        }
        for (id, sum) in self.client.sent where !self.wasReset(id) && self.server.received[id, default: Sum()] != sum {
            self.faults.append("stream \(id): sent \(sum), arrived \(self.server.received[id, default: Sum()])")
        }
        return self.faults + self.client.checks.faults + self.server.checks.faults
    }

    private func wasReset(_ id: Int32) -> Bool {
        self.hasGoneAway || self.client.reset.contains(id) || self.server.reset.contains(id)
    }

    private mutating func step() {
        let code = self.reader.byte()
        switch code & 15 {
        case 0, 1: self.request()
        case 2, 3: Self.send(&self.client, self.reader.below(256), Int(self.reader.byte()) * 5)
        case 4, 5: Self.send(&self.server, self.reader.below(256), Int(self.reader.byte()) * 5)
        case 6: Self.finish(&self.client, self.reader.below(256), trailers: nil)
        case 7: Self.finish(&self.server, self.reader.below(256), trailers: ResponseHeaders.ok)
        case 8: Self.reset(&self.client, self.reader.below(256))
        case 9: Self.reset(&self.server, self.reader.below(256))
        case 10: self.client.session.ping(UInt64(code))
        case 11: self.server.session.ping(UInt64(code))
        case 12:
            // Rarely: nothing new happens after it.
            if self.reader.byte() == 99 {
                self.hasGoneAway = true
                self.server.session.announceShutdown()
                self.server.session.goAway(.noError)
            }
        default: self.exchange()
        }
    }

    private mutating func request() {
        var headers = RequestHeaders(authority: "x", scheme: "http")
        let (base, more) = headers.make(path: "/a.B/C", timeout: nil, metadata: [:])
        let body = [UInt8](repeating: 1, count: Int(self.reader.byte()))
        guard let stream = try? self.client.session.request(base, more: more, body: body, finished: false) else {
            if !self.hasGoneAway { self.faults.append("a request was refused") }
            return
        }
        self.client.checks.requested(stream)
        self.client.streams.append(stream)
        self.client.sent[stream.id, default: Sum()].add(body)
    }

    private static func send(_ side: inout Side, _ choice: Int, _ count: Int) {
        guard !side.streams.isEmpty else { return }
        let stream = side.streams[choice % side.streams.count]
        guard !side.finished.contains(stream.id), !side.reset.contains(stream.id) else { return }
        let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ choice) }
        side.session.send(body, on: stream)
        side.sent[stream.id, default: Sum()].add(body)
    }

    private static func finish(_ side: inout Side, _ choice: Int, trailers: HeaderList?) {
        guard !side.streams.isEmpty else { return }
        let stream = side.streams[choice % side.streams.count]
        guard side.finished.insert(stream.id).inserted else { return }
        side.session.finish(stream, trailers: trailers)
    }

    private static func reset(_ side: inout Side, _ choice: Int) {
        guard !side.streams.isEmpty else { return }
        let stream = side.streams[choice % side.streams.count]
        // Our server never resets what it has answered. (If it did, nghttp2 would count the stream as open until the
        // RST_STREAM is out, while the client may open another in its place.)
        guard side.isClient || !side.finished.contains(stream.id) else { return }
        side.reset.insert(stream.id)
        side.session.reset(stream, .cancel)
    }

    // MARK: - Bytes

    private mutating func exchange() {
        var rounds = 0
        while rounds < 20_000 {
            var moved = 0
            moved += Self.carry(&self.client, to: &self.server, self.piece, &self.faults)
            moved += Self.carry(&self.server, to: &self.client, self.piece, &self.faults)
            if moved == 0 { return }
            rounds += 1
        }
        self.faults.append("the sessions never come to rest")
    }

    private static func carry(
        _ from: inout Side, to: inout Side, _ size: Int, _ faults: inout [String]
    ) -> Int {
        var output = ByteBuffer()
        do throws(RPCError) {
            while try from.session.drain(into: &output) {}
        } catch {
            faults.append("\(error)")
        }
        Self.takeEvents(&from)
        let count = output.readableBytes
        while output.readableBytes > 0, let piece = output.readSlice(length: min(size, output.readableBytes)) {
            do throws(RPCError) {
                try to.session.receive(piece)
            } catch {
                faults.append("\(error)")
                return 0
            }
            // Streams that were opened before the peer's limit was known are refused, and rightly so.
            if let complaint = to.session.takeComplaint(), complaint != "Stream was refused" {
                faults.append("it complains: \(complaint)")
            }
            Self.takeEvents(&to)
        }
        return count
    }

    private static func takeEvents(_ side: inout Side) {
        for event in side.session.takeEvents() {
            side.checks.event(event)
            switch event {
            case .headers(let stream, _, _):
                guard !side.streams.contains(stream), side.received[stream.id] == nil else { continue }
                side.streams.append(stream)
                side.received[stream.id] = Sum()
                side.session.respond(stream, ResponseHeaders.start)
            case .data(let stream, let bytes):
                side.received[stream.id, default: Sum()].add(bytes.readableBytesView)
                side.session.consume(bytes.readableBytes, on: stream)
            case .closed(let stream, let code):
                side.streams.removeAll { $0 == stream }
                if code != .noError { side.reset.insert(stream.id) }
                side.checks.released(stream)
                side.session.release(stream)
            default:
                break
            }
        }
    }

    /// Ends what is open; streams that wait for the peer's limit get their turn as others end.
    private mutating func finishAll() {
        var rounds = 0
        while self.client.session.openStreams + self.server.session.openStreams > 0, rounds < 400 {
            for index in self.client.streams.indices { Self.finish(&self.client, index, trailers: nil) }
            for index in self.server.streams.indices { Self.finish(&self.server, index, trailers: ResponseHeaders.ok) }
            self.exchange()
            rounds += 1
        }
    }
}
