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
    /// Removes all keys of a range, region by region.
    ///
    /// Not atomic: when this throws, any of the keys may have been removed
    /// (``TiKVError/isOutcomeUnknown`` says whether one may). An empty range removes nothing.
    ///
    /// - Parameters:
    ///   - range: the keys; `.everything` is taken at its word.
    ///   - columnFamily: where to write; the client's own by default.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Throws: ``TiKVError``; ``TiKVError/Code/invalidArgument`` where the range's end lies before its start.
    public func deleteRange(
        _ range: KeyRange, columnFamily: ColumnFamily? = nil, timeout: Duration? = nil
    ) async throws(TiKVError) {
        try Self.validate(range)
        guard !range.isEmpty else { return }
        let family = try self.wireName(columnFamily)
        let sender = self.core.sender
        try await sender.scatter(
            KeySpan(start: range.start.bytes, end: range.end.bytes), timeout: self.timeout(timeout), isWrite: true,
            concurrency: self.configuration.maximumConcurrency,
            split: { span, call async throws(TiKVError) in try await sender.regions(of: span, &call) },
            deliver: { span, region, call async throws(TiKVError) -> Bool? in
                var request = Kvrpcpb_RawDeleteRangeRequest()
                request.startKey = Data(span.start)
                request.endKey = Data(span.end)
                request.cf = family
                guard let response = try await sender.deliver(TikvpbTikvRPC.rawDeleteRange, &request, to: region, &call)
                else { return nil }
                try Self.check(response)
                return true
            },
            collect: { _ in })
    }

    /// A checksum over all keys and values of a range, made by the stores, region by region.
    ///
    /// Two ranges of the same keys and values have the same checksum, wherever their regions end. It is no snapshot: what
    /// is written meanwhile may be in it or not. Column families other than the default one have none.
    ///
    /// - Parameters:
    ///   - range: the keys; an empty range has a checksum of nothing.
    ///   - timeout: the time for all of the call; the client's own by default.
    /// - Throws: ``TiKVError``; ``TiKVError/Code/invalidArgument`` where the range's end lies before its start.
    public func checksum(_ range: KeyRange, timeout: Duration? = nil) async throws(TiKVError) -> RawChecksum {
        try Self.validate(range)
        var total = RawChecksum()
        guard !range.isEmpty else { return total }
        let sender = self.core.sender
        try await sender.scatter(
            KeySpan(start: range.start.bytes, end: range.end.bytes), timeout: self.timeout(timeout), isWrite: false,
            concurrency: self.configuration.maximumConcurrency,
            split: { span, call async throws(TiKVError) in try await sender.regions(of: span, &call) },
            deliver: { span, region, call async throws(TiKVError) -> RawChecksum? in
                var request = Kvrpcpb_RawChecksumRequest()
                request.algorithm = .crc64Xor
                var range = Kvrpcpb_KeyRange()
                range.startKey = Data(span.start)
                range.endKey = Data(span.end)
                request.ranges = [range]
                guard let response = try await sender.deliver(TikvpbTikvRPC.rawChecksum, &request, to: region, &call)
                else { return nil }
                try Self.check(response)
                return RawChecksum(
                    crc64Xor: response.checksum, pairCount: response.totalKvs, byteCount: response.totalBytes)
            },
            collect: { total.add($0) })
        return total
    }
}
