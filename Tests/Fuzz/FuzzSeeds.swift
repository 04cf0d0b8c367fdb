// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore

@testable import TiKVTransport

/// The inputs that the fuzzer starts from: what real sessions say to each other, and steps by hand for each part.
enum FuzzSeeds {
    static func write(to directory: String) {
        for (name, target, bytes) in Self.all {
            guard let file = fopen("\(directory)/\(name)", "wb") else { fatalError("cannot write \(name)") }
            let input = [target.rawValue] + bytes
            fwrite(input, 1, input.count, file)
            fclose(file)
        }
    }

    private static var all: [(String, FuzzTarget, [UInt8])] {
        var seeds: [(String, FuzzTarget, [UInt8])] = []
        let (toServer, toClient) = Self.conversation()
        for choices: UInt8 in [0, 1, 2, 4, 16, 32] {
            seeds.append(("server-bytes-\(choices)", .serverBytes, [choices | 64] + toServer))
            seeds.append(("client-bytes-\(choices)", .clientBytes, [choices | 64] + toClient))
        }
        // Headers of each kind, then a body, then every kind of frame, with commands of the owner between them.
        for block in 0..<UInt8(FuzzFrames.blocks.count) {
            for flags: UInt8 in [4, 5, 0] {
                let stream: UInt8 = 1
                let steps: [UInt8] = [13, flags, block, stream, 12, 14, 0, stream, 7, 12, 14, 1, stream, 0, 12]
                let commands: [UInt8] = [11, 4, 0, 11, 6, 0, 40, 11, 11, 0, 11, 8, 0, 12]
                seeds.append(("server-frames-\(block)-\(flags)", .serverFrames, [0] + steps + commands))
                seeds.append(("client-frames-\(block)-\(flags)", .clientFrames, [0] + steps + commands))
                seeds.append(("server-connection-\(block)-\(flags)", .serverConnection, [0] + steps))
                seeds.append(("client-connection-\(block)-\(flags)", .clientConnection, [0] + steps))
            }
        }
        let trailers: [UInt8] = [13, 5, 2, 1, 12]
        seeds.append(("client-frames-call", .clientFrames, [0, 13, 4, 1, 1, 14, 0, 1, 3] + trailers))
        seeds.append(("client-connection-call", .clientConnection, [0, 13, 4, 1, 1, 14, 0, 1, 3] + trailers))
        for type: UInt8 in 0...9 {
            let steps: [UInt8] = [
                13, 4, 0, 1, 12, type, 0, 1, 8, 0, 0, 0, 8, 1, 2, 3, 4, 12, type, 1, 0, 4, 0, 0, 0, 8, 12,
            ]
            seeds.append(("server-frame-\(type)", .serverFrames, [0] + steps))
            seeds.append(("client-frame-\(type)", .clientFrames, [0] + steps))
            seeds.append(("server-connection-frame-\(type)", .serverConnection, [0] + steps))
            seeds.append(("client-connection-frame-\(type)", .clientConnection, [0] + steps))
        }
        seeds.append(("pair-calls", .pair, [0, 0, 0, 0, 9, 15, 2, 0, 20, 15, 4, 0, 30, 15, 6, 0, 7, 0, 15]))
        seeds.append(
            ("pair-narrow", .pair, [7, 7, 2, 0, 9, 0, 9, 0, 9, 15, 2, 0, 200, 4, 0, 99, 8, 0, 9, 0, 15, 12, 99, 15]))
        seeds.append(("deframer", .deframer, [20, 3, 200, 1] + Self.framed([1, 2, 3]) + Self.framed([]) + [0, 0, 0]))
        seeds.append(("deframer-large", .deframer, [20, 3, 200, 1] + Self.framed([UInt8](repeating: 1, count: 160))))
        seeds.append(
            ("response", .response, [0, 3, 0x00, 0x11, 0x26, 0x2a, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 8, 1, 0x22]))
        var envelope = BatchEnvelope()
        envelope.items = [
            .init(id: 1, field: 2, payload: [1, 2, 3]), .init(id: 300, field: 0, payload: []),
            .init(id: 7, field: 255, payload: []),
        ]
        envelope.add(StoreFeedback(transportLayerLoad: 90, health: .init(storeID: 1, sequence: 2, slowScore: 3)))
        seeds.append(("batch", .batch, Array(envelope.framed()[5...])))
        for (index, text) in ["5S", "AAEC/w==", "100%25 wrong%0A", "http://[::1]:2379/", "x:1"].enumerated() {
            seeds.append(("text-\(index)", .text, [0] + Array(text.utf8)))
        }
        let hello = Self.clientHello()
        seeds.append(("tls-server", .tls, [0] + hello))
        seeds.append(("tls-client", .tls, [1] + hello))
        seeds.append(("tls-alert", .tls, [1] + TLSRecord.refusal))
        seeds.append(("tls-http1", .tls, [0] + Array("GET / HTTP/1.1\r\n\r\n".utf8)))
        return seeds
    }

    private static func framed(_ message: [UInt8]) -> [UInt8] {
        [0, 0, 0, 0, UInt8(message.count)] + message
    }

    private static func clientHello() -> [UInt8] {
        guard let context = try? TLSContext(TLSConfiguration(), .client),
            var session = try? TLSSession(client: context, host: "localhost", port: 1)
        else { fatalError("no TLS") }
        try? session.start()
        guard let output = session.takeOutput() else { fatalError("no hello") }
        return Array(output.readableBytesView)
    }

    /// All that two sessions say in a few calls: the preface, settings, headers, data, trailers, a reset, a ping, a GOAWAY.
    private static func conversation() -> (toServer: [UInt8], toClient: [UInt8]) {
        guard var client = try? HTTP2Session(.client), var server = try? HTTP2Session(.server) else {
            fatalError("no session")
        }
        var toServer: [UInt8] = []
        var toClient: [UInt8] = []
        func exchange() {
            while true {
                var there = ByteBuffer()
                while (try? client.drain(into: &there)) == true {}
                var back = ByteBuffer()
                try? server.receive(there)
                for event in server.takeEvents() {
                    if case .headers(let stream, _, _) = event { server.respond(stream, ResponseHeaders.start) }
                    if case .data(let stream, let bytes) = event {
                        server.consume(bytes.readableBytes, on: stream)
                        server.send(Self.framed([1, 2]), on: stream)
                    }
                    if case .endStream(let stream) = event { server.finish(stream, trailers: ResponseHeaders.ok) }
                }
                while (try? server.drain(into: &back)) == true {}
                try? client.receive(back)
                _ = client.takeEvents()
                if there.readableBytes + back.readableBytes == 0 { return }
                toServer += there.readableBytesView
                toClient += back.readableBytesView
            }
        }
        var headers = RequestHeaders(authority: "x", scheme: "http")
        for round in 0..<3 {
            let (base, more) = headers.make(path: "/tikvpb.Tikv/RawGet", timeout: 5_000_000, metadata: ["k": "v"])
            let stream = try? client.request(base, more: more, body: Self.framed([7, 7]), finished: round != 1)
            exchange()
            if round == 1, let stream { client.reset(stream, .cancel) }
        }
        client.ping(7)
        exchange()
        server.goAway(.noError)
        client.goAway(.noError)
        exchange()
        return (toServer, toClient)
    }
}
