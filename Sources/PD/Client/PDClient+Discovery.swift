// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
internal import Synchronization
import TiKVProto
import TiKVTransport

/// What a round of asking for the leader came to.
struct DiscoveryFailure: Error {
    var attempts: PDAttempts
    /// Set where trying again is of no use.
    var error: PDError?
    /// The caller's deadline or cancellation ended the round: it says nothing to others who want the leader.
    var isCutShort = false
    var isFinal: Bool { self.error != nil }
}

extension PDClient {
    /// Whom to ask, found anew where it isn't known; nil where a round of asking found nobody, as `attempts` tells.
    nonisolated func target(deadline: Deadline, attempts: inout PDAttempts) async throws(PDError) -> PDTarget? {
        while true {
            switch self.published.withLock({ $0 }) {
            case .open(let target?, _): return target
            case .open(nil, _): break
            case .closed: throw PDError(.closed, "the client is closed")
            }
            if Task.isCancelled { throw PDError(.cancelled, "cancelled while looking for PD's leader") }
            if deadline.hasPassed(at: self.clock.now) { throw attempts.expired() }
            do throws(DiscoveryFailure) {
                let found = try await self.discoveries.run(Discovery(), deadline: deadline) {
                    () async throws(DiscoveryFailure) -> PDTarget in
                    try await self.discover(deadline: deadline)
                }
                if let found { return found }
            } catch {
                attempts.merge(error.attempts)
                if var final = error.error {
                    final.attempts = attempts.list
                    throw final
                }
                return nil
            }
        }
    }

    /// Asks one member after the other who leads.
    ///
    /// - Parameter isForced: whether to ask even where a leader is known.
    func discover(deadline: Deadline, isForced: Bool = false) async throws(DiscoveryFailure) -> PDTarget {
        // Found by somebody else in the meantime.
        if !isForced, case .open(let target?, _) = self.published.withLock({ $0 }) { return target }
        var failure = DiscoveryFailure(attempts: PDAttempts())
        var mismatch: PDError?
        let candidates = self.tracker.candidates
        for address in candidates {
            guard !self.isClosed else { break }
            let remaining = deadline.remaining(at: self.clock.now)
            guard remaining > .zero, !Task.isCancelled else { break }
            let outcome: MemberTracker.Outcome
            do throws(RPCError) {
                outcome = try await self.members(
                    at: address, timeout: min(self.configuration.requestTimeout, remaining))
            } catch {
                self.record(error, at: address, in: &failure.attempts)
                continue
            }
            guard !self.isClosed else { break }
            switch outcome {
            case .leader(let leader):
                // A member that answers is one that can be reached.
                self.tracker.reached(address)
                guard let target = self.publish() else { continue }
                self.logger.debug(
                    "PD leader found",
                    metadata: ["pd.address": "\(leader)", "pd.forwarded": "\(target.isForwarded)"])
                return target
            case .noLeader:
                self.publish()
                failure.attempts.record(address, "no leader is elected")
            case .invalid:
                failure.attempts.record(address, "answered without a cluster id")
            case .clusterIDMismatch(let expected, let actual):
                let error = PDError.clusterIDMismatch(expected: expected, actual: actual)
                failure.attempts.record(address, error.message)
                mismatch = error
            }
        }
        failure.isCutShort = Task.isCancelled || deadline.hasPassed(at: self.clock.now)
        failure.error =
            self.isClosed
            ? PDError(.closed, "the client is closed")
            : mismatch ?? failure.attempts.hopeless(addresses: candidates.count)
        throw failure
    }

    private func record(_ error: RPCError, at address: PeerAddress, in attempts: inout PDAttempts) {
        switch PDVerdict(error, isCancelled: Task.isCancelled) {
        case .leaderLost(let reason, let kind):
            attempts.record(address, reason, kind)
        case .later(let reason):
            attempts.record(address, reason)
        case .fail(let error):
            attempts.record(address, error.message)
        case .answered, .notFound:
            attempts.record(address, "\(error.code)")
        }
    }

    func members(at address: PeerAddress, timeout: Duration) async throws(RPCError) -> MemberTracker.Outcome {
        let response = try await self.channel(address).unary(
            PdpbPDRPC.getMembers, Pdpb_GetMembersRequest(), options: CallOptions(timeout: timeout))
        return self.tracker.received(
            MemberTracker.Answer(
                clusterID: response.header.clusterID,
                members: response.members.map(\.clientUrls),
                leader: response.leader.clientUrls))
    }

    /// The one that was asked failed, or leads no more.
    ///
    /// - Parameter isUnreachable: whether it gave no answer at all.
    func failed(_ target: PDTarget, isUnreachable: Bool) {
        let wasLeader = self.tracker.failed(target.address, isUnreachable: isUnreachable)
        guard wasLeader || target.isForwarded && self.tracker.leader == target.leader else { return }
        self.published.withLock {
            if case .open(let known?, let followers) = $0, known.leader == target.leader,
                known.address == target.address
            {
                $0 = .open(nil, followers: followers)
            }
        }
    }
}
