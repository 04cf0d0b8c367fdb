// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import TiKVOrderedMap
import TiKVPD
import TiKVProto
import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Clears the way for stores to collect old versions: ends all transactions that began before a safe point, then tells PD.
struct GarbageCollector: Sendable {
    /// Locks in one answer.
    static let scanLimit: UInt32 = 1024
    /// The time for one region's locks, or one region's part of a range.
    static let timeoutPerRegion = Duration.seconds(100)
    /// As whom older PDs know whoever collects garbage.
    static let service = "gc_worker"
    /// The time for one store to remove a range.
    static let destroyTimeout = Duration.seconds(300)

    let context: TransactionContext

    private var sender: RegionRequestSender { self.context.sender }

    // MARK: - Safe points

    /// Moves garbage collection forward.
    ///
    /// - Returns: how far it came: what keeps old data, such as a barrier, holds it back.
    func collect(upTo target: UInt64, concurrency: Int, deadline: Deadline) async throws(TiKVError) -> UInt64 {
        let pd = self.context.core.pd
        let keyspaceID = try await self.context.keyspaceID(deadline: deadline)
        let state: GCState
        do throws(TiKVError) {
            state = try await Self.asking { () async throws(PDError) in
                try await pd.gcState(keyspaceID: keyspaceID, includingBarriers: false, deadline: deadline)
            }
        } catch {
            guard error.code == .unsupported else { throw error }
            return try await self.collectByServices(upTo: target, concurrency: concurrency, deadline: deadline)
        }
        var safePoint = state.txnSafePoint.rawValue
        if target > safePoint {
            safePoint = try await Self.asking { () async throws(PDError) in
                try await pd.advanceTxnSafePoint(
                    to: TiKVPD.Timestamp(rawValue: target), keyspaceID: keyspaceID, deadline: deadline
                ).new.rawValue
            }
        }
        self.context.safePoints.received(safePoint)
        let reached = min(target, safePoint)
        if let failure = await self.resolveAll(before: reached, concurrency: concurrency) { throw failure }
        guard reached > state.gcSafePoint.rawValue else { return state.gcSafePoint.rawValue }
        return try await Self.asking { () async throws(PDError) in
            try await pd.advanceGCSafePoint(
                to: TiKVPD.Timestamp(rawValue: reached), keyspaceID: keyspaceID, deadline: deadline
            ).new.rawValue
        }
    }

    /// The same with a PD that knows no states of garbage collection: there services say what they keep.
    private func collectByServices(
        upTo target: UInt64, concurrency: Int, deadline: Deadline
    ) async throws(TiKVError) -> UInt64 {
        let pd = self.context.core.pd
        let lowest = try await Self.asking { () async throws(PDError) in
            try await pd.updateServiceSafePoint(
                Self.service, to: TiKVPD.Timestamp(rawValue: target), timeToLive: nil, deadline: deadline
            ).safePoint.rawValue
        }
        let reached = min(target, lowest)
        self.context.safePoints.received(reached)
        if let failure = await self.resolveAll(before: reached, concurrency: concurrency) { throw failure }
        return try await Self.asking { () async throws(PDError) in
            try await pd.updateGCSafePoint(to: TiKVPD.Timestamp(rawValue: reached), deadline: deadline).rawValue
        }
    }

    private static func asking<Result>(
        _ body: () async throws(PDError) -> Result
    ) async throws(TiKVError) -> Result {
        do throws(PDError) {
            return try await body()
        } catch {
            throw TiKVError(error)
        }
    }

    // MARK: - Locks

    /// Removes all locks of transactions that began before a timestamp, by deciding about these.
    ///
    /// - Returns: why that failed; nil where it did not.
    func resolveAll(
        before timestamp: UInt64, in span: KeySpan = KeySpan(start: [], end: []), concurrency: Int
    ) async -> TiKVError? {
        let task = RangeTask(
            "resolve locks", sender: self.sender, concurrency: concurrency, regionsPerPiece: 1
        ) { piece in
            var outcome = RangeTask.Outcome()
            do throws(TiKVError) {
                outcome.statistics.completed = try await self.resolve(piece, before: timestamp)
            } catch {
                outcome.statistics.failed = 1
                outcome.error = error
            }
            return outcome
        }
        return await task.run(span, timeout: Self.timeoutPerRegion).error
    }

    /// Removes the locks of a few regions.
    ///
    /// - Returns: how many regions that were.
    private func resolve(_ span: KeySpan, before timestamp: UInt64) async throws(TiKVError) -> Int {
        let deadline = self.context.deadline(Self.timeoutPerRegion)
        var regions = 0
        var start = span.start
        while true {
            let page = try await self.locks(from: start, to: span.end, before: timestamp, deadline: deadline)
            let locks = page.locks.flatMap { Lock.all($0) }
            if !locks.isEmpty {
                // Where the region has changed meanwhile, its locks are listed anew.
                guard try await self.context.resolver.removeAll(locks, in: page.region, deadline: deadline) else {
                    continue
                }
            }
            if page.locks.count >= Int(Self.scanLimit), let last = page.locks.last {
                start = [UInt8](last.key)
                continue
            }
            regions += 1
            start = page.region.endKey
            if start.isEmpty || !span.end.isEmpty && KeyOrder.compare(span.end, start) <= 0 { return regions }
        }
    }

    /// Locks of the region that holds a key, from it on.
    private func locks(
        from start: [UInt8], to end: [UInt8], before timestamp: UInt64, deadline: Deadline
    ) async throws(TiKVError) -> (locks: [Kvrpcpb_LockInfo], region: CachedRegion) {
        let sender = self.sender
        var call = try await sender.begin(timeout: deadline.remaining(at: self.context.clock.now), isWrite: false)
        defer { sender.lifecycle.end() }
        while true {
            let region = try await sender.locate(startOf: KeySpan(start: start, end: end), &call)
            var request = Kvrpcpb_ScanLockRequest()
            request.maxVersion = timestamp
            request.limit = Self.scanLimit
            request.startKey = Data(start)
            request.endKey = Data(Self.earlier(end, region.endKey))
            guard let response = try await sender.deliver(TikvpbTikvRPC.kvScanLock, &request, to: region, &call) else {
                continue
            }
            if response.hasError {
                throw TiKVError(.serverError, "the store could not list locks", detail: "\(response.error)")
            }
            return (response.locks, region)
        }
    }

    /// The earlier of two ends, of which an empty one is the end of all keys.
    private static func earlier(_ first: [UInt8], _ second: [UInt8]) -> [UInt8] {
        if first.isEmpty { return second }
        if second.isEmpty { return first }
        return KeyOrder.isLess(first, second) ? first : second
    }

    // MARK: - Ranges

    /// Removes a range past all transactions, region by region.
    ///
    /// - Returns: how many regions that were.
    func deleteRange(_ span: KeySpan, isAnnouncedOnly: Bool, concurrency: Int) async throws(TiKVError) -> Int {
        let task = RangeTask(
            isAnnouncedOnly ? "announce the deletion of a range" : "delete a range", sender: self.sender,
            concurrency: concurrency
        ) { piece in
            var outcome = RangeTask.Outcome()
            do throws(TiKVError) {
                try await self.delete(piece, isAnnouncedOnly: isAnnouncedOnly) { outcome.statistics.completed += 1 }
            } catch {
                outcome.statistics.failed = 1
                outcome.error = error
            }
            return outcome
        }
        let outcome = await task.run(span, timeout: Self.timeoutPerRegion)
        if let error = outcome.error { throw error }
        return outcome.statistics.completed
    }

    private func delete(_ span: KeySpan, isAnnouncedOnly: Bool, onRegion: () -> Void) async throws(TiKVError) {
        let sender = self.sender
        var start = span.start
        while true {
            var call = try await sender.begin(timeout: Self.timeoutPerRegion, isWrite: true)
            defer { sender.lifecycle.end() }
            do throws(TiKVError) {
                while true {
                    let region = try await sender.locate(startOf: KeySpan(start: start, end: span.end), &call)
                    var request = Kvrpcpb_DeleteRangeRequest()
                    var end = Self.earlier(span.end, region.endKey)
                    // A store takes no empty end for the end of all keys.
                    if end.isEmpty, !call.codec.changesKeys { end = sender.cache.lastProbe }
                    request.startKey = Data(start)
                    request.endKey = Data(end)
                    request.notifyOnly = isAnnouncedOnly
                    let response = try await sender.deliver(
                        TikvpbTikvRPC.kvDeleteRange, &request, to: region, &call)
                    guard let response else { continue }
                    if !response.error.isEmpty {
                        throw TiKVError(.serverError, "the store could not delete a range", detail: response.error)
                    }
                    start = region.endKey
                    break
                }
            } catch {
                throw call.final(error)
            }
            onRegion()
            if start.isEmpty || !span.end.isEmpty && KeyOrder.compare(span.end, start) <= 0 { return }
        }
    }

    /// Removes a range from all stores at once, whatever their regions are.
    ///
    /// - Returns: the stores that failed to, and why.
    func destroyRange(_ span: KeySpan, deadline: Deadline) async throws(TiKVError) -> [(id: UInt64, TiKVError)] {
        let core = self.context.core
        let codec = try await core.sender.codecs.codec(deadline: deadline)
        let stores = try await Self.asking { () async throws(PDError) in
            try await core.pd.allStores(deadline: deadline)
        }
        var plain = Kvrpcpb_UnsafeDestroyRangeRequest()
        plain.startKey = Data(span.start)
        plain.endKey = Data(span.end)
        let request = codec.encode(plain)
        let serving = stores.filter { $0.state != .tombstone && $0.labels["engine"]?.hasPrefix("tiflash") != true }
        return await withTaskGroup(of: (UInt64, TiKVError?).self) { group in
            for store in serving {
                group.addTask { (store.id, await self.destroy(request, on: store.id, deadline: deadline)) }
            }
            var failures: [(id: UInt64, TiKVError)] = []
            for await (id, error) in group {
                if let error { failures.append((id, error)) }
            }
            return failures.sorted { $0.id < $1.id }
        }
    }

    private func destroy(
        _ request: Kvrpcpb_UnsafeDestroyRangeRequest, on id: UInt64, deadline: Deadline
    ) async -> TiKVError? {
        do throws(TiKVError) {
            guard let store = try await self.context.core.stores.resolve(id, deadline: deadline) else { return nil }
            let timeout = min(Self.destroyTimeout, deadline.remaining(at: self.context.clock.now))
            do throws(RPCError) {
                let response = try await store.channel.unary(
                    TikvpbTikvRPC.unsafeDestroyRange, request, options: CallOptions(timeout: timeout))
                if response.error.isEmpty { return nil }
                return TiKVError(.serverError, "store \(id) could not remove the range", detail: response.error)
            } catch {
                if Task.isCancelled { return TiKVError(.cancelled, "the task was cancelled") }
                return TiKVError(
                    .undetermined, "store \(id) at \(store.address) did not answer: \(error.code)",
                    detail: error.message)
            }
        } catch {
            return error
        }
    }
}
