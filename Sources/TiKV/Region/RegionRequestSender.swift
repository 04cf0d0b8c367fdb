// TiKV for Swift
// SPDX-License-Identifier: Apache-2.0

import Logging
import TiKVPD
import TiKVProto
import TiKVTransport

/// The one way by which requests go to regions: find the region, send to its leader, and where that goes wrong correct what
/// is known, wait if need be, and send again, until there is an answer or the call's time is over.
///
/// Decisions are made by `RegionErrorReaction`, `TransportErrorReaction` and `Backoff`; this carries them out.
final class RegionRequestSender: Sendable {
    let cache: RegionCache
    let stores: StoreConnections
    let lifecycle: ClientLifecycle
    let codecs: CodecSource
    let clock: any TimeSource
    let random: @Sendable () -> Double
    let logger: Logger
    /// Those that stand around every RPC of the client.
    let interceptors: RPCInterceptorChain
    /// What requests are made for, where their callers say nothing else.
    let source: String

    init(
        cache: RegionCache, stores: StoreConnections, lifecycle: ClientLifecycle, codecs: CodecSource,
        clock: any TimeSource, random: @escaping @Sendable () -> Double, interceptors: RPCInterceptorChain = .init(),
        source: RequestSource = .init(), logger: Logger
    ) {
        self.interceptors = interceptors
        self.source = source.label
        self.cache = cache
        self.stores = stores
        self.lifecycle = lifecycle
        self.codecs = codecs
        self.clock = clock
        self.random = random
        self.logger = logger
    }

    // MARK: - One key

    /// Sends a request to the region that holds a key.
    ///
    /// - Parameter isRepeatable: false where doing it twice is not the same as doing it once, so that it must not be sent
    ///   again once it may have taken effect.
    func send<Request: RegionRequest, Response: RegionResponse>(
        _ method: RPCMethod<Request, Response>, _ request: Request, key: [UInt8], timeout: Duration, isWrite: Bool,
        isRepeatable: Bool = true
    ) async throws(TiKVError) -> Response {
        var call = try await self.begin(timeout: timeout, isWrite: isWrite, isRepeatable: isRepeatable)
        defer { self.lifecycle.end() }
        do throws(TiKVError) {
            var request = request
            while true {
                let region = try await self.locate(key, &call)
                if let response = try await self.deliver(method, &request, to: region, &call) { return response }
            }
        } catch {
            throw call.final(error)
        }
    }

    /// Begins a call, which must end with the lifecycle's `end()`: its time runs from here. Waits until the client runs.
    func begin(
        timeout: Duration, isWrite: Bool, isRepeatable: Bool = true
    ) async throws(TiKVError) -> RegionCall {
        var call = RegionCall(deadline: Deadline(after: timeout, from: self.clock.now), isWrite: isWrite)
        call.isRepeatable = isRepeatable
        try await self.lifecycle.begin(deadline: call.deadline)
        do throws(TiKVError) {
            call.codec = try await self.codecs.codec(deadline: call.deadline)
        } catch {
            self.lifecycle.end()
            throw error
        }
        return call
    }

    // MARK: - Locating

    /// The region that holds a key.
    func locate(_ key: [UInt8], _ call: inout RegionCall) async throws(TiKVError) -> CachedRegion {
        if let region = self.cache.known(containing: key, now: self.clock.now) { return region }
        while true {
            if let region = try await self.loaded(
                &call,
                { deadline async throws(TiKVError) in
                    try await self.cache.load(containing: key, deadline: deadline)
                })
            {
                return region
            }
        }
    }

    /// The region that holds the keys just before `key`; an empty key stands for the end of all keys.
    func locate(before key: [UInt8], _ call: inout RegionCall) async throws(TiKVError) -> CachedRegion {
        if let region = self.cache.known(before: key, now: self.clock.now) { return region }
        while true {
            if let region = try await self.loaded(
                &call,
                { deadline async throws(TiKVError) in
                    try await self.cache.load(before: key, deadline: deadline)
                })
            {
                return region
            }
        }
    }

    /// The region that holds a span's start; where it isn't known, those after it are asked for at the same time.
    func locate(startOf span: KeySpan, _ call: inout RegionCall) async throws(TiKVError) -> CachedRegion {
        if let region = self.cache.known(containing: span.start, now: self.clock.now) { return region }
        while true {
            if let region = try await self.loaded(
                &call,
                { deadline async throws(TiKVError) in
                    try await self.cache.load(span: span, deadline: deadline)
                    return self.cache.known(containing: span.start, now: self.clock.now)
                })
            {
                return region
            }
        }
    }

    private func loaded(
        _ call: inout RegionCall, _ load: (Deadline) async throws(TiKVError) -> CachedRegion?
    ) async throws(TiKVError) -> CachedRegion? {
        try self.check(call)
        do throws(TiKVError) {
            if let region = try await load(call.deadline) { return region }
        } catch {
            throw call.failed(toAskPD: error, hasDeadlinePassed: call.deadline.hasPassed(at: self.clock.now))
        }
        call.record(.regionUnavailable, "PD knows no region for the key")
        try await self.wait(.regionMiss, &call)
        return nil
    }

    // MARK: - Delivering

    /// Sends a request to a region, and again as long as it is this region that it should go to. Its keys, and those of the
    /// answer, are the application's.
    ///
    /// - Returns: nil where the request must be routed anew.
    func deliver<Request: RegionRequest, Response: RegionResponse>(
        _ method: RPCMethod<Request, Response>, _ request: inout Request, to region: CachedRegion,
        _ call: inout RegionCall
    ) async throws(TiKVError) -> Response? {
        guard call.codec.changesKeys else { return try await self.transmit(method, &request, to: region, &call) }
        var encoded = call.codec.encode(request)
        return try await self.transmit(method, &encoded, to: region, &call)
    }

    /// The same, with the keys as the store knows them in the request, and the application's in the answer.
    private func transmit<Request: RegionRequest, Response: RegionResponse>(
        _ method: RPCMethod<Request, Response>, _ request: inout Request, to region: CachedRegion,
        _ call: inout RegionCall
    ) async throws(TiKVError) -> Response? {
        var region = region
        while true {
            guard let store = try await self.store(of: region, &call) else { return nil }
            let remaining = call.deadline.remaining(at: self.clock.now)
            guard remaining > .zero else { throw call.expired() }
            request.context = region.context
            call.codec.stamp(&request.context)
            if call.sends > 0 { request.context.isRetryRequest = true }
            call.sends += 1
            request.context.requestSource = self.requestSource(call)

            let result = try await self.perform(
                method, request, options: CallOptions(timeout: remaining), to: store, &call)
            let next: CachedRegion?
            switch result {
            case .success(var response):
                do throws(KeyCodecError) {
                    try call.codec.decode(&response)
                } catch {
                    throw TiKVError(error)
                }
                guard response.hasRegionError else { return response }
                next = try await self.react(to: response.regionError, from: store, region, &call)
            case .failure(let error):
                next = try await self.react(to: error, from: store, region, &call)
            }
            guard let next else { return nil }
            region = next
        }
    }

    /// The store that a region's leader is on; nil where the request must be routed anew.
    private func store(
        of region: CachedRegion, _ call: inout RegionCall
    ) async throws(TiKVError) -> StoreHandle? {
        let id = region.leader.storeID
        if let store = self.stores.known(id) { return store }
        try self.check(call)
        do throws(TiKVError) {
            if let store = try await self.stores.resolve(id, deadline: call.deadline) { return store }
        } catch {
            throw call.failed(toAskPD: error, hasDeadlinePassed: call.deadline.hasPassed(at: self.clock.now))
        }
        call.record(.regionUnavailable, "store \(id), which should hold the region, is gone")
        await self.cache.invalidate(region)
        try await self.wait(.regionMiss, &call)
        return nil
    }

    // MARK: - Waiting

    /// Throws where the call must not go on.
    func check(_ call: RegionCall) throws(TiKVError) {
        if Task.isCancelled { throw TiKVError(.cancelled, "the task was cancelled") }
        if self.lifecycle.isClosed { throw TiKVError(.clientClosed, "the client is closed") }
        if call.deadline.hasPassed(at: self.clock.now) { throw call.expired() }
    }

    /// Waits before the next try; throws where no time for one is left.
    func wait(_ kind: BackoffKind, hint: Duration? = nil, _ call: inout RegionCall) async throws(TiKVError) {
        try self.check(call)
        let now = self.clock.now
        let remaining = call.deadline.remaining(at: now)
        guard let delay = call.backoff.next(kind, remaining: remaining, random: self.random(), hint: hint) else {
            throw call.expired()
        }
        self.logger.log(
            .trace, "waiting before the next try",
            [.backoff: kind.name, .delay: "\(delay)", .attempt: call.backoff.attempts])
        do throws(CancellationError) {
            try await self.clock.sleep(until: now.advanced(by: delay))
        } catch {
            throw TiKVError(.cancelled, "the task was cancelled")
        }
        try self.check(call)
    }
}
