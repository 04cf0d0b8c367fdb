// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOCore
import NIOPosix
import Testing
import TiKVProto

@testable import TiKVTransport

/// Messages compressed with gzip, both ways.
@Suite(.timeLimit(.minutes(1)))
struct CompressionTests {
    static let hello: [UInt8] = [
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 203, 72, 205, 201, 201, 215, 81, 200, 64, 161, 0, 248, 85, 142, 20, 21, 0, 0,
        0,
    ]
    static let world: [UInt8] = [
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 43, 207, 47, 202, 73, 1, 0, 67, 17, 119, 58, 5, 0, 0, 0,
    ]

    private static func error(_ body: () throws(RPCError) -> Void) -> RPCError? {
        do throws(RPCError) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    // MARK: - gzip

    @Test func whatOtherProgramsCompressIsRead() throws {
        #expect(try GZip.decompress(Self.hello, limit: 100) == Array("hello, hello, hello, ".utf8))
        // Members that follow each other are one text.
        #expect(
            try GZip.decompress(Self.hello + Self.world, limit: 100) == Array("hello, hello, hello, world".utf8))
    }

    @Test(arguments: [0, 1, 127, 128, 129, 5_000, 1 << 20])
    func framesComeBackAsTheyWere(size: Int) throws {
        var random = SeededRandom(seed: UInt64(size))
        let message = (0..<size).map { _ in UInt8.random(in: 0..<4, using: &random) }
        let frame = FramingTests.frame(message)
        let compressed = GZip.compress(frame: frame)
        var deframer = MessageDeframer(limit: size, encoding: .gzip)
        var messages: [[UInt8]] = []
        // In two pieces, cut inside of the message.
        try deframer.receive(ByteBuffer(bytes: compressed.prefix(compressed.count / 2 + 3))) { messages.append($0) }
        try deframer.receive(ByteBuffer(bytes: compressed.dropFirst(compressed.count / 2 + 3))) { messages.append($0) }
        #expect(messages == [message])
        #expect(size < 5_000 || compressed.count < frame.count / 2)
        #expect(size >= 128 || compressed == frame)
    }

    @Test func whatDoesNotGetSmallerStaysAsItIs() {
        var random = SeededRandom(seed: 7)
        let frame = FramingTests.frame((0..<10_000).map { _ in UInt8.random(in: .min ... .max, using: &random) })
        #expect(GZip.compress(frame: frame) == frame)
    }

    @Test func aSmallMessageThatStandsForAHugeOneIsRefused() throws {
        let bomb = GZip.compress(frame: FramingTests.frame([UInt8](repeating: 0, count: 32 << 20)))
        #expect(bomb.count < 100_000)
        var deframer = MessageDeframer(limit: 1 << 20, encoding: .gzip)
        let error = Self.error { () throws(RPCError) in
            try deframer.receive(ByteBuffer(bytes: bomb)) { _ in Issue.record("it was let through") }
        }
        #expect(error?.code == .resourceExhausted)
        #expect(error?.message.contains("over the limit of 1048576 bytes") == true)
        // To the byte.
        #expect(try GZip.decompress(Self.world, limit: 5) == Array("world".utf8))
        #expect(Self.error { () throws(RPCError) in _ = try GZip.decompress(Self.world, limit: 4) } != nil)
    }

    @Test func damagedBytesAreAnError() {
        for cut in 0..<Self.hello.count {
            let error = Self.error { () throws(RPCError) in
                _ = try GZip.decompress(Array(Self.hello.prefix(cut)), limit: 100)
            }
            #expect(error?.code == .internalError)
        }
        for broken in [0, 12, 20, 26] {
            var bytes = Self.hello
            bytes[broken] ^= 0x55
            #expect(Self.error { () throws(RPCError) in _ = try GZip.decompress(bytes, limit: 100) } != nil)
        }
        #expect(Self.error { () throws(RPCError) in _ = try GZip.decompress(Self.hello + [1], limit: 100) } != nil)
    }

    // MARK: - What was agreed on

    @Test func anUnknownEncodingIsAnErrorOnlyWhereItWasUsed() {
        let headers = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", "snappy")]
        var machine = ResponseMachine(messageLimit: 100)
        let early = machine.headers(HeaderBlock(headers), endStream: false)
        #expect(early == nil)
        var messages: [[UInt8]] = []
        let end = machine.data(ByteBuffer(bytes: FramingTests.frame([1]))) { messages.append($0) }
        #expect(end == nil)
        #expect(messages == [[1]])
        guard
            case .failed(let error) = machine.data(ByteBuffer(bytes: FramingTests.frame([1], compressed: 1)), { _ in })
        else {
            Issue.record("it was let through")
            return
        }
        #expect(error.code == .internalError)
        #expect(error.message.contains("'snappy'"))
    }

    @Test(arguments: [
        ("gzip", true), ("identity,gzip", true), ("identity, deflate, gzip", true), ("identity", false),
        ("xgzip", false),
    ])
    func whatAClientAcceptsIsRead(header: String, accepted: Bool) {
        #expect(MessageEncoding.isGZipAccepted(header) == accepted)
        #expect(!MessageEncoding.isGZipAccepted(nil))
    }

    // MARK: - On the wire

    @Test(arguments: [true, false], [Compression.none, .gzip])
    func requestsAndAnswersAreCompressedWhereSaidSo(batched: Bool, compression: Compression) async throws {
        var services = BatchLoopbackTests.echo()
        services.compression = compression
        services.registerBatchCommands()
        if batched { services.refuseOutsideOfBatches(RPCLoopbackTests.get.path) }
        let recorder = RecordingObserver()
        var configuration = ConnectionConfiguration()
        if !batched { configuration.batch = nil }
        configuration.compression = compression
        configuration.observer = recorder
        try await RPCLoopbackTests.withPair(services, configuration: configuration) { pool, _ in
            var request = Kvrpcpb_RawGetRequest()
            request.key = Data([UInt8](repeating: 7, count: 1 << 19))
            let answer = try await pool.unary(RPCLoopbackTests.get, request)
            #expect(answer.value == request.key)
            try await RPCLoopbackTests.expectAnswer(pool)
        }
        for bytes in [recorder.bytesSent, recorder.bytesReceived] {
            #expect(compression == .gzip ? bytes < 100_000 : bytes > 1 << 19)
        }
    }

    @Test func streamsAreCompressedToo() async throws {
        var services = RPCServices()
        services.compression = .gzip
        services.register(RPCLoopbackTests.batch) { stream, _ in
            while let request = try await stream.next() {
                var response = Tikvpb_BatchCommandsResponse()
                response.requestIds = request.requestIds
                try await stream.send(response)
            }
        }
        let recorder = RecordingObserver()
        var configuration = RPCLoopbackTests.unbatched
        configuration.compression = .gzip
        configuration.observer = recorder
        try await RPCLoopbackTests.withPair(services, configuration: configuration) { pool, _ in
            let ids = [UInt64](repeating: 5, count: 100_000)
            try await pool.withStream(RPCLoopbackTests.batch) { stream in
                for _ in 0..<3 {
                    try await stream.send(RPCLoopbackTests.ids(ids))
                    let answer = try await stream.next()
                    #expect(answer?.requestIds == ids)
                }
            }
        }
        #expect(recorder.bytesSent < 50_000)
        #expect(recorder.bytesReceived < 50_000)
    }

    @Test func aBombFromTheServerFailsItsCallAlone() async throws {
        var services = RPCServices()
        services.compression = .gzip
        services.register(RPCLoopbackTests.get) { request, _ in
            var response = Kvrpcpb_RawGetResponse()
            response.value = Data([UInt8](repeating: 0, count: request.key.count == 1 ? 1 : 8 << 20))
            return response
        }
        var configuration = RPCLoopbackTests.unbatched
        configuration.maxReceiveMessageSize = 1 << 20
        try await RPCLoopbackTests.withPair(services, configuration: configuration) { pool, _ in
            let code = await RPCLoopbackTests.code {
                _ = try await pool.unary(RPCLoopbackTests.get, RPCLoopbackTests.request("bomb"))
            }
            #expect(code == .resourceExhausted)
            try await RPCLoopbackTests.expectAnswer(pool)
        }
    }
}
