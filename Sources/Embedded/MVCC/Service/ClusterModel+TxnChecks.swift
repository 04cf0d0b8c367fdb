// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import TiKVOrderedMap
import TiKVProto

extension ClusterModel {
    // MARK: - Where a request goes

    /// The region of a write, or of a read that goes to the leader.
    func leaderRegion(_ context: Kvrpcpb_Context, on storeID: UInt64) throws(TxnFailure) -> RegionState {
        do throws(StorageError) {
            return try self.region(for: context, on: storeID)
        } catch {
            throw TxnFailure(error)
        }
    }

    /// The region of a read, which any replica may answer if the request allows it, and what the read needs to know of
    /// that.
    ///
    /// - Parameter timestamp: what is read at; a stale read has to wait until the replica has come so far.
    mutating func readRegion(
        _ context: Kvrpcpb_Context, on storeID: UInt64, at timestamp: UInt64, milliseconds: UInt64
    ) throws(TxnFailure) -> RegionState {
        let region: RegionState
        if context.replicaRead || context.staleRead {
            do throws(RegionError) {
                region = try self.cluster.checkReplica(RequestTarget(context), on: storeID)
            } catch {
                throw .region(error)
            }
        } else {
            region = try self.leaderRegion(context, on: storeID)
        }
        if context.staleRead {
            let safeTS = self.safeTS(on: storeID, milliseconds: milliseconds)
            if timestamp > safeTS {
                let peer = region.peer(on: storeID)?.id ?? 0
                throw .region(.dataIsNotReady(region: region.id, peer: peer, safeTS: safeTS))
            }
        } else {
            self.transactions.raiseMaxTS(to: timestamp)
        }
        return region
    }

    /// Up to where replicas on a store can answer alone: below the locks, and below what may still be committed.
    mutating func safeTS(on storeID: UInt64, milliseconds: UInt64) -> UInt64 {
        if let held = self.heldSafeTS[storeID] ?? self.heldSafeTS[0] { return held }
        let now = milliseconds + self.clockOffsetMilliseconds
        var safeTS = now << TimestampOracle.logicalBits
        for (_, lock) in self.transactions.engine.store.locks(in: EncodedRange()) {
            for record in lock.records where !record.isPessimistic && record.startTS > 0 {
                safeTS = min(safeTS, record.startTS - 1)
            }
        }
        // Nobody who makes a timestamp up may go below what has been promised.
        self.transactions.raiseMaxTS(to: safeTS)
        return safeTS
    }

    // MARK: - API versions

    /// Which requests a store takes (tikv `src/storage/mod.rs`, `check_api_version`). A store of API V1 with TTL has no
    /// transactions; one of API V2 takes keys of TiDB in version V1, and of its transactional part in version V2.
    func checkTxnVersion(
        _ context: Kvrpcpb_Context, _ command: String, _ keys: [TxnKey]
    ) throws(TxnFailure) {
        let storage = self.apiVersion.name
        let prefixes: [UInt8]
        switch (self.apiVersion.kind, context.apiVersion) {
        case (.v1, .v1): return
        case (.v2, .v1): prefixes = [UInt8(ascii: "m"), UInt8(ascii: "t")]
        case (.v2, .v2): prefixes = [UInt8(ascii: "x")]
        default:
            throw .key(
                .apiVersionNotMatched(command: command, storage: storage, request: context.apiVersion.tikvName))
        }
        for key in keys where key.raw.first.map({ !prefixes.contains($0) }) ?? true {
            throw .key(.invalidKeyMode(command: command, storage: storage, key: key.encoded))
        }
    }
}

extension ClusterState {
    /// The checks of a read that need not go to the leader.
    func checkReplica(_ target: RequestTarget, on storeID: UInt64) throws(RegionError) -> RegionState {
        guard target.storeID == storeID else {
            throw .storeNotMatch(requested: target.storeID, actual: storeID)
        }
        guard let region = self.region(target.regionID), let peer = region.peer(on: storeID) else {
            throw .regionNotFound(target.regionID)
        }
        guard target.peerID == peer.id else {
            throw .mismatchPeerID(requested: target.peerID, actual: peer.id)
        }
        guard let epoch = target.epoch else { throw .other("missing epoch!") }
        guard epoch.version == region.epoch.version else {
            throw .epochNotMatch(
                sent: epoch, current: region,
                regions: self.regionWithSiblings(of: region, knownVersion: epoch.version, on: storeID))
        }
        return region
    }
}

extension RegionState {
    func checkKey(_ key: TxnKey) throws(TxnFailure) {
        if !self.contains(key.encoded) { throw .region(.keyNotInRegion(key: key.encoded, region: self)) }
    }

    func checkKeys(_ keys: [TxnKey]) throws(TxnFailure) {
        for key in keys { try self.checkKey(key) }
    }

    /// The part of a range that the region has. Unlike the raw API, the transactional one refuses ranges that reach out
    /// of it (tikv `src/storage/txn/store.rs`, `verify_range`), except for those without an end.
    func checkRange(start: [UInt8]?, end: [UInt8]?) throws(TxnFailure) -> EncodedRange {
        let isBelow = start.map { KeyOrder.isLess($0, self.startKey) } ?? false
        let isAbove = !self.endKey.isEmpty && (end.map { KeyOrder.isLess(self.endKey, $0) } ?? false)
        if isBelow || isAbove {
            throw .key(
                .invalidRequestRange(start: start, end: end, lowerBound: self.startKey, upperBound: self.endKey))
        }
        return EncodedRange(start: start ?? [], end: end).clamped(start: self.startKey, end: self.endKey)
    }
}
