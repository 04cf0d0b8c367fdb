// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// HTTP/2 frames made by hand, right and wrong.
enum FuzzFrames {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    static func frame(_ type: UInt8, flags: UInt8, stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        var frame = Array(Self.bigEndian(UInt32(truncatingIfNeeded: payload.count)).dropFirst())
        frame += [type, flags]
        frame += Self.bigEndian(stream)
        return frame + payload
    }

    static func bigEndian(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { (shift: UInt32) in UInt8(truncatingIfNeeded: number >> shift) }
    }

    /// A header block: HPACK literals without indexing.
    static func block(_ fields: [(String, String)], kind: UInt8 = 0) -> [UInt8] {
        var block: [UInt8] = []
        for (name, value) in fields {
            block.append(kind)
            for text in [name, value] {
                block.append(UInt8(text.utf8.count))
                block += Array(text.utf8)
            }
        }
        return block
    }

    private static func block(_ fields: [(String, String)], _ more: [(String, String)]) -> [UInt8] {
        Self.block(fields) + Self.block(more)
    }

    /// The same with indexing, so that later blocks can refer to the fields by a byte each.
    static func indexed(_ fields: [(String, String)]) -> [UInt8] {
        Self.block(fields, kind: 0x40)
    }

    static func request(path: String) -> [(String, String)] {
        [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
            ("content-type", "application/grpc"), ("te", "trailers"),
        ]
    }

    static let request = Self.request(path: "/tikvpb.Tikv/RawGet")
    static let response = [(":status", "200"), ("content-type", "application/grpc")]

    static let blocks: [[UInt8]] = [
        Self.block(Self.request),
        Self.block(Self.response),
        Self.block([("grpc-status", "0")]),
        Self.block(Self.response, [("grpc-status", "12"), ("grpc-message", "no%20such%zz")]),
        Self.block([(":status", "100")]),
        Self.block([(":status", "103"), ("link", "x")]),
        Self.indexed(Self.request) + Self.indexed([("x-large", String(repeating: "v", count: 120))]),
        [UInt8](repeating: 0xbe, count: 200),
        Self.block(Self.request, [("grpc-timeout", "5S"), ("trace-bin", "AAEC")]),
        Self.block(Self.request, [("grpc-timeout", "soon")]),
        Self.block(Self.request, [("grpc-encoding", "gzip")]),
        Self.block([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "x")]),
        Self.block([(":method", "POST"), (":scheme", "http"), (":authority", "x")]),
        Self.block(Self.request, [("Upper", "x")]),
        Self.block(Self.request, [("connection", "close")]),
        Self.block([("x", "y"), (":method", "POST")]),
        Self.block(Self.request, [("content-length", "7")]),
        Self.block(Self.request(path: "/tikvpb.Tikv/BatchCommands")),
        Self.block(Self.request(path: "/unknown")),
        Self.block(Self.request(path: "/tikvpb.Tikv/Coprocessor")),
        Self.block([(":status", "503"), ("content-type", "text/html")]),
        [0x3f, 0xe1, 0x1f], [0x20], [0x82, 0x86, 0x84, 0x41, 0x01, 0x78], [0xff, 0xff, 0xff, 0xff, 0xff],
    ]

    /// What one step of an input puts on the wire; nil where the step is for something else.
    static func next(_ code: UInt8, _ reader: inout FuzzReader) -> [UInt8]? {
        switch code & 15 {
        case let type where type <= 9:
            let flags = reader.byte()
            let id = reader.byte()
            let payload = reader.bytes(reader.below(code & 16 == 0 ? 64 : 8))
            return Self.frame(type, flags: flags, stream: UInt32(id), payload)
        case 10:
            return reader.bytes(reader.below(256))
        case 13:
            let flags = reader.byte()
            let block = Self.blocks[reader.below(Self.blocks.count)]
            return Self.frame(1, flags: flags, stream: UInt32(reader.byte()), block)
        case 14:
            // A message in a DATA frame: its frame is right, or nearly.
            let flags = reader.byte() & 1
            let id = UInt32(reader.byte())
            let body = [UInt8](repeating: 0, count: reader.below(256) * (code & 16 == 0 ? 1 : 200))
            let length = UInt32(truncatingIfNeeded: body.count) &+ (code & 32 == 0 ? 0 : UInt32(reader.byte()))
            return Self.frame(0, flags: flags, stream: id, [code >> 6] + Self.bigEndian(length) + body)
        case 15:
            // Settings with one entry, well formed.
            return Self.frame(4, flags: 0, stream: 0, [0, reader.byte()] + reader.bytes(4))
        default:
            return nil
        }
    }
}
