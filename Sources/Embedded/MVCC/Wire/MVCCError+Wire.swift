// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension MVCCError {
    /// The error as clients get it (tikv `src/storage/errors.rs`, `extract_key_error`).
    var keyError: Kvrpcpb_KeyError {
        var result = Kvrpcpb_KeyError()
        switch self {
        case .keyIsLocked(let lock):
            result.locked = lock.lockInfo
        case .writeConflict(let startTS, let conflictStartTS, let conflictCommitTS, let key, let primary, let reason):
            result.conflict = .with {
                $0.startTs = startTS
                $0.conflictTs = conflictStartTS
                $0.conflictCommitTs = conflictCommitTS
                $0.key = Data(key)
                $0.primary = Data(primary)
                $0.reason = reason.proto
            }
            result.retryable = self.debugText
        case .alreadyExist(let key, _):
            result.alreadyExist.key = Data(key)
        case .txnLockNotFound(_, _, let key):
            result.retryable = self.debugText
            result.txnLockNotFound.key = Data(key)
        case .txnNotFound(let startTS, let key):
            result.txnNotFound = .with {
                $0.startTs = startTS
                $0.primaryKey = Data(key)
            }
        case .deadlock(_, let lockTS, let key, let keyHash, let chain):
            result.deadlock = .with {
                $0.lockTs = lockTS
                $0.lockKey = Data(key)
                $0.deadlockKeyHash = keyHash
                $0.waitChain = chain.map(\.proto)
            }
        case .commitTSExpired(let startTS, let commitTS, let key, let minCommitTS):
            result.commitTsExpired = .with {
                $0.startTs = startTS
                $0.attemptedCommitTs = commitTS
                $0.key = Data(key)
                $0.minCommitTs = minCommitTS
            }
        case .commitTSTooLarge(_, let minCommitTS, _):
            result.commitTsTooLarge.commitTs = minCommitTS
        case .assertionFailed(let startTS, let key, let assertion, let existingStartTS, let existingCommitTS):
            result.assertionFailed = .with {
                $0.startTs = startTS
                $0.key = Data(key)
                $0.assertion = assertion.proto
                $0.existingStartTs = existingStartTS
                $0.existingCommitTs = existingCommitTS
            }
        case .primaryMismatch(let lock):
            result.primaryMismatch.lockInfo = lock.lockInfo
        case .committed, .pessimisticLockRolledBack, .pessimisticLockNotFound, .lockTypeNotMatch,
            .lockIfExistsFailed, .generationOutOfOrder, .invalidTxnTSO, .notInShrinkMode, .other,
            .invalidRequestRange, .apiVersionNotMatched, .invalidKeyMode:
            result.abort = self.debugText
        }
        return result
    }
}

extension MVCCError.ConflictReason {
    fileprivate var proto: Kvrpcpb_WriteConflict.Reason {
        switch self {
        case .optimistic: .optimistic
        case .pessimisticRetry: .pessimisticRetry
        case .selfRolledBack: .selfRolledBack
        case .rcCheckTS: .rcCheckTs
        case .lazyUniquenessCheck: .lazyUniquenessCheck
        }
    }
}

extension LockDescription {
    /// The lock as clients are told of it. One that is shared names no holder of its own.
    var lockInfo: Kvrpcpb_LockInfo {
        var info: Kvrpcpb_LockInfo
        switch self.lock {
        case .exclusive(let lock):
            info = lock.lockInfo(key: self.key)
        case .shared(let shared):
            info = Kvrpcpb_LockInfo()
            info.lockType = .sharedLock
            info.key = Data(self.key)
            info.sharedLockInfos = shared.locks.map { $0.lockInfo(key: self.key) }
        }
        info.durationToLastUpdateMs = self.durationToLastUpdate
        return info
    }
}

extension LockRecord {
    func lockInfo(key: [UInt8]) -> Kvrpcpb_LockInfo {
        .with {
            $0.primaryLock = Data(self.primary)
            $0.lockVersion = self.startTS
            $0.key = Data(key)
            $0.lockTtl = self.ttl
            $0.txnSize = self.txnSize
            $0.lockType = self.kind.proto
            $0.lockForUpdateTs = self.forUpdateTS
            $0.useAsyncCommit = self.usesAsyncCommit
            $0.minCommitTs = self.minCommitTS
            $0.secondaries = self.secondaries.map { Data($0) }
        }
    }
}

extension LockRecord.Kind {
    var proto: Kvrpcpb_Op {
        switch self {
        case .put: .put
        case .delete: .del
        case .lock: .lock
        case .pessimistic: .pessimisticLock
        }
    }
}

extension WaitForEntry {
    var proto: Deadlock_WaitForEntry {
        .with {
            $0.txn = self.txn
            $0.waitForTxn = self.waitForTxn
            $0.keyHash = self.keyHash
            $0.key = Data(self.key)
            $0.resourceGroupTag = Data(self.resourceGroupTag)
            $0.waitTime = self.waitTime
        }
    }
}

extension Mutation.Assertion {
    fileprivate var proto: Kvrpcpb_Assertion {
        switch self {
        case .none: .none
        case .exist: .exist
        case .notExist: .notExist
        }
    }
}
