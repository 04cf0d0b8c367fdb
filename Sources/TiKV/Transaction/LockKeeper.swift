// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Keeps one transaction's locks alive: tells the store of the primary now and then that it goes on. Ends when the
/// transaction does, or its primary's lock is gone.
final class LockKeeper: Sendable {
    private let keepers: LockKeepers
    private let start: UInt64
    let primary: [UInt8]
    private let began: ContinuousClock.Instant
    private let options: RequestOptions
    private let heartbeat: Mutex<Heartbeat>

    /// - Parameter began: when the transaction did.
    fileprivate init(
        _ keepers: LockKeepers, start: UInt64, primary: [UInt8], began: ContinuousClock.Instant,
        options: RequestOptions
    ) {
        self.keepers = keepers
        self.start = start
        self.primary = primary
        self.began = began
        self.options = options
        self.heartbeat = Mutex(Heartbeat(lifetime: keepers.lifetime, longest: keepers.longestLife))
    }

    func stop() { self.keepers.remove(self) }

    var isRunning: Bool { self.keepers.contains(self) }

    /// When to give the next sign of life; nil for never.
    fileprivate func next(at now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        switch self.heartbeat.withLock({ $0.next(age: self.began.duration(to: now)) }) {
        case .beat(let delay): now.advanced(by: delay)
        case .stop: nil
        }
    }

    /// Gives a sign of life, and says whether the lock was there.
    fileprivate func beat(_ sender: RegionRequestSender) async -> Bool {
        var request = Kvrpcpb_TxnHeartBeatRequest()
        request.primaryLock = Data(self.primary)
        request.startVersion = self.start
        request.adviseLockTtl = LockTimeToLive.managed(
            self.keepers.lifetime, age: self.began.duration(to: sender.clock.now))
        do throws(TiKVError) {
            let response = try await sender.send(
                TikvpbTikvRPC.kvTxnHeartBeat, request, key: self.primary, timeout: self.keepers.lifetime,
                isWrite: false, options: self.options)
            // Whatever the store has against it, the lock is not there to be kept.
            if response.hasError { return false }
            self.heartbeat.withLock { $0.succeeded() }
        } catch {
            self.heartbeat.withLock { $0.failed() }
        }
        return true
    }
}

/// The keepers of a client's transactions. One task looks after all of them, and goes on only as long as there are any, so
/// that a transaction which ends in time costs nothing but its entry in the table.
final class LockKeepers: Sendable {
    private struct State {
        var keepers: [ObjectIdentifier: (keeper: LockKeeper, due: ContinuousClock.Instant)] = [:]
        var isLooping = false
    }

    private let core: ClientCore
    /// How long locks live after a sign of life.
    let lifetime: Duration
    /// How long a transaction is kept alive at most.
    let longestLife: Duration
    private let state = Mutex(State())

    init(core: ClientCore) {
        self.core = core
        self.lifetime = core.configuration.transaction.lockTimeToLive
        self.longestLife = core.configuration.transaction.maximumLifetime
    }

    /// How many transactions are kept alive.
    var count: Int { self.state.withLock { $0.keepers.count } }

    /// Keeps a transaction's locks alive from now on.
    func keep(
        start: UInt64, primary: [UInt8], began: ContinuousClock.Instant, options: RequestOptions
    ) -> LockKeeper {
        let keeper = LockKeeper(self, start: start, primary: primary, began: began, options: options)
        self.schedule(keeper)
        return keeper
    }

    private func schedule(_ keeper: LockKeeper) {
        guard let due = keeper.next(at: self.core.sender.clock.now) else { return self.remove(keeper) }
        let begins = self.state.withLock { state in
            state.keepers[ObjectIdentifier(keeper)] = (keeper, due)
            defer { state.isLooping = true }
            return !state.isLooping
        }
        if begins { self.core.inBackground { [self] in await self.loop() } }
    }

    func remove(_ keeper: LockKeeper) {
        self.state.withLock { _ = $0.keepers.removeValue(forKey: ObjectIdentifier(keeper)) }
    }

    func contains(_ keeper: LockKeeper) -> Bool {
        self.state.withLock { $0.keepers[ObjectIdentifier(keeper)] != nil }
    }

    private func loop() async {
        let clock = self.core.sender.clock
        await withDiscardingTaskGroup { group in
            while true {
                let next: ContinuousClock.Instant? = self.state.withLock { state in
                    // All have the same interval, so that none which comes later is due earlier.
                    let next = state.keepers.values.map(\.due).min()
                    if next == nil { state.isLooping = false }
                    return next
                }
                guard let next else { return }
                do throws(CancellationError) {
                    // Those that are due at about the same time go together.
                    try await clock.sleep(until: max(next, clock.now.advanced(by: self.lifetime / 40)))
                } catch {
                    return
                }
                let now = clock.now
                let due = self.state.withLock { state in
                    let due = state.keepers.values.filter { $0.due <= now }.map(\.keeper)
                    // Put off again when there is an answer.
                    for keeper in due {
                        state.keepers[ObjectIdentifier(keeper)]?.due = now.advanced(by: self.lifetime / 2)
                    }
                    return due
                }
                for keeper in due { group.addTask { await self.beat(keeper) } }
            }
        }
    }

    private func beat(_ keeper: LockKeeper) async {
        guard self.contains(keeper) else { return }
        guard await keeper.beat(self.core.sender) else { return self.remove(keeper) }
        let next = keeper.next(at: self.core.sender.clock.now)
        self.state.withLock { state in
            guard state.keepers[ObjectIdentifier(keeper)] != nil else { return }
            if let next {
                state.keepers[ObjectIdentifier(keeper)]?.due = next
            } else {
                state.keepers[ObjectIdentifier(keeper)] = nil
            }
        }
    }
}
