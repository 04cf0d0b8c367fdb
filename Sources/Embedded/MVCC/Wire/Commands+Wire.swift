// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf
import TiKVProto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Requests as commands (tikv `src/storage/txn/commands/mod.rs`).
extension PrewriteCommand {
    init(_ request: Kvrpcpb_PrewriteRequest) throws(MVCCError) {
        var mutations: [Mutation] = []
        for mutation in request.mutations { mutations.append(try Mutation(mutation)) }
        if request.forUpdateTs != 0 {
            // As in TiKV, mutations for which there is no action do not count.
            mutations = zip(mutations, request.pessimisticActions).map { mutation, action in
                var mutation = mutation
                mutation.pessimisticAction =
                    switch action {
                    case .doPessimisticCheck: .check
                    case .doConstraintCheck: .constraintCheck
                    case .skipPessimisticCheck, .UNRECOGNIZED: .skip
                    }
                return mutation
            }
            for constraint in request.forUpdateTsConstraints {
                guard let index = Int(exactly: constraint.index), index < mutations.count else {
                    throw .other(
                        "prewrite request invalid: for_update_ts constraint set for index \(constraint.index) "
                            + "while \(mutations.count) mutations were given")
                }
                mutations[index].expectedForUpdateTS = constraint.expectedForUpdateTs
            }
        }
        self.init(
            mutations: mutations, primary: [UInt8](request.primaryLock), startTS: request.startVersion,
            lockTTL: request.lockTtl, skipsConstraintCheck: request.skipConstraintCheck, txnSize: request.txnSize,
            forUpdateTS: request.forUpdateTs, minCommitTS: request.minCommitTs, maxCommitTS: request.maxCommitTs,
            secondaries: request.useAsyncCommit ? request.secondaries.map { [UInt8]($0) } : nil,
            triesOnePhase: request.tryOnePc, assertionLevel: AssertionLevel(request.assertionLevel),
            isRetry: request.context.isRetryRequest, txnSource: request.context.txnSource)
    }
}

extension FlushCommand {
    init(_ request: Kvrpcpb_FlushRequest) throws(MVCCError) {
        var mutations: [Mutation] = []
        for mutation in request.mutations { mutations.append(try Mutation(mutation)) }
        self.init(
            mutations: mutations, primary: [UInt8](request.primaryKey), startTS: request.startTs,
            generation: request.generation, lockTTL: request.lockTtl,
            assertionLevel: AssertionLevel(request.assertionLevel), isRetry: request.context.isRetryRequest,
            txnSource: request.context.txnSource)
    }
}

extension PessimisticLockCommand {
    init(_ request: Kvrpcpb_PessimisticLockRequest) throws(MVCCError) {
        var items: [Item] = []
        for mutation in request.mutations {
            guard mutation.op == .pessimisticLock || mutation.op == .sharedPessimisticLock else {
                throw .other("mismatch Op in pessimistic lock mutations")
            }
            items.append(
                Item(
                    key: TxnKey([UInt8](mutation.key)), mustNotExist: mutation.assertion == .notExist,
                    isShared: mutation.op == .sharedPessimisticLock))
        }
        let parameters = PessimisticLockParameters(
            primary: [UInt8](request.primaryLock), startTS: request.startVersion, lockTTL: request.lockTtl,
            forUpdateTS: request.forUpdateTs, minCommitTS: request.minCommitTs, returnsValues: request.returnValues,
            checksExistence: request.checkExistence, locksOnlyIfExists: request.lockOnlyIfExists,
            allowsConflict: request.wakeUpMode == .wakeUpModeForceLock, isFirstLock: request.isFirstLock,
            resourceGroupTag: [UInt8](request.context.resourceGroupTag))
        self.init(items: items, parameters: parameters)
    }
}

extension TxnStatusCheck {
    init(_ request: Kvrpcpb_CheckTxnStatusRequest) {
        self.init(
            primary: TxnKey([UInt8](request.primaryKey)), lockTS: request.lockTs,
            callerStartTS: request.callerStartTs, currentTS: request.currentTs,
            rollsBackIfMissing: request.rollbackIfNotExist, forcesSyncCommit: request.forceSyncCommit,
            isResolvingPessimistic: request.resolvingPessimisticLock, verifiesPrimary: request.verifyIsPrimary)
    }
}

extension Mutation {
    init(_ mutation: Kvrpcpb_Mutation) throws(MVCCError) {
        let kind: Kind
        switch mutation.op {
        case .put: kind = .put
        case .del: kind = .delete
        case .lock: kind = .lock
        case .insert: kind = .insert
        case .checkNotExists: kind = .checkNotExists
        case .sharedLock: kind = .sharedLock
        case .rollback, .pessimisticLock, .sharedPessimisticLock, .UNRECOGNIZED:
            throw .other("mismatch Op in prewrite mutations")
        }
        let assertion: Assertion =
            switch mutation.assertion {
            case .exist: .exist
            case .notExist: .notExist
            case .none, .UNRECOGNIZED: .none
            }
        self.init(kind: kind, key: TxnKey([UInt8](mutation.key)), value: mutation.value, assertion: assertion)
    }
}

extension AssertionLevel {
    fileprivate init(_ level: Kvrpcpb_AssertionLevel) {
        switch level {
        case .fast: self = .fast
        case .strict: self = .strict
        case .off, .UNRECOGNIZED: self = .off
        }
    }
}

extension SnapshotRead {
    /// A read at a timestamp, with what the request's context says about locks.
    init(_ store: MVCCStore, at timestamp: UInt64, _ context: Kvrpcpb_Context) {
        let isolation: Isolation =
            switch context.isolationLevel {
            case .rc: .readCommitted
            case .rccheckTs: .readCommittedCheckingTS
            case .si, .UNRECOGNIZED: .snapshot
            }
        self.init(
            store: store, timestamp: timestamp, isolation: isolation, bypassedLocks: context.resolvedLocks,
            accessedLocks: context.committedLocks, isReplicaRead: context.replicaRead)
    }
}
