// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a scan needs once the region has been checked. It runs over a snapshot, outside the model's lock.
struct ScanPlan: Sendable {
    var entries: RawEngine.Entries
    var ranges: [RawRange]
    var limit: Int
    var isReversed: Bool
    var isKeyOnly: Bool
    /// Whether the engine's keys are encoded.
    var isEncoded: Bool

    func run(now: UInt64) -> [Kvrpcpb_KvPair] {
        var pairs: [Kvrpcpb_KvPair] = []
        for range in self.ranges {
            let found =
                self.isReversed
                ? self.entries.reverseScan(range, limit: self.limit, now: now)
                : self.entries.scan(range, limit: self.limit, now: now)
            for (key, bytes) in found {
                var pair = Kvrpcpb_KvPair()
                pair.key = Data(self.isEncoded ? MemComparable.decode(key) ?? key : key)
                if !self.isKeyOnly { pair.value = bytes }
                pairs.append(pair)
            }
        }
        return pairs
    }
}

extension ClusterModel {
    func rawGet(_ request: Kvrpcpb_RawGetRequest, on storeID: UInt64, now: UInt64) throws(StorageError) -> Data? {
        try self.checkVersion(request.context, "raw_get", keys: [request.key])
        let region = try self.region(for: request.context, on: storeID)
        let family = try self.rawFamily(request.cf)
        let key = self.stored(request.key)
        try region.checkStored(key)
        return self.engine.get(key, in: family, now: now)
    }

    /// Keys that do not exist are left out.
    func rawBatchGet(
        _ request: Kvrpcpb_RawBatchGetRequest, on storeID: UInt64, now: UInt64
    ) throws(StorageError) -> [(key: Data, value: Data)] {
        try self.checkVersion(request.context, "raw_batch_get", keys: request.keys)
        let region = try self.region(for: request.context, on: storeID)
        let family = try self.rawFamily(request.cf)
        var pairs: [(key: Data, value: Data)] = []
        for data in request.keys {
            let key = self.stored(data)
            try region.checkStored(key)
            if let value = self.engine.get(key, in: family, now: now) { pairs.append((data, value)) }
        }
        return pairs
    }

    func rawGetKeyTTL(
        _ request: Kvrpcpb_RawGetKeyTTLRequest, on storeID: UInt64, now: UInt64
    ) throws(StorageError) -> UInt64? {
        try self.checkVersion(request.context, "raw_get_key_ttl", keys: [request.key])
        let region = try self.region(for: request.context, on: storeID)
        let family = try self.rawFamily(request.cf)
        // A real store without TTL does not survive this request.
        guard self.apiVersion.hasTTL else { throw .request(Self.ttlNotEnabled) }
        let key = self.stored(request.key)
        try region.checkStored(key)
        return self.engine.timeToLive(key, in: family, now: now)
    }

    func rawScan(_ request: Kvrpcpb_RawScanRequest, on storeID: UInt64) throws(StorageError) -> ScanPlan {
        let end = request.endKey.isEmpty ? nil : request.endKey
        try self.checkVersion(request.context, "raw_scan", ranges: [(request.startKey, end)])
        let region = try self.region(for: request.context, on: storeID)
        let family = try self.rawFamily(request.cf)
        let start = self.stored(request.startKey)
        if request.limit > 0 { try region.checkSeek(start) }
        let range = region.scanRange(from: start, to: end.map { self.stored($0) } ?? [], isReversed: request.reverse)
        return ScanPlan(
            entries: self.engine.entries(family), ranges: [range], limit: Int(request.limit),
            isReversed: request.reverse, isKeyOnly: request.keyOnly,
            isEncoded: self.apiVersion.kind == .v2)
    }

    /// A range without an end goes as far as the next one begins.
    func rawBatchScan(_ request: Kvrpcpb_RawBatchScanRequest, on storeID: UInt64) throws(StorageError) -> ScanPlan {
        try self.checkVersion(
            request.context, "raw_batch_scan", ranges: request.ranges.map { ($0.startKey, $0.endKey) })
        let region = try self.region(for: request.context, on: storeID)
        let family = try self.rawFamily(request.cf)
        var ranges: [RawRange] = []
        for (index, range) in request.ranges.enumerated() {
            let start = self.stored(range.startKey)
            var end = range.endKey.isEmpty ? [] : self.stored(range.endKey)
            if end.isEmpty && index + 1 < request.ranges.count { end = self.stored(request.ranges[index + 1].startKey) }
            if !end.isEmpty {
                let isOrdered =
                    request.reverse
                    ? end.lexicographicallyPrecedes(start) : start.lexicographicallyPrecedes(end)
                if !isOrdered { throw .request("Invalid KeyRanges") }
            }
            ranges.append(RawRange(start: start, end: end))
        }
        if request.eachLimit > 0 {
            for range in ranges { try region.checkSeek(range.start) }
        }
        ranges = ranges.map { region.scanRange(from: $0.start, to: $0.end, isReversed: request.reverse) }
        return ScanPlan(
            entries: self.engine.entries(family), ranges: ranges, limit: Int(request.eachLimit),
            isReversed: request.reverse, isKeyOnly: request.keyOnly,
            isEncoded: self.apiVersion.kind == .v2)
    }

    /// Over the default column family, as in TiKV. The checksum itself is made outside the lock.
    func rawChecksum(
        _ request: Kvrpcpb_RawChecksumRequest, on storeID: UInt64
    ) throws(StorageError) -> ChecksumPlan {
        guard request.algorithm == .crc64Xor else {
            throw .request("unknown checksum algorithm \(request.algorithm.rawValue)")
        }
        try self.checkVersion(
            request.context, "raw_checksum", ranges: request.ranges.map { ($0.startKey, $0.endKey) })
        let region = try self.region(for: request.context, on: storeID)
        var ranges: [RawRange] = []
        for range in request.ranges {
            let start = self.stored(range.startKey)
            try region.checkSeek(start)
            let end = range.endKey.isEmpty ? [] : self.stored(range.endKey)
            ranges.append(RawRange(start: start, end: end).clamped(to: region))
        }
        return ChecksumPlan(
            entries: self.engine.entries(.default), ranges: ranges, isEncoded: self.apiVersion.kind == .v2)
    }
}

/// What a checksum needs once the region has been checked.
struct ChecksumPlan: Sendable {
    var entries: RawEngine.Entries
    var ranges: [RawRange]
    var isEncoded: Bool

    func run(now: UInt64) -> (checksum: UInt64, entries: UInt64, bytes: UInt64) {
        self.entries.checksum(self.ranges, now: now) { self.isEncoded ? MemComparable.decode($0) ?? $0 : $0 }
    }
}

extension RegionState {
    /// The part of a scan that is in the region. A reverse scan goes from `start`, which is not part of it, down to
    /// `end`, which is.
    fileprivate func scanRange(from start: [UInt8], to end: [UInt8], isReversed: Bool) -> RawRange {
        guard isReversed else { return RawRange(start: start, end: end).clamped(to: self) }
        return RawRange(start: end.lexicographicallyPrecedes(self.startKey) ? self.startKey : end, end: start)
    }
}
