// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
import TiKVTransport

/// Gets timestamps from PD for all callers together: those who ask at the same time share a request, and a few requests
/// are under way at once on one stream.
///
/// A caller puts itself in line without entering the actor, and is woken with its timestamp; the actor's `run()` sends,
/// receives, and finds the next one to ask when a stream breaks. Callers whose request got no answer then are asked for
/// again, so a change of PD's leader is a delay for them and no failure. Which callers share a request, and who gets
/// which timestamp, is `TSOQueue`'s decision.
package actor TSOBatcher {
    typealias Waiter = CheckedContinuation<Result<Timestamp, PDError>, Never>

    private struct State {
        var queue: TSOQueue<Waiter>
        /// Woken when there may be something to send. False when its session ends.
        var sender: CheckedContinuation<Bool, Never>?
        /// When the deadlines are looked at next.
        var nextLook: ContinuousClock.Instant?
        /// What went wrong since the last answer.
        var attempts = PDAttempts()
        /// Streams in a row that brought nothing.
        var failures = 0
        var isClosed = false
    }

    private nonisolated let state: Mutex<State>
    private nonisolated let newDeadline = Signal()
    private nonisolated let lastID = Atomic<UInt64>(0)
    /// Whether deadlines are watched.
    private nonisolated let isRunning = Atomic(false)
    private nonisolated let source: any TSOSource
    /// Which stream this is for, where there are several, and what all of them have brought.
    private nonisolated let number: Int
    private nonisolated let floor: TSOFloor
    private nonisolated let configuration: TSOConfiguration
    private nonisolated let clock: any TimeSource
    private nonisolated let random: @Sendable () -> Double
    private nonisolated let executor: (any TaskExecutor)?
    /// Told of the highest timestamp of each answer before anybody gets one of them.
    private nonisolated let onAnswer: @Sendable (Timestamp) -> Void

    /// - Parameter executor: where sending and receiving run; best the event loop of the connections to PD.
    init(
        source: any TSOSource, number: Int = 0, floor: TSOFloor = TSOFloor(), configuration: TSOConfiguration = .init(),
        clock: any TimeSource,
        random: @escaping @Sendable () -> Double, executor: (any TaskExecutor)? = nil,
        onAnswer: @escaping @Sendable (Timestamp) -> Void = { _ in }
    ) {
        self.state = Mutex(State(queue: TSOQueue(limits: configuration.limits)))
        self.source = source
        self.number = number
        self.floor = floor
        self.configuration = configuration
        self.clock = clock
        self.random = random
        self.executor = executor
        self.onAnswer = onAnswer
    }

    /// How many callers wait for a request of theirs to be sent.
    nonisolated var waiting: Int { self.state.withLock { $0.queue.pendingCount } }

    // MARK: - Callers

    /// A timestamp above all that PD has handed out before this call.
    ///
    /// Needs `run()`; until then it waits. Cancelling the caller's task ends this call alone.
    package nonisolated func timestamp(deadline: Deadline) async throws(PDError) -> Timestamp {
        if self.isRunning.load(ordering: .acquiring) { return try await self.request(deadline).get() }
        // Nobody watches the deadlines yet.
        let result = await self.clock.run(before: deadline) { await self.request(deadline) }
        if case .failure(let error) = result, error.code == .cancelled, !Task.isCancelled {
            throw self.state.withLock { $0.attempts }.expired()
        }
        guard let result else { throw Self.cancelled }
        return try result.get()
    }

    private nonisolated func request(_ deadline: Deadline) async -> Result<Timestamp, PDError> {
        let id = self.lastID.add(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in self.add(waiter, id, deadline) }
        } onCancel: {
            let waiter = self.state.withLock { $0.queue.cancel(id) }
            waiter?.resume(returning: .failure(Self.cancelled))
        }
    }

    private nonisolated func add(_ waiter: Waiter, _ id: UInt64, _ deadline: Deadline) {
        var refusal: PDError?
        var sender: CheckedContinuation<Bool, Never>?
        var isEarliest = false
        self.state.withLock { state in
            if state.isClosed {
                refusal = Self.closed
            } else if Task.isCancelled {
                refusal = Self.cancelled
            } else {
                state.queue.add(waiter, id: id, deadline: deadline.instant)
                if state.queue.isReady { sender = state.sender.take() }
                if state.nextLook.map({ deadline.instant < $0 }) ?? true {
                    state.nextLook = deadline.instant
                    isEarliest = true
                }
            }
        }
        if let refusal { return waiter.resume(returning: .failure(refusal)) }
        sender?.resume(returning: true)
        if isEarliest { self.newDeadline.raise() }
    }

    private static var closed: PDError { PDError(.closed, "the client is closed") }
    private static var cancelled: PDError { PDError(.cancelled, "cancelled while waiting for a timestamp") }

    // MARK: - Running

    /// Works until the task is cancelled; then callers fail.
    package func run() async {
        self.isRunning.store(true, ordering: .releasing)
        await withDiscardingTaskGroup { group in
            group.addTask { await self.watchDeadlines() }
            group.addTask(executorPreference: self.executor) { await self.serve() }
        }
        let waiters = self.state.withLock { state in
            state.isClosed = true
            return state.queue.removeAll()
        }
        for waiter in waiters { waiter.resume(returning: .failure(Self.closed)) }
    }

    /// One stream after the other, as long as anybody wants timestamps.
    private func serve() async {
        while await self.waitForCallers(where: { !$0.isEmpty }) {
            let failure: TSOFailure
            do throws(TSOFailure) {
                try await self.source.withTSOStream(number: self.number) { stream throws(RPCError) in
                    try await self.serve(stream)
                }
                failure = TSOFailure()
            } catch {
                failure = error
            }
            let (refused, failures): ([Waiter], Int) = self.state.withLock { state in
                state.queue.streamEnded()
                state.attempts.merge(failure.attempts)
                state.failures += 1
                return (failure.error == nil ? [] : state.queue.removeAll(), state.failures)
            }
            if let error = failure.error {
                for waiter in refused { waiter.resume(returning: .failure(error)) }
            }
            guard !Task.isCancelled else { return }
            // A stream that worked and broke is replaced at once; after that, not without a wait.
            if failures > 1 {
                let delay = self.configuration.backoff.delay(attempt: failures - 2, random: self.random())
                // Cut short by cancellation, which the loop sees.
                try? await self.clock.sleep(until: self.clock.now.advanced(by: delay))
            }
        }
    }

    /// Sends and receives on one stream until it ends.
    private nonisolated func serve(_ stream: any TSOStream) async throws(RPCError) {
        let ended = await withTaskGroup(of: RPCError?.self) { group in
            group.addTask(executorPreference: self.executor) { await self.send(on: stream) }
            group.addTask(executorPreference: self.executor) { await self.receive(from: stream) }
            group.addTask { await self.watchForSilence() }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        if let ended { throw ended }
    }

    private nonisolated func send(on stream: any TSOStream) async -> RPCError? {
        while true {
            await self.waitForMore()
            let now = self.clock.now
            let floor = self.floor.last
            let count = self.state.withLock { $0.queue.takeRequest(at: now, floor: floor) }
            if let count {
                do throws(RPCError) {
                    try await stream.send(count: count)
                } catch {
                    return error
                }
            } else if await !self.waitForCallers(where: { $0.isReady }) {
                return nil
            }
        }
    }

    private nonisolated func receive(from stream: any TSOStream) async -> RPCError? {
        while true {
            let answer: TSOAnswer
            do throws(RPCError) {
                guard let next = try await stream.next() else {
                    return RPCError(.unavailable, "PD ended the stream of timestamps", delivery: .answered)
                }
                answer = next
            } catch {
                return error
            }
            do throws(TSOViolation) {
                try self.deliver(answer)
            } catch {
                return RPCError(.dataLoss, error.message, delivery: .answered)
            }
        }
    }

    private nonisolated func deliver(_ answer: TSOAnswer) throws(TSOViolation) {
        let (given, last, sender) = try self.state.withLock { state throws(TSOViolation) in
            let given = try state.queue.answer(answer)
            // A stream that answers is a good one: the next failure is the first of its kind.
            if state.failures > 0 {
                state.failures = 0
                state.attempts = PDAttempts()
            }
            return (given, state.queue.last, state.queue.isReady ? state.sender.take() : nil)
        }
        self.floor.received(last)
        self.onAnswer(last)
        sender?.resume(returning: true)
        for (waiter, timestamp) in given { waiter.resume(returning: .success(timestamp)) }
    }

    // MARK: - Waiting

    /// Lets a few callers wait a moment for others, where that is wanted.
    private nonisolated func waitForMore() async {
        guard self.configuration.maximumWait > .zero, self.state.withLock({ $0.queue.isWorthAWait }) else { return }
        // Cut short by cancellation, which ends the stream.
        try? await self.clock.sleep(until: self.clock.now.advanced(by: self.configuration.maximumWait))
    }

    /// Waits until callers need something done; false when the task is cancelled.
    private nonisolated func waitForCallers(where isEnough: (TSOQueue<Waiter>) -> Bool) async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early: Bool? = self.state.withLock { state in
                    if Task.isCancelled { return false }
                    if isEnough(state.queue) { return true }
                    state.sender = continuation
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            let continuation = self.state.withLock { $0.sender.take() }
            continuation?.resume(returning: false)
        }
    }

    /// Gives a stream up on which a request gets no answer.
    private nonisolated func watchForSilence() async -> RPCError? {
        let limit = self.configuration.requestTimeout
        while !Task.isCancelled {
            let now = self.clock.now
            let oldest = self.state.withLock { $0.queue.oldestRequest }
            let end = (oldest ?? now).advanced(by: limit)
            if end <= now {
                return RPCError(.deadlineExceeded, "no timestamp within \(limit)", delivery: .unknown)
            }
            do throws(CancellationError) {
                try await self.clock.guardUntil(end)
            } catch {
                break
            }
        }
        return nil
    }

    /// Ends the calls whose time is over.
    private nonisolated func watchDeadlines() async {
        while !Task.isCancelled {
            let (expired, next, attempts) = self.state.withLock { state in
                let now = self.clock.now
                let expired = state.queue.expire(at: now)
                // With nobody in line the look that was planned stays: else each caller that comes alone would wake us.
                state.nextLook = state.queue.earliestDeadline ?? state.nextLook.flatMap { $0 > now ? $0 : nil }
                return (expired, state.nextLook, state.attempts)
            }
            for waiter in expired { waiter.resume(returning: .failure(attempts.expired())) }
            if let next {
                _ = await self.clock.run(before: Deadline(at: next)) { await self.newDeadline.wait() }
            } else {
                _ = await self.newDeadline.wait()
            }
        }
    }
}
