// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// The writes of a transaction: keys in order, with values or deletes, and flags.
///
/// Writes since a point can be taken back: since a stage began (``stage()``), or since a checkpoint (``checkpoint()``). For
/// that every change is a record in a log, and a record knows the one before it of the same key; as long as nothing
/// can go back to before a record, the next write of the key replaces it. What is taken back gives its memory back.
///
/// Keys and values lie in an arena; what orders the keys is a tree of their numbers. Per key that costs some 60 bytes beside
/// the key and the value, and nothing in it grows faster than the number of keys and writes.
///
/// Pure: no clock, no lock, no task. There is one owner: a transaction.
package struct WriteBuffer: ~Copyable, Sendable {
    /// What a buffer takes. TiKV itself takes no key longer than 65,535 bytes.
    package struct Limits: Sendable, Hashable {
        package static let longestKey = Int(UInt16.max)

        package var entrySize: Int
        package var totalSize: Int
        package var count: Int

        package init(entrySize: Int = .max, totalSize: Int = .max, count: Int = .max) {
            // Lengths are kept as 32-bit numbers, and so are numbers of keys.
            self.entrySize = min(entrySize, Int(UInt32.max))
            self.totalSize = totalSize
            self.count = min(count, Int(UInt32.max) / 2)
        }
    }

    enum Change: UInt8, Sendable {
        case put
        case delete
        /// Of flags only.
        case flags
    }

    /// One change of a key.
    struct Record: Sendable {
        var entry: UInt32
        /// The record before it of the same key, counted from 1; 0 where this one made the key.
        var previous: UInt32
        var value: ByteArena.Location
        var length: UInt32
        var flagsBefore: KeyFlags
        var change: Change
    }

    /// A point that can be gone back to.
    struct Mark: Sendable {
        var id: Int
        var records: Int
        var arena: ByteArena.Mark
        var isStage: Bool
    }

    package let limits: Limits

    var table = EntryTable()
    var index = EntryIndex()
    var records: ContiguousArray<Record> = []
    var marks: ContiguousArray<Mark> = []
    var nextMark = 1
    /// Changes when places in the index do.
    var version = 0
    /// Changes with every change.
    var changes = 0
    package var onFootprint: (@Sendable (Int) -> Void)?
    private var lastFootprint = 0
    private var recent: UInt32?

    /// How many keys have a value or are deleted.
    package internal(set) var count = 0
    /// The bytes of these keys and their values.
    package internal(set) var size = 0
    /// Whether anything was written for good, or a lasting flag was set.
    package internal(set) var isDirty = false
    /// How often a key was the one last written, and needed no search.
    package private(set) var recentHits = 0

    /// - Parameter onFootprint: is told the memory held, in bytes, each time that it has changed.
    package init(limits: Limits = Limits(), onFootprint: (@Sendable (Int) -> Void)? = nil) {
        self.limits = limits
        self.onFootprint = onFootprint
    }

    /// Whether there is no key at all, not even one with flags only.
    package var isEmpty: Bool { self.table.count == 0 }

    /// How many keys there are, those with flags only included.
    package var keyCount: Int { self.table.count }

    /// The memory held for keys, values and their log, without the index; constant in time.
    package var memoryFootprint: Int {
        self.table.capacity + self.records.capacity * MemoryLayout<Record>.stride
    }

    /// The memory held for all, the index included. Walks over the index.
    package var totalFootprint: Int { self.memoryFootprint + self.index.capacity }

    // MARK: - Writing

    /// Sets the value of a key.
    package mutating func put(
        _ key: [UInt8], value: [UInt8], flags: KeyFlagChange = .none
    ) throws(WriteBufferError) {
        try self.write(key, value, .put, flags)
    }

    /// Marks a key as deleted.
    package mutating func delete(_ key: [UInt8], flags: KeyFlagChange = .none) throws(WriteBufferError) {
        try self.write(key, [], .delete, flags)
    }

    /// Changes the flags of a key, which need not be there.
    package mutating func updateFlags(_ key: [UInt8], _ change: KeyFlagChange) throws(WriteBufferError) {
        try self.checkKey(key)
        let number: UInt32
        if let known = self.lookUp(key) {
            number = known
        } else {
            number = try self.add(key)
            self.append(Record(change: .flags, entry: number, previous: 0, flagsBefore: []))
        }
        let before = self.table[number].flags
        let after = change.applied(to: before)
        if before.subtracting(.persistent) != after.subtracting(.persistent),
            Int(self.table[number].record) <= self.barrier
        {
            self.append(
                Record(change: .flags, entry: number, previous: self.table[number].record, flagsBefore: before))
        }
        self.table[number].flags = after
        self.changes += 1
        if self.marks.isEmpty || !after.persistentPart.isEmpty { self.isDirty = true }
        self.reportFootprint()
    }

    /// Forgets everything.
    package mutating func removeAll() {
        self.table = EntryTable()
        self.index = EntryIndex()
        self.records = []
        self.marks = []
        self.version += 1
        self.changes += 1
        self.recent = nil
        self.count = 0
        self.size = 0
        self.isDirty = false
        self.reportFootprint()
    }

    // MARK: - Private

    private mutating func write(
        _ key: [UInt8], _ value: [UInt8], _ change: Change, _ flagChange: KeyFlagChange
    ) throws(WriteBufferError) {
        try self.checkKey(key)
        let size = key.count + value.count
        if size > self.limits.entrySize { throw .entryTooLarge(size: size, limit: self.limits.entrySize) }
        let known = self.lookUp(key)
        let valueBefore = known.flatMap { self.newestValue(of: $0) }
        let sizeBefore = valueBefore.map { key.count + Int($0.length) } ?? 0
        let total = self.size - sizeBefore + size
        if total > self.limits.totalSize, total > self.size {
            throw .transactionTooLarge(size: total, limit: self.limits.totalSize)
        }
        if valueBefore == nil, self.count >= self.limits.count {
            throw .tooManyKeys(count: self.count + 1, limit: self.limits.count)
        }
        let number: UInt32
        if let known { number = known } else { number = try self.add(key) }

        let top = self.table[number].record
        let before = self.table[number].flags
        if top == 0 || Int(top) <= self.barrier {
            var record = Record(change: change, entry: number, previous: top, flagsBefore: before)
            record.value = self.table.arena.append(value)
            record.length = UInt32(value.count)
            self.append(record)
        } else {
            self.replace(Int(top) - 1, change, value)
        }
        self.table[number].flags = flagChange.applied(to: before.subtracting(.untilNextWrite))
        if valueBefore == nil { self.count += 1 }
        self.size = total
        self.changes += 1
        if self.marks.isEmpty || !self.table[number].flags.persistentPart.isEmpty { self.isDirty = true }
        self.reportFootprint()
    }

    private func checkKey(_ key: [UInt8]) throws(WriteBufferError) {
        if key.count > Limits.longestKey { throw .keyTooLarge(size: key.count, limit: Limits.longestKey) }
    }

    private mutating func lookUp(_ key: [UInt8]) -> UInt32? {
        if let recent = self.recent, self.table.compare(key, recent) == 0 {
            self.recentHits += 1
            return recent
        }
        let number = self.number(of: key)
        self.recent = number
        return number
    }

    private mutating func add(_ key: [UInt8]) throws(WriteBufferError) -> UInt32 {
        // Flags do not count as keys against the limit, but what numbers them has one.
        let limit = Int(UInt32.max) / 2
        if self.table.count >= limit || self.records.count >= Int(UInt32.max) - 1 {
            throw .tooManyKeys(count: self.table.count + 1, limit: limit)
        }
        let place = self.index.find(key, self.table).place
        let number = self.table.add(key)
        self.index.insert(number, at: place, self.table)
        self.version += 1
        self.recent = number
        return number
    }

    private mutating func append(_ record: Record) {
        self.records.append(record)
        self.table[record.entry].record = UInt32(self.records.count)
    }

    /// Writes over a record that nothing goes back to.
    private mutating func replace(_ index: Int, _ change: Change, _ value: [UInt8]) {
        if Int(self.records[index].length) >= value.count {
            self.table.arena.overwrite(self.records[index].value, with: value)
        } else {
            self.records[index].value = self.table.arena.append(value)
        }
        self.records[index].length = UInt32(value.count)
        self.records[index].change = change
    }

    mutating func forgetRecent() { self.recent = nil }

    mutating func reportFootprint() {
        guard let onFootprint = self.onFootprint else { return }
        let footprint = self.memoryFootprint
        guard footprint != self.lastFootprint else { return }
        self.lastFootprint = footprint
        onFootprint(footprint)
    }
}

extension WriteBuffer.Record {
    init(change: WriteBuffer.Change, entry: UInt32, previous: UInt32, flagsBefore: KeyFlags) {
        self.init(
            entry: entry, previous: previous, value: ByteArena.Location(), length: 0, flagsBefore: flagsBefore,
            change: change)
    }
}
