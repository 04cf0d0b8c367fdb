// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import TiKVTransport

/// Header blocks out of the fields that nghttp2 reports.
@Suite
struct HeaderBlockReaderTests {
    static func read(_ fields: [(String, String)], _ reader: inout HeaderBlockReader) -> [String] {
        reader.begin()
        for (name, value) in fields {
            Array(name.utf8).withUnsafeBufferPointer { name in
                Array(value.utf8).withUnsafeBufferPointer { value in reader.add(name, value) }
            }
        }
        return reader.end().fields.map { "\($0.name)=\($0.value)" }
    }

    @Test func blocksThatDifferAreToldApart() {
        var reader = HeaderBlockReader()
        // The same bytes, cut at other places.
        #expect(Self.read([("ab", "c")], &reader) == ["ab=c"])
        #expect(Self.read([("a", "bc")], &reader) == ["a=bc"])
        #expect(Self.read([("a", "b"), ("", "c")], &reader) == ["a=b", "=c"])
        #expect(Self.read([("ab", "c")], &reader) == ["ab=c"])
        #expect(Self.read([], &reader) == [])
    }

    @Test func manyBlocksMoreThanAreRemembered() {
        var reader = HeaderBlockReader()
        for round in 0..<3 {
            for index in 0..<500 {
                #expect(Self.read([("n", "\(index)"), ("r", "\(round)")], &reader) == ["n=\(index)", "r=\(round)"])
                #expect(Self.read([("grpc-status", "0")], &reader) == ["grpc-status=0"])
            }
        }
    }

    @Test func theSizeIsCountedAsHTTP2Does() {
        var reader = HeaderBlockReader()
        _ = Self.read([("abc", "de"), ("f", "")], &reader)
        #expect(reader.size == 5 + 32 + 1 + 32)
        reader.begin()
        #expect(reader.size == 0)
    }
}
