// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import SwiftProtobuf
internal import TiKVProto

/// The messages of `tikvpb.BatchCommandsRequest` and `BatchCommandsResponse`, as far as the transport must know them.
///
/// A command is encoded by whoever makes it, and decoded by whoever waits for it; the envelope only puts a field number
/// and lengths around the bytes. That keeps the work on the connection's event loop to a copy for each command.
/// (`BatchCommandsRequest.Request` and `.Response` use the same field number for a command and its answer.)
struct BatchEnvelope {
    /// One command or answer: its number in the stream, its field in the envelope, and its encoded message.
    struct Item: Sendable, Equatable {
        var id: UInt64
        /// 0 where the peer sent an answer without content.
        var field: Int
        var payload: [UInt8]
    }

    enum Number {
        static let items = 1
        static let ids = 2
        static let load = 3
        static let feedback = 4
    }

    var items: [Item] = []
    /// `transport_layer_load` of a response.
    var load: UInt64 = 0
    /// `health_feedback` of a response, encoded.
    var feedback: [UInt8]?

    init() {}

    // MARK: - Writing

    /// Adds what a store says about itself.
    mutating func add(_ feedback: StoreFeedback) {
        self.load = feedback.transportLayerLoad
        guard let health = feedback.health else { return }
        var message = Kvrpcpb_HealthFeedback()
        message.storeID = health.storeID
        message.feedbackSeqNo = health.sequence
        message.slowScore = health.slowScore
        // Numbers alone: there is nothing in it that could fail to encode.
        self.feedback = try? message.serializedBytes()
    }

    /// The envelope in its gRPC frame.
    func framed() -> [UInt8] {
        var size = 0
        var idSize = 0
        for item in self.items {
            let inner = Self.innerSize(item)
            size += 1 + Varint.size(UInt64(inner)) + inner
            idSize += Varint.size(item.id)
        }
        if idSize > 0 { size += 1 + Varint.size(UInt64(idSize)) + idSize }
        if self.load > 0 { size += 1 + Varint.size(self.load) }
        if let feedback = self.feedback { size += 1 + Varint.size(UInt64(feedback.count)) + feedback.count }

        var out: [UInt8] = []
        out.reserveCapacity(FramedMessage.prefixLength + size)
        out.append(0)
        for shift in [24, 16, 8, 0] { out.append(UInt8(truncatingIfNeeded: size >> shift)) }
        for item in self.items {
            out.append(UInt8(Number.items << 3 | 2))
            Varint.append(UInt64(Self.innerSize(item)), to: &out)
            guard item.field > 0 else { continue }
            Varint.append(UInt64(item.field) << 3 | 2, to: &out)
            Varint.append(UInt64(item.payload.count), to: &out)
            out.append(contentsOf: item.payload)
        }
        if idSize > 0 {
            out.append(UInt8(Number.ids << 3 | 2))
            Varint.append(UInt64(idSize), to: &out)
            for item in self.items { Varint.append(item.id, to: &out) }
        }
        if self.load > 0 {
            out.append(UInt8(Number.load << 3))
            Varint.append(self.load, to: &out)
        }
        if let feedback = self.feedback {
            out.append(UInt8(Number.feedback << 3 | 2))
            Varint.append(UInt64(feedback.count), to: &out)
            out.append(contentsOf: feedback)
        }
        return out
    }

    private static func innerSize(_ item: Item) -> Int {
        guard item.field > 0 else { return 0 }
        let count = UInt64(item.payload.count)
        return Varint.size(UInt64(item.field) << 3) + Varint.size(count) + item.payload.count
    }

    // MARK: - Reading

    /// Reads an envelope; throws where it is broken, or where commands and ids do not match in number.
    init(decoding bytes: [UInt8]) throws(RPCError) {
        var reader = ProtoReader(bytes)
        var ids: [UInt64] = []
        while let (number, field) = try reader.next() {
            switch (number, field) {
            case (Number.items, .bytes(let range)):
                self.items.append(try Self.item(bytes, range))
            case (Number.ids, .bytes(let range)):
                var packed = ProtoReader(bytes, in: range)
                while let id = try packed.nextPacked() { ids.append(id) }
            case (Number.ids, .varint(let id)):
                ids.append(id)
            case (Number.load, .varint(let load)):
                self.load = load
            case (Number.feedback, .bytes(let range)):
                self.feedback = Array(bytes[range])
            default:
                break
            }
        }
        guard ids.count == self.items.count else {
            throw RPCError(
                .internalError, "a message of BatchCommands has \(self.items.count) commands and \(ids.count) ids")
        }
        for index in ids.indices { self.items[index].id = ids[index] }
    }

    static func item(_ bytes: [UInt8], _ range: Range<Int>) throws(RPCError) -> Item {
        var reader = ProtoReader(bytes, in: range)
        var item = Item(id: 0, field: 0, payload: [])
        // Of the members of a oneof the last one on the wire counts.
        while let (number, field) = try reader.next() {
            if case .bytes(let range) = field { item = Item(id: 0, field: number, payload: Array(bytes[range])) }
        }
        return item
    }
}
