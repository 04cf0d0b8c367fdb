// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVPD
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

// What is a key in requests that are neither of raw data nor of transactions, and in the answers to them. Some go to a store
// and not to a region, so that they have no region error.

// MARK: - Regions

extension Kvrpcpb_SplitRegionRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.splitKey = codec.encodeIfPresent(self.splitKey)
        self.splitKeys = codec.encode(self.splitKeys)
    }
}

extension Kvrpcpb_SplitRegionResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.regions = try codec.decodeInside(self.regions)
        if self.hasLeft { self.left = try codec.decode(self.left) }
        if self.hasRight { self.right = try codec.decode(self.right) }
        self.errors = try codec.decode(self.errors)
    }
}

extension Kvrpcpb_UnsafeDestroyRangeRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        (self.startKey, self.endKey) = codec.encode(start: self.startKey, end: self.endKey)
    }
}

extension Kvrpcpb_UnsafeDestroyRangeResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

// MARK: - Locks and versions

extension Kvrpcpb_PhysicalScanLockRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.startKey = codec.encode(self.startKey)
    }
}

extension Kvrpcpb_PhysicalScanLockResponse: KeyedResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.locks = try codec.decode(self.locks)
    }
}

extension Kvrpcpb_CheckLockObserverResponse: KeyedResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.locks = try codec.decode(self.locks)
    }
}

extension Kvrpcpb_GetLockWaitInfoResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.entries = try codec.decode(self.entries)
    }
}

extension Kvrpcpb_GetLockWaitHistoryResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.entries = try codec.decode(self.entries)
    }
}

extension Kvrpcpb_MvccGetByKeyRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.key = codec.encode(self.key)
    }
}

extension Kvrpcpb_MvccGetByKeyResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasInfo { self.info = try codec.decode(self.info) }
    }
}

extension Kvrpcpb_MvccGetByStartTsRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {}
}

extension Kvrpcpb_MvccGetByStartTsResponse: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.key = try codec.decode(self.key)
        if self.hasInfo { self.info = try codec.decode(self.info) }
    }
}

// MARK: - Stores

extension Kvrpcpb_StoreSafeTSRequest: KeyedRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.keyRange = codec.encode(self.keyRange)
    }
}

extension Kvrpcpb_CompactRequest: KeyedRequest {
    /// The start is a place in TiFlash's own order and no key of TiKV.
    mutating func encodeKeys(with codec: KeyCodec) {
        guard let keyspace = codec.keyspace else { return }
        self.apiVersion = .v2
        self.keyspaceID = keyspace.id
    }
}

extension Kvrpcpb_CompactResponse: KeyedResponse {
    /// As in the request, the bounds are no keys of TiKV.
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {}
}

// MARK: - Coprocessor

extension KeyCodec {
    fileprivate func encode(_ ranges: [Coprocessor_KeyRange]) -> [Coprocessor_KeyRange] {
        ranges.map { self.encode($0) }
    }

    fileprivate func encode(_ range: Coprocessor_KeyRange) -> Coprocessor_KeyRange {
        var encoded = range
        (encoded.start, encoded.end) = self.encode(start: range.start, end: range.end)
        return encoded
    }

    fileprivate func encode(_ ranges: [Coprocessor_VersionedKeyRange]) -> [Coprocessor_VersionedKeyRange] {
        ranges.map { range in
            var encoded = range
            encoded.range = self.encode(range.range)
            return encoded
        }
    }

    fileprivate func encode(_ regions: [Coprocessor_RegionInfo]) -> [Coprocessor_RegionInfo] {
        regions.map { region in
            var encoded = region
            encoded.ranges = self.encode(region.ranges)
            return encoded
        }
    }

    fileprivate func encode(_ tables: [Coprocessor_TableRegions]) -> [Coprocessor_TableRegions] {
        tables.map { table in
            var encoded = table
            encoded.regions = self.encode(table.regions)
            return encoded
        }
    }
}

extension Coprocessor_Request: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.ranges = codec.encode(self.ranges)
        self.versionedRanges = codec.encode(self.versionedRanges)
        self.tasks = self.tasks.map { task in
            var encoded = task
            encoded.ranges = codec.encode(task.ranges)
            encoded.versionedRanges = codec.encode(task.versionedRanges)
            return encoded
        }
    }
}

extension Coprocessor_Response: RegionResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        if self.hasLocked { self.locked = try codec.decode(self.locked) }
        if self.hasRange {
            let span = try codec.decode(KeySpan(start: [UInt8](self.range.start), end: [UInt8](self.range.end)))
            self.range.start = Data(span.start)
            self.range.end = Data(span.end)
        }
        self.batchResponses = try Self.decode(self.batchResponses, codec)
    }

    private static func decode(
        _ answers: [Coprocessor_StoreBatchTaskResponse], _ codec: KeyCodec
    ) throws(KeyCodecError) -> [Coprocessor_StoreBatchTaskResponse] {
        var decoded = answers
        for index in decoded.indices {
            if decoded[index].hasRegionError {
                decoded[index].regionError = try codec.decode(decoded[index].regionError)
            }
            if decoded[index].hasLocked { decoded[index].locked = try codec.decode(decoded[index].locked) }
        }
        return decoded
    }
}

extension Coprocessor_BatchRequest: RegionRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.regions = codec.encode(self.regions)
        self.tableRegions = codec.encode(self.tableRegions)
    }
}

extension Coprocessor_BatchResponse: KeyedResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.retryRegions = try codec.decodeInside(self.retryRegions)
    }
}

extension Mpp_DispatchTaskRequest: KeyedRequest {
    mutating func encodeKeys(with codec: KeyCodec) {
        self.regions = codec.encode(self.regions)
        self.tableRegions = codec.encode(self.tableRegions)
        guard let keyspace = codec.keyspace else { return }
        self.meta.apiVersion = .v2
        self.meta.keyspaceID = keyspace.id
    }
}

extension Mpp_DispatchTaskResponse: KeyedResponse {
    mutating func decodeKeys(with codec: KeyCodec) throws(KeyCodecError) {
        self.retryRegions = try codec.decodeInside(self.retryRegions)
    }
}
