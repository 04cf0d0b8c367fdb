// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension RawClient {
    /// How long the value of a key still lives. Needs an ``APIVersion`` with times to live.
    ///
    /// - Parameters:
    ///   - key: not empty.
    ///   - columnFamily: where to look; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Returns: nil where the key has no value.
    /// - Throws: ``TiKVError``.
    public func timeToLive(
        of key: Key, columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) -> TimeToLive? {
        try self.validate(key)
        try self.checkTimeToLive()
        var request = Kvrpcpb_RawGetKeyTTLRequest()
        request.key = Data(key.bytes)
        request.cf = try self.wireName(columnFamily)
        let response = try await self.core.sender.send(
            TikvpbTikvRPC.rawGetKeyTTL, request, key: key.bytes, timeout: self.timeout(timeout), isWrite: false)
        try Self.check(response)
        guard !response.notFound else { return nil }
        return response.ttl == 0 ? .forever : TimeToLive(remaining: .seconds(Int64(clamping: response.ttl)))
    }
}
