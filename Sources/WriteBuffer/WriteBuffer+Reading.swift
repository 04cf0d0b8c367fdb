// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension WriteBuffer {
    // MARK: - Single keys

    /// The newest value or delete of a key; nil where it was not written.
    package func value(of key: [UInt8]) -> BufferedValue? {
        self.number(of: key).flatMap { self.newestValue(of: $0) }.map { self.value($0) }
    }

    /// What is known of a key; nil where it is neither written nor flagged.
    package func entry(of key: [UInt8]) -> BufferEntry? {
        guard let entry = self.number(of: key).map({ self.entry($0) }) else { return nil }
        return entry.value == nil && entry.flags.isEmpty ? nil : entry
    }

    /// The flags of a key; nil where it is neither written nor flagged.
    package func flags(of key: [UInt8]) -> KeyFlags? {
        self.entry(of: key)?.flags
    }

    /// The value of a key as it was at a checkpoint.
    package func value(of key: [UInt8], at checkpoint: Checkpoint) throws(WriteBufferError) -> BufferedValue? {
        let mark = try self.find(checkpoint)
        guard let number = self.number(of: key) else { return nil }
        return self.newestValue(of: number, upTo: mark.records).map { self.value($0) }
    }

    /// The newest value of a key that meets a condition, those that later ones stand in for included.
    package func value(of key: [UInt8], where condition: (BufferedValue) -> Bool) -> BufferedValue? {
        guard let number = self.number(of: key) else { return nil }
        var next = self.table[number].record
        while next != 0 {
            let record = self.records[Int(next) - 1]
            if record.change != .flags {
                let value = self.value(record)
                if condition(value) { return value }
            }
            next = record.previous
        }
        return nil
    }

    // MARK: - Iteration

    /// Where an iteration stands. It goes on rightly also after writes, which it sees where they are still to come.
    package struct Cursor: Sendable {
        let lower: [UInt8]
        let upper: [UInt8]?
        package let isReversed: Bool
        let includesFlagged: Bool
        let checkpoint: Checkpoint?
        /// The last key that was given out.
        var last: [UInt8]?
        var place = EntryIndex.Place()
        /// The version of the index that the place is of.
        var version = -1

        /// - Parameters:
        ///   - lower: the first key.
        ///   - upper: the key after the last; nil for no end.
        ///   - includesFlagged: whether keys with flags only are given out too.
        ///   - checkpoint: iterates over the values as they were then.
        package init(
            from lower: [UInt8] = [], to upper: [UInt8]? = nil, isReversed: Bool = false,
            includesFlagged: Bool = false, at checkpoint: Checkpoint? = nil
        ) {
            self.lower = lower
            self.upper = upper
            self.isReversed = isReversed
            self.includesFlagged = includesFlagged
            self.checkpoint = checkpoint
        }
    }

    /// The next entry of an iteration; nil at its end.
    package func next(_ cursor: inout Cursor) throws(WriteBufferError) -> BufferEntry? {
        let limit = try cursor.checkpoint.map { checkpoint throws(WriteBufferError) in
            try self.find(checkpoint).records
        }
        while let number = self.step(&cursor) {
            let key = self.table.key(number)
            if cursor.isReversed {
                if self.isLess(key, than: cursor.lower) { return nil }
            } else if let upper = cursor.upper, !self.isLess(key, than: upper) {
                return nil
            }
            cursor.last = key
            let record = self.newestValue(of: number, upTo: limit ?? .max)
            if record == nil {
                // A key whose flags have all been taken away again is none.
                guard cursor.includesFlagged, limit == nil, !self.table[number].flags.isEmpty else { continue }
            }
            return BufferEntry(key: key, value: record.map { self.value($0) }, flags: self.table[number].flags)
        }
        return nil
    }

    /// All entries that a cursor comes by.
    package func forEach(
        _ cursor: Cursor = Cursor(), _ body: (BufferEntry) throws -> Void
    ) throws {
        var cursor = cursor
        while let entry = try self.next(&cursor) { try body(entry) }
    }

    private func step(_ cursor: inout Cursor) -> UInt32? {
        if cursor.version != self.version {
            cursor.version = self.version
            cursor.place = self.place(for: cursor)
        }
        if cursor.isReversed { return self.index.entry(before: &cursor.place) }
        guard let number = self.index.entry(atOrAfter: &cursor.place) else { return nil }
        cursor.place.index += 1
        return number
    }

    /// Where a cursor goes on: of a forward one the place of the next entry, of a reversed one the place behind it.
    private func place(for cursor: Cursor) -> EntryIndex.Place {
        if cursor.isReversed {
            guard let bound = cursor.last ?? cursor.upper else { return self.index.end }
            return self.index.find(bound, self.table).place
        }
        guard let last = cursor.last else { return self.index.find(cursor.lower, self.table).place }
        var (place, found) = self.index.find(last, self.table)
        if found { place.index += 1 }
        return place
    }

    // MARK: - Internal

    func number(of key: [UInt8]) -> UInt32? {
        var (place, found) = self.index.find(key, self.table)
        return found ? self.index.entry(atOrAfter: &place) : nil
    }

    func entry(_ number: UInt32) -> BufferEntry {
        BufferEntry(
            key: self.table.key(number), value: self.newestValue(of: number).map { self.value($0) },
            flags: self.table[number].flags)
    }

    /// The newest record of an entry that is a value or a delete, among the first `limit` of the log.
    func newestValue(of number: UInt32, upTo limit: Int = .max) -> Record? {
        var next = self.table[number].record
        while next != 0 {
            let record = self.records[Int(next) - 1]
            if record.change != .flags, Int(next) <= limit { return record }
            next = record.previous
        }
        return nil
    }

    private func value(_ record: Record) -> BufferedValue {
        record.change == .put ? .put(self.table.arena.bytes(at: record.value, count: Int(record.length))) : .delete
    }

    private func isLess(_ lhs: [UInt8], than rhs: [UInt8]) -> Bool { lhs.lexicographicallyPrecedes(rhs) }
}
