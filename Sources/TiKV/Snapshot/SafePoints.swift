// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD

/// Refuses reads of moments of which old versions may have been collected. Reads of young moments cost nothing.
final class SafePoints: Sendable {
    private struct Question: Hashable {}

    private let core: ClientCore
    private let cache = Mutex(SafePointCache())
    private let questions: SingleFlight<Question, UInt64, TiKVError>

    init(core: ClientCore) {
        self.core = core
        self.questions = SingleFlight(clock: core.sender.clock, isShared: { !$0.isCallersOwn })
    }

    /// - Throws: `gcTooEarly`, or why PD could not be asked.
    func check(_ timestamp: UInt64, deadline: Deadline) async throws(TiKVError) {
        let clock = self.core.sender.clock
        let latest = self.core.pd.oracle.lowResolutionTimestamp?.rawValue
        var verdict = self.cache.withLock { $0.verdict(of: timestamp, latest: latest, now: clock.now) }
        if verdict == .unknown {
            let asked = try await self.questions.run(Question(), deadline: deadline) {
                () async throws(TiKVError) -> UInt64 in
                try await self.ask(deadline: deadline)
            }
            guard let safePoint = asked else {
                if Task.isCancelled { throw TiKVError(.cancelled, "the task was cancelled") }
                throw TiKVError(.deadlineExceeded, "PD did not say how far garbage collection has come")
            }
            verdict = self.cache.withLock { cache in
                cache.received(safePoint, at: clock.now)
                return cache.verdict(of: timestamp, latest: latest, now: clock.now)
            }
        }
        guard case .collected(let safePoint) = verdict else { return }
        throw TiKVError(
            .gcTooEarly,
            "versions from before \(safePoint) may have been collected, and the read is at \(timestamp)",
            transaction: TransactionFailure(startTimestamp: timestamp))
    }

    private func ask(deadline: Deadline) async throws(TiKVError) -> UInt64 {
        let keyspace = try await self.core.sender.codecs.codec(deadline: deadline).keyspace?.id
        let pd = self.core.pd
        do throws(PDError) {
            do throws(PDError) {
                return try await pd.gcState(
                    keyspaceID: keyspace, includingBarriers: false, deadline: deadline
                ).txnSafePoint.rawValue
            } catch {
                // An older PD knows one safe point only.
                guard error.code == .unimplemented else { throw error }
                return try await pd.gcSafePoint(keyspaceID: keyspace, deadline: deadline).rawValue
            }
        } catch {
            throw TiKVError(error)
        }
    }
}

extension ClientCore {
    /// Refuses a read of a moment that is yet to come: what it sees could change. PD is asked only where the timestamp is
    /// above all that this client has seen.
    func validate(_ timestamp: UInt64, isStaleRead: Bool, deadline: Deadline) async throws(TiKVError) {
        do throws(PDError) {
            try await self.pd.oracle.validate(
                readTimestamp: TiKVPD.Timestamp(rawValue: timestamp), isStaleRead: isStaleRead, deadline: deadline)
        } catch {
            throw TiKVError(error)
        }
    }
}
