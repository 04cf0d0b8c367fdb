// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import DequeModule

/// Who waits for timestamps, and what was asked for them: which callers share a request, and which part of the answer
/// each of them gets. It does no I/O and reads no clock.
///
/// Requests are answered in the order in which they were sent. A caller is only ever given a timestamp of a request that
/// was sent after the caller came, and every timestamp handed out is above all handed out before, whoever made them.
struct TSOQueue<Waiter> {
    struct Entry {
        let id: UInt64
        let deadline: ContinuousClock.Instant
        /// Nil where the caller has gone; its place in a request is not given to anybody else.
        var waiter: Waiter?
    }

    /// One request on the stream.
    private struct Batch {
        var entries: [Entry]
        var sent: ContinuousClock.Instant
        /// The highest timestamp handed out by then, on this stream or another.
        var floor: Timestamp
    }

    /// The first logical part that is none.
    private static var logicalLimit: Int64 { 1 << Int64(Timestamp.logicalBits) }
    /// The first physical part that would make a timestamp too large for a signed number of 64 bits, which all of them
    /// fit in.
    private static var physicalLimit: Int64 { 1 << Int64(63 - Timestamp.logicalBits) }

    private let limits: TSOLimits
    private var pending: Deque<Entry> = []
    private var inFlight: Deque<Batch> = []
    /// The highest timestamp handed out so far.
    private(set) var last = Timestamp.zero

    init(limits: TSOLimits = .init()) {
        self.limits = limits
    }

    var isEmpty: Bool { self.pending.isEmpty && self.inFlight.isEmpty }

    var pendingCount: Int { self.pending.count }

    var inFlightCount: Int { self.inFlight.count }

    /// When the oldest request that waits for its answer was sent.
    var oldestRequest: ContinuousClock.Instant? { self.inFlight.first?.sent }

    /// Whether a request should be sent now.
    var isReady: Bool {
        guard !self.pending.isEmpty else { return false }
        let requests = self.inFlight.count
        if requests < self.limits.eagerRequests { return true }
        return requests < self.limits.requests && self.pending.count >= self.limits.worthwhile
    }

    /// Whether so few callers wait that a moment more may bring others.
    var isWorthAWait: Bool { self.isReady && self.pending.count < self.limits.enough }

    // MARK: - Callers

    mutating func add(_ waiter: Waiter, id: UInt64, deadline: ContinuousClock.Instant) {
        self.pending.append(Entry(id: id, deadline: deadline, waiter: waiter))
    }

    /// A caller gives up. The others keep their places.
    mutating func cancel(_ id: UInt64) -> Waiter? {
        if let index = self.pending.firstIndex(where: { $0.id == id }) { return self.pending.remove(at: index).waiter }
        for batch in self.inFlight.indices {
            guard let index = self.inFlight[batch].entries.firstIndex(where: { $0.id == id }) else { continue }
            return self.inFlight[batch].entries[index].waiter.take()
        }
        return nil
    }

    /// Takes out the callers whose time is over.
    mutating func expire(at now: ContinuousClock.Instant) -> [Waiter] {
        var expired: [Waiter] = []
        for batch in self.inFlight.indices {
            for index in self.inFlight[batch].entries.indices
            where self.inFlight[batch].entries[index].deadline <= now {
                if let waiter = self.inFlight[batch].entries[index].waiter.take() { expired.append(waiter) }
            }
        }
        for entry in self.pending where entry.deadline <= now {
            if let waiter = entry.waiter { expired.append(waiter) }
        }
        self.pending.removeAll { $0.deadline <= now }
        return expired
    }

    /// The first moment at which a caller's time is over.
    var earliestDeadline: ContinuousClock.Instant? {
        let waiting = self.inFlight.lazy.flatMap(\.entries).filter { $0.waiter != nil }.map(\.deadline).min()
        let pending = self.pending.lazy.map(\.deadline).min()
        guard let waiting else { return pending }
        return pending.map { min($0, waiting) } ?? waiting
    }

    // MARK: - Requests

    /// What the next request has to ask for; nil where none is to be sent.
    ///
    /// - Parameter floor: the highest timestamp that other streams have brought so far.
    mutating func takeRequest(at now: ContinuousClock.Instant, floor: Timestamp = .zero) -> UInt32? {
        guard self.isReady else { return nil }
        let count = min(self.pending.count, self.limits.batchSize)
        let batch: [Entry]
        if count == self.pending.count {
            batch = Array(self.pending)
            self.pending.removeAll(keepingCapacity: true)
        } else {
            batch = Array(self.pending.prefix(count))
            self.pending.removeFirst(count)
        }
        self.inFlight.append(Batch(entries: batch, sent: now, floor: floor))
        return UInt32(clamping: count)
    }

    /// Deals the answer to the oldest request out to its callers.
    mutating func answer(_ answer: TSOAnswer) throws(TSOViolation) -> [(waiter: Waiter, timestamp: Timestamp)] {
        guard let batch = self.inFlight.first, batch.entries.count == Int(answer.count), answer.count > 0,
            (0..<Self.physicalLimit).contains(answer.physical), (0..<Self.logicalLimit).contains(answer.logical),
            answer.suffixBits < UInt32(Timestamp.logicalBits)
        else { throw .mismatch }
        let step = UInt64(1) << UInt64(answer.suffixBits)
        let last = Timestamp(physical: UInt64(answer.physical), logical: UInt64(answer.logical))
        let span = UInt64(answer.count - 1) * step
        guard UInt64(answer.logical) >= span else { throw .mismatch }
        let first = Timestamp(rawValue: last.rawValue - span)
        let highest = max(self.last, batch.floor)
        guard first > highest else { throw .fallback(last: highest, first: first) }
        self.inFlight.removeFirst()
        self.last = last
        var given: [(waiter: Waiter, timestamp: Timestamp)] = []
        given.reserveCapacity(batch.entries.count)
        var next = first.rawValue
        for entry in batch.entries {
            if let waiter = entry.waiter { given.append((waiter, Timestamp(rawValue: next))) }
            next &+= step
        }
        return given
    }

    /// The stream broke: those whose requests got no answer come first on the next one.
    mutating func streamEnded() {
        for batch in self.inFlight.reversed() {
            self.pending.prepend(contentsOf: batch.entries.filter { $0.waiter != nil })
        }
        self.inFlight.removeAll()
    }

    /// Takes out everybody.
    mutating func removeAll() -> [Waiter] {
        self.streamEnded()
        defer { self.pending.removeAll() }
        return self.pending.compactMap(\.waiter)
    }
}
