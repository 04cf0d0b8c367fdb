// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Reads a message of answers that is larger than one answer may be, piece by piece: the answers in it that are not too
/// large are kept, the others are passed over without being held in memory.
///
/// A server puts answers to many callers in one message; what is wrong with one of them must not be the others' fault. The
/// numbers of the commands come at the end of the message, so that only then is known whose answers they were.
struct BatchSieve: Sendable {
    /// An answer that was passed over.
    struct Oversize: Sendable, Equatable {
        /// The command's number.
        var id: UInt64
        var size: Int
    }

    private enum State: Sendable {
        case tag
        case number(field: Int)
        case length(field: Int)
        /// Bytes that are kept.
        case content(field: Int, missing: Int)
        /// Bytes that are not.
        case skip(missing: Int)
    }

    /// Tags and lengths around an answer inside its item.
    private static let itemOverhead = 12
    private static let roomBeside = 1 << 20

    private let limit: Int
    /// Bytes that may still be kept.
    private var room: Int
    private var state = State.tag
    private var varint: UInt64 = 0
    private var shift: UInt64 = 0
    private var content: [UInt8] = []
    private var items: [BatchEnvelope.Item] = []
    private var ids: [UInt64] = []
    /// Sizes of what was passed over, by place in the message.
    private var sizes: [Int: Int] = [:]
    private var load: UInt64 = 0
    private var feedback: [UInt8]?

    /// - Parameters:
    ///   - limit: the most bytes that one answer may have.
    ///   - answers: so many answers of that size are kept at most; a message with more is refused as a whole.
    init(limit: Int, answers: Int) {
        self.limit = limit
        let (room, isMore) = limit.multipliedReportingOverflow(by: max(answers, 1))
        // What is not an answer has room beside them. No message has more than its frame's length can say.
        self.room = min(isMore ? .max : room, Int(UInt32.max)) + Self.roomBeside
    }

    /// Takes the next piece of the message. Throws where it is no message of answers, or one that has too much in it.
    mutating func take(_ bytes: [UInt8]) throws(RPCError) {
        var index = 0
        while index < bytes.count {
            switch self.state {
            case .content(let field, let missing):
                let end = index + min(missing, bytes.count - index)
                self.content.append(contentsOf: bytes[index..<end])
                self.state = .content(field: field, missing: missing - (end - index))
                index = end
                if case .content(_, 0) = self.state { try self.finishContent(field) }
            case .skip(let missing):
                let count = min(missing, bytes.count - index)
                index += count
                self.state = count == missing ? .tag : .skip(missing: missing - count)
            case .tag, .number, .length:
                let byte = bytes[index]
                index += 1
                guard self.shift < 70 else { throw Self.broken }
                self.varint |= self.shift < 64 ? UInt64(byte & 0x7f) << self.shift : 0
                self.shift += 7
                guard byte & 0x80 == 0 else { continue }
                let value = self.varint
                self.varint = 0
                self.shift = 0
                try self.finishVarint(value)
            }
        }
    }

    /// The message is whole. Returns what was kept, as an envelope, and what was passed over.
    mutating func finish() throws(RPCError) -> (BatchEnvelope, [Oversize]) {
        guard case .tag = self.state, self.shift == 0, self.ids.count == self.items.count else { throw Self.broken }
        var envelope = BatchEnvelope()
        var oversize: [Oversize] = []
        envelope.load = self.load
        envelope.feedback = self.feedback
        for (index, id) in self.ids.enumerated() {
            if let size = self.sizes[index] {
                oversize.append(Oversize(id: id, size: size))
            } else {
                self.items[index].id = id
                envelope.items.append(self.items[index])
            }
        }
        return (envelope, oversize)
    }

    // MARK: - Private

    private static var broken: RPCError {
        RPCError(.internalError, "a message of BatchCommands cannot be decoded")
    }

    private var full: RPCError {
        RPCError(
            .resourceExhausted, "a message of answers has more in it than answers of \(self.limit) bytes, the limit")
    }

    private mutating func finishVarint(_ value: UInt64) throws(RPCError) {
        switch self.state {
        case .tag:
            let field = Int(truncatingIfNeeded: value >> 3)
            guard field > 0, value <= UInt64(UInt32.max) else { throw Self.broken }
            switch value & 7 {
            case 0: self.state = .number(field: field)
            case 1: self.state = .skip(missing: 8)
            case 2: self.state = .length(field: field)
            case 5: self.state = .skip(missing: 4)
            default: throw Self.broken
            }
        case .number(let field):
            switch field {
            case BatchEnvelope.Number.ids: try self.add(id: value)
            case BatchEnvelope.Number.load: self.load = value
            default: break
            }
            self.state = .tag
        case .length(let field):
            guard let length = Int(exactly: value) else { throw Self.broken }
            try self.begin(field, length)
        case .content, .skip:
            // No numbers are read there.
            break
        }
    }

    private mutating func begin(_ field: Int, _ length: Int) throws(RPCError) {
        let isKept: Bool
        switch field {
        case BatchEnvelope.Number.items:
            isKept = length <= self.limit || length - self.limit <= Self.itemOverhead
            if !isKept {
                self.sizes[self.items.count] = length
                self.items.append(BatchEnvelope.Item(id: 0, field: 0, payload: []))
                // So that a message of nothing but these costs something too.
                try self.use(Self.itemOverhead)
            }
        case BatchEnvelope.Number.ids, BatchEnvelope.Number.feedback:
            isKept = true
        default:
            isKept = false
        }
        if isKept { try self.use(length) }
        switch (isKept, length) {
        case (true, 0): try self.finishContent(field)
        case (true, _): self.state = .content(field: field, missing: length)
        case (false, 0): self.state = .tag
        case (false, _): self.state = .skip(missing: length)
        }
    }

    private mutating func use(_ count: Int) throws(RPCError) {
        guard count <= self.room else { throw self.full }
        self.room -= count
    }

    private mutating func add(id: UInt64) throws(RPCError) {
        try self.use(MemoryLayout<UInt64>.size)
        self.ids.append(id)
    }

    private mutating func finishContent(_ field: Int) throws(RPCError) {
        let content = self.content
        self.content = []
        self.state = .tag
        switch field {
        case BatchEnvelope.Number.items:
            var item = try BatchEnvelope.item(content, 0..<content.count)
            if item.payload.count > self.limit {
                self.sizes[self.items.count] = item.payload.count
                item.payload = []
            }
            self.items.append(item)
        case BatchEnvelope.Number.ids:
            var packed = ProtoReader(content)
            while let id = try packed.nextPacked() { self.ids.append(id) }
        case BatchEnvelope.Number.feedback:
            self.feedback = content
        default:
            break
        }
    }
}
