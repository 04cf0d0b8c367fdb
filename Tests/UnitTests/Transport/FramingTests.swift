// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOCore
import SwiftProtobuf
import Testing
import TiKVProto

@testable import TiKVTransport

@Suite struct FramingTests {
    static func frame(_ message: [UInt8], compressed: UInt8 = 0) -> [UInt8] {
        [compressed] + (0..<4).map { UInt8(truncatingIfNeeded: message.count >> (24 - 8 * $0)) } + message
    }

    static func messages(_ pieces: [[UInt8]], limit: Int = 1 << 20) throws(RPCError) -> (all: [[UInt8]], mid: Bool) {
        var deframer = MessageDeframer(limit: limit)
        var all: [[UInt8]] = []
        for piece in pieces { try deframer.receive(ByteBuffer(bytes: piece)) { all.append($0) } }
        return (all, deframer.isMidMessage)
    }

    @Test func messagesComeOutWhereverTheBodyWasCut() throws {
        let wanted: [[UInt8]] = [[1, 2, 3], [], Array(repeating: 7, count: 300), [9]]
        let body = wanted.flatMap { Self.frame($0) }
        for cut in 0...body.count {
            for second in stride(from: cut, through: body.count, by: 13) {
                let pieces = [Array(body[..<cut]), Array(body[cut..<second]), Array(body[second...])]
                let (all, mid) = try Self.messages(pieces)
                #expect(all == wanted)
                #expect(!mid)
            }
        }
        let (all, mid) = try Self.messages(body.map { [$0] })
        #expect(all == wanted)
        #expect(!mid)
    }

    @Test func aBodyThatEndsInsideAMessageIsSeen() throws {
        let body = Self.frame([1, 2, 3])
        for cut in 1..<body.count {
            let (all, mid) = try Self.messages([Array(body[..<cut])])
            #expect(all.isEmpty)
            #expect(mid)
        }
    }

    @Test func aMessageOverTheLimitIsRefusedByItsLengthAlone() throws {
        #expect(throws: RPCError.self) { try Self.messages([[0, 0xff, 0xff, 0xff, 0xff]], limit: 100) }
        #expect(throws: RPCError.self) { try Self.messages([Self.frame(Array(repeating: 0, count: 101))], limit: 100) }
        let (all, _) = try Self.messages([Self.frame(Array(repeating: 0, count: 100))], limit: 100)
        #expect(all.count == 1)
    }

    @Test(arguments: [UInt8(1), 2, 255]) func aPrefixThatWasNotAgreedOnIsAnError(flag: UInt8) throws {
        #expect(throws: RPCError.self) { try Self.messages([Self.frame([1], compressed: flag)]) }
    }

    @Test func anEncodedMessageStandsBehindItsPrefix() throws {
        var request = Kvrpcpb_RawGetRequest()
        request.key = .init([UInt8](repeating: 3, count: 1_000))
        let frame = try request.framed(limit: 2_000)
        let (all, mid) = try Self.messages([frame])
        #expect(!mid)
        #expect(try all.map { try Kvrpcpb_RawGetRequest(serializedBytes: $0) } == [request])
        #expect(throws: RPCError.self) { try request.framed(limit: 999) }
        let empty = try Kvrpcpb_RawGetRequest().framed(limit: 0)
        #expect(empty == [0, 0, 0, 0, 0])
    }

    @Test func timeoutsFitInEightDigitsAndNeverEndEarly() throws {
        var random = SeededRandom(seed: 7)
        var times: [Int64] = [1, 999, 99_999_999, 100_000_000, 3_600_000_000_000, .max, 0, -5]
        for _ in 0..<2_000 {
            let bits = Int.random(in: 1..<63, using: &random)
            times.append(Int64.random(in: 1...(1 << Int64(bits)), using: &random))
        }
        for time in times {
            let text = GRPCTimeout.encode(nanoseconds: time)
            #expect(text.count <= 9)
            let back = try #require(GRPCTimeout.decode(text))
            #expect(back >= time)
            // At most one unit of the last of eight digits is added.
            #expect(Double(back) <= max(Double(time), 1) * 1.00001 + 1)
        }
    }

    @Test(arguments: ["", "5", "m", "123456789m", "-1S", "1x", "1 S", "S1"])
    func whatIsNoTimeoutIsRefused(text: String) {
        #expect(GRPCTimeout.decode(text.utf8) == nil)
    }

    @Test func timeoutsOfOtherImplementations() {
        #expect(GRPCTimeout.decode("1H".utf8) == 3_600_000_000_000)
        #expect(GRPCTimeout.decode("00000010m".utf8) == 10_000_000)
        #expect(GRPCTimeout.decode("99999999H".utf8) == .max)
    }

    @Test(arguments: ["", "plain", "100 %", "ümläut\n\0\u{7f}", "%41", "日本"])
    func statusMessagesSurviveTheWire(text: String) {
        let encoded = String(decoding: StatusMessage.encode(text), as: UTF8.self)
        #expect(encoded.utf8.allSatisfy { (0x20...0x7e).contains($0) })
        #expect(StatusMessage.decode(encoded) == text)
    }

    @Test func brokenEscapesStayAsTheyAre() {
        #expect(StatusMessage.decode("50%") == "50%")
        #expect(StatusMessage.decode("%zz%4") == "%zz%4")
    }

    @Test func base64BothWays() {
        var random = SeededRandom(seed: 1)
        for count in 0..<70 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            let text = Base64.encode(bytes)
            #expect(!text.contains("="))
            #expect(Base64.decode(text.utf8) == bytes)
            let padded = text + String(repeating: "=", count: (4 - text.count % 4) % 4)
            #expect(Base64.decode(padded.utf8) == bytes)
        }
        for wrong in ["A", "A===", "AA=A", "AAAA=", "A*AA", "AB==" + "="] {
            #expect(Base64.decode(wrong.utf8) == nil, "\(wrong)")
        }
    }

    @Test func metadataKeepsOrderAndRepeats() {
        var metadata: Metadata = ["A": "1", "b": "2"]
        metadata.add("3", for: "a")
        metadata.add(binary: [1, 2], for: "c")
        #expect(metadata.all("a") == ["1", "3"])
        #expect(metadata.first("b") == "2")
        #expect(metadata.allBinary("c-bin") == [[1, 2]])
        metadata.add("AQI,AQM=", for: "d-bin")
        #expect(metadata.allBinary("d-bin") == [[1, 2], [1, 3]])
    }

    @Test func addressesInAllTheirForms() {
        #expect(PeerAddress("pd0:2379") == PeerAddress(host: "pd0", port: 2379))
        #expect(PeerAddress("http://127.0.0.1:2379") == PeerAddress(host: "127.0.0.1", port: 2379))
        #expect(PeerAddress("https://pd.example:2379/") == PeerAddress(host: "pd.example", port: 2379))
        #expect(PeerAddress("[::1]:2379") == PeerAddress(host: "::1", port: 2379))
        #expect(PeerAddress("[::1]:2379")?.description == "[::1]:2379")
        #expect(PeerAddress("pd0", defaultPort: 2379) == PeerAddress(host: "pd0", port: 2379))
        for wrong in ["", "pd0", ":2379", "pd0:", "pd0:0", "pd0:65536", "pd0:x", "a b:1", "::1:2379", "[::1", "h:1/x"] {
            #expect(PeerAddress(wrong) == nil, "\(wrong)")
        }
    }
}
