// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

extension WriteBuffer {
    /// A stage of a buffer. ``none`` stands for no stage; ending it does nothing.
    package struct Stage: Sendable, Hashable {
        let id: Int

        package static let none = Stage(id: 0)
    }

    /// A state of a buffer that can be gone back to, and read.
    package struct Checkpoint: Sendable, Hashable {
        let id: Int
        let records: Int
    }

    /// The number of records below which none may be replaced, since something may go back to them.
    var barrier: Int { self.marks.last?.records ?? 0 }

    // MARK: - Stages

    /// Begins a stage inside the one that is open, if any: what is written from now on stays apart until it ends.
    package mutating func stage() -> Stage {
        Stage(id: self.mark(isStage: true))
    }

    /// How deep the stages are nested.
    package var stageDepth: Int { self.marks.count(where: \.isStage) }

    /// Ends the newest stage; its writes become those of the one around it.
    package mutating func release(_ stage: Stage) throws(WriteBufferError) {
        guard stage != .none else { return }
        guard let index = self.marks.lastIndex(where: \.isStage), self.marks[index].id == stage.id else {
            throw .notTheNewestStage
        }
        let records = self.marks[index].records
        // Checkpoints taken in it stay.
        self.marks.remove(at: index)
        if self.records.count > records, !self.marks.contains(where: \.isStage) { self.isDirty = true }
    }

    /// Ends the newest stage and takes its writes back; flags that stand for locks stay. Of a stage that has ended already
    /// nothing is left to take back.
    package mutating func rollBack(_ stage: Stage) throws(WriteBufferError) {
        guard stage != .none, let newest = self.marks.last(where: \.isStage), newest.id >= stage.id else { return }
        guard newest.id == stage.id else { throw .notTheNewestStage }
        self.goBack(to: newest)
        while let last = self.marks.last, last.id >= newest.id { self.marks.removeLast() }
        self.reportFootprint()
    }

    /// The keys changed since a stage began, with what they are now.
    package func inspect(_ stage: Stage, _ body: (BufferEntry) throws -> Void) rethrows {
        guard let mark = self.marks.first(where: { $0.id == stage.id && $0.isStage }) else { return }
        for index in mark.records..<self.records.count {
            let number = self.records[index].entry
            // Of several records of a key the newest speaks.
            guard Int(self.table[number].record) == index + 1 else { continue }
            try body(self.entry(number))
        }
    }

    // MARK: - Checkpoints

    /// The present state, to go back to or to read later. Until ``drop(_:)`` its values are kept.
    package mutating func checkpoint() -> Checkpoint {
        let records = self.records.count
        return Checkpoint(id: self.mark(isStage: false), records: records)
    }

    /// Takes back all that was written since the checkpoint, also by stages that have ended since; those still open that
    /// began later are ended. The checkpoint and earlier ones stay.
    package mutating func revert(to checkpoint: Checkpoint) throws(WriteBufferError) {
        let mark = try self.find(checkpoint)
        self.goBack(to: mark)
        while let last = self.marks.last, last.id > mark.id { self.marks.removeLast() }
        self.reportFootprint()
    }

    /// Gives a checkpoint up.
    package mutating func drop(_ checkpoint: Checkpoint) {
        self.marks.removeAll { $0.id == checkpoint.id && !$0.isStage }
    }

    // MARK: - Private

    private mutating func mark(isStage: Bool) -> Int {
        let id = self.nextMark
        self.nextMark += 1
        self.marks.append(
            Mark(id: id, records: self.records.count, arena: self.table.arena.mark, isStage: isStage))
        return id
    }

    func find(_ checkpoint: Checkpoint) throws(WriteBufferError) -> Mark {
        guard let mark = self.marks.last(where: { $0.id == checkpoint.id }) else { throw .checkpointIsGone }
        return mark
    }

    /// Undoes the records after a mark, the newest first.
    private mutating func goBack(to mark: Mark) {
        var isKeyBehindMark = false
        while self.records.count > mark.records, let record = self.records.popLast() {
            let number = record.entry
            let isValue = record.change != .flags
            if isValue {
                self.size -= Int(self.table[number].keyLength) + Int(record.length)
                self.count -= 1
            }
            let kept = self.table[number].flags.persistentPart
            self.table[number].record = record.previous
            if record.previous != 0 {
                self.table[number].flags = record.flagsBefore.subtracting(.persistent).union(kept)
                if isValue, let before = self.newestValue(of: number) {
                    self.size += Int(self.table[number].keyLength) + Int(before.length)
                    self.count += 1
                }
            } else if kept.isEmpty {
                self.remove(number)
            } else {
                self.table[number].flags = kept
                if mark.arena.isBefore(self.table[number].key) { isKeyBehindMark = true }
                self.isDirty = true
            }
        }
        if isKeyBehindMark {
            // Its bytes must outlive all that can be gone back to.
            let end = self.table.arena.mark
            for index in self.marks.indices { self.marks[index].arena = end }
        } else {
            self.table.arena.truncate(to: mark.arena)
        }
        self.changes += 1
        self.forgetRecent()
    }

    private mutating func remove(_ number: UInt32) {
        let place = self.index.find(self.table.key(number), self.table).place
        self.index.remove(at: place, self.table)
        self.table.remove(number)
        self.version += 1
    }
}
