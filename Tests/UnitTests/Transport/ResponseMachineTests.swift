// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import TiKVTransport

@Suite struct ResponseMachineTests {
    static let headers = HeaderBlock([(":status", "200"), ("content-type", "application/grpc")])
    static let ok = HeaderBlock([("grpc-status", "0")])

    static func code(_ end: ResponseMachine.End?) -> RPCError.Code? {
        switch end {
        case nil: nil
        case .ok: .ok
        case .failed(let error): error.code
        }
    }

    static func body(_ messages: [UInt8]...) -> ByteBuffer {
        ByteBuffer(bytes: messages.flatMap { FramingTests.frame($0) })
    }

    static func started() -> ResponseMachine {
        var machine = ResponseMachine(messageLimit: 100)
        #expect(machine.headers(Self.headers, endStream: false) == nil)
        return machine
    }

    @Test func headersMessagesTrailers() {
        var machine = Self.started()
        var messages: [[UInt8]] = []
        #expect(Self.code(machine.data(Self.body([1], [2, 3])) { messages.append($0) }) == nil)
        #expect(messages == [[1], [2, 3]])
        #expect(Self.code(machine.headers(Self.ok, endStream: true)) == .ok)
        #expect(machine.isEnded)
        // Whatever comes after the end says nothing.
        #expect(machine.closed(.internalError) == nil)
        #expect(machine.endStream() == nil)
        #expect(machine.headers(Self.ok, endStream: true) == nil)
        #expect(machine.abandon(RPCError(.cancelled, "")) == nil)
    }

    @Test func trailersOnlyCarryStatusMessageAndMetadata() throws {
        var machine = ResponseMachine(messageLimit: 100)
        let block = HeaderBlock([
            (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "9"), ("grpc-message", "no%21"),
            ("reason", "r"),
        ])
        guard case .failed(let error) = machine.headers(block, endStream: true) else {
            Issue.record("the call did not fail")
            return
        }
        #expect(error.code == .failedPrecondition)
        #expect(error.message == "no!")
        #expect(error.delivery == .answered)
        #expect(error.metadata.first("reason") == "r")
        #expect(error.metadata.first("grpc-status") == nil)
    }

    @Test func interimHeadersAreSkipped() {
        var machine = ResponseMachine(messageLimit: 100)
        #expect(machine.headers(HeaderBlock([(":status", "103")]), endStream: false) == nil)
        #expect(machine.headers(Self.headers, endStream: false) == nil)
        #expect(Self.code(machine.headers(Self.ok, endStream: true)) == .ok)
    }

    @Test(arguments: [
        ("400", RPCError.Code.internalError), ("401", .unauthenticated), ("403", .permissionDenied),
        ("404", .unimplemented), ("503", .unavailable), ("500", .unknown),
    ])
    func anHTTPErrorBecomesGRPCsCode(status: String, code: RPCError.Code) {
        var machine = ResponseMachine(messageLimit: 100)
        #expect(Self.code(machine.headers(HeaderBlock([(":status", status)]), endStream: true)) == code)
    }

    @Test func aPeerThatDoesNotSpeakGRPCIsNamedAsSuch() {
        var machine = ResponseMachine(messageLimit: 100)
        let block = HeaderBlock([(":status", "200"), ("content-type", "text/html")])
        guard case .failed(let error) = machine.headers(block, endStream: false) else {
            Issue.record("the call did not fail")
            return
        }
        #expect(error.message.contains("text/html"))
    }

    @Test func statusesThatNobodyKnowsAreUnknown() {
        for text in ["17", "x", "-1"] {
            var machine = Self.started()
            #expect(Self.code(machine.headers(HeaderBlock([("grpc-status", text)]), endStream: true)) == .unknown)
        }
    }

    @Test func aResponseThatJustStopsIsNoSuccess() {
        var machine = Self.started()
        #expect(Self.code(machine.endStream()) == .internalError)
        machine = Self.started()
        #expect(Self.code(machine.closed(.noError)) == .internalError)
        machine = Self.started()
        #expect(Self.code(machine.headers(HeaderBlock([("x", "y")]), endStream: true)) == .unknown)
        machine = Self.started()
        _ = machine.data(ByteBuffer(bytes: [0, 0, 0, 0, 5, 1])) { _ in Issue.record("no message is whole") }
        #expect(Self.code(machine.headers(Self.ok, endStream: true)) == .internalError)
    }

    @Test func resetsAreTold() {
        let expected: [(HTTP2ErrorCode, RPCError.Code, RPCError.Delivery)] = [
            (.refusedStream, .unavailable, .notSent), (.cancel, .cancelled, .unknown),
            (.enhanceYourCalm, .unavailable, .unknown), (.internalError, .internalError, .unknown),
            (.protocolError, .internalError, .unknown),
        ]
        for (code, wanted, delivery) in expected {
            var machine = Self.started()
            guard case .failed(let error) = machine.closed(code) else {
                Issue.record("\(code) did not fail the call")
                continue
            }
            #expect(error.code == wanted)
            #expect(error.delivery == delivery)
            #expect(error.isStreamRefused == (code == .refusedStream))
        }
    }

    @Test func dataBeforeHeadersAndMessagesOverTheLimitFail() {
        var machine = ResponseMachine(messageLimit: 100)
        #expect(Self.code(machine.data(Self.body([1])) { _ in }) == .internalError)
        machine = Self.started()
        #expect(Self.code(machine.data(Self.body(Array(repeating: 0, count: 101))) { _ in }) == .resourceExhausted)
    }

    // MARK: - What a server reads

    @Test func requestHeads() {
        let good = [(":method", "POST"), (":path", "/a.B/C"), ("content-type", "application/grpc+proto"), ("x", "y")]
        guard case .call(let call) = RequestHead(HeaderBlock(good)) else {
            Issue.record("a good request was refused")
            return
        }
        #expect(call.path == "/a.B/C")
        #expect(call.metadata == ["x": "y"])
        #expect(call.timeLimit == nil)
        #expect(call.encoding == .identity)
        #expect(!call.acceptsGZip)
        let more = [("grpc-timeout", "5m"), ("grpc-encoding", "gzip"), ("grpc-accept-encoding", "identity,gzip")]
        guard case .call(let call) = RequestHead(HeaderBlock(good + more)) else {
            Issue.record("a good request was refused")
            return
        }
        #expect(call.timeLimit == .milliseconds(5))
        #expect(call.encoding == .gzip)
        #expect(call.acceptsGZip)
        guard case .refuse(let error) = RequestHead(HeaderBlock(good + [("grpc-encoding", "snappy")])) else {
            Issue.record("an unknown compression was taken")
            return
        }
        #expect(error.code == .unimplemented)
        #expect(error.metadata.first("grpc-accept-encoding") == "identity,gzip")
        guard case .refuse = RequestHead(HeaderBlock(good + [("grpc-timeout", "soon")])) else {
            Issue.record("a broken timeout was taken")
            return
        }
        guard case .refuseHTTP("405") = RequestHead(HeaderBlock([(":method", "GET")])),
            case .refuseHTTP("415") = RequestHead(HeaderBlock([(":method", "POST"), (":path", "/")]))
        else {
            Issue.record("what is not gRPC was taken")
            return
        }
    }

    // MARK: - Small machines

    @Test func aSilentPeerIsProbedAndGivenUp() {
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        var machine = KeepAlive(interval: .seconds(10), timeout: .seconds(3), now: start)
        #expect(machine.look(at: start) == .wait(until: start + .seconds(10)))
        machine.heard(at: start + .seconds(4))
        #expect(machine.look(at: start + .seconds(10)) == .wait(until: start + .seconds(14)))
        #expect(machine.look(at: start + .seconds(14)) == .ping(thenWaitUntil: start + .seconds(17)))
        #expect(machine.look(at: start + .seconds(15)) == .wait(until: start + .seconds(17)))
        var answered = machine
        answered.heard(at: start + .seconds(16))
        #expect(answered.look(at: start + .seconds(17)) == .wait(until: start + .seconds(26)))
        #expect(machine.look(at: start + .seconds(17)) == .giveUp)
    }

    @Test func anIdlePeerThatMindsIsNotProbed() {
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        var machine = KeepAlive(interval: .seconds(10), timeout: .seconds(3), now: start)
        #expect(machine.look(at: start + .seconds(10), mayProbe: false) == .wait(until: start + .seconds(20)))
        #expect(machine.look(at: start + .seconds(20), mayProbe: true) == .ping(thenWaitUntil: start + .seconds(23)))
        #expect(machine.look(at: start + .seconds(23), mayProbe: false) == .giveUp)
    }

    @Test func reconnectsBackOffToALimitAndStartAnew() {
        var backoff = ReconnectBackoff()
        let middle = (0..<20).map { _ in backoff.failed(chance: 0.5) }
        #expect(middle[0] == .milliseconds(100))
        #expect(middle[1] == .milliseconds(160))
        #expect(zip(middle, middle.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(middle[19] == .seconds(3))
        #expect(backoff.failed(chance: 0) == .milliseconds(2_400))
        #expect(backoff.failed(chance: 1) == .milliseconds(3_600))
        backoff.succeeded()
        #expect(backoff.failed(chance: 0.5) == .milliseconds(100))
    }

    @Test func messagesWaitForTheirReaderAndTheReverse() throws {
        var inbound = InboundMessages<String>()
        #expect(inbound.next("reader") == nil)
        #expect(inbound.deliver([1]) == "reader")
        #expect(inbound.deliver([2]) == nil)
        #expect(inbound.deliver([3]) == nil)
        #expect(inbound.finish(nil) == nil)
        #expect(try inbound.next("r")?.get() == [2])
        #expect(try inbound.next("r")?.get() == [3])
        #expect(try inbound.next("r")?.get() == .some(nil))
        #expect(inbound.finish(RPCError(.aborted, "")) == nil)
        #expect(try inbound.next("r")?.get() == .some(nil))
    }

    @Test func anErrorComesAfterTheMessagesBeforeIt() throws {
        var inbound = InboundMessages<String>()
        #expect(inbound.deliver([1]) == nil)
        #expect(inbound.finish(RPCError(.aborted, "")) == nil)
        #expect(try inbound.next("r")?.get() == [1])
        #expect(throws: RPCError.self) { try inbound.next("r")?.get() }
        var waiting = InboundMessages<String>()
        #expect(waiting.next("first") == nil)
        #expect(throws: RPCError.self) { try waiting.next("second")?.get() }
        #expect(waiting.finish(nil) == "first")
    }

    @Test func theWindowOpensOnlyAsTheReaderKeepsUp() throws {
        var inbound = InboundMessages<String>()
        #expect(inbound.received(100) == 100)
        _ = inbound.deliver([1])
        #expect(inbound.received(50) == 0)
        #expect(inbound.received(60) == 0)
        #expect(inbound.settleDebt() == 0)
        _ = inbound.next("r")
        #expect(inbound.settleDebt() == 110)
        #expect(inbound.settleDebt() == 0)
        #expect(inbound.received(10) == 10)
    }
}
