// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import Testing
import TiKVOrderedMap
import TiKVProto

@testable import TiKVEmbedded

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a store makes of transactional requests before and after their commands, without sockets.
@Suite struct TxnRequestTests {
    /// Two regions that meet at the encoded "m".
    private var model = ClusterModel(
        cluster: ClusterState(
            storeCount: 2, replicaCount: 2, splitKeys: [MemComparable.encode(Array("m".utf8))]), clusterID: 5)

    private func context(region: Int = 0) -> Kvrpcpb_Context {
        let region = self.model.cluster.regions[region]
        return .with {
            $0.regionID = region.id
            $0.regionEpoch = region.epoch.proto
            $0.peer = region.leader?.proto ?? .init()
        }
    }

    private func storeID(_ context: Kvrpcpb_Context) -> UInt64 { context.peer.storeID }

    private func regionError<Result>(_ body: () throws -> Result) -> Errorpb_Error? {
        do {
            _ = try body()
            return nil
        } catch {
            if case .region(let error)? = error as? TxnFailure { return error.proto }
            return nil
        }
    }

    private func keyError<Result>(_ body: () throws -> Result) -> Kvrpcpb_KeyError? {
        do {
            _ = try body()
            return nil
        } catch {
            if case .key(let error)? = error as? TxnFailure { return error.keyError }
            return nil
        }
    }

    private mutating func prewrite(
        _ keys: String..., start: UInt64 = 10, context: Kvrpcpb_Context? = nil, value: Data = Data("v".utf8)
    ) throws {
        let context = context ?? self.context()
        _ = try self.model.txnPrewrite(
            .with {
                $0.context = context
                $0.mutations = keys.map { key in
                    .with {
                        $0.op = .put
                        $0.key = Data(key.utf8)
                        $0.value = value
                    }
                }
                $0.primaryLock = Data(keys[0].utf8)
                $0.startVersion = start
            }, on: self.storeID(context), now: 0)
    }

    // MARK: - Where requests go

    @Test mutating func everyKeyHasToBeInTheRegion() throws {
        #expect(
            self.regionError { try self.prewrite("a", "z") }?.keyNotInRegion.key
                == Data(TxnKey(Array("z".utf8)).encoded))
        #expect(self.model.transactions.engine.store.locks.isEmpty)
        try self.prewrite("z", context: self.context(region: 1))
    }

    @Test mutating func theRegionHasToBeTheCurrentOne() throws {
        var old = self.context()
        old.regionEpoch.version -= 1
        #expect(self.regionError { try self.prewrite("a", context: old) }?.hasEpochNotMatch == true)
        let region = self.model.cluster.regions[0]
        let follower = try #require(region.peers.first { $0.storeID != region.leaderStoreID })
        var other = self.context()
        other.peer = follower.proto
        #expect(self.regionError { try self.prewrite("a", context: other) }?.notLeader.leader == region.leader?.proto)
        // Replicas read where the request allows it, and only then.
        var get = Kvrpcpb_GetRequest.with {
            $0.context = other
            $0.key = Data("a".utf8)
            $0.version = 5
        }
        #expect(
            self.regionError { try self.model.txnGet(get, on: follower.storeID, milliseconds: 1) }?.hasNotLeader == true
        )
        get.context.replicaRead = true
        _ = try self.model.txnGet(get, on: follower.storeID, milliseconds: 1)
        get.context.regionEpoch.version += 1
        #expect(
            self.regionError { try self.model.txnGet(get, on: follower.storeID, milliseconds: 1) }?.hasEpochNotMatch
                == true)
    }

    @Test mutating func keysMoveWithTheirRegions() throws {
        try self.prewrite("c", "k")
        let region = self.model.cluster.regions[0]
        try self.model.cluster.split(region.id, at: [TxnKey(Array("f".utf8)).encoded])
        let scan = Kvrpcpb_ScanLockRequest.with {
            $0.context = self.context(region: 1)
            $0.maxVersion = 100
        }
        let found = try self.model.txnScanLock(scan, on: self.storeID(scan.context))
        #expect(found.map(\.key) == [Array("k".utf8)])
    }

    @Test mutating func rangesMustNotReachOutOfTheRegion() throws {
        func scan(_ start: String, _ end: String, isReversed: Bool, _ model: inout ClusterModel) throws -> EncodedRange
        {
            let context = self.context(region: 1)
            return try model.txnScan(
                .with {
                    $0.context = context
                    $0.startKey = Data(start.utf8)
                    $0.endKey = Data(end.utf8)
                    $0.reverse = isReversed
                }, on: self.storeID(context), milliseconds: 1
            ).range
        }
        let model = self.model
        var copy = model
        #expect(
            self.keyError { try scan("a", "", isReversed: false, &copy) }?.abort.contains("InvalidReqRange") == true)
        #expect(
            self.keyError { try scan("z", "a", isReversed: true, &copy) }?.abort.contains("InvalidReqRange") == true)
        // Without an end, a range ends with its region.
        #expect(try scan("n", "", isReversed: false, &copy).end == nil)
        #expect(try scan("z", "", isReversed: true, &copy).start == TxnKey(Array("m".utf8)).encoded)
    }

    @Test mutating func whatIsTooLargeForOneEntryIsRefused() {
        let value = Data(count: ClusterModel.maximumEntrySize)
        #expect(self.regionError { try self.prewrite("a", value: value) }?.hasRaftEntryTooLarge == true)
    }

    @Test mutating func storesTakeTheirAPIVersionOnly() throws {
        var context = self.context()
        context.apiVersion = .v2
        #expect(
            self.keyError { try self.prewrite("a", context: context) }?.abort
                == "Error(ApiVersionNotMatched { cmd: prewrite, storage_api_version: V1, req_api_version: V2 })")
        var withTTL = ClusterModel(
            cluster: ClusterState(storeCount: 1, replicaCount: 1, splitKeys: []), clusterID: 5, apiVersion: .v1ttl)
        let region = withTTL.cluster.regions[0]
        #expect(
            self.keyError {
                try withTTL.txnGet(
                    .with {
                        $0.context.regionID = region.id
                        $0.context.regionEpoch = region.epoch.proto
                        $0.context.peer = region.peers[0].proto
                    }, on: 1, milliseconds: 1)
            }?.abort.contains("ApiVersionNotMatched") == true)
    }

    /// A store of API V2 takes transactional keys in version V2, and TiDB's in version V1.
    @Test(arguments: [
        (Kvrpcpb_APIVersion.v2, "x\0\0\u{1}k", true), (.v2, "rk", false), (.v1, "tk", true), (.v1, "xk", false),
    ])
    func keysBelongToTheirPartOfAPIV2(version: Kvrpcpb_APIVersion, key: String, isTaken: Bool) throws {
        var model = ClusterModel(
            cluster: ClusterState(storeCount: 1, replicaCount: 1, splitKeys: []), clusterID: 5, apiVersion: .v2)
        let region = model.cluster.regions[0]
        let request = Kvrpcpb_GetRequest.with {
            $0.context.regionID = region.id
            $0.context.regionEpoch = region.epoch.proto
            $0.context.peer = region.peers[0].proto
            $0.context.apiVersion = version
            $0.key = Data(key.utf8)
        }
        let error = self.keyError { try model.txnGet(request, on: 1, milliseconds: 1) }
        #expect((error == nil) == isTaken)
        if let error { #expect(error.abort.contains("InvalidKeyMode")) }
    }

    // MARK: - Requests that make no sense

    @Test mutating func strangeRequestsAreAnsweredAndHarmNothing() throws {
        let context = self.context()
        let storeID = self.storeID(context)
        #expect(
            self.keyError {
                try self.model.txnPrewrite(
                    .with {
                        $0.context = context
                        $0.mutations = [.with { $0.op = .rollback }]
                    }, on: storeID, now: 0)
            }?.abort.isEmpty == false)
        #expect(
            self.keyError {
                try self.model.txnPrewrite(
                    .with {
                        $0.context = context
                        $0.forUpdateTs = 5
                        $0.forUpdateTsConstraints = [.with { $0.index = 3 }]
                    }, on: storeID, now: 0)
            }?.abort.contains("for_update_ts constraint set for index 3") == true)
        #expect(
            self.keyError {
                try self.model.txnPessimisticLock(
                    .with {
                        $0.context = context
                        $0.mutations = [.with { $0.op = .put }]
                    }, on: storeID, now: 0)
            }?.abort.isEmpty == false)
        // Timestamps at the ends of what there is.
        for start: UInt64 in [0, .max] {
            for op in [Kvrpcpb_Op.put, .insert, .checkNotExists, .lock] {
                for isAsync in [false, true] {
                    _ = try? self.model.txnPrewrite(
                        .with {
                            $0.context = context
                            $0.mutations = [
                                .with {
                                    $0.op = op
                                    $0.key = Data("k\(start)\(op)".utf8)
                                }
                            ]
                            $0.startVersion = start
                            $0.lockTtl = .max
                            $0.useAsyncCommit = isAsync
                            $0.tryOnePc = isAsync
                        }, on: storeID, now: 0)
                }
            }
            _ = try? self.model.txnFlush(
                .with {
                    $0.context = context
                    $0.mutations = [.with { $0.key = Data("f\(start)".utf8) }]
                    $0.startTs = start
                    $0.generation = .max
                }, on: storeID, now: 0)
            _ = try? self.model.txnCheckStatus(
                .with {
                    $0.context = context
                    $0.primaryKey = Data("f\(start)".utf8)
                    $0.lockTs = start
                    $0.callerStartTs = .max - 1
                    $0.currentTs = .max
                    $0.rollbackIfNotExist = true
                }, on: storeID, now: 0)
        }
        _ = self.model.safeTS(on: storeID, milliseconds: 0)
        _ = self.model.transactions.engine.store.info(TxnKey([]))
    }

    // MARK: - Answers

    @Test func theTextOfErrorsIsTiKVs() {
        let error = MVCCError.writeConflict(
            startTS: 5, conflictStartTS: 6, conflictCommitTS: 7, key: [107], primary: [112], reason: .optimistic)
        #expect(
            error.keyError.retryable
                == "Error(Txn(Error(Mvcc(Error(WriteConflict { start_ts: TimeStamp(5), conflict_start_ts: TimeStamp(6), "
                + "conflict_commit_ts: TimeStamp(7), key: [107], primary: [112], reason: Optimistic })))))")
        #expect(
            MVCCError.pessimisticLockNotFound(startTS: 5, key: [107], reason: .lockMissingAmendFail).keyError.abort
                == "Error(Txn(Error(Mvcc(Error(PessimisticLockNotFound { start_ts: TimeStamp(5), key: [107], "
                + "reason: LockMissingAmendFail })))))")
        #expect(
            MVCCError.invalidTxnTSO(startTS: 5, commitTS: 4).keyError.abort
                == "Error(Txn(Error(InvalidTxnTso { start_ts: TimeStamp(5), commit_ts: TimeStamp(4) })))")
    }

    @Test func sharedLocksNameTheirHolders() {
        var shared = SharedLocks()
        for start: UInt64 in [6, 5] {
            shared.set(LockRecord(kind: .pessimistic, primary: [UInt8(start)], startTS: start, ttl: 1))
        }
        let info = LockDescription(TxnKey([107]), .shared(shared)).lockInfo
        #expect(info.lockType == .sharedLock)
        #expect(info.key == Data([107]))
        #expect(info.sharedLockInfos.map(\.lockVersion) == [5, 6])
        #expect(info.lockVersion == 0)
    }

    @Test func resultsOfLocksTakeTheFormThatWasAskedFor() {
        let values = TxnStorage.LockResult([.value(Data([1])), .value(nil)])
        let old = Kvrpcpb_PessimisticLockResponse(values, isPerKey: false)
        #expect(old.values == [Data([1]), Data()])
        #expect(old.notFounds == [false, true])
        #expect(old.results.isEmpty)
        let forced = Kvrpcpb_PessimisticLockResponse(values, isPerKey: true)
        #expect(forced.results.map(\.existence) == [true, false])
        #expect(forced.values.isEmpty)
        let failed = Kvrpcpb_PessimisticLockResponse(
            TxnStorage.LockResult(.region(.staleCommand), isPerKey: true), isPerKey: true)
        #expect(failed.regionError.hasStaleCommand)
        #expect(failed.results.map(\.type) == [.lockResultFailed])
    }
}
