// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKV

/// The table of Unicode characters that the demo works with, in the order of its keys.
struct DemoData: Sendable {
    static let prefix = "unicode/"
    static let defaultPath = "demo-data/UnicodeData.txt"

    let path: String
    let records: [RecordReader.Record]

    init(path: String) throws(CommandFailure) {
        self.path = path
        var reader = try Self.reader(path)
        var records: [RecordReader.Record] = []
        while let record = try reader.next() {
            records.append(record)
        }
        guard !records.isEmpty else {
            throw CommandFailure("\(path) holds no records")
        }
        self.records = records.sorted { $0.key < $1.key }
    }

    static func reader(_ path: String) throws(CommandFailure) -> RecordReader {
        try RecordReader(path: path, separator: UInt8(ascii: ";"), notation: .raw, prefix: Array(Self.prefix.utf8))
    }

    static func key(_ codePoint: String) -> Key {
        Key(Self.prefix + codePoint)
    }

    func value(of key: Key) -> Value? {
        self.records.first { $0.key == key }?.value
    }

    func records(in range: KeyRange) -> [RecordReader.Record] {
        self.records.filter { range.contains($0.key) }
    }

    /// `U+03A9 GREEK CAPITAL LETTER OMEGA`: the name is the first field of the value.
    static func describe(key: Key, value: Value) -> String {
        let codePoint = String(decoding: key.bytes, as: UTF8.self).dropFirst(Self.prefix.count)
        let name = String(decoding: value.bytes, as: UTF8.self).prefix { $0 != ";" }
        return "U+\(codePoint) \(name)"
    }
}
