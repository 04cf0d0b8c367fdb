// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

/// Names one request that waits for a lock.
struct LockWaitToken: Hashable, Comparable, Sendable {
    let number: UInt64

    static func < (lhs: LockWaitToken, rhs: LockWaitToken) -> Bool { lhs.number < rhs.number }
}

/// A request that waits for a lock.
struct LockWaiter: Sendable {
    var token: LockWaitToken
    var item: PessimisticLockCommand.Item
    var parameters: PessimisticLockParameters
    /// Where the request was sent to, for when it is taken up again.
    var origin: RequestOrigin
    /// The lock that it waits for.
    var lock: LockDescription
    /// Milliseconds on the clock of the waits.
    var deadline: UInt64
    /// When the lock got another holder the last time; nil where it has not.
    var updatedAt: UInt64?
    /// The holders that the detector knows it waits for; none where it was the transaction's first lock.
    var detectedHolders: [UInt64] = []
    /// The wake-ups that there had been at the key when it came.
    fileprivate(set) var wakeUpIndex: UInt64 = 0

    var key: TxnKey { self.item.key }
}

/// What the place was that a waiting request had been sent to.
struct RequestOrigin: Sendable {
    var storeID: UInt64
    var target: RequestTarget
}

/// The requests that wait, by key, and the order in which they go on: the oldest transaction first (tikv
/// `src/storage/lock_manager/lock_waiting_queue.rs`).
struct LockWaitQueues: Sendable {
    private struct Queue: Sendable {
        /// By start timestamp, then by arrival.
        var waiters: [LockWaiter] = []
        var wakeUpIndex: UInt64 = 0
        var lastConflict = ReleasedLock(key: TxnKey([]), startTS: 0, commitTS: 0)
        /// When all that came before the last wake-up are woken as well.
        var notifyAllAt: UInt64?
    }

    private var queues: [[UInt8]: Queue] = [:]
    private var keys: [LockWaitToken: [UInt8]] = [:]
    /// Goes up whenever somebody comes or goes.
    private(set) var version: UInt64 = 0

    /// How long after a wake-up the others that waited then are woken, in milliseconds: the first one may not take the
    /// lock, and then nobody would ever release it. TiKV's default.
    static let wakeUpDelay: UInt64 = 20

    var isEmpty: Bool { self.queues.isEmpty }

    /// All that wait, in the order of their tokens.
    var waiters: [LockWaiter] {
        self.queues.values.flatMap(\.waiters).sorted { $0.token < $1.token }
    }

    mutating func push(_ waiter: LockWaiter) {
        var waiter = waiter
        var queue = self.queues[waiter.key.encoded] ?? Queue()
        waiter.wakeUpIndex = queue.wakeUpIndex
        let place = queue.waiters.firstIndex {
            ($0.parameters.startTS, $0.token) > (waiter.parameters.startTS, waiter.token)
        }
        queue.waiters.insert(waiter, at: place ?? queue.waiters.count)
        self.queues[waiter.key.encoded] = queue
        self.keys[waiter.token] = waiter.key.encoded
        self.version += 1
    }

    /// Takes out who goes on now that a lock is released: the first, and with one who wants to share the key all that
    /// follow and want that too.
    mutating func pop(for released: ReleasedLock, now: UInt64) -> [LockWaiter] {
        guard var queue = self.queues[released.key.encoded], let first = queue.waiters.first else { return [] }
        queue.lastConflict = released
        let count = first.item.isShared ? queue.waiters.prefix { $0.item.isShared }.count : 1
        let popped = Array(queue.waiters.prefix(count))
        queue.waiters.removeFirst(count)
        let legacy = popped.count { !$0.parameters.allowsConflict }
        if legacy > 0 {
            queue.wakeUpIndex += UInt64(legacy)
            if !queue.waiters.isEmpty { queue.notifyAllAt = now + Self.wakeUpDelay }
        }
        self.store(queue, for: released.key.encoded, without: popped)
        return popped
    }

    /// Takes out those who had been waiting when somebody else was woken, a delay ago: all up to the first one that takes
    /// the lock on the server, which keeps the others waiting.
    mutating func popDelayed(now: UInt64) -> [(waiter: LockWaiter, conflict: ReleasedLock)] {
        var popped: [(waiter: LockWaiter, conflict: ReleasedLock)] = []
        for (key, var queue) in self.queues.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            guard let due = queue.notifyAllAt, due <= now else { continue }
            queue.notifyAllAt = nil
            var taken: [LockWaiter] = []
            while let first = queue.waiters.first, first.wakeUpIndex < queue.wakeUpIndex {
                taken.append(queue.waiters.removeFirst())
                if first.parameters.allowsConflict { break }
            }
            popped.append(contentsOf: taken.map { ($0, queue.lastConflict) })
            self.store(queue, for: key, without: taken)
        }
        return popped
    }

    /// Takes out those whose time is over.
    mutating func popExpired(now: UInt64) -> [LockWaiter] {
        self.waiters.filter { $0.deadline <= now }.compactMap { self.remove($0.token) }
    }

    mutating func remove(_ token: LockWaitToken) -> LockWaiter? {
        guard let key = self.keys[token], var queue = self.queues[key],
            let index = queue.waiters.firstIndex(where: { $0.token == token })
        else { return nil }
        let waiter = queue.waiters.remove(at: index)
        self.store(queue, for: key, without: [waiter])
        return waiter
    }

    /// Changes all who wait at a key.
    mutating func update(_ key: TxnKey, _ body: (inout LockWaiter) -> Void) {
        guard var queue = self.queues[key.encoded] else { return }
        for index in queue.waiters.indices { body(&queue.waiters[index]) }
        self.queues[key.encoded] = queue
    }

    private mutating func store(_ queue: Queue, for key: [UInt8], without removed: [LockWaiter]) {
        for waiter in removed { self.keys[waiter.token] = nil }
        self.version += 1
        self.queues[key] = queue.waiters.isEmpty ? nil : queue
    }

    /// When there is something to do the next time; nil where nobody waits.
    var nextEvent: UInt64? {
        self.queues.values.flatMap { queue in queue.waiters.map(\.deadline) + [queue.notifyAllAt].compactMap { $0 } }
            .min()
    }
}
