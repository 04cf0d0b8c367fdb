// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVWriteBuffer

func key(_ number: Int) -> [UInt8] {
    [UInt8(number >> 24 & 255), UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255)]
}

func bytes(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

func keys(
    _ buffer: borrowing WriteBuffer, _ cursor: WriteBuffer.Cursor = WriteBuffer.Cursor()
) throws -> [[UInt8]] {
    var keys: [[UInt8]] = []
    try buffer.forEach(cursor) { keys.append($0.key) }
    return keys
}

func entries(
    _ buffer: borrowing WriteBuffer, _ cursor: WriteBuffer.Cursor = WriteBuffer.Cursor()
) throws -> [BufferEntry] {
    var entries: [BufferEntry] = []
    try buffer.forEach(cursor) { entries.append($0) }
    return entries
}

/// What a memory hook was told.
final class Told: Sendable {
    private let list = Mutex<[Int]>([])

    var all: [Int] { self.list.withLock { $0 } }

    func append(_ number: Int) { self.list.withLock { $0.append(number) } }
}

/// What a buffer should be, kept the simplest way.
struct BufferModel: Equatable {
    struct Entry: Equatable {
        var value: BufferedValue?
        var flags: KeyFlags = []
    }

    var entries: [[UInt8]: Entry] = [:]

    mutating func write(_ key: [UInt8], _ value: BufferedValue, _ change: KeyFlagChange) {
        var entry = self.entries[key] ?? Entry()
        entry.value = value
        entry.flags = change.applied(to: entry.flags.subtracting(.untilNextWrite))
        self.entries[key] = entry
    }

    mutating func updateFlags(_ key: [UInt8], _ change: KeyFlagChange) {
        var entry = self.entries[key] ?? Entry()
        entry.flags = change.applied(to: entry.flags)
        self.entries[key] = entry
    }

    /// Goes back to an earlier state; what was locked meanwhile stays.
    mutating func goBack(to earlier: BufferModel) {
        var result = earlier
        // Keys that are in both keep what lasts as it is now, whether it was set or cleared.
        for key in earlier.entries.keys {
            let now = self.entries[key]?.flags.persistentPart ?? []
            result.entries[key]?.flags.subtract(.persistent)
            result.entries[key]?.flags.formUnion(now)
        }
        for (key, entry) in self.entries where earlier.entries[key] == nil && !entry.flags.persistentPart.isEmpty {
            result.entries[key] = Entry(value: nil, flags: entry.flags.persistentPart)
        }
        self = result
    }

    var sorted: [BufferEntry] {
        self.entries.filter { $0.value != Entry() }.map {
            BufferEntry(key: $0.key, value: $0.value.value, flags: $0.value.flags)
        }
        .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    /// The bytes of the keys that have a value or are deleted.
    var size: Int {
        var size = 0
        for (key, entry) in self.entries {
            guard let value = entry.value else { continue }
            size += key.count + (value.bytes?.count ?? 0)
        }
        return size
    }
}

/// Random numbers that come again for the same seed.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next() -> UInt64 {
        self.state ^= self.state << 13
        self.state ^= self.state >> 7
        self.state ^= self.state << 17
        return self.state &* 0x2545_f491_4f6c_dd1d
    }
}
