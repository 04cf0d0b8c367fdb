// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import Logging
import Synchronization
import TiKVProto
package import TiKVTransport

/// Asks PD: for regions and stores.
///
/// Finds the members from the addresses given and asks their leader; when that one fails or stops leading, finds the next
/// one and asks again, until the call's deadline. All decisions are `MemberTracker`'s and `PDVerdict`'s.
package actor PDClient {
    /// The member that leads, as far as known.
    struct Target: Sendable {
        let address: PeerAddress
        let channel: any RPCChannel
        let clusterID: UInt64
    }

    private enum State {
        case open(Target?)
        case closed
    }

    private struct Discovery: Hashable {}

    private var tracker: MemberTracker
    private var channels: [PeerAddress: any RPCChannel] = [:]
    private var isClosed = false
    private let configuration: PDConfiguration
    private let makeChannel: @Sendable (PeerAddress) -> any RPCChannel
    nonisolated let clock: any TimeSource
    nonisolated let random: @Sendable () -> Double
    nonisolated let logger: Logger
    /// The leader, where every call can read it without entering the actor.
    private nonisolated let published = Mutex<State>(.open(nil))
    private nonisolated let discoveries: SingleFlight<Discovery, Target, DiscoveryFailure>
    /// Whether this PD lacks `BatchScanRegions`.
    nonisolated let lacksBatchScan = Atomic(false)

    /// - Parameters:
    ///   - endpoints: addresses of members; one that answers is enough.
    ///   - makeChannel: makes the connections to an address; must not connect by itself.
    package init(
        endpoints: [PeerAddress], configuration: PDConfiguration = .init(), clock: any TimeSource = SystemTimeSource(),
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }, logger: Logger,
        makeChannel: @escaping @Sendable (PeerAddress) -> any RPCChannel
    ) {
        self.tracker = MemberTracker(endpoints: endpoints)
        self.configuration = configuration
        self.makeChannel = makeChannel
        self.clock = clock
        self.random = random
        self.logger = logger
        self.discoveries = SingleFlight(clock: clock, isShared: { $0.isFinal || !$0.isCutShort })
    }

    /// The id of the cluster; nil until a member answered.
    package var clusterID: UInt64? { self.tracker.clusterID }

    /// Where the leader is thought to be.
    package var leader: PeerAddress? { self.tracker.leader }

    /// Closes all connections to PD; calls under way fail.
    package func shutdown() async {
        self.isClosed = true
        self.published.withLock { $0 = .closed }
        let channels = self.channels.values
        self.channels = [:]
        for channel in channels { await channel.shutdown(gracefully: nil) }
    }

    // MARK: - Calls

    /// Asks the leader.
    ///
    /// - Returns: nil where PD has no such thing.
    nonisolated func call<Request: PDRequest, Response: PDResponse>(
        _ method: RPCMethod<Request, Response>, _ request: Request, deadline: Deadline
    ) async throws(PDError) -> Response? {
        var attempts = PDAttempts()
        var backoff = Backoff()
        var failed: PeerAddress?
        var request = request
        while true {
            let target = try await self.target(deadline: deadline, attempts: &attempts, backoff: &backoff)
            // Asking the same one again, and not its successor: not before a while.
            if target.address == failed {
                failed = nil
                try await self.wait(&backoff, deadline: deadline, attempts: attempts)
                continue
            }
            request.header.clusterID = target.clusterID
            let verdict: PDVerdict
            do throws(RPCError) {
                let remaining = deadline.remaining(at: self.clock.now)
                guard remaining > .zero else { throw RPCError(.deadlineExceeded, "", delivery: .notSent) }
                let options = CallOptions(timeout: min(self.configuration.requestTimeout, remaining))
                let response = try await target.channel.unary(method, request, options: options)
                verdict = PDVerdict(response.header, expectedClusterID: target.clusterID)
                if case .answered = verdict { return response }
            } catch {
                verdict = PDVerdict(error, isCancelled: Task.isCancelled)
            }
            switch verdict {
            case .answered:
                continue
            case .notFound:
                return nil
            case .leaderLost(let reason, let kind):
                self.logger.debug(
                    "PD leader lost",
                    metadata: ["pd.address": "\(target.address)", "pd.call": "\(method.name)", "error": "\(reason)"])
                attempts.record(target.address, reason, kind)
                await self.failed(target.address)
                failed = target.address
            case .later(let reason):
                attempts.record(target.address, reason)
                try await self.wait(&backoff, deadline: deadline, attempts: attempts)
            case .fail(var error):
                error.attempts = attempts.list
                throw error
            }
        }
    }

    private nonisolated func wait(
        _ backoff: inout Backoff, deadline: Deadline, attempts: PDAttempts
    ) async throws(PDError) {
        let now = self.clock.now
        guard let delay = backoff.next(.pdRPC, remaining: deadline.remaining(at: now), random: self.random()) else {
            throw attempts.expired()
        }
        do {
            try await self.clock.sleep(until: now.advanced(by: delay))
        } catch {
            throw PDError(.cancelled, "cancelled while waiting to ask PD again", attempts: attempts.list)
        }
    }

    // MARK: - Members

    /// What a round of asking for the leader came to.
    struct DiscoveryFailure: Error {
        var attempts: PDAttempts
        /// Set where trying again is of no use.
        var error: PDError?
        /// The caller's deadline or cancellation ended the round: it says nothing to others who want the leader.
        var isCutShort = false
        var isFinal: Bool { self.error != nil }
    }

    /// The leader, found anew where it isn't known.
    private nonisolated func target(
        deadline: Deadline, attempts: inout PDAttempts, backoff: inout Backoff
    ) async throws(PDError) -> Target {
        while true {
            switch self.published.withLock({ $0 }) {
            case .open(let target?): return target
            case .open(nil): break
            case .closed: throw PDError(.closed, "the client is closed")
            }
            if Task.isCancelled { throw PDError(.cancelled, "cancelled while looking for PD's leader") }
            if deadline.hasPassed(at: self.clock.now) { throw attempts.expired() }
            do throws(DiscoveryFailure) {
                let found = try await self.discoveries.run(Discovery(), deadline: deadline) {
                    () async throws(DiscoveryFailure) -> Target in
                    try await self.discover(deadline: deadline)
                }
                if let found { return found }
                continue
            } catch {
                attempts.merge(error.attempts)
                if var final = error.error {
                    final.attempts = attempts.list
                    throw final
                }
            }
            try await self.wait(&backoff, deadline: deadline, attempts: attempts)
        }
    }

    /// Asks one member after the other who leads.
    private func discover(deadline: Deadline) async throws(DiscoveryFailure) -> Target {
        // Found by somebody else in the meantime.
        if case .open(let target?) = self.published.withLock({ $0 }) { return target }
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
                switch PDVerdict(error, isCancelled: Task.isCancelled) {
                case .leaderLost(let reason, let kind):
                    failure.attempts.record(address, reason, kind)
                case .later(let reason):
                    failure.attempts.record(address, reason)
                case .fail(let error):
                    failure.attempts.record(address, error.message)
                case .answered, .notFound:
                    failure.attempts.record(address, "\(error.code)")
                }
                continue
            }
            guard !self.isClosed else { break }
            switch outcome {
            case .leader(let leader):
                let target = Target(
                    address: leader, channel: self.channel(leader), clusterID: self.tracker.clusterID ?? 0)
                self.published.withLock { if case .open = $0 { $0 = .open(target) } }
                self.logger.debug("PD leader found", metadata: ["pd.address": "\(leader)"])
                return target
            case .noLeader:
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

    private func members(at address: PeerAddress, timeout: Duration) async throws(RPCError) -> MemberTracker.Outcome {
        let response = try await self.channel(address).unary(
            PdpbPDRPC.getMembers, Pdpb_GetMembersRequest(), options: CallOptions(timeout: timeout))
        return self.tracker.received(
            MemberTracker.Answer(
                clusterID: response.header.clusterID,
                members: response.members.map(\.clientUrls),
                leader: response.leader.clientUrls))
    }

    private func failed(_ address: PeerAddress) {
        guard self.tracker.failed(address) else { return }
        self.published.withLock {
            if case .open(let target?) = $0, target.address == address { $0 = .open(nil) }
        }
    }

    private func channel(_ address: PeerAddress) -> any RPCChannel {
        if let channel = self.channels[address] { return channel }
        let channel = self.makeChannel(address)
        self.channels[address] = channel
        return channel
    }
}
