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
        var progress: CommandProgress
        var waiter: Waiter

        var isSent: Bool { self.progress.sentAt != nil }
    }

    private var entries: [UInt64: Entry] = [:]
    private var queue = BatchQueue()
    private var nextID: UInt64 = 1
    /// The greatest id that was answered on the present stream.
    private var greatestAnswered: UInt64 = 0
    /// What time it is, as the owner last said.
    var time = NIODeadline.uptimeNanoseconds(0)
    /// Commands that were sent and have no answer yet.
    private(set) var inFlight = 0

    var count: Int { self.entries.count }
    var isEmpty: Bool { self.entries.isEmpty }
    var hasUnsent: Bool { self.entries.count > self.inFlight }

    /// Takes a command in. Returns its id, which no other command of this connection ever has.
    mutating func add(
        field: Int, payload: [UInt8], priority: UInt64, deadline: NIODeadline?, waiter: Waiter
    ) -> UInt64 {
        let id = self.nextID
        self.nextID += 1
        self.entries[id] = Entry(
            field: field, payload: payload, deadline: deadline, progress: CommandProgress(queuedAt: self.time),
            waiter: waiter)
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
            entry.progress.sentAt = self.time
            self.entries[id] = entry
            self.inFlight += 1
        }
        for item in items { self.entries[item.id]?.progress.batchSize = items.count }
        return items
    }

    /// An answer came. Returns who waits for it, and what he gets; nil for a command that was given up meanwhile.
    mutating func answer(_ item: BatchEnvelope.Item) -> (Waiter, Result<[UInt8], RPCError>)? {
        self.greatestAnswered = max(self.greatestAnswered, item.id)
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

    /// How far a command has come; nil for one that is over.
    func progress(of id: UInt64) -> CommandProgress? { self.entries[id]?.progress }

    /// How far those have come that were sent.
    var progressOfSent: [CommandProgress] { self.entries.values.filter(\.isSent).map(\.progress) }

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
        self.greatestAnswered = 0
        return sent.sorted { $0.key < $1.key }.map(\.value.waiter)
    }

    /// Takes out what was not sent.
    mutating func removeUnsent() -> [Waiter] {
        let unsent = self.entries.filter { !$0.value.isSent }
        for id in unsent.keys { self.entries[id] = nil }
        self.queue.removeAll()
        return unsent.sorted { $0.key < $1.key }.map(\.value.waiter)
    }

    /// A command that was sent later has been answered.
    private func isOvertaken(_ id: UInt64, _ entry: Entry) -> Bool {
        entry.isSent && id < self.greatestAnswered
    }

    /// Looks for commands that have waited long.
    func inspect(at now: NIODeadline) -> PendingCommands {
        self.entries.reduce(into: PendingCommands()) { pending, element in
            let (id, entry) = element
            pending.add(entry.progress, at: now, isOvertaken: self.isOvertaken(id, entry))
        }
    }

    /// A command whose time is over.
    struct Expired {
        var waiter: Waiter
        var isSent: Bool
        /// How far it has come.
        var progress: String
        var stages: CommandStages
    }

    /// Takes out the commands whose time is over. Returns them, and the earliest deadline of those that stay.
    mutating func removeExpired(at now: NIODeadline) -> (expired: [Expired], next: NIODeadline?) {
        var next: NIODeadline?
        var due: [UInt64] = []
        for (id, entry) in self.entries {
            guard let deadline = entry.deadline else { continue }
            if deadline <= now {
                due.append(id)
            } else {
                next = next.map { min($0, deadline) } ?? deadline
            }
        }
        var expired: [Expired] = []
        for id in due {
            guard let entry = self.entries[id], let (waiter, isSent) = self.remove(id) else { continue }
            let progress = entry.progress.description(at: now, isOvertaken: self.isOvertaken(id, entry))
            expired.append(
                Expired(
                    waiter: waiter, isSent: isSent, progress: progress,
                    stages: entry.progress.stages(until: now, .timeout)))
        }
        return (expired, next)
    }
}
