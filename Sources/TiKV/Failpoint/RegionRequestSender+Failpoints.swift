// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

#if FAILPOINTS

import SwiftProtobuf
import TiKVFailpoints
import TiKVProto
import TiKVTransport

/// The failpoints around requests to stores: those of all requests, and those of the requests of transactions, which are
/// told by their types.
extension RegionRequestSender {
    /// `perform`, with what tests ask for before and after it.
    func performAtFailpoints<Request: RegionRequest, Response: RegionResponse>(
        _ method: RPCMethod<Request, Response>, _ request: Request, options: CallOptions, to store: StoreHandle,
        _ call: inout RegionCall
    ) async throws(TiKVError) -> Result<Response, RPCError> {
        try await Failpoint.beforeSendRequest.hit()
        if Failpoint.requestFailsOnSend.value() != nil {
            return .failure(RPCError(.unavailable, "failpoint requestFailsOnSend", delivery: .notSent))
        }
        var request = request
        if let answer: Response = try await self.before(&request) { return .success(answer) }
        if let kind = Self.resultHook(of: request)?.value()?.text {
            return try Self.result(kind, of: request)
        }
        var result = try await self.perform(method, request, options: options, to: store, &call)
        if case .success(let response) = result { result = .success(try await self.after(request, response)) }
        if Failpoint.requestFailsOnReceive.value() != nil {
            return .failure(RPCError(.unavailable, "failpoint requestFailsOnReceive", delivery: .unknown))
        }
        if Failpoint.requestCancelled.value()?.isTrue == true {
            return .failure(RPCError(.cancelled, "failpoint requestCancelled", delivery: .unknown))
        }
        return result
    }

    /// Fails the call, where a test wants no other try.
    func failAtFailpoint(_ error: RPCError, _ call: inout RegionCall) throws(TiKVError) {
        guard Failpoint.requestNoRetry.value()?.isTrue == true else { return }
        if TransportErrorReaction.isOutcomeUnknown(error) { call.isOutcomeUnknown = true }
        throw TiKVError(.storeUnreachable, "failpoint requestNoRetry", cause: error)
    }

    // MARK: - Before

    /// - Returns: an answer that takes the place of the store's.
    private func before<Request: RegionRequest, Response: RegionResponse>(
        _ request: inout Request
    ) async throws(TiKVError) -> Response? {
        switch request {
        case is Kvrpcpb_GetRequest:
            try await Failpoint.beforeSendPointGet.hit()
        case is Kvrpcpb_CheckTxnStatusRequest:
            try await Failpoint.txnStatusDelay.hit()
        case is Kvrpcpb_ResolveLockRequest:
            try await Failpoint.resolveLock.hit()
        case is Kvrpcpb_PessimisticLockRequest:
            try await Failpoint.beforePessimisticLock.hit()
            if Failpoint.pessimisticLockErrWriteConflict.value() != nil {
                throw Self.conflict("pessimisticLockErrWriteConflict")
            }
        case is Kvrpcpb_PessimisticRollbackRequest:
            if try await Failpoint.beforeAsyncPessimisticRollback.hit()?.text == "skip" {
                return Kvrpcpb_PessimisticRollbackResponse() as? Response
            }
        case is Kvrpcpb_TxnHeartBeatRequest:
            if Failpoint.doNotKeepAlive.value() != nil { return Kvrpcpb_TxnHeartBeatResponse() as? Response }
        case is Kvrpcpb_CommitRequest:
            if Failpoint.commitError.value()?.isTrue == true {
                throw TiKVError(.serverError, "failpoint commitError")
            }
        case var prewrite as Kvrpcpb_PrewriteRequest:
            let hook = prewrite.hasPrimary ? Failpoint.prewritePrimaryFail : .prewriteSecondaryFail
            if hook.value() != nil { throw TiKVError(.serverError, "failpoint \(hook)") }
            let start = Failpoint.prewriteZeroCommitTS.value()?.text
            if start == "\(prewrite.startVersion)" { prewrite.minCommitTs = 0 }
            if Failpoint.prewriteInvalidMaxCommitTS.value() != nil { prewrite.maxCommitTs = 1 }
            if let changed = prewrite as? Request { request = changed }
        default:
            break
        }
        return nil
    }

    private static func conflict(_ name: String) -> TiKVError {
        TiKVError(
            .writeConflict, "failpoint \(name)",
            transaction: TransactionFailure(conflict: TransactionFailure.Conflict(reason: .unknown)))
    }

    // MARK: - In place of the answer

    private static func resultHook(of request: some RegionRequest) -> Failpoint? {
        switch request {
        case is Kvrpcpb_PrewriteRequest: .rpcPrewriteResult
        case is Kvrpcpb_CommitRequest: .rpcCommitResult
        case is Kvrpcpb_BatchGetRequest: .rpcBatchGetResult
        case is Kvrpcpb_ScanRequest: .rpcScanResult
        default: nil
        }
    }

    /// What a kind of result stands for; the request is not sent.
    private static func result<Response: RegionResponse>(
        _ kind: String, of request: some RegionRequest
    ) throws(TiKVError) -> Result<Response, RPCError> {
        var response = Response()
        switch kind {
        case "timeout": return .failure(RPCError(.deadlineExceeded, "failpoint", delivery: .unknown))
        case "notLeader": response.regionError.notLeader.regionID = request.context.regionID
        case "serverIsBusy": response.regionError.serverIsBusy.backoffMs = 1
        case "undeterminedResult": response.regionError.undeterminedResult.message = "failpoint"
        case "writeConflict": throw Self.conflict("writeConflict")
        case "keyError":
            throw TiKVError(.serverError, "failpoint keyError")
        default:
            throw TiKVError(.internalError, "a failpoint names a result that there is not: \(kind)")
        }
        return .success(response)
    }

    // MARK: - After

    private func after<Response: RegionResponse>(
        _ request: some RegionRequest, _ response: Response
    ) async throws(TiKVError) -> Response {
        guard let check = request as? Kvrpcpb_CheckTxnStatusRequest,
            var status = response as? Kvrpcpb_CheckTxnStatusResponse
        else { return response }
        if status.hasError, status.error.hasTxnNotFound, Failpoint.txnNotFoundReturnsTTL.value() != nil {
            status.clearError()
            status.lockTtl = 1_000
        }
        if check.rollbackIfNotExist, Failpoint.txnExpiredReturnsTTL.value() != nil {
            throw TiKVError(.serverError, "failpoint txnExpiredReturnsTTL")
        }
        return status as? Response ?? response
    }
}

extension Kvrpcpb_PrewriteRequest {
    /// Whether the primary is among the keys.
    fileprivate var hasPrimary: Bool { self.mutations.contains { $0.key == self.primaryLock } }
}

#endif
