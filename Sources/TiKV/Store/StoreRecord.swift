// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD

/// What is known of one store: where it is, whether it answers, how well it does. One record for each store's id, for as
/// long as the client lives, so that regions can refer to it; what changes is behind a lock or atomic, and read by many.
final class StoreRecord: Sendable {
    private struct State {
        var resolve = StoreResolveState.unresolved
        var handle: StoreHandle?
        var labels: [String: String] = [:]
        var health = StoreHealth()
    }

    let id: UInt64
    private let state = Mutex(State())
    /// Raised when the store fails; regions that were loaded before do not use their peers on it any more.
    private let failures = Atomic<UInt64>(0)
    private let livenessValue = Atomic<UInt8>(StoreLiveness.reachable.rawValue)
    private let slow = Atomic<Bool>(false)
    /// Since the last tick.
    private let answers = Atomic<Int>(0)
    private let answerMicroseconds = Atomic<Int>(0)

    private let underWay = Atomic<Int>(0)

    init(id: UInt64) {
        self.id = id
    }

    // MARK: - Place

    /// Where to send to; nil where PD must be asked first, or the store is gone.
    var handle: StoreHandle? {
        self.state.withLock { $0.resolve == .resolved ? $0.handle : nil }
    }

    /// The same, also where it is doubted.
    var lastHandle: StoreHandle? {
        self.state.withLock { $0.resolve.isGone ? nil : $0.handle }
    }

    var resolveState: StoreResolveState { self.state.withLock { $0.resolve } }

    var labels: [String: String] { self.state.withLock { $0.labels } }

    /// What it is, as far as known: its labels say so.
    var engine: StoreEngine {
        self.state.withLock { state in state.labels["engine"]?.hasPrefix("tiflash") == true ? .tiflash : .tikv }
    }

    /// Whether the store has all of these labels.
    func matches(_ labels: [String: String]) -> Bool {
        guard !labels.isEmpty else { return true }
        return self.state.withLock { state in labels.allSatisfy { state.labels[$0.key] == $0.value } }
    }

    /// Takes in what PD says.
    ///
    /// - Returns: whether anything a request depends on is different now.
    @discardableResult
    func resolved(_ handle: StoreHandle, labels: [String: String]) -> Bool {
        let (isElsewhere, isChanged) = self.state.withLock { state in
            let old = state.handle
            let isChanged = old == nil || old?.address != handle.address || state.labels != labels
            let isElsewhere = old != nil && old?.address != handle.address
            state.handle = handle
            state.labels = labels
            state.resolve = .resolved
            return (isElsewhere, isChanged)
        }
        // What was found out about the old address says nothing about the new one.
        if isElsewhere { self.liveness = .reachable }
        return isChanged
    }

    /// Other connections have taken the place of those to its address.
    func reconnected(from old: any RPCChannel, to new: (channel: any RPCChannel, reports: StoreReportBoard)) {
        self.state.withLock { state in
            guard let handle = state.handle, handle.channel as AnyObject === old as AnyObject else { return }
            state.handle = StoreHandle(
                id: handle.id, address: handle.address, channel: new.channel, reports: new.reports)
        }
    }

    /// PD says that the store is gone.
    func gone(isTombstone: Bool) {
        self.state.withLock { state in
            state.resolve = isTombstone ? .tombstone : .unknownToPD
            state.handle = nil
        }
        self.failures.add(1, ordering: .acquiringAndReleasing)
    }

    /// The client is closed: whoever still has a region that names the store reaches nobody by it, and keeps no connections.
    func close() {
        self.state.withLock { state in
            state.handle = nil
            state.resolve = .unresolved
        }
    }

    /// PD is to be asked again before the next request.
    func needsCheck() {
        self.state.withLock { state in
            if state.resolve == .resolved { state.resolve = .needsCheck }
        }
    }

    /// PD does not say where it is: what is known has to do.
    func keepPlace() {
        self.state.withLock { state in
            if state.resolve == .needsCheck { state.resolve = .resolved }
        }
    }

    /// A region that was just loaded has a peer there: PD may know the store by now.
    func isNamedAgain() {
        self.state.withLock { state in
            if state.resolve == .unknownToPD { state.resolve = .unresolved }
        }
    }

    // MARK: - Life

    /// The number of its failures so far; see `fail(_:)`.
    var epoch: UInt64 { self.failures.load(ordering: .relaxed) }

    /// Where to send a request of a region that was loaded at this epoch, on the straight way: nil where anything is
    /// doubtful.
    func handle(at epoch: UInt64) -> StoreHandle? {
        guard self.epoch == epoch, self.livenessValue.load(ordering: .relaxed) == StoreLiveness.reachable.rawValue
        else { return nil }
        return self.handle
    }

    /// The store did not answer a request of a region that was loaded at this epoch: all regions of that time avoid it.
    ///
    /// - Returns: whether this is news.
    @discardableResult
    func fail(at epoch: UInt64) -> Bool {
        let (isNews, _) = self.failures.compareExchange(
            expected: epoch, desired: epoch + 1, ordering: .acquiringAndReleasing)
        if isNews {
            self.needsCheck()
            self.markSlow()
        }
        return isNews
    }

    var liveness: StoreLiveness {
        get { StoreLiveness(rawValue: self.livenessValue.load(ordering: .relaxed)) ?? .unknown }
        set { self.livenessValue.store(newValue.rawValue, ordering: .relaxed) }
    }

    // MARK: - Limit

    /// Counts a request, unless so many are under way already.
    func take(_ limit: Int) -> Bool {
        if self.underWay.add(1, ordering: .relaxed).newValue <= limit { return true }
        self.underWay.subtract(1, ordering: .relaxed)
        return false
    }

    /// The request is over.
    func giveBack() {
        self.underWay.subtract(1, ordering: .relaxed)
    }

    // MARK: - Health

    var isSlow: Bool { self.slow.load(ordering: .relaxed) }

    /// The client's own score and the store's.
    var slowScores: (client: Double, server: Double) {
        self.state.withLock { ($0.health.client.score, $0.health.server.score) }
    }

    /// A request was answered.
    func answered(after latency: Duration) {
        guard latency < ClientSlowScore.worstLatency else { return self.markSlow() }
        let microseconds =
            Int(latency.components.seconds) * 1_000_000 + Int(latency.components.attoseconds / 1_000_000_000_000)
        self.answers.add(1, ordering: .relaxed)
        self.answerMicroseconds.add(microseconds, ordering: .relaxed)
    }

    func markSlow() {
        self.changeHealth { $0.markSlow() }
    }

    func feedback(score: Int32, sequence: UInt64, at now: ContinuousClock.Instant) {
        self.changeHealth { $0.feedback(score: score, sequence: sequence, at: now) }
    }

    func noteEstimatedWait(_ wait: Duration, at now: ContinuousClock.Instant) {
        self.changeHealth { $0.noteEstimatedWait(wait, at: now) }
    }

    func estimatedWait(at now: ContinuousClock.Instant) -> Duration {
        self.state.withLock { $0.health.estimatedWait(at: now) }
    }

    /// To be called about once a second.
    ///
    /// - Returns: whether the store should be asked how it does.
    func tick(at now: ContinuousClock.Instant) -> Bool {
        let count = self.answers.exchange(0, ordering: .relaxed)
        let microseconds = self.answerMicroseconds.exchange(0, ordering: .relaxed)
        return self.changeHealth { $0.tick(count: count, latency: .microseconds(microseconds), at: now) }
    }

    private func changeHealth<Result>(_ body: (inout StoreHealth) -> Result) -> Result {
        self.state.withLock { state in
            let result = body(&state.health)
            self.slow.store(state.health.isSlow, ordering: .relaxed)
            return result
        }
    }
}
