// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import TiKVPD
import TiKVTransport

/// What is known of each store, and the connections to it.
///
/// Like the region cache: changes go through the actor, what is known is read without entering it.
actor StoreConnections {
    /// All stores that were ever heard of.
    private nonisolated let records = Mutex<[UInt64: StoreRecord]>([:])
    private nonisolated let resolutions: SingleFlight<UInt64, StoreHandle?, TiKVError>
    private nonisolated let source: any RegionSource
    nonisolated let clock: any TimeSource
    nonisolated let logger: Logger
    /// How long a store may take to say that it lives; zero asks none.
    nonisolated let probeTimeout: Duration
    /// Health checks under way, one for each store.
    nonisolated let probes: SingleFlight<UInt64, StoreLiveness, TiKVError>
    /// Is told of stores that answered to nothing: somebody must look after them until they answer again.
    nonisolated let watch: @Sendable (UInt64) -> Void
    /// Stores that somebody looks after already.
    nonisolated let watched = Mutex<Set<UInt64>>([])
    private nonisolated let makeChannel: MakeChannel
    private nonisolated let retire: @Sendable (Int) -> Void
    private nonisolated let onHealth: @Sendable (StoreFeedback.Health) -> Void
    private var channels: [PeerAddress: any RPCChannel] = [:]
    /// What is heard beside the answers of the stores at these addresses.
    private var reports: [PeerAddress: StoreReportBoard] = [:]
    /// Connections that nobody needs any more, until they are closed.
    private var retired: [Int: any RPCChannel] = [:]
    private var lastRetired = 0
    /// The last known address of each store, also while it is being looked up anew.
    private var addresses: [UInt64: PeerAddress] = [:]
    private var isClosed = false

    /// Makes the connections to an address, which report what the store there says about itself.
    typealias MakeChannel = @Sendable (PeerAddress, @escaping @Sendable (StoreFeedback) -> Void) -> any RPCChannel

    /// - Parameters:
    ///   - onHealth: is told of each report of a store's health that is newer than those before; must not wait.
    ///   - makeChannel: makes the connections to an address; must not connect by itself.
    ///   - retire: is told of connections that nobody needs any more: `closeRetired` them when their calls had their time.
    ///   - watch: is told of stores that cannot be reached: `lookAfter` them.
    init(
        source: any RegionSource, clock: any TimeSource, logger: Logger, probeTimeout: Duration = .seconds(1),
        onHealth: @escaping @Sendable (StoreFeedback.Health) -> Void = { _ in }, makeChannel: @escaping MakeChannel,
        retire: @escaping @Sendable (Int) -> Void,
        watch: @escaping @Sendable (UInt64) -> Void = { _ in }
    ) {
        self.source = source
        self.clock = clock
        self.logger = logger
        self.probeTimeout = probeTimeout
        self.watch = watch
        self.probes = SingleFlight(clock: clock, isShared: { _ in true })
        self.makeChannel = makeChannel
        self.retire = retire
        self.onHealth = onHealth
        self.resolutions = SingleFlight(
            clock: clock, isShared: { !$0.isCallersOwn })
    }

    /// The record of a store, which is there from the first question on.
    nonisolated func record(_ id: UInt64) -> StoreRecord {
        self.records.withLock { records in
            if let known = records[id] { return known }
            let record = StoreRecord(id: id)
            records[id] = record
            return record
        }
    }

    /// The record of a store, if it was heard of.
    nonisolated func knownRecord(_ id: UInt64) -> StoreRecord? { self.records.withLock { $0[id] } }

    /// All stores that were heard of, by id.
    nonisolated var known: [StoreRecord] {
        self.records.withLock { $0.values.sorted { $0.id < $1.id } }
    }

    /// The stores that have all of these labels, as far as they are known.
    nonisolated func stores(matching labels: [String: String]) -> [StoreRecord] {
        self.known.filter { $0.resolveState != .unresolved && !$0.resolveState.isGone && $0.matches(labels) }
    }

    /// A store that is known.
    nonisolated func known(_ id: UInt64) -> StoreHandle? {
        self.knownRecord(id)?.handle
    }

    /// A store, asked of PD.
    ///
    /// - Returns: nil where there is no such store (any more).
    nonisolated func resolve(_ id: UInt64, deadline: Deadline) async throws(TiKVError) -> StoreHandle? {
        let found = try await self.resolutions.run(id, deadline: deadline) { () async throws(TiKVError) in
            let store: StoreDescription?
            do throws(PDError) {
                store = try await self.source.store(id: id, deadline: deadline)
            } catch {
                throw TiKVError(error)
            }
            return try await self.install(id, store)
        }
        if let found { return found }
        if Task.isCancelled { throw TiKVError(.cancelled, "cancelled while waiting for a store's address from PD") }
        throw TiKVError(.deadlineExceeded, "PD did not say in time where store \(id) is")
    }

    /// Gives up the connections that a handle stands for, and puts others in their place, so that the next request connects
    /// anew, also where PD does not answer: another store may be at that address by now, or its name may lead elsewhere.
    func reconnect(_ handle: StoreHandle) {
        guard !self.isClosed, let channel = self.channels[handle.address],
            channel as AnyObject === handle.channel as AnyObject
        else { return }
        let fresh = self.channel(to: handle.address, isNew: true)
        for record in self.known { record.reconnected(from: channel, to: fresh) }
        self.retireChannel(channel)
    }

    /// The connections to an address, and where they leave what is said there.
    private func channel(
        to address: PeerAddress, isNew: Bool = false
    ) -> (channel: any RPCChannel, reports: StoreReportBoard) {
        let reports = self.reports[address] ?? self.makeBoard()
        self.reports[address] = reports
        let known = isNew ? nil : self.channels[address]
        let channel = known ?? self.makeChannel(address) { reports.received($0) }
        self.channels[address] = channel
        return (channel, reports)
    }

    /// Closes retired connections; calls that are still on them fail.
    func closeRetired(_ number: Int) async {
        guard let channel = self.retired[number] else { return }
        await channel.shutdown(gracefully: nil)
        self.retired[number] = nil
    }

    /// Closes all connections, retired ones included; calls under way fail.
    func shutdown() async {
        self.isClosed = true
        let channels = Array(self.channels.values) + Array(self.retired.values)
        self.channels = [:]
        self.retired = [:]
        await withDiscardingTaskGroup { group in
            for channel in channels {
                group.addTask { await channel.shutdown(gracefully: nil) }
            }
        }
        let records = self.records.withLock { records in
            defer { records = [:] }
            return Array(records.values)
        }
        for record in records { record.close() }
    }

    // MARK: - Private

    private func install(_ id: UInt64, _ store: StoreDescription?) throws(TiKVError) -> StoreHandle? {
        guard !self.isClosed else { throw TiKVError(.clientClosed, "the client is closed") }
        let record = self.record(id)
        guard let store, store.state != .tombstone else {
            self.move(id, to: nil)
            record.gone(isTombstone: store != nil)
            return nil
        }
        guard let address = PeerAddress(store.address) else {
            throw TiKVError(
                .serverError, "PD gave an address for store \(id) that is none", detail: store.address)
        }
        self.move(id, to: address)
        let (channel, reports) = self.channel(to: address)
        let handle: StoreHandle
        if let last = record.lastHandle, last.address == address, last.channel as AnyObject === channel as AnyObject {
            handle = last
        } else {
            handle = StoreHandle(id: id, address: address, channel: channel, reports: reports)
        }
        if record.resolved(handle, labels: store.labels) {
            self.logger.log(.debug, "resolved a store", [.store: id, .address: address])
        }
        return handle
    }

    /// Notes a store's address; connections to an address where no store is any more are given up.
    private func move(_ id: UInt64, to address: PeerAddress?) {
        let old = self.addresses[id]
        self.addresses[id] = address
        guard let old, old != address, !self.addresses.values.contains(old) else { return }
        self.reports[old] = nil
        if let channel = self.channels.removeValue(forKey: old) { self.retireChannel(channel) }
    }

    /// Where the connections to an address leave what the store there says of itself.
    private func makeBoard() -> StoreReportBoard {
        StoreReportBoard { [weak self, onHealth] health in
            self?.receive(storeID: health.storeID, score: health.slowScore, sequence: health.sequence)
            onHealth(health)
        }
    }

    private func retireChannel(_ channel: any RPCChannel) {
        self.lastRetired += 1
        self.retired[self.lastRetired] = channel
        self.retire(self.lastRetired)
    }
}
