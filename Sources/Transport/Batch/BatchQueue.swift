// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import DequeModule

/// Commands that wait to be sent: those of higher priority first, in the order they came within one priority.
struct BatchQueue: Sendable {
    /// Commands of this priority and above are not held back by the limit of commands in flight.
    static let highPriority: UInt64 = 10

    /// By falling priority. There are few priorities, mostly one.
    private var levels: [(priority: UInt64, ids: Deque<UInt64>)] = []

    mutating func append(_ id: UInt64, priority: UInt64) {
        if let index = self.levels.firstIndex(where: { $0.priority <= priority }) {
            if self.levels[index].priority != priority { self.levels.insert((priority, []), at: index) }
            self.levels[index].ids.append(id)
        } else {
            self.levels.append((priority, [id]))
        }
    }

    /// The next command; nil when there is none that may go.
    ///
    /// - Parameter onlyHigh: whether ordinary commands are held back.
    mutating func popFirst(onlyHigh: Bool) -> UInt64? {
        while let level = self.levels.first, !onlyHigh || level.priority >= Self.highPriority {
            if let id = self.levels[0].ids.popFirst() { return id }
            // The ordinary level stays, so that steady traffic does not make and drop it all the time.
            if self.levels.count == 1 { return nil }
            self.levels.removeFirst()
        }
        return nil
    }

    mutating func removeAll() {
        self.levels = []
    }
}
