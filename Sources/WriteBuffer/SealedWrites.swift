// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The writes of a transaction that takes no more: they lie where the buffer had them, and tasks may share them. What orders
/// the keys is gone; the numbers that were kept of them stand in order.
package final class SealedWrites: Sendable {
    /// A key of a sealed buffer, without its bytes.
    package struct Entry: Sendable {
        package let number: UInt32
        package let flags: KeyFlags
        package let kind: Kind
        package let keySize: Int
        package let valueSize: Int
    }

    /// What was written of a key.
    package enum Kind: Sendable, Hashable {
        case put
        case delete
        /// Nothing: the key has flags only.
        case flags
    }

    private let buffer: WriteBuffer
    /// How many keys have a value or are deleted.
    package let count: Int
    /// The bytes of these keys and their values.
    package let size: Int

    /// - Parameters:
    ///   - buffer: is not to be had any more.
    ///   - visit: is told of every key in order, those with flags only included, while values can be read by number.
    package init(_ buffer: consuming WriteBuffer, _ visit: (Entry, _ key: [UInt8], _ value: () -> [UInt8]) -> Void) {
        self.count = buffer.count
        self.size = buffer.size
        buffer.forEachEntry(visit)
        buffer.dropIndex()
        self.buffer = buffer
    }

    package func key(_ number: UInt32) -> [UInt8] { self.buffer.table.key(number) }

    package func keySize(_ number: UInt32) -> Int { Int(self.buffer.table[number].keyLength) }

    /// The value of a key; empty where it is deleted or has none.
    package func value(_ number: UInt32) -> [UInt8] {
        guard let record = self.buffer.newestValue(of: number), record.change == .put else { return [] }
        return self.buffer.table.arena.bytes(at: record.value, count: Int(record.length))
    }

    package func valueSize(_ number: UInt32) -> Int {
        self.buffer.newestValue(of: number).map { Int($0.length) } ?? 0
    }

    /// Negative where `key` comes before the numbered one, positive where it comes after, 0 where they are equal.
    package func compare(_ key: [UInt8], _ number: UInt32) -> Int { self.buffer.table.compare(key, number) }
}

extension WriteBuffer {
    fileprivate func forEachEntry(
        _ visit: (SealedWrites.Entry, _ key: [UInt8], _ value: () -> [UInt8]) -> Void
    ) {
        var place = EntryIndex.Place()
        while let number = self.index.entry(atOrAfter: &place) {
            place.index += 1
            let record = self.newestValue(of: number)
            let flags = self.table[number].flags
            // A key whose flags have all been taken away again is none.
            if record == nil, flags.isEmpty { continue }
            let entry = SealedWrites.Entry(
                number: number, flags: flags,
                kind: record.map { $0.change == .put ? .put : .delete } ?? .flags,
                keySize: Int(self.table[number].keyLength), valueSize: record.map { Int($0.length) } ?? 0)
            visit(entry, self.table.key(number)) {
                record.map { self.table.arena.bytes(at: $0.value, count: Int($0.length)) } ?? []
            }
        }
    }

    /// Gives back the memory of what orders the keys.
    fileprivate mutating func dropIndex() {
        self.index = EntryIndex()
        self.version += 1
    }
}
