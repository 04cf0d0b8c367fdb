// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// How keys and values are written, in arguments, in output and in files to import. What one command prints, another reads.
enum ByteNotation: Sendable {
    /// Printable text as it is; `\\`, `\t`, `\n`, `\r` and `\xHH` for everything else.
    case text
    /// Two hexadecimal digits a byte.
    case hex
    /// The bytes as they are.
    case raw

    // MARK: - Writing

    func write(_ bytes: some Sequence<UInt8>, to output: inout [UInt8]) {
        switch self {
        case .text: Self.escape(Array(bytes), into: &output)
        case .hex: for byte in bytes { Self.appendHex(byte, to: &output) }
        case .raw: output.append(contentsOf: bytes)
        }
    }

    /// For messages, which are text: raw bytes are shown as text.
    func describe(_ bytes: some Sequence<UInt8>) -> String {
        var output: [UInt8] = []
        (self == .raw ? .text : self).write(bytes, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    private static func escape(_ bytes: [UInt8], into output: inout [UInt8]) {
        var rest = bytes[...]
        while let byte = rest.first {
            let length = self.printableLength(rest)
            if let short = self.shortEscapes.first(where: { $0.byte == byte }) {
                output.append(contentsOf: [self.backslash, short.letter])
            } else if length == 0 {
                output.append(contentsOf: [self.backslash, UInt8(ascii: "x")])
                self.appendHex(byte, to: &output)
            } else {
                output.append(contentsOf: rest.prefix(length))
            }
            rest = rest.dropFirst(max(1, length))
        }
    }

    /// How many bytes the printable character takes that these bytes begin with; 0 when there is none.
    private static func printableLength(_ bytes: ArraySlice<UInt8>) -> Int {
        let length =
            switch bytes.first ?? 0 {
            case 0x20..<0x7F: 1
            case 0xC2..<0xE0: 2
            case 0xE0..<0xF0: 3
            case 0xF0..<0xF5: 4
            default: 0
            }
        guard length > 1 else { return length }
        let scalars = String(validating: bytes.prefix(length), as: UTF8.self)?.unicodeScalars
        guard let scalar = scalars?.first else { return 0 }
        return switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: 0
        default: length
        }
    }

    // MARK: - Reading

    /// Throws ``Malformed`` where this is no notation of bytes.
    func read(_ written: some Sequence<UInt8>) throws(Malformed) -> [UInt8] {
        switch self {
        case .text: try Self.unescape(Array(written))
        case .hex: try Self.parseHex(Array(written))
        case .raw: Array(written)
        }
    }

    struct Malformed: Error {
        let reason: String
    }

    private static func unescape(_ written: [UInt8]) throws(Malformed) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = written[...]
        while let byte = rest.popFirst() {
            guard byte == self.backslash else {
                bytes.append(byte)
                continue
            }
            guard let letter = rest.popFirst() else {
                throw Malformed(reason: "ends in a lone backslash")
            }
            if let short = self.shortEscapes.first(where: { $0.letter == letter }) {
                bytes.append(short.byte)
            } else if letter == UInt8(ascii: "x"), rest.count >= 2 {
                bytes += try self.parseHex(Array(rest.prefix(2)))
                rest = rest.dropFirst(2)
            } else {
                throw Malformed(reason: "has an escape other than \\\\, \\t, \\n, \\r and \\xHH")
            }
        }
        return bytes
    }

    private static func parseHex(_ digits: [UInt8]) throws(Malformed) -> [UInt8] {
        guard digits.count.isMultiple(of: 2) else {
            throw Malformed(reason: "has an odd number of hexadecimal digits")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = self.digit(digits[index]), let low = self.digit(digits[index + 1]) else {
                throw Malformed(reason: "has something other than hexadecimal digits")
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    // MARK: - Bytes

    private static let backslash = UInt8(ascii: "\\")

    private static let shortEscapes: [(byte: UInt8, letter: UInt8)] = [
        (backslash, backslash),
        (UInt8(ascii: "\t"), UInt8(ascii: "t")),
        (UInt8(ascii: "\n"), UInt8(ascii: "n")),
        (UInt8(ascii: "\r"), UInt8(ascii: "r")),
    ]

    private static func appendHex(_ byte: UInt8, to output: inout [UInt8]) {
        for digit in [byte >> 4, byte & 0xF] {
            output.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

extension ByteNotation {
    /// Key, tab, value, end of line; without a value, the key alone.
    func line(key: some Sequence<UInt8>, value: (some Sequence<UInt8>)?) -> [UInt8] {
        var line: [UInt8] = []
        self.write(key, to: &line)
        if let value {
            line.append(UInt8(ascii: "\t"))
            self.write(value, to: &line)
        }
        line.append(UInt8(ascii: "\n"))
        return line
    }
}
