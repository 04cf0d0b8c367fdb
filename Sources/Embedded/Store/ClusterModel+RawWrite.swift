// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension ClusterModel {
    mutating func rawPut(
        _ request: Kvrpcpb_RawPutRequest, on storeID: UInt64, now: UInt64
    ) throws(StorageError) {
        try self.checkVersion(
            request.context, request.forCas ? "raw_atomic_store" : "raw_put", keys: [request.key])
        // As in TiKV, the atomic forms do not limit the key.
        if !request.forCas { try Self.checkSize(ofKey: request.key) }
        let key = self.stored(request.key)
        try self.checkTTL(request.ttl)
        let family = try self.rawFamily(request.cf)
        let region = try self.region(for: request.context, on: storeID)
        try Self.checkSize(ofEntry: key.count + request.value.count, in: region)
        try region.checkStored(key)
        self.engine.put(key, request.value, ttl: request.ttl, in: family, now: now)
    }

    mutating func rawBatchPut(
        _ request: Kvrpcpb_RawBatchPutRequest, on storeID: UInt64, now: UInt64
    ) throws(StorageError) {
        try self.checkVersion(
            request.context, request.forCas ? "raw_atomic_store" : "raw_batch_put", keys: request.pairs.map(\.key))
        let family = try self.rawFamily(request.cf)
        if !request.forCas {
            for pair in request.pairs { try Self.checkSize(ofKey: pair.key) }
        }
        let keys = request.pairs.map { self.stored($0.key) }
        // One TTL is for all the pairs.
        var ttls = request.ttls
        if ttls.count <= 1 { ttls = [UInt64](repeating: ttls.first ?? 0, count: keys.count) }
        for ttl in ttls { try self.checkTTL(ttl) }
        if self.apiVersion.hasTTL && ttls.count != keys.count {
            throw .request("The length of ttls does not equal to the length of pairs")
        }
        let region = try self.region(for: request.context, on: storeID)
        try Self.checkSize(
            ofEntry: request.pairs.reduce(0) { $0 + $1.key.count + $1.value.count }, in: region)
        for key in keys { try region.checkStored(key) }
        // Without TTLs to check, TiKV writes as many pairs as it got zeros for.
        for ((key, pair), ttl) in zip(zip(keys, request.pairs), ttls) {
            self.engine.put(key, pair.value, ttl: ttl, in: family, now: now)
        }
    }

    mutating func rawDelete(_ request: Kvrpcpb_RawDeleteRequest, on storeID: UInt64) throws(StorageError) {
        try self.checkVersion(
            request.context, request.forCas ? "raw_atomic_store" : "raw_delete", keys: [request.key])
        if !request.forCas { try Self.checkSize(ofKey: request.key) }
        let key = self.stored(request.key)
        let family = try self.rawFamily(request.cf)
        let region = try self.region(for: request.context, on: storeID)
        try region.checkStored(key)
        self.engine.delete(key, in: family)
    }

    mutating func rawBatchDelete(_ request: Kvrpcpb_RawBatchDeleteRequest, on storeID: UInt64) throws(StorageError) {
        try self.checkVersion(
            request.context, request.forCas ? "raw_atomic_store" : "raw_batch_delete", keys: request.keys)
        let family = try self.rawFamily(request.cf)
        if !request.forCas {
            for key in request.keys { try Self.checkSize(ofKey: key) }
        }
        let keys = request.keys.map { self.stored($0) }
        let region = try self.region(for: request.context, on: storeID)
        try Self.checkSize(ofEntry: keys.reduce(0) { $0 + $1.count }, in: region)
        for key in keys { try region.checkStored(key) }
        for key in keys { self.engine.delete(key, in: family) }
    }

    mutating func rawDeleteRange(_ request: Kvrpcpb_RawDeleteRangeRequest, on storeID: UInt64) throws(StorageError) {
        try Self.checkSize(ofKey: request.startKey)
        try Self.checkSize(ofKey: request.endKey)
        try self.checkVersion(request.context, "raw_delete_range", ranges: [(request.startKey, request.endKey)])
        let start = self.stored(request.startKey)
        let end = request.endKey.isEmpty ? [] : self.stored(request.endKey)
        let family = try self.rawFamily(request.cf)
        let region = try self.region(for: request.context, on: storeID)
        guard end.isEmpty || KeyOrder.isLess(start, end) else {
            throw .region(.other("invalid delete range command, start_key: \(start.hex), end_key: \(end.hex)"))
        }
        try region.checkStored(start)
        guard region.reaches(end: end) else { throw .region(.keyNotInRegion(key: end, region: region)) }
        self.engine.deleteRange(from: start, to: end.isEmpty ? nil : end, in: family)
    }

    mutating func rawCompareAndSwap(
        _ request: Kvrpcpb_RawCASRequest, on storeID: UInt64, now: UInt64
    ) throws(StorageError) -> (previous: Data?, succeeded: Bool) {
        try self.checkVersion(request.context, "raw_compare_and_swap", keys: [request.key])
        let family = try self.rawFamily(request.cf)
        try self.checkTTL(request.ttl)
        let region = try self.region(for: request.context, on: storeID)
        let key = self.stored(request.key)
        try Self.checkSize(ofEntry: key.count + request.value.count, in: region)
        try region.checkStored(key)
        return self.engine.compareAndSwap(
            key, expected: request.previousNotExist ? nil : request.previousValue,
            value: request.delete ? nil : request.value, ttl: request.ttl, in: family, now: now)
    }

    /// - Returns: the parts from left to right.
    mutating func splitRegion(
        _ request: Kvrpcpb_SplitRegionRequest, on storeID: UInt64
    ) throws(StorageError) -> [RegionState] {
        var keys = request.splitKey.isEmpty ? request.splitKeys.map { [UInt8]($0) } : [[UInt8](request.splitKey)]
        if !request.isRawKv || self.apiVersion.kind == .v2 { keys = keys.map { MemComparable.encode($0) } }
        let region: RegionState
        do throws(RegionError) {
            region = try self.cluster.checkSplit(RequestTarget(request.context), on: storeID)
            for key in keys { try region.check(key) }
        } catch {
            throw .region(error)
        }
        do throws(ClusterStateError) {
            return try self.cluster.split(region.id, at: keys)
        } catch {
            throw .region(.other("no valid key found for split."))
        }
    }
}
