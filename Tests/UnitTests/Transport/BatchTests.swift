// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOCore
import SwiftProtobuf
import Testing
import TiKVProto

@testable import TiKVTransport

/// The pure parts of BatchCommands.
@Suite struct BatchTests {
    static func item(_ id: UInt64, _ field: Int = 13, _ payload: [UInt8] = []) -> BatchEnvelope.Item {
        BatchEnvelope.Item(id: id, field: field, payload: payload)
    }

    // MARK: - Envelope

    @Test func aRequestIsByteForByteWhatProtobufWrites() throws {
        var random = SeededRandom(seed: 3)
        for count in [0, 1, 2, 64, 300] {
            var envelope = BatchEnvelope()
            var message = Tikvpb_BatchCommandsRequest()
            for index in 0..<count {
                let id = UInt64.random(in: 0...(1 << UInt64.random(in: 1...60, using: &random)), using: &random)
                var get = Kvrpcpb_RawGetRequest()
                get.key = Data((0..<Int.random(in: 0...300, using: &random)).map { _ in 7 })
                get.context.regionID = UInt64(index)
                var command = Tikvpb_BatchCommandsRequest.Request()
                if index % 2 == 0 {
                    command.cmd = .rawGet(get)
                    envelope.items.append(Self.item(id, 13, try get.encoded(limit: .max)))
                } else {
                    var health = Kvrpcpb_GetHealthFeedbackRequest()
                    health.context = get.context
                    command.cmd = .getHealthFeedback(health)
                    envelope.items.append(Self.item(id, 39, try health.encoded(limit: .max)))
                }
                message.requests.append(command)
                message.requestIds.append(id)
            }
            #expect(envelope.framed() == (try message.framed(limit: .max)))
        }
    }

    @Test func aResponseOfProtobufIsRead() throws {
        var message = Tikvpb_BatchCommandsResponse()
        var get = Kvrpcpb_RawGetResponse()
        get.value = Data([1, 2, 3])
        var first = Tikvpb_BatchCommandsResponse.Response()
        first.cmd = .rawGet(get)
        message.responses = [first, Tikvpb_BatchCommandsResponse.Response()]
        message.requestIds = [300, 1]
        message.transportLayerLoad = 250
        message.healthFeedback.storeID = 4
        message.healthFeedback.slowScore = 80
        message.tikvSendTimeNs = 99
        let envelope = try BatchEnvelope(decoding: message.serializedBytes())
        #expect(envelope.items == [Self.item(300, 13, try get.encoded(limit: .max)), Self.item(1, 0)])
        #expect(envelope.load == 250)
        let feedback = try #require(envelope.feedback)
        #expect(try Kvrpcpb_HealthFeedback(serializedBytes: feedback) == message.healthFeedback)
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        var envelope = BatchEnvelope()
        envelope.items = [Self.item(1, 13, [0x1a, 1, 2]), Self.item(.max, 39, []), Self.item(7, 0)]
        envelope.add(
            StoreFeedback(
                transportLayerLoad: 5, health: .init(storeID: 1, sequence: 2, slowScore: 3)))
        let read = try BatchEnvelope(decoding: Array(envelope.framed().dropFirst(5)))
        #expect(read.items == envelope.items)
        #expect(read.load == 5)
        #expect(read.feedback == envelope.feedback)
        let message = try Tikvpb_BatchCommandsResponse(serializedBytes: Array(envelope.framed().dropFirst(5)))
        #expect(message.healthFeedback.slowScore == 3)
        #expect(message.requestIds == [1, .max, 7])
    }

    @Test func idsThatAreNotPackedAreReadToo() throws {
        let bytes: [UInt8] = [0x0a, 0, 0x10, 5, 0x0a, 0, 0x10, 6]
        #expect(try BatchEnvelope(decoding: bytes).items == [Self.item(5, 0), Self.item(6, 0)])
    }

    @Test(arguments: [
        [0x0a, 5, 1], [0x0a], [0x0a, 0], [0x12, 1, 7], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        [0x00], [0x0b], [0x12, 1, 0x80],
    ])
    func brokenEnvelopesAreErrors(bytes: [Int]) {
        #expect(throws: RPCError.self) { try BatchEnvelope(decoding: bytes.map { UInt8($0) }) }
    }

    @Test func damagedEnvelopesNeverTrap() throws {
        var random = SeededRandom(seed: 99)
        var envelope = BatchEnvelope()
        for id in 0..<20 as Range<UInt64> {
            envelope.items.append(Self.item(id << 30, 13, [UInt8](repeating: 1, count: 50)))
        }
        let good = Array(envelope.framed().dropFirst(5))
        var broken = 0
        for _ in 0..<5_000 {
            var bytes = good
            for _ in 0..<3 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random) / 2)
            do { _ = try BatchEnvelope(decoding: bytes) } catch { broken += 1 }
        }
        #expect(broken > 0)
    }

    // MARK: - Queue

    @Test func higherPrioritiesGoFirstAndOrderIsKeptWithinOne() {
        var queue = BatchQueue()
        for (id, priority) in [(1, 0), (2, 5), (3, 0), (4, 16), (5, 5), (6, 0)] as [(UInt64, UInt64)] {
            queue.append(id, priority: priority)
        }
        var order: [UInt64] = []
        while let id = queue.popFirst(onlyHigh: false) { order.append(id) }
        #expect(order == [4, 2, 5, 1, 3, 6])
        queue.append(7, priority: 0)
        queue.append(8, priority: 10)
        #expect(queue.popFirst(onlyHigh: true) == 8)
        #expect(queue.popFirst(onlyHigh: true) == nil)
        #expect(queue.popFirst(onlyHigh: false) == 7)
    }

    // MARK: - Correlator

    static func correlator(_ count: Int, priority: UInt64 = 0) -> BatchCorrelator<String> {
        var correlator = BatchCorrelator<String>()
        for index in 1...count {
            let id = correlator.add(field: 13, payload: [1], priority: priority, deadline: nil, waiter: "w\(index)")
            #expect(id == UInt64(index))
        }
        return correlator
    }

    @Test func answersFindTheirWaitersInAnyOrder() throws {
        var correlator = Self.correlator(5)
        #expect(correlator.takeBatch(.init(maxBatchSize: 3)).map(\.id) == [1, 2, 3])
        #expect(correlator.takeBatch(.init(maxBatchSize: 3)).map(\.id) == [4, 5])
        #expect(correlator.takeBatch(.init(maxBatchSize: 3)).isEmpty)
        for id in [4, 1, 5, 3, 2] as [UInt64] {
            let answered = correlator.answer(Self.item(id, 13, [UInt8(id)]))
            let (waiter, result) = try #require(answered)
            #expect(waiter == "w\(id)")
            #expect(try result.get() == [UInt8(id)])
        }
        #expect(correlator.isEmpty)
        #expect(correlator.answer(Self.item(1)) == nil)
        #expect(correlator.answer(Self.item(77)) == nil)
    }

    @Test(arguments: [0, 14]) func anAnswerOfAnotherKindIsAnError(field: Int) throws {
        var correlator = Self.correlator(1)
        _ = correlator.takeBatch(.init())
        let answered = correlator.answer(Self.item(1, field))
        let (_, result) = try #require(answered)
        #expect(throws: RPCError.self) { try result.get() }
    }

    @Test func aCommandThatIsGivenUpTakesNothingElseWithIt() throws {
        var correlator = Self.correlator(4)
        #expect(correlator.remove(2)?.isSent == false)
        #expect(correlator.takeBatch(.init()).map(\.id) == [1, 3, 4])
        #expect(correlator.remove(3)?.isSent == true)
        #expect(correlator.answer(Self.item(3)) == nil)
        #expect(correlator.remove(3) == nil)
        #expect(correlator.inFlight == 2)
        #expect(correlator.answer(Self.item(1)) != nil)
        #expect(correlator.answer(Self.item(4)) != nil)
        #expect(correlator.isEmpty)
    }

    @Test func theLimitOfCommandsInFlightHoldsOrdinaryOnesAlone() {
        var correlator = Self.correlator(3)
        let settings = BatchConfiguration(maxInFlight: 2)
        #expect(correlator.takeBatch(settings).map(\.id) == [1, 2])
        _ = correlator.add(field: 13, payload: [], priority: 10, deadline: nil, waiter: "high")
        #expect(correlator.takeBatch(settings).map(\.id) == [4])
        #expect(correlator.hasUnsent)
        _ = correlator.answer(Self.item(1))
        _ = correlator.answer(Self.item(2))
        #expect(correlator.takeBatch(settings).map(\.id) == [3])
    }

    @Test func aMessageIsCutByBytesToo() {
        var correlator = BatchCorrelator<String>()
        for _ in 0..<5 {
            _ = correlator.add(
                field: 13, payload: [UInt8](repeating: 1, count: 600), priority: 0, deadline: nil, waiter: "w")
        }
        let settings = BatchConfiguration(maxBatchBytes: 1_000)
        #expect(correlator.takeBatch(settings).count == 2)
        #expect(correlator.takeBatch(settings).count == 2)
        #expect(correlator.takeBatch(settings).count == 1)
    }

    @Test func aBrokenStreamFailsExactlyWhatWasInFlight() {
        var correlator = Self.correlator(4)
        _ = correlator.takeBatch(.init(maxBatchSize: 2))
        #expect(correlator.removeSent() == ["w1", "w2"])
        #expect(correlator.inFlight == 0)
        #expect(correlator.hasUnsent)
        #expect(correlator.takeBatch(.init()).map(\.id) == [3, 4])
        _ = correlator.add(field: 13, payload: [], priority: 0, deadline: nil, waiter: "w5")
        #expect(correlator.removeUnsent() == ["w5"])
        #expect(correlator.removeSent() == ["w3", "w4"])
        #expect(correlator.isEmpty)
    }

    @Test func expiryTakesWhatIsDueAndNamesTheNext() {
        let start = NIODeadline.uptimeNanoseconds(1_000_000)
        var correlator = BatchCorrelator<String>()
        for (waiter, offset) in [("a", 5), ("b", 1), ("c", 9)] as [(String, Int64)] {
            _ = correlator.add(
                field: 1, payload: [], priority: 0, deadline: start + .nanoseconds(offset), waiter: waiter)
        }
        _ = correlator.takeBatch(.init(maxBatchSize: 1))
        let (expired, next) = correlator.removeExpired(at: start + .nanoseconds(5))
        #expect(Set(expired.map { "\($0.waiter) \($0.isSent)" }) == ["a true", "b false"])
        #expect(next == start + .nanoseconds(9))
        #expect(correlator.inFlight == 0)
    }
}
