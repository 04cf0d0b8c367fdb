// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

package import Logging
internal import Synchronization
import TiKVProto
package import TiKVTransport

/// Asks PD: for timestamps, regions, stores, and all else that PD keeps.
///
/// Finds the members from the addresses given and asks their leader; when that one fails or stops leading, finds the next
/// one and asks again, until the call's deadline. All decisions are `MemberTracker`'s and `PDVerdict`'s.
///
/// `run()` keeps what is known of the members up to date, and serves timestamps; all other calls work without it.
package actor PDClient {
    enum State {
        case open(PDTarget?, followers: [PDFollower])
        case closed
    }

    struct Discovery: Hashable {}

    var tracker: MemberTracker
    private var channels: [PeerAddress: any RPCChannel] = [:]
    var isClosed = false
    nonisolated let configuration: PDConfiguration
    private let makeChannel: @Sendable (PeerAddress) -> any RPCChannel
    package nonisolated let clock: any TimeSource
    nonisolated let random: @Sendable () -> Double
    nonisolated let logger: Logger
    /// The leader and its followers, where every call can read them without entering the actor.
    nonisolated let published = Mutex<State>(.open(nil, followers: []))
    nonisolated let discoveries: SingleFlight<Discovery, PDTarget, DiscoveryFailure>
    /// Whether this PD lacks `BatchScanRegions`.
    nonisolated let lacksBatchScan = Atomic(false)
    nonisolated let breaker: Mutex<CircuitBreaker>
    /// Whose turn it is where followers answer too.
    nonisolated let turn = Atomic<Int>(0)
    /// Asks `run()` to look after a leader that can't be reached.
    private nonisolated let forwards = Signal()
    /// How requests over HTTP are sent; nil where they aren't.
    nonisolated let sendHTTP: HTTPSender?
    /// What stands in for PD where a service of its own hands out timestamps.
    nonisolated let tsoService = Mutex(TSOServiceTracker())
    /// By how much streams of timestamps have moved on among the members, since streams broke.
    nonisolated let tsoShift = Atomic<Int>(0)
    private nonisolated let keyspaceValue: Atomic<UInt32>
    /// Timestamps, fresh and not so fresh.
    package nonisolated let oracle: PDOracle
    /// Lets the oracle, which is made first, reach the client.
    private nonisolated let tsoSource: TSOClientSource

    /// - Parameters:
    ///   - endpoints: addresses of members; one that answers is enough.
    ///   - executor: where timestamps are asked for; best the event loop of the connections to PD.
    ///   - http: sends requests over HTTP; nil leaves out what PD says there.
    ///   - makeChannel: makes the connections to an address; must not connect by itself.
    package init(
        endpoints: [PeerAddress], configuration: PDConfiguration = .init(), clock: any TimeSource = SystemTimeSource(),
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }, logger: Logger,
        executor: (any TaskExecutor)? = nil, http: HTTPSender? = nil,
        makeChannel: @escaping @Sendable (PeerAddress) -> any RPCChannel
    ) {
        self.tracker = MemberTracker(endpoints: endpoints)
        self.configuration = configuration
        self.keyspaceValue = Atomic(configuration.keyspaceID)
        self.makeChannel = makeChannel
        self.sendHTTP = http
        self.clock = clock
        self.random = random
        self.logger = logger
        self.discoveries = SingleFlight(clock: clock, isShared: { $0.isFinal || !$0.isCutShort })
        self.breaker = Mutex(CircuitBreaker(configuration.circuitBreaker, now: clock.now))
        self.tsoSource = TSOClientSource()
        self.oracle = PDOracle(
            source: self.tsoSource, updateInterval: configuration.lowResolutionInterval,
            configuration: configuration.timestamps, clock: clock,
            random: random, executor: executor)
        self.tsoSource.attach(self)
    }

    /// Whether followers answer for regions, in turn with the leader.
    package nonisolated var asksFollowers: Bool { self.configuration.followerHandling }

    /// The keyspace whose timestamps are asked for, where a service apart from PD hands them out.
    nonisolated var keyspaceID: UInt32 { self.keyspaceValue.load(ordering: .relaxed) }

    /// Sets that keyspace, for streams that are opened from now on.
    package nonisolated func useKeyspace(_ id: UInt32) {
        self.keyspaceValue.store(id, ordering: .relaxed)
    }

    /// The id of the cluster; nil until a member answered.
    package var clusterID: UInt64? { self.tracker.clusterID }

    /// Where the leader is thought to be.
    package var leader: PeerAddress? { self.tracker.leader }

    /// The members that don't lead, as far as known.
    package var followers: [PeerAddress] { self.tracker.followers }

    // MARK: - Lifetime

    /// Does the work beside calls until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.oracle.run() }
            group.addTask { await self.refreshMembers() }
            group.addTask { await self.probeLeader() }
        }
    }

    /// Closes all connections to PD; calls under way fail.
    package func shutdown() async {
        self.isClosed = true
        self.published.withLock { $0 = .closed }
        let channels = self.channels.values
        self.channels = [:]
        for channel in channels { await channel.shutdown(gracefully: nil) }
    }

    /// Learns of members that came or went, and of addresses that changed, also while nobody asks anything.
    private func refreshMembers() async {
        while !Task.isCancelled {
            let next = self.clock.now.advanced(by: self.configuration.memberRefreshInterval)
            // Cut short by cancellation, which the loop sees.
            try? await self.clock.sleep(until: next)
            // A client that was not used yet has nobody to keep up with.
            guard !Task.isCancelled, self.tracker.clusterID != nil else { continue }
            await self.refresh()
        }
    }

    /// Asks for the members, whether or not the leader is known, and lets go of connections to members that are gone.
    package func refresh() async {
        let deadline = Deadline(after: self.configuration.requestTimeout, from: self.clock.now)
        // Where nobody answers, what is known stays, until a call needs more.
        _ = try? await self.discover(deadline: deadline, isForced: true)
        // A stream of timestamps may be open to servers that are no members.
        let needed = self.tracker.addresses.union(self.tsoService.withLock { $0.addresses })
        let gone = self.channels.filter { !needed.contains($0.key) }
        for address in gone.keys { self.channels[address] = nil }
        await withDiscardingTaskGroup { group in
            for channel in gone.values {
                group.addTask { await channel.shutdown(gracefully: self.configuration.requestTimeout) }
            }
        }
    }

    /// While calls take the way through a follower, tries the straight one now and then.
    private func probeLeader() async {
        while !Task.isCancelled {
            guard self.tracker.proxy != nil, !self.isClosed else {
                _ = await self.forwards.wait()
                continue
            }
            // Cut short by cancellation, which the loop sees.
            try? await self.clock.sleep(until: self.clock.now.advanced(by: self.configuration.probeInterval))
            guard !Task.isCancelled else { return }
            await self.probe()
        }
    }

    /// Tries the leader once where calls take the way through a follower, and takes the straight one where it answers.
    func probe() async {
        guard self.tracker.proxy != nil, let leader = self.tracker.leader, !self.isClosed else { return }
        do throws(RPCError) {
            _ = try await self.members(at: leader, timeout: self.configuration.probeInterval)
        } catch {
            return
        }
        guard self.tracker.leader == leader else { return }
        self.tracker.reached(leader)
        self.publish()
    }

    // MARK: - What is known

    /// Publishes whom to ask, as the tracker has it.
    @discardableResult
    func publish() -> PDTarget? {
        let followers = self.tracker.followers.map { PDFollower(address: $0, channel: self.channel($0)) }
        var target: PDTarget?
        if let leader = self.tracker.leader, let clusterID = self.tracker.clusterID {
            let proxy = self.configuration.forwarding ? self.tracker.proxy : nil
            let url = self.tracker.leaderURL ?? ""
            target = PDTarget(
                leader: leader, address: proxy ?? leader, channel: self.channel(proxy ?? leader),
                metadata: proxy == nil ? [:] : [PDTarget.forwardedHost: url], clusterID: clusterID, url: url)
            if proxy != nil { self.forwards.raise() }
        }
        self.published.withLock { [target] in if case .open = $0 { $0 = .open(target, followers: followers) } }
        return target
    }

    func channel(_ address: PeerAddress) -> any RPCChannel {
        if let channel = self.channels[address] { return channel }
        let channel = self.makeChannel(address)
        self.channels[address] = channel
        return channel
    }
}
