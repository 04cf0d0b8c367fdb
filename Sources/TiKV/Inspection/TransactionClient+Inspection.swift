// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap
import TiKVPD
import TiKVProto
import TiKVTransport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

// What stores tell to those who look for the cause of a trouble: no part of it is needed to read or write.

extension TransactionClient {
    /// All versions of a key that its store has, and its lock.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Throws: ``TiKVError``.
    public func history(of key: Key, timeout: Duration? = nil) async throws(TiKVError) -> KeyHistory {
        try TransactionArguments.check(key)
        var request = Kvrpcpb_MvccGetByKeyRequest()
        request.key = Data(key.bytes)
        let response = try await self.context.sender.send(
            TikvpbTikvRPC.mvccGetByKey, request, key: key.bytes,
            timeout: timeout ?? self.core.configuration.requestTimeout, isWrite: false)
        if !response.error.isEmpty {
            throw TiKVError(.serverError, "the store can't tell the history of a key", detail: response.error)
        }
        return KeyHistory(response.info)
    }

    /// Looks for what a transaction has left: asks one region after the other for the first key of which it has left a version,
    /// be it that it was committed or rolled back there; stores do not look at locks. They look through all of a region for
    /// it, so this takes its time.
    ///
    /// - Parameters:
    ///   - start: when the transaction began.
    ///   - range: where to look; only whole regions are looked through.
    ///   - timeout: the time for each region; ``ClientConfiguration/requestTimeout`` by default.
    /// - Returns: the key and all that there is of it; nil where nothing was found.
    /// - Throws: ``TiKVError``; ``TiKVError/Code/invalidArgument`` where the range's end lies before its start.
    public func history(
        ofTransaction start: Timestamp, in range: KeyRange = .everything, timeout: Duration? = nil
    ) async throws(TiKVError) -> (key: Key, history: KeyHistory)? {
        try RawClient.validate(range)
        guard !range.isEmpty else { return nil }
        let sender = self.context.sender
        let end = range.end.bytes
        var from = range.start.bytes
        while true {
            var call = try await sender.begin(
                timeout: timeout ?? self.core.configuration.requestTimeout, isWrite: false)
            defer { sender.lifecycle.end() }
            let region = try await sender.locate(startOf: KeySpan(start: from, end: end), &call)
            var request = Kvrpcpb_MvccGetByStartTsRequest()
            request.startTs = start.rawValue
            guard
                let response = try await sender.deliver(TikvpbTikvRPC.mvccGetByStartTs, &request, to: region, &call)
            else { continue }
            if !response.error.isEmpty {
                throw TiKVError(
                    .serverError, "the store can't tell what a transaction has written", detail: response.error)
            }
            if !response.key.isEmpty { return (Key(response.key), KeyHistory(response.info)) }
            from = region.endKey
            if from.isEmpty || !end.isEmpty && KeyOrder.compare(end, from) <= 0 { return nil }
        }
    }

    /// Who waits for whose pessimistic locks at present, at all stores. Waits that have come to an end are not among them.
    ///
    /// - Parameter timeout: the time for all of the call; ``ClientConfiguration/requestTimeout`` by default.
    /// - Throws: ``TiKVError``, where one of the stores can't be asked.
    public func lockWaits(timeout: Duration? = nil) async throws(TiKVError) -> [LockWait] {
        let deadline = self.context.deadline(timeout)
        let codec = try await self.context.sender.codecs.codec(deadline: deadline)
        var waits: [LockWait] = []
        for id in try await self.servingStores(deadline: deadline) {
            guard let store = try await self.core.stores.resolve(id, deadline: deadline) else { continue }
            var response: Kvrpcpb_GetLockWaitInfoResponse
            do throws(RPCError) {
                response = try await store.channel.unary(
                    TikvpbTikvRPC.getLockWaitInfo, Kvrpcpb_GetLockWaitInfoRequest(),
                    options: CallOptions(timeout: deadline.remaining(at: self.context.clock.now)))
            } catch {
                if Task.isCancelled { throw TiKVError(.cancelled, "the task was cancelled") }
                throw TiKVError(
                    .storeUnreachable, "store \(id) at \(store.address) does not say who waits: \(error.code)",
                    detail: error.message)
            }
            if !response.error.isEmpty {
                throw TiKVError(.serverError, "store \(id) does not say who waits", detail: response.error)
            }
            do throws(KeyCodecError) {
                try response.decodeKeys(with: codec)
            } catch {
                throw TiKVError(.serverError, "store \(id) names a key that is not of this client's keyspace")
            }
            waits += response.entries.map { LockWait($0, on: id) }
        }
        return waits
    }

    /// The stores that serve transactions, in order.
    private func servingStores(deadline: Deadline) async throws(TiKVError) -> [UInt64] {
        do throws(PDError) {
            return try await self.core.pd.allStores(deadline: deadline)
                .filter { $0.state != .tombstone && $0.labels["engine"]?.hasPrefix("tiflash") != true }
                .map(\.id).sorted()
        } catch {
            throw TiKVError(error)
        }
    }
}
