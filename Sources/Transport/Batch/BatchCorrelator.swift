// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Knows every command of a connection's batch stream: those that wait to be sent and those that wait for an answer.
/// Answers come in any order. A pure machine: it holds what is to be told to whom, and tells nobody.
struct BatchCorrelator<Waiter: Sendable>: Sendable {
    private struct Entry: Sendable {
        var field: Int
        var payload: [UInt8]
        var deadline: NIODeadline?
        var isSent: Bool
        var waiter: Waiter
    }

    private var entries: [UInt64: Entry] = [:]
    private var queue = BatchQueue()
    private var nextID: UInt64 = 1
    /// Commands that were sent and have no answer yet.
    private(set) var inFlight = 0

    var isEmpty: Bool { self.entries.isEmpty }
    var hasUnsent: Bool { self.entries.count > self.inFlight }

    /// Takes a command in. Returns its id, which no other command of this connection ever has.
    mutating func add(
        field: Int, payload: [UInt8], priority: UInt64, deadline: NIODeadline?, waiter: Waiter
    ) -> UInt64 {
        let id = self.nextID
        self.nextID += 1
        self.entries[id] = Entry(field: field, payload: payload, deadline: deadline, isSent: false, waiter: waiter)
        self.queue.append(id, priority: priority)
        return id
    }

    /// The commands of the next message; none where nothing may be sent. They count as sent from here on.
    mutating func takeBatch(_ configuration: BatchConfiguration) -> [BatchEnvelope.Item] {
        var items: [BatchEnvelope.Item] = []
        var bytes = 0
        while items.count < max(configuration.maxBatchSize, 1), bytes < configuration.maxBatchBytes,
            let id = self.queue.popFirst(onlyHigh: self.inFlight >= configuration.maxInFlight)
        {
            // Not there: cancelled while it waited.
            guard var entry = self.entries[id] else { continue }
            items.append(BatchEnvelope.Item(id: id, field: entry.field, payload: entry.payload))
            bytes += entry.payload.count
            entry.payload = []
            entry.isSent = true
            self.entries[id] = entry
            self.inFlight += 1
        }
        return items
    }

    /// An answer came. Returns who waits for it, and what he gets; nil for a command that was given up meanwhile.
    mutating func answer(_ item: BatchEnvelope.Item) -> (Waiter, Result<[UInt8], RPCError>)? {
        guard let entry = self.entries.removeValue(forKey: item.id) else { return nil }
        if entry.isSent { self.inFlight -= 1 }
        guard item.field == entry.field else {
            let what = item.field == 0 ? "nothing" : "field \(item.field)"
            return (
                entry.waiter,
                .failure(RPCError(.internalError, "a command of field \(entry.field) was answered by \(what)"))
            )
        }
        return (entry.waiter, .success(item.payload))
    }

    /// Gives one command up. Returns who waited for it and whether it had been sent.
    mutating func remove(_ id: UInt64) -> (waiter: Waiter, isSent: Bool)? {
        guard let entry = self.entries.removeValue(forKey: id) else { return nil }
        if entry.isSent { self.inFlight -= 1 }
        return (entry.waiter, entry.isSent)
    }

    /// The stream is gone: takes out what was in flight on it. What was not sent stays.
    mutating func removeSent() -> [Waiter] {
        let sent = self.entries.filter(\.value.isSent)
        for id in sent.keys { self.entries[id] = nil }
        self.inFlight = 0
        return sent.sorted { $0.key < $1.key }.map(\.value.waiter)
    }

    /// Takes out what was not sent.
    mutating func removeUnsent() -> [Waiter] {
        let unsent = self.entries.filter { !$0.value.isSent }
        for id in unsent.keys { self.entries[id] = nil }
        self.queue.removeAll()
        return unsent.sorted { $0.key < $1.key }.map(\.value.waiter)
    }

    /// Takes out the commands whose time is over. Returns them, and the earliest deadline of those that stay.
    mutating func removeExpired(at now: NIODeadline) -> (expired: [(waiter: Waiter, isSent: Bool)], next: NIODeadline?)
    {
        var next: NIODeadline?
        var expired: [UInt64] = []
        for (id, entry) in self.entries {
            guard let deadline = entry.deadline else { continue }
            if deadline <= now {
                expired.append(id)
            } else {
                next = next.map { min($0, deadline) } ?? deadline
            }
        }
        return (expired.compactMap { self.remove($0) }, next)
    }
}
