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

/// Keeps a transaction's locks alive: tells the store of the primary now and then that it goes on. Stops when the
/// transaction ends, or its primary's lock is gone.
final class LockKeeper: Sendable {
    private let context: TransactionContext
    private let start: UInt64
    private let primary: [UInt8]
    private let began: ContinuousClock.Instant
    private let isStopped = Mutex(false)

    /// - Parameter began: when the transaction did.
    init(_ context: TransactionContext, start: UInt64, primary: [UInt8], began: ContinuousClock.Instant) {
        self.context = context
        self.start = start
        self.primary = primary
        self.began = began
    }

    /// Begins in the background, until `stop()`.
    func run() {
        self.context.inBackground { [self] in await self.beat() }
    }

    func stop() {
        self.isStopped.withLock { $0 = true }
    }

    var isRunning: Bool { self.isStopped.withLock { !$0 } }

    private func beat() async {
        let clock = self.context.clock
        var heartbeat = Heartbeat()
        while case .beat(let delay) = heartbeat.next(age: self.began.duration(to: clock.now)) {
            do throws(CancellationError) {
                try await clock.sleep(until: clock.now.advanced(by: delay))
            } catch {
                break
            }
            guard self.isRunning else { return }
            var request = Kvrpcpb_TxnHeartBeatRequest()
            request.primaryLock = Data(self.primary)
            request.startVersion = self.start
            request.adviseLockTtl = LockTimeToLive.managed(age: self.began.duration(to: clock.now))
            do throws(TiKVError) {
                let response = try await self.context.sender.send(
                    TikvpbTikvRPC.kvTxnHeartBeat, request, key: self.primary, timeout: .seconds(20), isWrite: false)
                // Whatever the store has against it, the lock is not there to be kept.
                if response.hasError { break }
                heartbeat.succeeded()
            } catch {
                heartbeat.failed()
            }
        }
        self.stop()
    }
}
