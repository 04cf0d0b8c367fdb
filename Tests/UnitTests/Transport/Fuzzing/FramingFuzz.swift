// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SwiftProtobuf
import TiKVProto

@testable import TiKVTransport

/// What is inside DATA frames, held against simpler ways to say the same.
enum FramingFuzz {
    /// Messages come out as a parser that sees all the bytes at once finds them.
    static func deframer(_ reader: inout FuzzReader) -> [String] {
        var faults: [String] = []
        let limit = Int(reader.byte()) * 8
        let pieces = [reader.byte(), reader.byte(), reader.byte()].map { max(Int($0), 1) }
        let bytes = reader.remainder()
        var deframer = MessageDeframer(limit: limit)
        var messages: [[UInt8]] = []
        var failed = false
        var offset = 0
        var turn = 0
        while offset < bytes.count, !failed {
            let size = min(pieces[turn % 3], bytes.count - offset)
            do throws(RPCError) {
                try deframer.receive(ByteBuffer(bytes: bytes[offset..<(offset + size)])) { messages.append($0) }
            } catch {
                failed = true
            }
            offset += size
            turn += 1
        }
        let expected = Self.messages(in: bytes, limit: limit)
        if messages != expected.messages { faults.append("messages \(messages), expected \(expected.messages)") }
        if failed != expected.isBroken { faults.append("failed: \(failed), expected \(expected.isBroken)") }
        if !failed, deframer.isMidMessage != expected.isMidMessage { faults.append("mid-message is wrong") }
        return faults
    }

    private static func messages(
        in bytes: [UInt8], limit: Int
    ) -> (messages: [[UInt8]], isBroken: Bool, isMidMessage: Bool) {
        var messages: [[UInt8]] = []
        var rest = bytes[...]
        while rest.count >= 5 {
            let prefix = Array(rest.prefix(5))
            let length = prefix[1...].reduce(0) { $0 << 8 | Int($1) }
            guard prefix[0] == 0, length <= limit else { return (messages, true, false) }
            guard rest.count >= 5 + length else { break }
            messages.append(Array(rest.dropFirst(5).prefix(length)))
            rest = rest.dropFirst(5 + length)
        }
        return (messages, false, !rest.isEmpty)
    }

    /// A response ends once, and nothing follows its end.
    static func response(_ reader: inout FuzzReader) -> [String] {
        var faults: [String] = []
        var machine = ResponseMachine(messageLimit: 1_000)
        var ends = 0
        var steps = 0
        while !reader.isEmpty, steps < 1_000 {
            steps += 1
            let code = reader.byte()
            let wasEnded = machine.isEnded
            var messages = 0
            var end: ResponseMachine.End?
            switch code % 8 {
            case 0, 1: end = machine.headers(Self.block(&reader), endStream: code & 8 != 0)
            case 2, 3, 4:
                end = machine.data(ByteBuffer(bytes: reader.bytes(Int(code >> 3)))) { _ in messages += 1 }
            case 5: end = machine.endStream()
            case 6: end = machine.closed(HTTP2ErrorCode(rawValue: UInt32(reader.byte())), complaint: "why")
            default: if code & 8 != 0 { end = machine.abandon(RPCError(.cancelled, "")) }
            }
            if let end {
                ends += 1
                if case .failed(let error) = end, error.code == .ok { faults.append("failed with OK") }
            }
            if wasEnded, end != nil || messages > 0 { faults.append("something follows the end") }
            if machine.isEnded != (ends > 0) { faults.append("ended, and nobody was told") }
        }
        if ends > 1 { faults.append("\(ends) ends") }
        return faults
    }

    static func block(_ reader: inout FuzzReader) -> HeaderBlock {
        var block = HeaderBlock()
        let names = [
            ":status", "content-type", "grpc-status", "grpc-message", "x-bin", "grpc-encoding", ":method", ":path",
            "grpc-timeout", "x",
        ]
        let values = ["200", "application/grpc", "0", "14", "100", "503", "identity", "POST", "/a/B", "1S", "gzip"]
        for _ in 0..<reader.below(8) {
            let choice = reader.byte()
            let name = names[Int(choice & 15) % names.count]
            let known = Int(choice >> 4)
            block.append(name, known < values.count ? values[known] : reader.text(Int(reader.byte() & 31)))
        }
        return block
    }

    /// An envelope that can be read says the same when it is written again, and what SwiftProtobuf reads in it.
    static func batch(_ reader: inout FuzzReader) -> [String] {
        var faults: [String] = []
        let bytes = reader.remainder()
        let envelope = try? BatchEnvelope(decoding: bytes)
        faults += Self.sieve(bytes, envelope)
        guard let envelope else { return faults }
        let frame = envelope.framed()
        let length = frame[1..<5].reduce(0) { $0 << 8 | Int($1) }
        if length != frame.count - 5 { faults.append("the frame of \(frame.count) bytes says \(length)") }
        do {
            let again = try BatchEnvelope(decoding: Array(frame[5...]))
            if again.items != envelope.items || again.load != envelope.load || again.feedback != envelope.feedback {
                faults.append("written and read again: \(again), was \(envelope)")
            }
        } catch {
            faults.append("what we wrote we cannot read: \(error)")
        }
        guard let message = try? Tikvpb_BatchCommandsResponse(serializedBytes: bytes) else { return faults }
        if message.requestIds != envelope.items.map(\.id) { faults.append("ids \(message.requestIds)") }
        if message.responses.count != envelope.items.count { faults.append("\(message.responses.count) responses") }
        if message.transportLayerLoad != envelope.load { faults.append("load \(message.transportLayerLoad)") }
        return faults
    }

    /// The sieve finds what the envelope has, but for answers that are too large; however the message is cut.
    private static func sieve(_ bytes: [UInt8], _ envelope: BatchEnvelope?) -> [String] {
        var faults: [String] = []
        let size = Int(bytes.first ?? 0) % 9 + 1
        for limit in [1 << 20, 8] {
            var sieve = BatchSieve(limit: limit, answers: 1_000)
            do throws(RPCError) {
                var rest = bytes[...]
                while !rest.isEmpty {
                    try sieve.take(Array(rest.prefix(size)))
                    rest = rest.dropFirst(size)
                }
                let (kept, oversize) = try sieve.finish()
                // It looks into nothing that it passes over, so it may be content with more.
                guard let envelope else {
                    if oversize.isEmpty { faults.append("the sieve reads what cannot be read") }
                    continue
                }
                if kept.items.count + oversize.count != envelope.items.count
                    || !kept.items.allSatisfy({ envelope.items.contains($0) })
                    || oversize.isEmpty && kept.items != envelope.items
                    || kept.load != envelope.load || kept.feedback != envelope.feedback
                {
                    faults.append("sifted \(kept), was \(envelope)")
                }
                if kept.items.contains(where: { $0.payload.count > limit }) { faults.append("over the limit") }
            } catch {
                if envelope != nil { faults.append("the sieve cannot read \(bytes): \(error)") }
            }
        }
        return faults
    }
}
