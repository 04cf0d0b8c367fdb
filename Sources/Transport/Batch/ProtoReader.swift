// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Walks over the fields of one protobuf message without decoding what they hold.
struct ProtoReader {
    /// What stands behind a field's tag.
    enum Field {
        case varint(UInt64)
        /// Where the bytes of a length-delimited field lie.
        case bytes(Range<Int>)
        /// Fixed-width numbers, which the envelope has none of: skipped.
        case other
    }

    private let bytes: [UInt8]
    private var index: Int
    private let end: Int

    init(_ bytes: [UInt8], in range: Range<Int>? = nil) {
        self.bytes = bytes
        self.index = range?.lowerBound ?? 0
        self.end = range?.upperBound ?? bytes.count
    }

    /// The next field; nil at the message's end. Throws where the bytes are no protobuf message.
    mutating func next() throws(RPCError) -> (number: Int, Field)? {
        guard self.index < self.end else { return nil }
        let tag = try self.varint()
        let number = Int(truncatingIfNeeded: tag >> 3)
        guard number > 0, tag <= UInt64(UInt32.max) else { throw Self.broken }
        switch tag & 7 {
        case 0:
            return (number, .varint(try self.varint()))
        case 1:
            try self.skip(8)
            return (number, .other)
        case 2:
            let length = try self.varint()
            guard length <= UInt64(self.end - self.index) else { throw Self.broken }
            let start = self.index
            self.index += Int(length)
            return (number, .bytes(start..<self.index))
        case 5:
            try self.skip(4)
            return (number, .other)
        default:
            throw Self.broken
        }
    }

    /// The next number of a packed field; nil at its end.
    mutating func nextPacked() throws(RPCError) -> UInt64? {
        self.index < self.end ? try self.varint() : nil
    }

    private static var broken: RPCError {
        RPCError(.internalError, "a message of BatchCommands cannot be decoded")
    }

    private mutating func skip(_ count: Int) throws(RPCError) {
        guard self.end - self.index >= count else { throw Self.broken }
        self.index += count
    }

    private mutating func varint() throws(RPCError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while self.index < self.end, shift < 70 {
            let byte = self.bytes[self.index]
            self.index += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        throw Self.broken
    }
}

/// Sizes and bytes of protobuf's variable-length numbers.
enum Varint {
    static func size(_ value: UInt64) -> Int {
        value < 0x80 ? 1 : (64 - value.leadingZeroBitCount + 6) / 7
    }

    static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}
