// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Makes header blocks of the fields that nghttp2 reports one by one.
///
/// Nearly all calls on a connection have the same response headers and the same trailers. A block that was met before is
/// recognized by its bytes, and given out again without making a single string.
struct HeaderBlockReader: Sendable {
    /// A block as it came: names and values one after the other, and how long each is.
    private struct Raw: Sendable, Equatable {
        var bytes: [UInt8] = []
        var lengths: [Int] = []
    }

    private static let mostKnown = 4
    /// Longer ones are rarely the same twice.
    private static let longestKnown = 256

    private var raw = Raw()
    private var known: [(raw: Raw, block: HeaderBlock)] = []
    private var misses = 0
    /// The size as HTTP/2 counts it: names, values and 32 bytes for each field.
    private(set) var size = 0

    init() {}

    mutating func begin() {
        self.raw.bytes.removeAll(keepingCapacity: true)
        self.raw.lengths.removeAll(keepingCapacity: true)
        self.size = 0
    }

    @unsafe mutating func add(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        unsafe self.raw.bytes.append(contentsOf: name)
        unsafe self.raw.bytes.append(contentsOf: value)
        self.raw.lengths.append(name.count)
        self.raw.lengths.append(value.count)
        self.size += name.count + value.count + 32
    }

    mutating func end() -> HeaderBlock {
        for known in self.known where known.raw == self.raw { return known.block }
        let block = self.decode()
        guard self.raw.bytes.count <= Self.longestKnown else { return block }
        if self.known.count < Self.mostKnown {
            self.known.append((self.raw, block))
        } else {
            // Blocks that differ from call to call must not push out those that come again all the time.
            self.misses += 1
            if self.misses % 64 == 0 { self.known[self.misses / 64 % Self.mostKnown] = (self.raw, block) }
        }
        return block
    }

    private func decode() -> HeaderBlock {
        var block = HeaderBlock()
        var start = 0
        func text(_ length: Int) -> String {
            defer { start += length }
            return String(decoding: self.raw.bytes[start..<(start + length)], as: UTF8.self)
        }
        for index in stride(from: 0, to: self.raw.lengths.count, by: 2) {
            let name = text(self.raw.lengths[index])
            block.append(name, text(self.raw.lengths[index + 1]))
        }
        return block
    }
}
