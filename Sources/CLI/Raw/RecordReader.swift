// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

/// Reads the records of a file to import: a line each, key, separator, value. Empty lines are passed over.
struct RecordReader: ~Copyable {
    struct Record: Sendable, Equatable {
        var key: Key
        var value: Value
    }

    private var lines: LineReader
    private let separator: UInt8
    private let notation: ByteNotation
    private let prefix: [UInt8]

    /// - Parameter prefix: put in front of every key.
    init(path: String, separator: UInt8, notation: ByteNotation, prefix: [UInt8]) throws(CommandFailure) {
        self.lines = try LineReader(path: path)
        self.separator = separator
        self.notation = notation
        self.prefix = prefix
    }

    /// How much of the file has been read, from 0 to 1; nil when its size is not known.
    var shareRead: Double? {
        self.lines.size.map { min(1, Double(self.lines.bytesRead) / Double(max($0, 1))) }
    }

    /// The next record; nil behind the last one. Throws a failure that names the line where a line is no record.
    mutating func next() throws(CommandFailure) -> Record? {
        while let line = try self.lines.next() {
            if !line.isEmpty {
                return try self.record(line)
            }
        }
        return nil
    }

    private func record(_ line: ArraySlice<UInt8>) throws(CommandFailure) -> Record {
        let place = "\(self.lines.path):\(self.lines.lineNumber)"
        guard let middle = line.firstIndex(of: self.separator) else {
            let name = self.separator == UInt8(ascii: "\t") ? "tab" : "'\(Character(Unicode.Scalar(self.separator)))'"
            throw CommandFailure("\(place): no \(name) between key and value")
        }
        do throws(ByteNotation.Malformed) {
            let key = self.prefix + (try self.notation.read(line[..<middle]))
            guard !key.isEmpty else {
                throw ByteNotation.Malformed(reason: "has an empty key")
            }
            return Record(key: Key(key), value: Value(try self.notation.read(line[(middle + 1)...])))
        } catch {
            throw CommandFailure("\(place): the line \(error.reason)")
        }
    }
}
