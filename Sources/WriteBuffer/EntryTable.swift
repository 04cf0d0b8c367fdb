// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The keys of a buffer, by number, with their flags and their newest change.
struct EntryTable: ~Copyable {
    struct Entry: Sendable {
        var key: ByteArena.Location
        var keyLength: UInt16
        var flags: KeyFlags
        /// The newest record of the key, counted from 1.
        var record: UInt32
    }

    var arena = ByteArena()
    private(set) var entries: ContiguousArray<Entry> = []
    /// Numbers that are free again.
    private var free: ContiguousArray<UInt32> = []

    /// How many keys there are.
    var count: Int { self.entries.count - self.free.count }

    var capacity: Int {
        self.arena.capacity + self.entries.capacity * MemoryLayout<Entry>.stride
            + self.free.capacity * MemoryLayout<UInt32>.stride
    }

    // MARK: - Entries

    subscript(number: UInt32) -> Entry {
        get { self.entries[Int(number)] }
        set { self.entries[Int(number)] = newValue }
    }

    mutating func add(_ key: [UInt8]) -> UInt32 {
        let entry = Entry(key: self.arena.append(key), keyLength: UInt16(key.count), flags: [], record: 0)
        if let number = self.free.popLast() {
            self.entries[Int(number)] = entry
            return number
        }
        self.entries.append(entry)
        return UInt32(self.entries.count - 1)
    }

    mutating func remove(_ number: UInt32) {
        if Int(number) == self.entries.count - 1 {
            self.entries.removeLast()
        } else {
            self.free.append(number)
        }
    }

    func key(_ number: UInt32) -> [UInt8] {
        let entry = self.entries[Int(number)]
        return self.arena.bytes(at: entry.key, count: Int(entry.keyLength))
    }

    // MARK: - Order

    /// Negative where `key` comes before the entry's, positive where it comes after, 0 where they are equal.
    func compare(_ key: [UInt8], _ number: UInt32) -> Int {
        let length = Int(self.entries[Int(number)].keyLength)
        let order = self.compareBytes(key, number, min(key.count, length))
        return order != 0 ? order : key.count - length
    }

    /// How `key` compares to the first `length` bytes of the entry's, which has as many; 0 where it begins with them.
    func compare(_ key: [UInt8], _ number: UInt32, upTo length: Int) -> Int {
        let order = self.compareBytes(key, number, min(key.count, length))
        return order != 0 ? order : min(key.count - length, 0)
    }

    private func compareBytes(_ key: [UInt8], _ number: UInt32, _ length: Int) -> Int {
        guard length > 0 else { return 0 }
        let location = self.entries[Int(number)].key
        return unsafe key.withUnsafeBytes { left in
            unsafe self.arena.blocks[Int(location.block)].withUnsafeBytes { right -> Int in
                // Arrays with bytes in them have an address.
                guard let left = left.baseAddress, let right = right.baseAddress else { return 0 }
                return Int(unsafe memcmp(left, right + Int(location.offset), length))
            }
        }
    }

    /// The eight bytes of an entry's key from `start` on as a number, with zeros where the key ends.
    func head(of number: UInt32, from start: Int) -> UInt64 {
        let entry = self.entries[Int(number)]
        let offset = Int(entry.key.offset)
        return unsafe self.arena.blocks[Int(entry.key.block)].withUnsafeBytes {
            unsafe Self.head(UnsafeRawBufferPointer(rebasing: $0[offset..<offset + Int(entry.keyLength)]), from: start)
        }
    }

    static func head(of key: [UInt8], from start: Int) -> UInt64 {
        unsafe key.withUnsafeBytes { unsafe Self.head($0, from: start) }
    }

    private static func head(_ key: UnsafeRawBufferPointer, from start: Int) -> UInt64 {
        if key.count - start >= 8 {
            return UInt64(bigEndian: unsafe key.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        }
        var head: UInt64 = 0
        var shift: UInt64 = 64
        for index in min(start, key.count)..<key.count {
            shift -= 8
            head |= UInt64(unsafe key[index]) << shift
        }
        return head
    }

    /// How many bytes at their beginning the keys of two entries have in common.
    func sharedPrefix(_ first: UInt32, _ second: UInt32) -> Int {
        let (left, right) = (self.entries[Int(first)], self.entries[Int(second)])
        let limit = Int(min(left.keyLength, right.keyLength))
        return unsafe self.arena.blocks[Int(left.key.block)].withUnsafeBytes { leftBytes in
            unsafe self.arena.blocks[Int(right.key.block)].withUnsafeBytes { rightBytes in
                var length = 0
                while length < limit,
                    unsafe leftBytes[Int(left.key.offset) + length] == rightBytes[Int(right.key.offset) + length]
                {
                    length += 1
                }
                return length
            }
        }
    }
}
