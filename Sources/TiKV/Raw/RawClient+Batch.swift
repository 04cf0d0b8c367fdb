// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension RawClient {
    /// The values of many keys.
    ///
    /// Asks the regions of the keys side by side, at most ``ClientConfiguration/Raw/batchKeyLimit`` keys at a time.
    ///
    /// - Parameters:
    ///   - keys: none of them empty; the same key may occur more than once.
    ///   - columnFamily: where to look; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Returns: the values by key; keys without a value are not in it.
    /// - Throws: ``TiKVError``, where any of the keys could not be read.
    public func batchGet(
        _ keys: some Sequence<Key>, columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) -> [Key: Value] {
        let sorted = try self.prepare(keys)
        let family = try self.wireName(columnFamily)
        let limit = self.configuration.batchKeyLimit
        let sender = self.core.sender
        var values: [Key: Value] = [:]
        guard !sorted.isEmpty else { return values }
        values.reserveCapacity(sorted.count)
        try await sender.scatter(
            sorted, timeout: self.timeout(timeout), isWrite: false, concurrency: self.configuration.maximumConcurrency,
            split: { keys, call async throws(TiKVError) in
                try await sender.group(keys, by: { $0 }, chunks: { RawBatch.chunks($0, count: limit) }, &call)
            },
            deliver: { keys, region, call async throws(TiKVError) -> [Kvrpcpb_KvPair]? in
                var request = Kvrpcpb_RawBatchGetRequest()
                request.keys = keys.map { Data($0) }
                request.cf = family
                let response = try await sender.deliver(TikvpbTikvRPC.rawBatchGet, &request, to: region, &call)
                guard let pairs = response?.pairs else { return nil }
                try Self.check(pairs)
                return pairs
            },
            collect: { pairs in
                for pair in pairs { values[Key(pair.key)] = Value(pair.value) }
            })
        return values
    }

    /// Sets the values of many keys.
    ///
    /// Not atomic: when this throws, any of the pairs may have been written
    /// (``TiKVError/isOutcomeUnknown`` says whether one may). Sends pieces of
    /// ``ClientConfiguration/Raw/batchPutSizeLimit`` side by side, in no order.
    ///
    /// - Parameters:
    ///   - pairs: keys, none of them empty, and values; of several for one key the last is written.
    ///   - ttl: after how long the values are gone, as with `put`; nil, the default, is never.
    ///   - columnFamily: where to write; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Throws: ``TiKVError``.
    public func batchPut(
        _ pairs: some Sequence<KeyValue>, ttl: Duration? = nil, columnFamily: ColumnFamily? = nil,
        timeout: Duration? = nil
    ) async throws(TiKVError) {
        let seconds = try self.seconds(ttl)
        let entries = pairs.lazy.map { RawBatch.Entry(key: $0.key.bytes, value: $0.value.bytes, seconds: seconds) }
        try await self.batchPut(RawBatch.sorted(entries), columnFamily, timeout)
    }

    /// Sets the values of many keys, written as a list: `[("a", "1"), ("b", "2")]`.
    ///
    /// The same as the form that takes any sequence; literals within tuples need to be told their types.
    ///
    /// - Parameters:
    ///   - pairs: keys, none of them empty, and values; of several for one key the last is written.
    ///   - ttl: after how long the values are gone, as with `put`; nil, the default, is never.
    ///   - columnFamily: where to write; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Throws: ``TiKVError``.
    public func batchPut(
        _ pairs: [KeyValue], ttl: Duration? = nil, columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) {
        try await self.batchPut(pairs.lazy.map { $0 }, ttl: ttl, columnFamily: columnFamily, timeout: timeout)
    }

    /// Sets the values of many keys, each with a time to live of its own.
    ///
    /// The same as the form that takes pairs in all else.
    ///
    /// - Parameters:
    ///   - entries: keys, none of them empty, values, and their times to live; of several for one key the last is written.
    ///   - columnFamily: where to write; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Throws: ``TiKVError``.
    public func batchPut(
        _ entries: some Sequence<RawEntry>, columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) {
        var checked: [RawBatch.Entry] = []
        for entry in entries {
            checked.append(
                RawBatch.Entry(
                    key: entry.key.bytes, value: entry.value.bytes, seconds: try self.seconds(entry.ttl)))
        }
        try await self.batchPut(RawBatch.sorted(checked), columnFamily, timeout)
    }

    private func batchPut(
        _ sorted: [RawBatch.Entry], _ columnFamily: ColumnFamily?, _ timeout: Duration?
    ) async throws(TiKVError) {
        for entry in sorted { try self.validate(Key(entry.key)) }
        let family = try self.wireName(columnFamily)
        guard !sorted.isEmpty else { return }
        let limit = self.configuration.batchPutSizeLimit
        let isAtomic = self.configuration.isAtomic
        let sender = self.core.sender
        try await sender.scatter(
            sorted, timeout: self.timeout(timeout), isWrite: true, concurrency: self.configuration.maximumConcurrency,
            split: { entries, call async throws(TiKVError) in
                try await sender.group(entries, by: { $0.key }, chunks: { RawBatch.chunks($0, bytes: limit) }, &call)
            },
            deliver: { entries, region, call async throws(TiKVError) -> Bool? in
                var request = Kvrpcpb_RawBatchPutRequest()
                request.pairs = entries.map { entry in
                    var message = Kvrpcpb_KvPair()
                    message.key = Data(entry.key)
                    message.value = Data(entry.value)
                    return message
                }
                // One for all, or one for each. None at all is for ever, which stores without time to live know too.
                if entries.contains(where: { $0.seconds > 0 }) { request.ttls = entries.map(\.seconds) }
                request.forCas = isAtomic
                request.cf = family
                guard let response = try await sender.deliver(TikvpbTikvRPC.rawBatchPut, &request, to: region, &call)
                else { return nil }
                try Self.check(response)
                return true
            },
            collect: { _ in })
    }

    /// Removes many keys; those without a value don't matter.
    ///
    /// Not atomic: when this throws, any of the keys may have been removed
    /// (``TiKVError/isOutcomeUnknown`` says whether one may).
    ///
    /// - Parameters:
    ///   - keys: none of them empty.
    ///   - columnFamily: where to write; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Throws: ``TiKVError``.
    public func batchDelete(
        _ keys: some Sequence<Key>, columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) {
        let sorted = try self.prepare(keys)
        guard !sorted.isEmpty else { return }
        let family = try self.wireName(columnFamily)
        let limit = self.configuration.batchKeyLimit
        let isAtomic = self.configuration.isAtomic
        let sender = self.core.sender
        try await sender.scatter(
            sorted, timeout: self.timeout(timeout), isWrite: true, concurrency: self.configuration.maximumConcurrency,
            split: { keys, call async throws(TiKVError) in
                try await sender.group(keys, by: { $0 }, chunks: { RawBatch.chunks($0, count: limit) }, &call)
            },
            deliver: { keys, region, call async throws(TiKVError) -> Bool? in
                var request = Kvrpcpb_RawBatchDeleteRequest()
                request.forCas = isAtomic
                request.keys = keys.map { Data($0) }
                request.cf = family
                guard let response = try await sender.deliver(TikvpbTikvRPC.rawBatchDelete, &request, to: region, &call)
                else { return nil }
                try Self.check(response)
                return true
            },
            collect: { _ in })
    }

    private func prepare(_ keys: some Sequence<Key>) throws(TiKVError) -> [[UInt8]] {
        let sorted = RawBatch.sorted(keys)
        for key in sorted { try self.validate(Key(key)) }
        return sorted
    }
}
