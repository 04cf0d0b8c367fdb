// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import TiKVPD
import TiKVTransport

/// Where each store is, and the connections to it.
///
/// Like the region cache: changes go through the actor, what is known is read without entering it.
actor StoreConnections {
    /// The stores that are known.
    private nonisolated let published = Mutex<[UInt64: StoreHandle]>([:])
    private nonisolated let resolutions: SingleFlight<UInt64, StoreHandle?, TiKVError>
    private nonisolated let source: any RegionSource
    private nonisolated let logger: Logger
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
    init(
        source: any RegionSource, clock: any TimeSource, logger: Logger,
        onHealth: @escaping @Sendable (StoreFeedback.Health) -> Void = { _ in }, makeChannel: @escaping MakeChannel,
        retire: @escaping @Sendable (Int) -> Void
    ) {
        self.source = source
        self.logger = logger
        self.makeChannel = makeChannel
        self.retire = retire
        self.onHealth = onHealth
        self.resolutions = SingleFlight(
            clock: clock, isShared: { !$0.isCallersOwn })
    }

    /// A store that is known.
    nonisolated func known(_ id: UInt64) -> StoreHandle? {
        self.published.withLock { $0[id] }
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

    /// Makes the store be asked of PD when next needed; its connections stay, in case its address does.
    nonisolated func forget(_ handle: StoreHandle) {
        self.published.withLock { handles in
            if handles[handle.id] === handle { handles[handle.id] = nil }
        }
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
        self.published.withLock { $0 = [:] }
    }

    // MARK: - Private

    private func install(_ id: UInt64, _ store: StoreDescription?) throws(TiKVError) -> StoreHandle? {
        guard !self.isClosed else { throw TiKVError(.clientClosed, "the client is closed") }
        guard let store, store.state != .tombstone else {
            self.move(id, to: nil)
            return nil
        }
        guard let address = PeerAddress(store.address) else {
            throw TiKVError(
                .serverError, "PD gave an address for store \(id) that is none", detail: store.address)
        }
        self.move(id, to: address)
        let reports = self.reports[address] ?? StoreReportBoard(onHealth: self.onHealth)
        self.reports[address] = reports
        let channel = self.channels[address] ?? self.makeChannel(address) { reports.received($0) }
        self.channels[address] = channel
        let handle = StoreHandle(id: id, address: address, channel: channel, reports: reports)
        self.published.withLock { $0[id] = handle }
        self.logger.log(.debug, "resolved a store", [.store: id, .address: address])
        return handle
    }

    /// Notes a store's address; connections to an address where no store is any more are given up.
    private func move(_ id: UInt64, to address: PeerAddress?) {
        let old = self.addresses[id]
        self.addresses[id] = address
        guard let old, old != address, !self.addresses.values.contains(old) else { return }
        self.reports[old] = nil
        guard let channel = self.channels.removeValue(forKey: old) else { return }
        self.lastRetired += 1
        self.retired[self.lastRetired] = channel
        self.retire(self.lastRetired)
    }
}
