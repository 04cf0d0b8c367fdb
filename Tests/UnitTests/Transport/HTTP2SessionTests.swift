// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import TiKVTransport

/// Two sessions that exchange bytes in memory: no socket, no clock.
@Suite struct HTTP2SessionTests {
    /// A client and a server session, and what each has reported.
    struct Pair: ~Copyable {
        var client: HTTP2Session
        var server: HTTP2Session
        var clientEvents: [HTTP2Event] = []
        var serverEvents: [HTTP2Event] = []

        init(client: HTTP2Configuration = .init(), server: HTTP2Configuration = .init()) throws {
            let clientSession = try HTTP2Session(.client, configuration: client)
            let serverSession = try HTTP2Session(.server, configuration: server)
            self.client = clientSession
            self.server = serverSession
        }

        /// Carries bytes both ways until neither side has any, in pieces of at most `size` bytes.
        mutating func exchange(piece size: Int = .max) throws {
            var moved = true
            while moved {
                var toServer = ByteBuffer()
                while try self.client.drain(into: &toServer) {}
                var toClient = ByteBuffer()
                while try self.server.drain(into: &toClient) {}
                moved = toServer.readableBytes + toClient.readableBytes > 0
                while let piece = toServer.readSlice(length: min(size, toServer.readableBytes)), piece.readableBytes > 0
                {
                    try self.server.receive(piece)
                }
                while let piece = toClient.readSlice(length: min(size, toClient.readableBytes)), piece.readableBytes > 0
                {
                    try self.client.receive(piece)
                }
                self.clientEvents += self.client.takeEvents()
                self.serverEvents += self.server.takeEvents()
            }
        }
    }

    static func headers(_ fields: (String, String)...) -> HeaderList {
        var list = HeaderList()
        for (name, value) in fields { list.add(name, value) }
        return list
    }

    static let requestHeaders = Self.headers(
        (":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), (":authority", "x"),
        ("content-type", "application/grpc"))
    static let responseHeaders = Self.headers((":status", "200"), ("content-type", "application/grpc"))
    static let trailers = Self.headers(("grpc-status", "0"))

    /// A short form of events, body bytes joined.
    static func summary(_ events: [HTTP2Event]) -> [String] {
        var out: [String] = []
        for event in events {
            switch event {
            case .headers(let stream, let block, let endStream):
                out.append("headers \(stream.id) \(block.fields.count)\(endStream ? " end" : "")")
            case .data(let stream, let bytes):
                let text = "data \(stream.id) "
                if let last = out.last, last.hasPrefix(text), let count = Int(last.dropFirst(text.count)) {
                    out[out.count - 1] = text + "\(count + bytes.readableBytes)"
                } else {
                    out.append(text + "\(bytes.readableBytes)")
                }
            case .endStream(let stream): out.append("end \(stream.id)")
            case .closed(let stream, let code): out.append("closed \(stream.id) \(code)")
            case .settings: out.append("settings")
            case .pong(let value): out.append("pong \(value)")
            case .goAway(let last, let code, _): out.append("goaway \(last) \(code)")
            }
        }
        return out
    }

    static func stream(in events: [HTTP2Event]) -> HTTP2Stream? {
        for case .headers(let stream, _, _) in events { return stream }
        return nil
    }

    @Test(arguments: [Int.max, 1, 7])
    func aCallFromHeadersToTrailers(piece: Int) throws {
        var pair = try Pair()
        _ = try pair.client.request(Self.requestHeaders, body: Array("hello".utf8), finished: true)
        try pair.exchange(piece: piece)
        #expect(Self.summary(pair.serverEvents) == ["settings", "headers 1 5", "data 1 5", "end 1"])
        let stream = try #require(Self.stream(in: pair.serverEvents))
        pair.server.respond(stream, Self.responseHeaders)
        pair.server.send(Array("world!".utf8), on: stream)
        pair.server.finish(stream, trailers: Self.trailers)
        try pair.exchange(piece: piece)
        #expect(
            Self.summary(pair.clientEvents)
                == ["settings", "headers 1 2", "data 1 6", "headers 1 1 end", "closed 1 NO_ERROR"])
        #expect(pair.client.openStreams == 0)
        #expect(pair.server.openStreams == 0)
    }

    @Test func bodyBytesAndHeadersArriveUnchanged() throws {
        var pair = try Pair()
        let body = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var more = HeaderList()
        more.add("x-custom", "ä value", indexed: false)
        _ = try pair.client.request(Self.requestHeaders, more: more, body: body, finished: true)
        try pair.exchange()
        var received: [UInt8] = []
        for event in pair.serverEvents {
            if case .data(_, var bytes) = event { received += bytes.readBytes(length: bytes.readableBytes) ?? [] }
            if case .headers(_, let block, _) = event {
                #expect(block[":path"] == "/a.B/C")
                #expect(block["x-custom"] == "ä value")
            }
        }
        #expect(received == body)
    }

    @Test func aPeerThatDoesNotConsumeStopsTheSenderAtTheWindow() throws {
        var small = HTTP2Configuration()
        small.streamWindow = 1_000
        small.connectionWindow = 100_000
        var pair = try Pair(server: small)
        try pair.exchange()
        let stream = try pair.client.request(
            Self.requestHeaders, body: [UInt8](repeating: 1, count: 5_000), finished: true)
        try pair.exchange()
        #expect(Self.summary(pair.serverEvents).last == "data 1 1000")
        #expect(pair.client.queuedBytes(stream) == 4_000)
        let serverStream = try #require(Self.stream(in: pair.serverEvents))
        // Half of a window is what makes nghttp2 say that there is room again.
        for _ in 0..<5 {
            pair.server.consume(1_000, on: serverStream)
            try pair.exchange()
        }
        #expect(Self.summary(pair.serverEvents).suffix(2) == ["data 1 5000", "end 1"])
    }

    @Test func aStreamThatIsNotReadDoesNotStopAnother() throws {
        var small = HTTP2Configuration()
        small.streamWindow = 1_000
        small.connectionWindow = 70_000
        var pair = try Pair(server: small)
        try pair.exchange()
        for round in 0..<200 {
            _ = try pair.client.request(
                Self.requestHeaders, body: [UInt8](repeating: 1, count: 1_000), finished: true)
            try pair.exchange()
            // Only the connection's window is given back, as for a message that waits for its reader.
            pair.server.consumeConnection(1_000)
            #expect(
                Self.summary(pair.serverEvents).suffix(2) == ["data \(2 * round + 1) 1000", "end \(2 * round + 1)"])
        }
    }

    @Test func aResetReachesTheOtherSideAndFreesTheSlot() throws {
        var pair = try Pair()
        let stream = try pair.client.request(Self.requestHeaders, body: [1], finished: false)
        try pair.exchange()
        pair.client.reset(stream, .cancel)
        try pair.exchange()
        #expect(Self.summary(pair.serverEvents).last == "closed 1 CANCEL")
        #expect(Self.summary(pair.clientEvents).last == "closed 1 CANCEL")
        #expect(pair.client.openStreams == 0)
        #expect(pair.client.queuedBytes(stream) == nil)
    }

    @Test func streamsOverThePeersLimitWaitForTheirTurn() throws {
        var narrow = HTTP2Configuration()
        narrow.maxConcurrentStreams = 1
        var pair = try Pair(server: narrow)
        try pair.exchange()
        let first = try pair.client.request(Self.requestHeaders, body: [1], finished: true)
        let second = try pair.client.request(Self.requestHeaders, body: [2], finished: true)
        try pair.exchange()
        #expect(!Self.summary(pair.serverEvents).contains("end \(second.id)"))
        pair.client.reset(first, .cancel)
        try pair.exchange()
        #expect(Self.summary(pair.serverEvents).contains("end \(second.id)"))
    }

    @Test func aStreamThatStillWaitsCanBeCancelled() throws {
        var narrow = HTTP2Configuration()
        narrow.maxConcurrentStreams = 1
        var pair = try Pair(server: narrow)
        try pair.exchange()
        let first = try pair.client.request(Self.requestHeaders, body: [1], finished: true)
        let second = try pair.client.request(Self.requestHeaders, body: [2], finished: true)
        try pair.exchange()
        pair.client.reset(second, .cancel)
        pair.client.reset(first, .cancel)
        try pair.exchange()
        #expect(!Self.summary(pair.serverEvents).contains("end \(second.id)"))
        #expect(pair.client.openStreams == 0)
    }

    /// Cancelled by its reader and by its sender, say, or by its deadline first.
    @Test func aStreamThatStillWaitsCanBeCancelledTwice() throws {
        var narrow = HTTP2Configuration()
        narrow.maxConcurrentStreams = 1
        var pair = try Pair(server: narrow)
        try pair.exchange()
        let first = try pair.client.request(Self.requestHeaders, body: [1], finished: true)
        let second = try pair.client.request(Self.requestHeaders, body: [2], finished: true)
        try pair.exchange()
        pair.client.reset(second, .cancel)
        pair.client.reset(second, .cancel)
        try pair.exchange()
        // The peer has no reason to complain, and the other call goes on.
        #expect(!Self.summary(pair.clientEvents).contains { $0.hasPrefix("goaway") })
        let stream = try #require(Self.stream(in: pair.serverEvents))
        pair.server.respondOnly(stream, Self.headers((":status", "200"), ("grpc-status", "0")))
        try pair.exchange()
        #expect(Self.summary(pair.clientEvents).contains("closed \(first.id) NO_ERROR"))
        #expect(Self.summary(pair.clientEvents).contains("closed \(second.id) CANCEL"))
        #expect(pair.client.openStreams == 0)
    }

    /// As gRPC's C core sends an error's message.
    @Test func spacesAtTheEndsOfAResponsesFieldAreNoFault() throws {
        var pair = try Pair()
        _ = try pair.client.request(Self.requestHeaders, body: [1], finished: true)
        try pair.exchange()
        let stream = try #require(Self.stream(in: pair.serverEvents))
        pair.server.respondOnly(stream, Self.headers((":status", "200"), ("grpc-status", "5"), ("grpc-message", " x ")))
        try pair.exchange()
        let values = pair.clientEvents.compactMap { event in
            if case .headers(_, let block, _) = event { block["grpc-message"] } else { nil }
        }
        #expect(values == [" x "])
    }

    @Test func aPingIsAnswered() throws {
        var pair = try Pair()
        pair.client.ping(0x0102_0304_0506_0708)
        try pair.exchange()
        #expect(Self.summary(pair.clientEvents).contains("pong \(0x0102_0304_0506_0708)"))
    }

    @Test func goAwayNamesTheLastStreamAndEndsTheSession() throws {
        var pair = try Pair()
        _ = try pair.client.request(Self.requestHeaders, body: [1], finished: true)
        try pair.exchange()
        let stream = try #require(Self.stream(in: pair.serverEvents))
        pair.server.goAway(.noError)
        try pair.exchange()
        #expect(Self.summary(pair.clientEvents).last == "goaway 1 NO_ERROR")
        #expect(pair.client.isFinished == false)
        pair.server.respondOnly(stream, Self.headers((":status", "200"), ("grpc-status", "0")))
        try pair.exchange()
        #expect(Self.summary(pair.clientEvents).last == "closed 1 NO_ERROR")
        #expect(pair.client.isFinished == true)
        #expect(pair.server.isFinished == true)
    }

    @Test func aBodyThatIsSentPieceByPieceWaitsWithoutBusyWork() throws {
        var pair = try Pair()
        let stream = try pair.client.request(Self.requestHeaders, body: [], finished: false)
        try pair.exchange()
        for round in 1...10 {
            pair.client.send([UInt8](repeating: 1, count: 10), on: stream)
            try pair.exchange()
            #expect(Self.summary(pair.serverEvents).last == "data 1 \(10 * round)")
        }
        pair.client.finish(stream)
        try pair.exchange()
        #expect(Self.summary(pair.serverEvents).last == "end 1")
    }

    @Test func headersOverTheLimitCostTheirStreamAlone() throws {
        var strict = HTTP2Configuration()
        strict.maxHeaderListSize = 4_096
        var pair = try Pair(server: strict)
        try pair.exchange()
        var more = HeaderList()
        more.add("x-large", String(repeating: "v", count: 1_000))
        // The same field again and again takes a byte each on the wire.
        var many = HeaderList()
        for _ in 0..<40 { many.add("x-large", String(repeating: "v", count: 1_000)) }
        _ = try pair.client.request(Self.requestHeaders, more: more, body: [1], finished: true)
        _ = try pair.client.request(Self.requestHeaders, more: many, body: [1], finished: true)
        try pair.exchange()
        #expect(Self.summary(pair.serverEvents).contains("end 1"))
        #expect(!Self.summary(pair.serverEvents).contains { $0.hasPrefix("headers 3") })
        #expect(Self.summary(pair.clientEvents).contains("closed 3 INTERNAL_ERROR"))
        _ = try pair.client.request(Self.requestHeaders, body: [1], finished: true)
        try pair.exchange()
        #expect(Self.summary(pair.serverEvents).contains("end 5"))
    }

    @Test func aSlotIsNotGivenToAnotherStreamBeforeItIsReleased() throws {
        var pair = try Pair()
        let first = try pair.client.request(Self.requestHeaders, body: [1], finished: true)
        try pair.exchange()
        pair.client.reset(first, .cancel)
        try pair.exchange()
        let second = try pair.client.request(Self.requestHeaders, body: [1, 2], finished: false)
        #expect(second.slot != first.slot)
        // What is meant for a stream that is gone reaches no other.
        pair.client.send([9, 9], on: HTTP2Stream(id: first.id, slot: second.slot))
        #expect(pair.client.queuedBytes(second) == 2)
        pair.client.release(first)
        let third = try pair.client.request(Self.requestHeaders, body: [1], finished: true)
        #expect(third.slot == first.slot)
    }

    @Test func whatIsNotHTTP2IsAnErrorForTheServer() throws {
        var server = try HTTP2Session(.server)
        var failure: RPCError?
        do {
            try server.receive(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
        } catch {
            failure = error
        }
        #expect(failure?.code == .unavailable)
        #expect(failure?.message.contains("HTTP/2") == true)
    }

    /// Valid traffic with bytes flipped, cut or doubled: whatever a peer sends may end its session, never the process.
    @Test func damagedBytesNeverTrap() throws {
        var random = SeededRandom(seed: 20_261_123)
        var rejected = 0
        for _ in 0..<2_000 {
            var sender = try HTTP2Session(.client)
            for _ in 0..<3 {
                _ = try sender.request(Self.requestHeaders, body: [UInt8](repeating: 9, count: 40), finished: true)
            }
            var output = ByteBuffer()
            while try sender.drain(into: &output) {}
            var bytes = output.readBytes(length: output.readableBytes) ?? []
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.removeSubrange(index..<min(index + 9, bytes.count))
                case 2: bytes.insert(contentsOf: bytes[..<min(index, 30)], at: index)
                default: bytes[index] ^= 1
                }
            }
            var receiver = try HTTP2Session(.server)
            do {
                try receiver.receive(ByteBuffer(bytes: bytes))
            } catch {
                rejected += 1
            }
            for event in receiver.takeEvents() {
                if case .data(let stream, let data) = event { receiver.consume(data.readableBytes, on: stream) }
            }
            var answer = ByteBuffer()
            _ = try? receiver.drain(into: &answer)
        }
        #expect(rejected > 0)
    }
}
