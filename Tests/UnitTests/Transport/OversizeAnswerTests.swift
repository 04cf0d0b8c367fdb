// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOCore
import Synchronization
import Testing
import TiKVProto

@testable import TiKVTransport

/// Messages over the limit in a batch stream: what is wrong with one answer is its own command's matter.
@Suite(.timeLimit(.minutes(1)))
struct OversizeAnswerTests {
    private static func payload(of envelope: BatchEnvelope) -> [UInt8] {
        Array(envelope.framed().dropFirst(FramedMessage.prefixLength))
    }

    private static func envelope(_ sizes: [Int]) -> BatchEnvelope {
        var envelope = BatchEnvelope()
        envelope.items = sizes.enumerated().map { index, size in
            BatchEnvelope.Item(
                id: UInt64(index + 1) << 20, field: 13, payload: [UInt8](repeating: UInt8(index), count: size))
        }
        envelope.add(
            StoreFeedback(transportLayerLoad: 300, health: .init(storeID: 1, sequence: 2, slowScore: 3)))
        return envelope
    }

    private static func sieved(
        _ bytes: [UInt8], limit: Int, answers: Int = 100, piece: Int
    ) throws(RPCError) -> (BatchEnvelope, [BatchSieve.Oversize]) {
        var sieve = BatchSieve(limit: limit, answers: answers)
        var rest = bytes[...]
        while !rest.isEmpty {
            try sieve.take(Array(rest.prefix(piece)))
            rest = rest.dropFirst(piece)
        }
        return try sieve.finish()
    }

    // MARK: - The sieve

    @Test(arguments: [1, 2, 7, 100_000])
    func whatIsNotTooLargeIsKeptHoweverTheMessageIsCut(piece: Int) throws {
        let whole = Self.envelope([0, 3, 500, 100, 101, 2, 90_000, 7])
        let (kept, oversize) = try Self.sieved(Self.payload(of: whole), limit: 100, piece: piece)
        #expect(kept.items == whole.items.filter { $0.payload.count <= 100 })
        #expect(oversize.map(\.id) == [3 << 20, 5 << 20, 7 << 20])
        #expect(oversize.map { $0.size / 10 } == [50, 10, 9_000])
        #expect(kept.load == 300)
        #expect(kept.feedback == whole.feedback)
    }

    @Test func whatTheEnvelopeReadsTheSieveReadsAlike() throws {
        var random = SeededRandom(seed: 7)
        for _ in 0..<200 {
            let sizes = (0..<Int.random(in: 0...9, using: &random)).map { _ in Int.random(in: 0...300, using: &random) }
            let bytes = Self.payload(of: Self.envelope(sizes))
            let read = try BatchEnvelope(decoding: bytes)
            let (kept, oversize) = try Self.sieved(
                bytes, limit: 1_000, piece: Int.random(in: 1...64, using: &random))
            #expect(kept.items == read.items)
            #expect(kept.load == read.load && kept.feedback == read.feedback)
            #expect(oversize.isEmpty)
        }
    }

    @Test func idsThatAreNotPackedAreRead() throws {
        // Fields of no meaning here, of each wire type, before and after.
        let noise: [UInt8] = [
            0xf8, 0x01, 5, 0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 0xfd, 0x01, 1, 2, 3, 4, 0xfa, 0x01, 1, 9,
        ]
        let item: [UInt8] = [0x0a, 3, 0x6a, 1, 42]
        let bytes = noise + item + item + [0x10, 7] + [0x10, 9] + noise
        let (kept, _) = try Self.sieved(bytes, limit: 10, piece: 3)
        #expect(kept.items.map(\.id) == [7, 9])
        #expect(kept.items.map(\.payload) == [[42], [42]])
    }

    @Test func aBrokenMessageIsAnError() {
        let good = Self.payload(of: Self.envelope([5, 500, 5]))
        for count in 1..<good.count where count < 530 {
            #expect(throws: RPCError.self) { try Self.sieved(Array(good.prefix(count)), limit: 100, piece: 64) }
        }
        for bad in [[0x0b], [0], [0x12, 1, 1], [0x10, 1], [UInt8](repeating: 0xff, count: 11)] as [[UInt8]] {
            #expect(throws: RPCError.self) { try Self.sieved(bad, limit: 100, piece: 64) }
        }
    }

    @Test func noMoreIsKeptThanAnswersAreDue() throws {
        let many = Self.envelope([Int](repeating: 1_000_000, count: 8))
        let bytes = Self.payload(of: many)
        #expect(try Self.sieved(bytes, limit: 1_000_000, answers: 8, piece: 1 << 16).0.items.count == 8)
        #expect(throws: RPCError.self) { try Self.sieved(bytes, limit: 1_000_000, answers: 4, piece: 1 << 16) }
    }

    // MARK: - In its frame

    @Test(arguments: [false, true], [1, 1_000, 1 << 20])
    func aMessageOverTheLimitIsSiftedInItsFrame(compressed: Bool, piece: Int) throws {
        let whole = Self.envelope([10, 5_000, 10, 20_000])
        let frame = compressed ? GZip.compress(frame: whole.framed()) : whole.framed()
        #expect((frame[0] == 1) == compressed)
        let after = Self.envelope([1]).framed()
        // Compressed it may be over the limit, or only what it stands for.
        for limit in [30, 1_000] {
            var deframer = MessageDeframer(limit: limit, encoding: .gzip)
            var plain: [[UInt8]] = []
            var kept: [BatchEnvelope.Item] = []
            var oversize: [BatchSieve.Oversize] = []
            var rest = (frame + after)[...]
            while !rest.isEmpty {
                try deframer.receive(ByteBuffer(bytes: rest.prefix(piece)), answers: 10) {
                    plain.append($0)
                } sifted: {
                    kept += $0.items
                    oversize += $1
                }
                rest = rest.dropFirst(piece)
            }
            #expect(kept == [whole.items[0], whole.items[2]])
            #expect(oversize.map(\.id) == [whole.items[1].id, whole.items[3].id])
            #expect(plain == [Self.payload(of: Self.envelope([1]))])
            #expect(!deframer.isMidMessage)
        }
    }

    @Test func aCompressedMessageThatIsCutOffIsAnError() {
        let frame = GZip.compress(frame: Self.envelope([10, 5_000]).framed())
        var cut = Array(frame.dropLast(6))
        cut[4] -= 6
        for limit in [10, 1_000] {
            var deframer = MessageDeframer(limit: limit, encoding: .gzip)
            #expect(throws: RPCError.self) {
                try deframer.receive(ByteBuffer(bytes: cut), answers: 10) { _ in }
            }
        }
    }

    // MARK: - On the wire

    @Test(arguments: [Compression.none, .gzip])
    func anAnswerThatIsTooLargeFailsItsOwnCommand(compression: Compression) async throws {
        let streams = Atomic(0)
        var services = RPCServices()
        services.compression = compression
        services.register(RPCLoopbackTests.get) { request, _ in
            let size = Int(String(decoding: request.key, as: UTF8.self)) ?? 0
            var response = Kvrpcpb_RawGetResponse()
            // Bytes that gzip makes nothing of.
            var random = SeededRandom(seed: UInt64(size))
            response.value = Data((0..<size).map { _ in UInt8.random(in: 0...255, using: &random) })
            return response
        }
        services.registerBatchCommands()
        guard case .stream(let serve)? = services.handlers[TikvpbTikvRPC.batchCommands.path] else {
            Issue.record("there is no such stream")
            return
        }
        services.handlers[TikvpbTikvRPC.batchCommands.path] = .stream { core, call in
            streams.add(1, ordering: .relaxed)
            try await serve(core, call)
        }
        services.refuseOutsideOfBatches(RPCLoopbackTests.get.path)
        let configuration = ConnectionConfiguration(maxReceiveMessageSize: 100_000)
        try await RPCLoopbackTests.withPair(services, configuration: configuration) { pool, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<200 {
                    group.addTask {
                        let size = index % 20 == 0 ? 150_000 + index : 3_000 + index
                        let request = RPCLoopbackTests.request("\(size)")
                        guard index % 20 == 0 else {
                            let answer = try await pool.unary(RPCLoopbackTests.get, request)
                            #expect(answer.value.count == size)
                            return
                        }
                        let error = await RPCLoopbackTests.error {
                            _ = try await pool.unary(RPCLoopbackTests.get, request)
                        }
                        #expect(error?.code == .resourceExhausted)
                        // The server has done what was asked for.
                        #expect(error?.delivery == .unknown)
                        #expect(error?.message.contains("over the limit of 100000 bytes") == true)
                        #expect(error?.message.contains("15") == true)
                    }
                }
                try await group.waitForAll()
            }
        }
        #expect(streams.load(ordering: .relaxed) == 1)
    }

    @Test func aLargeRequestGoesByItselfSoThatTheServersLimitIsItsOwnMatter() async throws {
        var services = RPCServices()
        services.maxMessageSize = 3 << 20
        services.register(RPCLoopbackTests.get) { request, _ in
            var response = Kvrpcpb_RawGetResponse()
            response.value = Data(request.key.prefix(10))
            return response
        }
        services.registerBatchCommands()
        try await RPCLoopbackTests.withPair(services, configuration: .init()) { pool, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<40 {
                    group.addTask {
                        var request = Kvrpcpb_RawGetRequest()
                        let size = index % 10 == 0 ? 4 << 20 : index % 10 == 1 ? 2 << 20 : 900 << 10
                        request.key = Data([UInt8](repeating: 1, count: size))
                        let error = await RPCLoopbackTests.error {
                            _ = try await pool.unary(RPCLoopbackTests.get, request)
                        }
                        #expect(error?.code == (size > 3 << 20 ? .resourceExhausted : nil))
                        if size > 3 << 20 { #expect(error?.delivery == .answered) }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
