// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

/// How requests fared in the thread pools in which stores read.
public struct PoolTaskDetail: Sendable, Hashable {
    /// A quantity that was measured several times.
    public struct Samples<Quantity: Sendable & Hashable & Comparable>: Sendable, Hashable {
        /// How often; 0 where it was never measured, and the rest says nothing.
        public var count: UInt64 = 0
        /// All together.
        public var total: Quantity
        /// The largest.
        public var maximum: Quantity
        /// The smallest; nil where it was never measured.
        public var minimum: Quantity?
    }

    /// Tasks, of which a request is one.
    public var tasks: UInt64 = 0
    /// How often a thread went on with a task.
    public var polls: UInt64 = 0
    /// How often a task was handed to a thread.
    public var dispatches: UInt64 = 0
    /// From the beginning of tasks to their end.
    public var wall = Samples<Duration>(total: .zero, maximum: .zero)
    /// Waiting in the queue for a thread.
    public var queueWait = Samples<Duration>(total: .zero, maximum: .zero)
    /// Waiting to be woken.
    public var wakeWait = Samples<Duration>(total: .zero, maximum: .zero)
    /// Slices of other tasks that went first, where the store's queue is fair.
    public var fairQueueWait = Samples<UInt64>(total: 0, maximum: 0)
    /// CPU time of polls.
    public var pollCPU = Samples<Duration>(total: .zero, maximum: .zero)
    /// Time of polls.
    public var pollWall = Samples<Duration>(total: .zero, maximum: .zero)

    /// Nothing yet.
    public init() {}

    init(_ details: Kvrpcpb_PoolTaskDetails) {
        self.tasks = 1
        self.polls = details.pollCount
        self.dispatches = details.dispatchCount
        self.wall = Self.times(1, details.totalWallNanos, details.totalWallNanos, details.totalWallNanos)
        self.queueWait = Self.times(
            details.dispatchCount, details.totalQueueWaitNanos, details.maxQueueWaitNanos, details.minQueueWaitNanos)
        self.wakeWait = Self.times(
            details.dispatchCount, details.totalWakeWaitNanos, details.maxWakeWaitNanos, details.minWakeWaitNanos)
        if details.fairQueueEnabled, details.dispatchCount > 0 {
            self.fairQueueWait = Samples(
                count: details.dispatchCount, total: details.totalFairQueueWaitedTaskSlices,
                maximum: details.maxFairQueueWaitedTaskSlices, minimum: details.minFairQueueWaitedTaskSlices)
        }
        self.pollCPU = Self.times(
            details.pollCount, details.pollCpuNanos, details.maxPollCpuNanos, details.minPollCpuNanos)
        self.pollWall = Self.times(
            details.pollCount, details.pollWallNanos, details.maxPollWallNanos, details.minPollWallNanos)
    }

    /// A time of which all is zero was not measured.
    private static func times(
        _ count: UInt64, _ total: UInt64, _ maximum: UInt64, _ minimum: UInt64
    ) -> Samples<Duration> {
        guard count > 0, total > 0 else { return Samples(total: .zero, maximum: .zero) }
        return Samples(
            count: count, total: .nanoseconds(total), maximum: .nanoseconds(maximum), minimum: .nanoseconds(minimum))
    }

    /// Whether no store has said anything of it.
    public var isEmpty: Bool { self.tasks == 0 }

    /// Adds those of another answer.
    public mutating func merge(_ other: PoolTaskDetail) {
        self.tasks &+= other.tasks
        self.polls &+= other.polls
        self.dispatches &+= other.dispatches
        self.wall.merge(other.wall, +)
        self.queueWait.merge(other.queueWait, +)
        self.wakeWait.merge(other.wakeWait, +)
        self.fairQueueWait.merge(other.fairQueueWait, &+)
        self.pollCPU.merge(other.pollCPU, +)
        self.pollWall.merge(other.pollWall, +)
    }
}

extension PoolTaskDetail.Samples {
    fileprivate mutating func merge(_ other: Self, _ sum: (Quantity, Quantity) -> Quantity) {
        self.count &+= other.count
        self.total = sum(self.total, other.total)
        self.maximum = max(self.maximum, other.maximum)
        self.minimum =
            switch (self.minimum, other.minimum) {
            case (let mine?, let theirs?): min(mine, theirs)
            case (let mine, let theirs): mine ?? theirs
            }
    }
}

extension PoolTaskDetail: CustomStringConvertible {
    /// Averages, with the smallest and the largest; what was not measured is left out. Empty where nothing is known.
    public var description: String {
        guard !self.isEmpty else { return "" }
        var text = DetailText()
        text.add("tasks", self.tasks)
        text.add("avg_polls", average: self.polls, over: self.tasks)
        text.add("avg_dispatches", average: self.dispatches, over: self.tasks)
        text.add("wall_time", self.wall)
        text.add("queue_wait", self.queueWait)
        text.add("wake_wait", self.wakeWait)
        if self.fairQueueWait.count > 0 {
            // Nothing that went first is worth telling, too.
            let average = Double(self.fairQueueWait.total) / Double(self.fairQueueWait.count)
            let (least, most) = (self.fairQueueWait.minimum ?? 0, self.fairQueueWait.maximum)
            text.add(always: "fair_queue_wait", "{avg: \(DetailText.words(average)), min: \(least), max: \(most)}")
        }
        text.add("poll_cpu", self.pollCPU)
        text.add("poll_wall", self.pollWall)
        return text.text
    }
}

extension DetailText {
    fileprivate mutating func add(_ name: String, average total: UInt64, over count: UInt64) {
        guard total > 0, count > 0 else { return }
        self.add(always: name, Self.words(Double(total) / Double(count)))
    }

    fileprivate mutating func add(_ name: String, _ samples: PoolTaskDetail.Samples<Duration>) {
        guard samples.count > 0 else { return }
        var inner = DetailText()
        inner.add("avg", samples.total / Int64(clamping: samples.count))
        inner.add("min", samples.minimum ?? .zero)
        inner.add("max", samples.maximum)
        self.add(name, text: inner.text)
    }
}
