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
        try self.checkVersion(request.context, request.forCas ? "raw_atomic_store" : "raw_put")
        let key = [UInt8](request.key)
        // As in TiKV, the atomic forms do not limit the key.
        if !request.forCas { try Self.checkSize(ofKey: key) }
        try self.checkTTL(request.ttl)
        let family = try ColumnFamily(name: request.cf)
        let region = try self.region(for: request.context, on: storeID)
        try Self.checkSize(ofEntry: key.count + request.value.count, in: region)
        try region.checkStored(key)
        self.engine.put(key, request.value, ttl: request.ttl, in: family, now: now)
    }

    mutating func rawBatchPut(
        _ request: Kvrpcpb_RawBatchPutRequest, on storeID: UInt64, now: UInt64
    ) throws(StorageError) {
        try self.checkVersion(request.context, request.forCas ? "raw_atomic_store" : "raw_batch_put")
        let family = try ColumnFamily(name: request.cf)
        let keys = request.pairs.map { [UInt8]($0.key) }
        if !request.forCas {
            for key in keys { try Self.checkSize(ofKey: key) }
        }
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
        try self.checkVersion(request.context, request.forCas ? "raw_atomic_store" : "raw_delete")
        let key = [UInt8](request.key)
        if !request.forCas { try Self.checkSize(ofKey: key) }
        let family = try ColumnFamily(name: request.cf)
        let region = try self.region(for: request.context, on: storeID)
        try region.checkStored(key)
        self.engine.delete(key, in: family)
    }

    mutating func rawBatchDelete(_ request: Kvrpcpb_RawBatchDeleteRequest, on storeID: UInt64) throws(StorageError) {
        try self.checkVersion(request.context, request.forCas ? "raw_atomic_store" : "raw_batch_delete")
        let family = try ColumnFamily(name: request.cf)
        let keys = request.keys.map { [UInt8]($0) }
        if !request.forCas {
            for key in keys { try Self.checkSize(ofKey: key) }
        }
        let region = try self.region(for: request.context, on: storeID)
        try Self.checkSize(ofEntry: keys.reduce(0) { $0 + $1.count }, in: region)
        for key in keys { try region.checkStored(key) }
        for key in keys { self.engine.delete(key, in: family) }
    }

    mutating func rawDeleteRange(_ request: Kvrpcpb_RawDeleteRangeRequest, on storeID: UInt64) throws(StorageError) {
        let start = [UInt8](request.startKey)
        let end = [UInt8](request.endKey)
        try Self.checkSize(ofKey: start)
        try Self.checkSize(ofKey: end)
        try self.checkVersion(request.context, "raw_delete_range")
        let family = try ColumnFamily(name: request.cf)
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
        try self.checkVersion(request.context, "raw_compare_and_swap")
        let family = try ColumnFamily(name: request.cf)
        try self.checkTTL(request.ttl)
        let region = try self.region(for: request.context, on: storeID)
        let key = [UInt8](request.key)
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
        if !request.isRawKv { keys = keys.map { MemComparable.encode($0) } }
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
