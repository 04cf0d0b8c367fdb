// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// The client's view of PD's clock: fresh timestamps, one that is fetched now and then and costs nothing to read, and what
/// can be told from it.
package actor PDOracle {
    /// The highest timestamp seen, where the batcher can set it.
    private final class Cache: Sendable {
        let state: Mutex<TimestampCache>

        init(_ now: ContinuousClock.Instant) {
            self.state = Mutex(TimestampCache(now: now))
        }
    }

    private struct Freshness {
        var interval: AdaptiveInterval
        /// The freshest data that a read asked for since the last look, where it needs the interval to shrink.
        var required: Duration?
    }

    private struct Validation: Hashable {}

    /// One for each stream.
    private nonisolated let batchers: [TSOBatcher]
    private nonisolated let turn = Atomic<Int>(0)
    private nonisolated let clock: any TimeSource
    private nonisolated let cache: Cache
    private nonisolated let freshness: Mutex<Freshness>
    private nonisolated let validations: SingleFlight<Validation, Timestamp, PDError>
    private nonisolated let requestTimeout: Duration
    private nonisolated let changed: Signal

    /// - Parameters:
    ///   - updateInterval: how often the low-resolution timestamp is fetched.
    ///   - executor: where requests are sent and received; best the event loop of the connections to PD.
    init(
        source: any TSOSource, updateInterval: Duration = .seconds(2), configuration: TSOConfiguration = .init(),
        clock: any TimeSource, random: @escaping @Sendable () -> Double, executor: (any TaskExecutor)? = nil
    ) {
        let now = clock.now
        let cache = Cache(now)
        let changed = Signal()
        let floor = TSOFloor()
        self.batchers = (0..<max(1, configuration.streams)).map { number in
            TSOBatcher(
                source: source, number: number, floor: floor, configuration: configuration, clock: clock,
                random: random, executor: executor
            ) { timestamp in
                let now = clock.now
                let isFirst = cache.state.withLock { cache in
                    defer { cache.received(timestamp, at: now) }
                    return cache.last == nil
                }
                if isFirst { changed.raise() }
            }
        }
        self.cache = cache
        self.changed = changed
        self.clock = clock
        self.freshness = Mutex(Freshness(interval: AdaptiveInterval(updateInterval, now: now)))
        self.requestTimeout = configuration.requestTimeout
        self.validations = SingleFlight(
            clock: clock, isShared: { $0.code != .cancelled && $0.code != .deadlineExceeded && $0.code != .unreachable }
        )
    }

    /// Serves those who ask for timestamps and keeps the low-resolution one fresh, until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for batcher in self.batchers { group.addTask { await batcher.run() } }
            group.addTask { await self.keepFresh() }
        }
    }

    // MARK: - Timestamps

    /// A timestamp above all that PD has handed out before this call. Needs `run()`; until then it waits.
    package nonisolated func timestamp(deadline: Deadline) async throws(PDError) -> Timestamp {
        guard self.batchers.count > 1 else { return try await self.batchers[0].timestamp(deadline: deadline) }
        let turn = self.turn.add(1, ordering: .relaxed).newValue.magnitude % self.batchers.count.magnitude
        return try await self.batchers[Int(turn)].timestamp(deadline: deadline)
    }

    /// The highest timestamp seen: at most about `updateInterval` old once a first one was fetched, before that nil.
    package nonisolated var lowResolutionTimestamp: Timestamp? { self.cache.state.withLock { $0.last } }

    /// What PD's clock said some time ago, as near as it can be told from the last timestamp that came: for reads of data
    /// of that age. Asks PD where no timestamp came yet.
    ///
    /// - Throws: `invalidTimestamp` where that was before the beginning of time.
    package nonisolated func staleTimestamp(_ age: Duration, deadline: Deadline) async throws(PDError) -> Timestamp {
        if self.lowResolutionTimestamp == nil { _ = try await self.timestamp(deadline: deadline) }
        let now = self.clock.now
        guard let estimate = self.cache.state.withLock({ $0.estimate(age, at: now) }) else {
            throw PDError(.invalidTimestamp, "there is no timestamp of \(age) ago")
        }
        return estimate
    }

    /// The time until a lock may be taken for abandoned, as the low-resolution timestamp has it; negative once it may.
    package nonisolated func timeUntilExpired(lock: Timestamp, timeToLive: Duration) -> Duration {
        guard let last = self.lowResolutionTimestamp else { return .zero }
        return timeToLive - last.duration(since: lock)
    }

    /// Whether a lock may be taken for abandoned, as the low-resolution timestamp has it: it may say no for a while longer
    /// than it must. It says yes as well where no timestamp was seen yet, since then nothing is known; stores decide by
    /// the timestamp that they are sent with the question.
    package nonisolated func isExpired(lock: Timestamp, timeToLive: Duration) -> Bool {
        guard let last = self.lowResolutionTimestamp else { return true }
        return last.duration(since: lock) >= timeToLive
    }

    // MARK: - Freshness

    /// How often the low-resolution timestamp is fetched at the moment.
    package nonisolated var updateInterval: Duration { self.freshness.withLock { $0.interval.current } }

    /// Sets how often the low-resolution timestamp is fetched. Reads that need it fresher may shorten that.
    ///
    /// - Throws: `invalidTimestamp` where it is not more than 0.
    package nonisolated func setUpdateInterval(_ interval: Duration) throws(PDError) {
        guard interval > .zero else {
            throw PDError(.invalidTimestamp, "the interval of the low-resolution timestamp must be more than 0")
        }
        self.freshness.withLock { $0.interval.configure(interval) }
        self.changed.raise()
    }

    private func keepFresh() async {
        while !Task.isCancelled {
            // Nobody wants timestamps so far: then there is nothing to keep fresh.
            guard self.lowResolutionTimestamp != nil else {
                _ = await self.changed.wait()
                continue
            }
            let due = self.freshness.withLock { $0.interval.lastTick.advanced(by: $0.interval.current) }
            _ = await self.clock.run(before: Deadline(at: due)) { [changed] in await changed.wait() }
            guard !Task.isCancelled else { return }
            let now = self.clock.now
            let isDue = self.freshness.withLock { freshness in
                if let required = freshness.required.take() { freshness.interval.shrink(for: required, at: now) }
                guard freshness.interval.lastTick.advanced(by: freshness.interval.current) <= now else { return false }
                freshness.interval.next(at: now)
                return true
            }
            guard isDue else { continue }
            // Where PD can't be asked, the old one is kept, and those who need a fresh one are told why there is none.
            _ = try? await self.timestamp(deadline: Deadline(after: self.requestTimeout, from: now))
            self.freshness.withLock { $0.interval.ticked(at: now) }
        }
    }

    /// A read wants data as they were at a timestamp.
    private nonisolated func read(at timestamp: Timestamp, current: Timestamp) {
        let staleness = current.duration(since: timestamp)
        let now = self.clock.now
        let mustShrink = self.freshness.withLock { freshness in
            guard freshness.interval.read(staleness: staleness, at: now) else { return false }
            freshness.required = freshness.required.map { min($0, staleness) } ?? staleness
            return true
        }
        if mustShrink { self.changed.raise() }
    }

    // MARK: - Checks

    /// Checks that a read's timestamp is none that PD has yet to hand out: what such a read returns could change.
    ///
    /// Asks PD where the timestamp is above all that were seen; callers who have to ask at the same time share a question.
    ///
    /// - Parameter isStaleRead: whether the read may go to any replica; such reads keep the low-resolution timestamp fresh
    ///   enough for those that follow.
    /// - Throws: `invalidTimestamp` where it lies in the future, or is `max` for a stale read.
    package nonisolated func validate(
        readTimestamp: Timestamp, isStaleRead: Bool, deadline: Deadline
    ) async throws(PDError) {
        if readTimestamp == .max {
            guard isStaleRead else { return }
            throw PDError(.invalidTimestamp, "a stale read can't be one of the latest data")
        }
        guard readTimestamp.rawValue < UInt64(Int64.max) else {
            throw PDError(.invalidTimestamp, "\(readTimestamp) is no timestamp")
        }
        var isFirst = true
        while true {
            if let last = self.lowResolutionTimestamp, readTimestamp <= last {
                if isFirst, isStaleRead {
                    let now = self.clock.now
                    let estimate = self.cache.state.withLock { $0.estimate(.zero, at: now) }
                    if let estimate { self.read(at: readTimestamp, current: estimate) }
                }
                return
            }
            let current = try await self.timestampForValidation(deadline: deadline)
            if isFirst, isStaleRead { self.read(at: readTimestamp, current: current) }
            if readTimestamp <= current { return }
            // The question that was shared may have begun before the timestamp was handed out to whoever gave it to our
            // caller. The next one begins after.
            guard isFirst else {
                throw PDError(
                    .invalidTimestamp, "the read's timestamp \(readTimestamp) is in the future: PD is at \(current)")
            }
            isFirst = false
        }
    }

    private nonisolated func timestampForValidation(deadline: Deadline) async throws(PDError) -> Timestamp {
        let found = try await self.validations.run(Validation(), deadline: deadline) {
            () async throws(PDError) -> Timestamp in
            try await self.timestamp(deadline: deadline)
        }
        if let found { return found }
        if Task.isCancelled { throw PDError(.cancelled, "cancelled while waiting for a timestamp") }
        throw PDError(.deadlineExceeded, "PD did not answer before the deadline")
    }
}
