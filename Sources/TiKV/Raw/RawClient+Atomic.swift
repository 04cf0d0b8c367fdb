// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

// Unlike other writes these are sent again only while it is certain that none has taken effect: doing them twice is not doing
// them once.
extension RawClient {
    /// Sets the value of a key if it has the expected one, in one step that nothing comes between.
    ///
    /// Only against writers that are atomic as well: see ``ClientConfiguration/Raw/isAtomic``, without which this throws.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - expected: the value that the key must have; nil where it must have none. A value of no bytes is a value.
    ///   - value: the new value; may have no bytes.
    ///   - ttl: after how long the new value is gone, as with `put`; nil, the default, is never.
    ///   - columnFamily: where; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Returns: whether it was swapped, and what the key had before.
    /// - Throws: ``TiKVError``. Where the answer is lost the swap is not tried again, and the error is
    ///   ``TiKVError/Code/undetermined``: read the key to find out.
    @discardableResult
    public func compareAndSwap(
        _ key: Key, expected: Value?, value: Value, ttl: Duration? = nil, columnFamily: ColumnFamily? = nil,
        timeout: Duration? = nil
    ) async throws(TiKVError) -> RawSwap {
        var request = Kvrpcpb_RawCASRequest()
        request.value = Data(value.bytes)
        request.ttl = try self.seconds(ttl)
        return try await self.compareAndSwap(key, expected, request, columnFamily, timeout)
    }

    /// Removes a key if it has the expected value, in one step that nothing comes between.
    ///
    /// As ``compareAndSwap(_:expected:value:ttl:columnFamily:timeout:)`` in all else.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - expected: the value that the key must have.
    ///   - columnFamily: where; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Returns: whether it was removed, and what the key had before.
    /// - Throws: ``TiKVError``, as `compareAndSwap` does.
    @discardableResult
    public func compareAndDelete(
        _ key: Key, expected: Value, columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) -> RawSwap {
        var request = Kvrpcpb_RawCASRequest()
        request.delete = true
        return try await self.compareAndSwap(key, expected, request, columnFamily, timeout)
    }

    /// Sets the value of a key if it has none.
    ///
    /// As ``compareAndSwap(_:expected:value:ttl:columnFamily:timeout:)`` with nothing expected.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - value: may have no bytes.
    ///   - ttl: after how long the value is gone, as with `put`; nil, the default, is never.
    ///   - columnFamily: where; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Returns: nil where the value was set; else the one that is there.
    /// - Throws: ``TiKVError``, as `compareAndSwap` does.
    @discardableResult
    public func putIfAbsent(
        _ key: Key, value: Value, ttl: Duration? = nil, columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) -> Value? {
        let swap = try await self.compareAndSwap(
            key, expected: nil, value: value, ttl: ttl, columnFamily: columnFamily, timeout: timeout)
        return swap.isSwapped ? nil : swap.previous
    }

    private func compareAndSwap(
        _ key: Key, _ expected: Value?, _ request: Kvrpcpb_RawCASRequest, _ columnFamily: ColumnFamily?,
        _ timeout: Duration?
    ) async throws(TiKVError) -> RawSwap {
        try self.validate(key)
        guard self.configuration.isAtomic else {
            throw TiKVError(
                .invalidArgument,
                "compare-and-swap needs ClientConfiguration.raw.isAtomic, here and in all other writers")
        }
        var request = request
        request.key = Data(key.bytes)
        if let expected { request.previousValue = Data(expected.bytes) } else { request.previousNotExist = true }
        request.cf = try self.wireName(columnFamily)
        let response = try await self.core.sender.send(
            TikvpbTikvRPC.rawCompareAndSwap, request, key: key.bytes, timeout: self.timeout(timeout), isWrite: true,
            isRepeatable: false)
        try Self.check(response)
        return RawSwap(
            isSwapped: response.succeed, previous: response.previousNotExist ? nil : Value(response.previousValue))
    }
}
