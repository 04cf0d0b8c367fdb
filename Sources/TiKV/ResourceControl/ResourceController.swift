// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import TiKVPD

/// Where resource groups and tokens come from: PD, or a stand-in in tests.
protocol TokenSource: Sendable {
    /// A group; nil where there is none of this name.
    func group(_ name: String, deadline: Deadline) async throws(PDError) -> ResourceGroup?

    /// Asks for tokens again and again, on one stream: `next` gives what to ask for, or nil at the end.
    func acquire(
        clientID: UInt64, deadline: Deadline, next: () async -> [TokenRequest]?, granted: ([TokenGrant]) -> Void
    ) async throws
}

/// Holds requests of resource groups back until these have the tokens for them, and tells PD what was used.
///
/// What a group has and when more is asked for is `GroupTokens`' decision. `run()` asks PD; without it groups live on what
/// they begin with.
actor ResourceController {
    /// How often a request is tried that gets no tokens at all, and the wait between.
    static let attempts = 20
    static let retryInterval = Duration.milliseconds(50)
    /// How often the groups are looked through.
    static let tickInterval = Duration.seconds(1)

    /// What was taken for one request, to be settled by its answer.
    struct Charge: Sendable {
        var group: String
        var cost: RequestCost
        var taken: Consumption
        /// How long the request was held back.
        var wait: Duration
        /// Of the group, for requests that name no priority of their own; 0 for none.
        var priority: UInt64
        /// What the store is told that the group used elsewhere.
        var penalty: Consumption
    }

    private nonisolated let groups = Mutex<[String: GroupTokens]>([:])
    private nonisolated let loads: SingleFlight<String, ResourceGroup, TiKVError>
    private nonisolated let source: any TokenSource
    nonisolated let prices: RequestUnitPrices
    private nonisolated let maximumWait: Duration
    private nonisolated let clock: any TimeSource
    private nonisolated let logger: Logger
    private nonisolated let clientID: UInt64
    /// Tokens of a group run low, or a group is new.
    private nonisolated let isNeeded = Signal()

    init(
        source: any TokenSource, prices: RequestUnitPrices = .init(), maximumWait: Duration = .seconds(30),
        clientID: UInt64, clock: any TimeSource, logger: Logger
    ) {
        self.source = source
        self.prices = prices
        self.maximumWait = maximumWait
        self.clientID = clientID
        self.clock = clock
        self.logger = logger
        self.loads = SingleFlight(clock: clock, isShared: { !$0.isCallersOwn })
    }

    // MARK: - Requests

    /// Takes the tokens for a request, and waits until they are there.
    ///
    /// - Throws: `resourceGroupUnavailable` where PD knows no such group; `resourceGroupThrottled` where the tokens do not
    ///   come in time.
    nonisolated func begin(
        _ cost: RequestCost, of group: String, deadline: Deadline
    ) async throws(TiKVError) -> Charge {
        let consumption = self.prices.before(cost)
        var backoffs = 0
        while true {
            let now = self.clock.now
            let limit = min(self.maximumWait, deadline.remaining(at: now))
            let found: (TokenBucket.Reservation, isLow: Bool, UInt32, Consumption)? = self.groups.withLock { groups in
                guard var tokens = groups.removeValue(forKey: group) else { return nil }
                let reservation = tokens.reserve(consumption, at: now, atMost: limit)
                var penalty = Consumption()
                if case .taken = reservation { penalty = tokens.penalty(store: cost.storeID, own: consumption) }
                let isLow = tokens.isLow(at: now)
                let priority = tokens.group.priority
                groups[group] = tokens
                return (reservation, isLow, priority, penalty)
            }
            guard let (reservation, isLow, priority, penalty) = found else {
                try await self.load(group, deadline: deadline)
                continue
            }
            if isLow { self.isNeeded.raise() }
            let delay: Duration
            switch reservation {
            case .taken(let wait):
                if wait > .zero { try await self.sleep(wait) }
                return Charge(
                    group: group, cost: cost, taken: consumption,
                    wait: wait + Self.retryInterval * backoffs, priority: UInt64(priority), penalty: penalty)
            case .refused:
                backoffs += 1
                delay = Self.retryInterval
            }
            guard backoffs < Self.attempts, deadline.remaining(at: self.clock.now) > delay else {
                throw TiKVError(
                    .resourceGroupThrottled,
                    "resource group \"\(group)\" has used up what it may, and gets no more soon")
            }
            try await self.sleep(delay)
        }
    }

    /// Charges what an answer has cost.
    ///
    /// - Returns: that, less what is paid back.
    @discardableResult
    nonisolated func end(_ charge: Charge, _ response: ResponseCost) -> Consumption {
        let consumption = self.prices.after(charge.cost, response)
        let now = self.clock.now
        self.groups.withLock { $0[charge.group]?.settle(consumption, at: now) }
        return consumption
    }

    /// What a group has used so far; nil of one that was not used.
    nonisolated func used(by group: String) -> Consumption? { self.groups.withLock { $0[group]?.used } }

    private nonisolated func sleep(_ wait: Duration) async throws(TiKVError) {
        do throws(CancellationError) {
            try await self.clock.sleep(until: self.clock.now.advanced(by: wait))
        } catch {
            throw TiKVError(.cancelled, "cancelled while waiting for the resource group's turn")
        }
    }

    private nonisolated func load(_ name: String, deadline: Deadline) async throws(TiKVError) {
        let found = try await self.loads.run(name, deadline: deadline) { () async throws(TiKVError) in
            do throws(PDError) {
                if let group = try await self.source.group(name, deadline: deadline) { return group }
            } catch {
                throw TiKVError(error)
            }
            throw TiKVError(.resourceGroupUnavailable, "there is no resource group \"\(name)\"")
        }
        guard let found else {
            if Task.isCancelled { throw TiKVError(.cancelled, "cancelled while waiting for a resource group from PD") }
            throw TiKVError(.deadlineExceeded, "PD did not say in time what resource group \"\(name)\" may use")
        }
        let now = self.clock.now
        self.groups.withLock { groups in
            if groups[name] == nil { groups[name] = GroupTokens(found, now: now) }
        }
        self.isNeeded.raise()
    }

    // MARK: - PD

    /// Asks PD for tokens until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            // Nobody has named a group so far.
            if self.groups.withLock({ $0.isEmpty }) {
                _ = await self.isNeeded.wait()
                guard !Task.isCancelled else { return }
            }
            do {
                let deadline = Deadline(after: GroupTokens.answerTimeout, from: self.clock.now)
                try await self.source.acquire(clientID: self.clientID, deadline: deadline) {
                    await self.nextRequests()
                } granted: { grants in
                    self.received(grants)
                }
            } catch {
                self.logger.debug("tokens could not be had", metadata: ["error": "\(error)"])
            }
            self.groups.withLock { groups in for name in groups.keys { groups[name]?.failed() } }
            // Cut short by cancellation, which the loop sees.
            try? await self.clock.sleep(until: self.clock.now.advanced(by: Self.tickInterval))
        }
    }

    /// Waits until something is to be asked of PD; nil when the task is cancelled, or no group is left.
    private func nextRequests() async -> [TokenRequest]? {
        while !Task.isCancelled {
            let now = self.clock.now
            let (requests, isIdle) = self.groups.withLock { groups in
                groups = groups.filter { $0.value.lastUse.duration(to: now) < GroupTokens.idleTime }
                var requests: [TokenRequest] = []
                for name in groups.keys.sorted() {
                    groups[name]?.tick(at: now)
                    if let request = groups[name]?.takeRequest(at: now) { requests.append(request) }
                }
                return (requests, groups.isEmpty)
            }
            if !requests.isEmpty { return requests }
            if isIdle { return nil }
            let next = Deadline(after: Self.tickInterval, from: now)
            _ = await self.clock.run(before: next) { [isNeeded] in await isNeeded.wait() }
        }
        return nil
    }

    private nonisolated func received(_ grants: [TokenGrant]) {
        let now = self.clock.now
        self.groups.withLock { groups in
            for grant in grants { groups[grant.group]?.received(grant, at: now) }
        }
    }
}

extension PDClient: TokenSource {
    nonisolated func group(_ name: String, deadline: Deadline) async throws(PDError) -> ResourceGroup? {
        try await self.resourceGroup(named: name, deadline: deadline)
    }

    nonisolated func acquire(
        clientID: UInt64, deadline: Deadline, next: () async -> [TokenRequest]?, granted: ([TokenGrant]) -> Void
    ) async throws {
        try await self.withTokenStream(clientID: clientID, deadline: deadline) { stream in
            while let requests = await next() {
                granted(try await stream.acquire(requests, period: GroupTokens.targetPeriod))
            }
        }
    }
}
