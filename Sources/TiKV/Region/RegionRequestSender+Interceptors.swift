// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TiKVPD
import TiKVProto
import TiKVTransport

extension RegionRequestSender {
    /// Sends one RPC to a store, through the interceptors where there are any. Every RPC to a store goes through here.
    ///
    /// - Returns: the answer, or why there was none.
    /// - Throws: what an interceptor throws on its own account.
    func perform<Request: RegionRequest, Response: RegionResponse>(
        _ method: RPCMethod<Request, Response>, _ request: Request, options: CallOptions, to store: StoreHandle,
        _ call: inout RegionCall
    ) async throws(TiKVError) -> Result<Response, RPCError> {
        var request = request
        var options = options
        let turn = try await self.beginResources(method.name, &request, call)
        if let wait = turn?.charge?.wait, wait > .zero {
            options.timeout = min(options.timeout ?? wait, call.deadline.remaining(at: self.clock.now))
        }
        let priority = RequestPriority.scoped
        // Written only where it says something, as it would copy the request.
        if priority != .normal { request.context.priority = priority.command }
        let override = request.context.resourceControlContext.overridePriority
        options.priority = override > 0 ? override : priority.transport
        let chain = self.interceptors.adding(RPCInterceptorChain.scoped)
        guard !chain.isEmpty else {
            do throws(RPCError) {
                let response: Response = try await store.channel.unary(method, request, options: options)
                if let turn { self.endResources(turn, response) }
                return .success(response)
            } catch {
                return .failure(error)
            }
        }
        let sending = Sending()
        let limit = options.timeout ?? .zero
        let rpc = InterceptedRPC(
            method: method.name, address: "\(store.address)", storeID: store.id, regionID: request.context.regionID,
            attempt: call.sends, isWrite: call.isWrite,
            priority: RequestPriority(request.context.priority), timeout: limit,
            requestSource: request.context.requestSource, metadata: [:])
        let prepared = (request, options)
        let next = RPCInterceptorNext<Response>(rest: chain.interceptors[...]) { rpc in
            var (request, options) = prepared
            request.context.requestSource = rpc.requestSource
            options.timeout = min(rpc.timeout, limit)
            for (name, value) in rpc.metadata { options.metadata.add(value, for: name) }
            do throws(RPCError) {
                let answer: Response = try await store.channel.unary(method, request, options: options)
                sending.hadEffect.store(true, ordering: .relaxed)
                return answer
            } catch {
                // Never taken back: an interceptor may send more than once, and what a later try says is not about this one.
                if TransportErrorReaction.isOutcomeUnknown(error) { sending.hadEffect.store(true, ordering: .relaxed) }
                throw RPCFailure(error)
            }
        }
        do {
            let response = try await next(rpc)
            if let turn { self.endResources(turn, response) }
            return .success(response)
        } catch let failure as RPCFailure {
            if sending.hadEffect.load(ordering: .relaxed) { call.isOutcomeUnknown = true }
            return .failure(failure.error)
        } catch {
            // The request was sent, and its answer is lost to the caller.
            if sending.hadEffect.load(ordering: .relaxed) { call.isOutcomeUnknown = true }
            switch error {
            case let error as TiKVError: throw error
            case is CancellationError: throw TiKVError(.cancelled, "the task was cancelled")
            default: throw TiKVError(.interceptorFailed, "an RPC interceptor threw an error", cause: error)
            }
        }
    }

    /// Whether the RPC may have been carried out, in any of the times it was sent, whatever interceptors make of that.
    private final class Sending: Sendable {
        let hadEffect = Atomic(false)
    }
}
