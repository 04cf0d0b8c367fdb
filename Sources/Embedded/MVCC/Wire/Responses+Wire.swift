// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// An answer that has a place for what is wrong with a key.
protocol KeyErrorResponse: RegionResponse {
    mutating func setError(_ error: Kvrpcpb_KeyError)
}

extension KeyErrorResponse {
    mutating func setError(_ text: String) {
        self.setError(.with { $0.abort = text })
    }
}

/// An answer with one error.
protocol SingleKeyErrorResponse: KeyErrorResponse {
    var error: Kvrpcpb_KeyError { get set }
}

extension SingleKeyErrorResponse {
    mutating func setError(_ error: Kvrpcpb_KeyError) {
        self.error = error
    }
}

/// An answer with an error for each key.
protocol KeyErrorsResponse: KeyErrorResponse {
    var errors: [Kvrpcpb_KeyError] { get set }
}

extension KeyErrorsResponse {
    mutating func setError(_ error: Kvrpcpb_KeyError) {
        self.errors = [error]
    }
}

/// An answer of pairs, which names an error of the whole request in its first pair as well, for old clients.
protocol KeyErrorPairsResponse: SingleKeyErrorResponse {
    var pairs: [Kvrpcpb_KvPair] { get set }
}

extension KeyErrorPairsResponse {
    mutating func setError(_ error: Kvrpcpb_KeyError) {
        self.error = error
        self.pairs = [.with { $0.error = error }]
    }
}

extension Kvrpcpb_GetResponse: SingleKeyErrorResponse {}
extension Kvrpcpb_ScanResponse: KeyErrorPairsResponse {}
extension Kvrpcpb_BatchGetResponse: KeyErrorPairsResponse {}
extension Kvrpcpb_BufferBatchGetResponse: SingleKeyErrorResponse {}
extension Kvrpcpb_PrewriteResponse: KeyErrorsResponse {}
extension Kvrpcpb_FlushResponse: KeyErrorsResponse {}
extension Kvrpcpb_PessimisticLockResponse: KeyErrorsResponse {}
extension Kvrpcpb_PessimisticRollbackResponse: KeyErrorsResponse {}
extension Kvrpcpb_CommitResponse: SingleKeyErrorResponse {}
extension Kvrpcpb_CleanupResponse: SingleKeyErrorResponse {}
extension Kvrpcpb_BatchRollbackResponse: SingleKeyErrorResponse {}
extension Kvrpcpb_TxnHeartBeatResponse: SingleKeyErrorResponse {}
extension Kvrpcpb_CheckTxnStatusResponse: SingleKeyErrorResponse {}
extension Kvrpcpb_CheckSecondaryLocksResponse: SingleKeyErrorResponse {}
extension Kvrpcpb_ScanLockResponse: SingleKeyErrorResponse {}
extension Kvrpcpb_ResolveLockResponse: SingleKeyErrorResponse {}
extension Kvrpcpb_DeleteRangeResponse: TextErrorResponse {}
extension Kvrpcpb_UnsafeDestroyRangeResponse: TextErrorResponse {}
extension Kvrpcpb_MvccGetByKeyResponse: TextErrorResponse {}
extension Kvrpcpb_MvccGetByStartTsResponse: TextErrorResponse {}
extension Kvrpcpb_GetLockWaitInfoResponse: TextErrorResponse {}

extension Kvrpcpb_GetRequest: RegionRequest {}
extension Kvrpcpb_ScanRequest: RegionRequest {}
extension Kvrpcpb_BatchGetRequest: RegionRequest {}
extension Kvrpcpb_BufferBatchGetRequest: RegionRequest {}
extension Kvrpcpb_PrewriteRequest: RegionRequest {}
extension Kvrpcpb_FlushRequest: RegionRequest {}
extension Kvrpcpb_PessimisticLockRequest: RegionRequest {}
extension Kvrpcpb_PessimisticRollbackRequest: RegionRequest {}
extension Kvrpcpb_CommitRequest: RegionRequest {}
extension Kvrpcpb_CleanupRequest: RegionRequest {}
extension Kvrpcpb_BatchRollbackRequest: RegionRequest {}
extension Kvrpcpb_TxnHeartBeatRequest: RegionRequest {}
extension Kvrpcpb_CheckTxnStatusRequest: RegionRequest {}
extension Kvrpcpb_CheckSecondaryLocksRequest: RegionRequest {}
extension Kvrpcpb_ScanLockRequest: RegionRequest {}
extension Kvrpcpb_ResolveLockRequest: RegionRequest {}
extension Kvrpcpb_DeleteRangeRequest: RegionRequest {}
extension Kvrpcpb_UnsafeDestroyRangeRequest: RegionRequest {}
extension Kvrpcpb_MvccGetByKeyRequest: RegionRequest {}
extension Kvrpcpb_MvccGetByStartTsRequest: RegionRequest {}
extension Kvrpcpb_GetLockWaitInfoRequest: RegionRequest {}

// MARK: - Contents

extension Kvrpcpb_PessimisticLockResponse {
    /// - Parameter isPerKey: whether the request takes locks in spite of conflicts, and gets a result for each key.
    init(_ result: TxnStorage.LockResult, isPerKey: Bool) {
        self.init()
        switch result.failure {
        case .region(let error): self.regionError = error.proto
        case .key(let error): self.errors = [error.keyError]
        case nil: break
        }
        if isPerKey {
            self.results = result.results.map(\.proto)
            return
        }
        if result.failure != nil { return }
        for result in result.results {
            switch result {
            case .value(let value):
                self.values.append(value ?? Data())
                self.notFounds.append(value == nil)
            case .existence(let exists): self.notFounds.append(!exists)
            case .empty, .lockedWithConflict, .failed: break
            }
        }
    }
}

extension PessimisticLockKeyResult {
    fileprivate var proto: Kvrpcpb_PessimisticLockKeyResult {
        .with {
            switch self {
            case .empty: break
            case .value(let value):
                $0.existence = value != nil
                $0.value = value ?? Data()
            case .existence(let exists): $0.existence = exists
            case .lockedWithConflict(let value, let conflictTS):
                $0.type = .lockResultLockedWithConflict
                $0.existence = value != nil
                $0.value = value ?? Data()
                $0.lockedWithConflictTs = conflictTS
            case .failed: $0.type = .lockResultFailed
            }
        }
    }
}

extension Kvrpcpb_CheckTxnStatusResponse {
    init(_ status: TxnStatus) {
        self.init()
        switch status {
        case .rolledBack: self.action = .noAction
        case .ttlExpired: self.action = .ttlexpireRollback
        case .lockNotExist: self.action = .lockNotExistRollback
        case .committed(let commitTS): self.commitVersion = commitTS
        case .uncommitted(let lock, let minCommitTSPushed):
            if minCommitTSPushed { self.action = .minCommitTspushed }
            self.lockTtl = lock.ttl
            self.lockInfo = lock.lockInfo(key: lock.primary)
        case .pessimisticRolledBack: self.action = .ttlexpirePessimisticRollback
        case .lockNotExistDoNothing: self.action = .lockNotExistDoNothing
        }
    }
}

extension Kvrpcpb_CheckSecondaryLocksResponse {
    init(_ status: SecondaryLocksStatus) {
        self.init()
        switch status {
        case .locked(let locks): self.locks = locks.map(\.lockInfo)
        case .committed(let commitTS): self.commitTs = commitTS
        case .rolledBack: break
        }
    }
}

extension Kvrpcpb_KvPair {
    init(_ result: SnapshotRead.ScanResult, needsCommitTS: Bool = false) {
        self.init()
        switch result {
        case .success(let entry):
            self.key = Data(entry.key)
            self.value = entry.value
            if needsCommitTS { self.commitTs = entry.commitTS }
        case .failure(let error):
            self.error = error.keyError
        }
    }
}

extension Kvrpcpb_ExecDetailsV2 {
    /// What a read went through. There are no times: nothing here reads a clock.
    init(_ entries: some Collection<SnapshotRead.Entry>) {
        self.init()
        self.scanDetailV2 = .with {
            $0.processedVersions = UInt64(entries.count)
            $0.totalVersions = UInt64(entries.count)
            $0.processedVersionsSize = entries.reduce(0) { $0 + UInt64($1.key.count + $1.value.count) }
        }
    }
}
