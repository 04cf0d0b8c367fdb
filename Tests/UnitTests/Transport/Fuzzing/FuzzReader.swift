// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Reads choices and bytes out of an input. At its end there are zeros.
struct FuzzReader {
    private var rest: ArraySlice<UInt8>

    init(_ input: ArraySlice<UInt8>) {
        self.rest = input
    }

    var isEmpty: Bool { self.rest.isEmpty }

    mutating func byte() -> UInt8 {
        self.rest.popFirst() ?? 0
    }

    mutating func below(_ bound: Int) -> Int {
        Int(self.byte()) % bound
    }

    /// At most this many.
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { self.rest = self.rest.dropFirst(count) }
        return Array(self.rest.prefix(count))
    }

    mutating func remainder() -> [UInt8] {
        self.bytes(self.rest.count)
    }

    mutating func text(_ count: Int) -> String {
        String(decoding: self.bytes(count), as: UTF8.self)
    }
}
