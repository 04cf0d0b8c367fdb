// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Merges what a snapshot has with what a buffer has, in order: a buffered value stands in for the snapshot's, and a
/// buffered delete hides it.
///
/// The snapshot's pairs come in pages, which the owner reads when this asks for one. Pure; the buffer may change between
/// calls.
package struct UnionCursor: Sendable {
    package struct Pair: Sendable, Hashable {
        package var key: [UInt8]
        package var value: [UInt8]

        package init(key: [UInt8], value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    package enum Step: Sendable, Hashable {
        case pair(Pair)
        /// A page of the snapshot must be supplied first.
        case needsPage
        case finished
    }

    private var cursor: WriteBuffer.Cursor
    /// The buffer's next entry, where the cursor is when it has been given out, and the state of the buffer it is of.
    private var ahead: (entry: BufferEntry?, cursor: WriteBuffer.Cursor, changes: Int)?
    private var page: [Pair] = []
    private var position = 0
    /// How far the snapshot's pairs are known: forward up to, not including, this key; reversed down to and including it.
    private var bound: [UInt8]?
    private var isComplete: Bool

    /// - Parameter hasSnapshot: false where there is nothing but the buffer.
    package init(
        from lower: [UInt8] = [], to upper: [UInt8]? = nil, isReversed: Bool = false, hasSnapshot: Bool = true
    ) {
        self.cursor = WriteBuffer.Cursor(from: lower, to: upper, isReversed: isReversed)
        self.isComplete = !hasSnapshot
    }

    /// Takes the snapshot's next pairs, in the order of the iteration.
    ///
    /// - Parameter bound: how far they are all that there are: forward up to, not including, this key; reversed down to and
    ///   including it. Nil where nothing comes after them.
    package mutating func supply(_ page: [Pair], knownTo bound: [UInt8]?) {
        self.page = page
        self.position = 0
        self.bound = bound
        if bound == nil { self.isComplete = true }
    }

    /// The next pair.
    package mutating func next(_ buffer: borrowing WriteBuffer) throws(WriteBufferError) -> Step {
        while true {
            if self.position == self.page.count, !self.isComplete, self.bound == nil { return .needsPage }
            let (buffered, ahead) = try self.peek(buffer)
            let stored = self.position < self.page.count ? self.page[self.position] : nil
            guard let buffered else {
                guard let stored else { return self.isComplete ? .finished : .needsPage }
                self.position += 1
                return .pair(stored)
            }
            if let stored {
                if self.comesBefore(stored.key, buffered.key) {
                    self.position += 1
                    return .pair(stored)
                }
                if stored.key == buffered.key { self.position += 1 }
            } else if !self.isComplete, !self.isKnown(buffered.key) {
                return .needsPage
            }
            self.cursor = ahead
            self.ahead = nil
            if case .put(let value) = buffered.value { return .pair(Pair(key: buffered.key, value: value)) }
        }
    }

    private mutating func peek(
        _ buffer: borrowing WriteBuffer
    ) throws(WriteBufferError) -> (entry: BufferEntry?, cursor: WriteBuffer.Cursor) {
        if let ahead = self.ahead, ahead.changes == buffer.changes { return (ahead.entry, ahead.cursor) }
        var cursor = self.cursor
        let entry = try buffer.next(&cursor)
        self.ahead = (entry, cursor, buffer.changes)
        return (entry, cursor)
    }

    private func comesBefore(_ lhs: [UInt8], _ rhs: [UInt8]) -> Bool {
        self.cursor.isReversed ? rhs.lexicographicallyPrecedes(lhs) : lhs.lexicographicallyPrecedes(rhs)
    }

    private func isKnown(_ key: [UInt8]) -> Bool {
        guard let bound = self.bound else { return false }
        return self.cursor.isReversed ? !key.lexicographicallyPrecedes(bound) : key.lexicographicallyPrecedes(bound)
    }
}
